"""``vidlab backbone``: a language model that is the same every time, is found by name, and is part of a job's digest."""

import json
import shutil

import numpy as np
import pytest
import torch

from lab.backbone import make, word_vectors
from lib.features.tokens import pretrained, special_ids
from lib.models.bert import resolve_backbone, stand_in
from lib.models.text_encoders import BertText
from lib.recipes.job import Job
from lib.runs import paths
from tests.forget import forget

SMALL = {"videos": 400, "steps": 40, "batch_size": 32, "width": 32, "min_count": 3, "characters": 50}


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """A copy of params/ with a small backbone ``clear`` in it."""
    folder = tmp_path_factory.mktemp("params") / "params"
    shutil.copytree(paths.PROJECT / "params", folder, ignore=shutil.ignore_patterns("backbones"))
    make("clear", folder / "backbones" / "clear", **SMALL)
    return folder


@pytest.fixture
def at(params, monkeypatch):
    monkeypatch.setenv("VIDLAB_PARAMS", str(params))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return params / "backbones" / "clear"


def test_equal_arguments_give_equal_bytes(params, tmp_path):
    made = params / "backbones" / "clear"
    make("clear", tmp_path / "again", **SMALL)
    for file in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "again" / file).read_bytes() == (made / file).read_bytes(), file
    facts = json.loads((made / "provenance.json").read_text())
    assert facts["arguments"] == {
        "world": "clear",
        **SMALL,
        **{k: facts["arguments"][k] for k in ("seed", "layers", "length", "lr")},
    }


def test_it_learns(params):
    loss = json.loads((params / "backbones" / "clear" / "provenance.json").read_text())["loss"]
    size = json.loads((params / "backbones" / "clear" / "config.json").read_text())["vocab_size"]
    assert loss["masked words"] < np.log(size)


def test_words_are_tokens_and_what_is_unknown_stays_one(at):
    tokenizer = pretrained("clear")
    assert special_ids(tokenizer).pad == 0
    words = [w for w in tokenizer.get_vocab() if len(w) == 2 and not w.startswith("[")]
    known = max(words, key=lambda w: -tokenizer.token_to_id(w))  # the commonest
    pieces = tokenizer.encode(known + "ξ" + known, add_special_tokens=False).tokens
    assert pieces == [known, "ξ", known]  # shown as it is written; its id is that of [UNK]
    assert tokenizer.encode("ξ", add_special_tokens=False).ids == [special_ids(tokenizer).unk]


def test_a_model_starts_from_its_weights_without_a_network(at):
    weights = resolve_backbone("clear").weights
    model = BertText("clear", weights["bert.embeddings.word_embeddings.weight"].shape[0])
    assert torch.equal(model.word_table, weights["bert.embeddings.word_embeddings.weight"])
    assert torch.equal(model.pooler.dense.weight, weights["bert.pooler.dense.weight"])


def test_what_starts_from_random_weights_keeps_random_weights_of_its_size(at):
    assert stand_in("random-3x768", "clear") == "random-1x32"
    assert stand_in("bert-base-chinese", "clear") == "clear"
    assert stand_in("bert-base-chinese", None) is None


def test_other_weights_are_another_job(params, tmp_path, monkeypatch):
    changed = tmp_path / "params"
    shutil.copytree(params, changed)
    make("clear", changed / "backbones" / "clear", **{**SMALL, "seed": 5})
    digests = []
    for folder in (params, changed):
        monkeypatch.setenv("VIDLAB_PARAMS", str(folder))
        forget()
        job = Job.load("aiac_rank1", "finetune", "base", 0, "laptop")
        digests.append((job.digest, job.tokens.digest))
    assert digests[0][0] != digests[1][0]
    assert digests[0][1] != digests[1][1]


def test_words_of_like_company_have_like_vectors():
    """5 and 6 are said with 9, 7 and 8 with 10."""

    class Said:
        flat = np.array([5, 9, 6, 9, 7, 10, 8, 10] * 10)
        lengths = np.full((1, 40), 2)

    found = word_vectors([Said()], 11, 4, 0)
    assert found[5] == pytest.approx(found[6], abs=1e-5) and found[7] == pytest.approx(found[8], abs=1e-5)
    assert np.linalg.norm(found[5]) > 0.5 and abs(found[5] @ found[7]) < 1e-5
    assert found[:5] == pytest.approx(0, abs=1e-6)  # special tokens say nothing
