"""Backbone names, checkpoints, strict loading."""

import json

import pytest
import safetensors.torch
import torch
from torch import nn

from lib.models import BertText, Embeddings, FrameProjection, Projection, SingleStream
from lib.models.bert import KNOWN, init_std, load_state, resolve_backbone
from lib.objectives import MaskedTokens
from tests.golden_models import SPECIAL, checkpoint
from tests.golden_rule import fill, load_case


@pytest.mark.parametrize(
    ("name", "layers", "width", "heads"),
    [("tiny-2x64", 2, 64, 2), ("small-4x256", 4, 256, 8), ("random-24x1024", 24, 1024, 16), ("tiny", 2, 64, 2)],
)
def test_random_backbones(name, layers, width, heads):
    backbone = resolve_backbone(name, vocab_size=77, dropout=0.0)
    config = backbone.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (layers, width, heads)
    assert (config.intermediate_size, config.vocab_size, config.hidden_dropout_prob) == (4 * width, 77, 0.0)
    assert not backbone.pretrained and config._attn_implementation == "sdpa"


def test_published_names_need_no_network_for_their_sizes():
    assert resolve_backbone("hfl/chinese-roberta-wwm-ext-large").config.hidden_size == 1024
    assert all(resolve_backbone(name).config.num_attention_heads == KNOWN[name][1] // 64 for name in KNOWN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny-2by64", "random backbones are written like tiny-2x64"),
        ("tiny-2x50", "the width must be a multiple of 32"),
        ("./no/such/folder", "neither a folder nor a model that can be fetched"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(ValueError, match=message):
        resolve_backbone(name)


def test_vocabulary_must_be_the_checkpoints():
    with pytest.raises(ValueError, match="made for 21128 tokens, the token set has 500"):
        resolve_backbone("hfl/chinese-macbert-base", vocab_size=500)


def test_other_architectures_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ValueError, match="a gpt2 model; these slots are made for BERT"):
        resolve_backbone(str(tmp_path))


def test_modules_start_from_a_checkpoint_folder():
    """Every part takes its share: tables, layers, and the prediction head of the masked-token term."""
    folder = checkpoint(load_case("r1/job1"), "roberta.")
    text, fusion = Embeddings(folder, vocab_size=200), SingleStream(folder, 64, 64)
    tokens = MaskedTokens(64, 200, SPECIAL, backbone=folder)
    expected = {
        "roberta.bert.embeddings.word_embeddings.weight": text.word_table,
        "roberta.bert.encoder.layer.1.output.dense.bias": fusion.encoder.layer[1].output.dense.bias,
        "roberta.cls.predictions.transform.LayerNorm.weight": tokens.head.LayerNorm.weight,
        "roberta.cls.predictions.decoder.weight": tokens.head.table,
        "roberta.cls.predictions.bias": tokens.head.bias,
    }
    for name, value in expected.items():
        assert torch.equal(value, torch.from_numpy(fill(name, tuple(value.shape)))), name
    tied = MaskedTokens(64, 200, SPECIAL, backbone=folder, tied=True)
    assert tied.head.table is None and torch.equal(tied.head.bias, tokens.head.bias)


def test_a_part_the_checkpoint_lacks_is_an_error():
    """The recorded AIAC model has no pooler; transformers would invent one and say so in a warning."""
    folder = checkpoint(load_case("r1/job1"), "roberta.")
    weights = safetensors.torch.load_file(f"{folder}/model.safetensors")
    kept = {name: value for name, value in weights.items() if "pooler" not in name}
    safetensors.torch.save_file(kept, f"{folder}/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"(?s)checkpoint .* cannot be loaded.*Missing key.*dense.weight.*dense.bias"):
        BertText(folder, vocab_size=200)
    safetensors.torch.save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})
    assert BertText(folder, vocab_size=200, pooler=False).pooler is None


def test_a_missing_checkpoint_names_the_remedy(tmp_path):
    config = {"model_type": "bert", "hidden_size": 32, "num_attention_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no weights found .* Give the path of a folder that holds"):
        Embeddings(str(tmp_path), vocab_size=30522)


def test_load_state_accounts_for_every_key():
    module = nn.Linear(2, 3)
    good = {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}
    load_state(module, good)
    assert (module.weight == 1).all()
    with pytest.raises(ValueError) as error:
        load_state(module, {"weight": torch.ones(2, 2), "extra": torch.ones(1)}, source="pretrain weights")
    told = str(error.value)
    assert told.startswith("pretrain weights: cannot be loaded") and 'Missing key(s) in state_dict: "bias"' in told
    assert 'Unexpected key(s) in state_dict: "extra"' in told and "size mismatch for weight" in told
    load_state(module, good | {"weight": torch.full((3, 2), 2.0), "head.x": torch.ones(1)}, allow_unexpected=["head.*"])
    assert (module.weight == 2).all()


def test_aiac_a2_2_initialisation():
    """A2.2: BERT's N(0, 0.02²) for the layers, W_f and the frame tables; torch's default for heads. At a small width
    the deviation grows with 1/sqrt(width) so that signals keep their size."""
    assert init_std(1024) == init_std(768) == 0.02 and init_std(64) == pytest.approx(0.08)
    torch.manual_seed(0)
    frames, layer = FrameProjection(256, 768), SingleStream("random-1x768", 768, 768).encoder.layer[0]
    dense = layer.output.dense
    for part in (frames.project, frames.position_embeddings, layer.attention.self.query, dense):
        assert float(part.weight.std()) == pytest.approx(0.02, rel=0.02) and abs(float(part.weight.mean())) < 1e-3
    assert (frames.project.bias == 0).all() and (frames.LayerNorm.weight == 1).all() and (dense.bias == 0).all()
    text = Embeddings("tiny-1x64", vocab_size=300)
    assert (text.word_table[0] == 0).all() and float(text.word_table[1:].std()) == pytest.approx(0.08, rel=0.05)
    bound = 768**-0.5  # nn.Linear: uniform in ±1/sqrt(fan in)
    weight = Projection(768, 256).project.weight
    assert float(weight.abs().max()) <= bound and float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.02)
