"""WeChat rank 72 against recordings of the original code (golden/rank72), tolerance 1e-5."""

import pytest
import torch

from lib.training.adversarial import Fgm
from tests.golden_models import worst
from tests.golden_models_wechat_rank72 import SWIN, batch, corrupted, finetuned, pretrained
from tests.golden_rule import check_decay, check_step, load_case, load_renamed, without_dropout


@pytest.fixture(scope="module")
def finetune():
    case = load_case("rank72/lxmert_finetune")
    return case, finetuned(case)


@pytest.fixture(scope="module")
def pretrain():
    case = load_case("rank72/lxmert_pretrain")
    return case, pretrained(case)


def _without_gradient(system):
    """None where no objective looks at the sequence, zeros where one looks at the words in it."""
    return {name for name, p in system.named_parameters() if p.grad is None or not p.grad.any()}


def test_finetune_outputs(finetune):
    case, system = finetune
    given = batch(case)
    with torch.no_grad():
        outputs = system.model(given)
        loss = system.mix.terms["category"](outputs, given)
    assert worst(outputs.joint.hidden[:, outputs.text_index, :64], case["out/lang"]) < 1e-5
    assert worst(outputs.joint.hidden[:, outputs.frame_index, :64], case["out/visn"]) < 1e-5
    assert worst(outputs.pooled, case["out/pooled"]) < 1e-5
    assert worst(outputs.logits, case["out/logits"]) < 1e-5
    assert outputs.logits.argmax(dim=1).tolist() == case["out/predicted"].tolist()
    assert float(loss) == pytest.approx(float(case["out/loss"]), rel=1e-5)


def test_finetune_step_and_disturbed_words(finetune):
    """A clean step, then the fast gradient method on the word table: both gradients add up."""
    case, system = finetune
    without_dropout(system).zero_grad()
    total, _ = system.mix(system.model, batch(case))
    total.backward()
    check_step(case, system, total)
    train = case.json("train")
    types = {"encoder.bert.embeddings.token_type_embeddings.weight"}  # a gradient of zeros in the original too (R10)
    recorded = types.union(train["parameters_without_gradient"])
    assert _without_gradient(system) == {system.renamed[name] for name in recorded}
    for table, rows in train["zero_gradient_rows"].items():
        norms = getattr(system.model.text.embeddings, table).weight.grad.norm(dim=1)
        assert (norms == 0).nonzero().flatten().tolist() == rows

    words = system.model.text.word_table
    clean, seen = words.detach().clone(), {}

    def again():
        seen["moved"] = words.detach() - clean
        seen["total"], _ = system.mix(system.model, batch(case))
        seen["total"].backward()

    Fgm(epsilon=1.0)(system, again)
    assert torch.equal(words, clean)
    assert float(seen["moved"].double().norm()) == pytest.approx(float(case["train/fgm_delta_norm"]), rel=1e-5)
    assert worst(seen["moved"][3:5, :16], case["train/fgm_delta_corner"]) < 1e-5
    check_step(case, system, seen["total"], "fgm_")
    system.eval().zero_grad()


def test_the_dead_block_changes_nothing(finetune):
    """R11: without the last layer's block of the frames the logits are the same."""
    case, _ = finetune
    with torch.no_grad():
        outputs = finetuned(case, last_frames=False).model(batch(case))
    assert worst(outputs.logits, case["out/logits"]) < 1e-5
    assert worst(outputs.joint.hidden[..., :64], case["out/lang"]) < 1e-5
    assert outputs.frame_index.tolist() == [-1] * 4


def test_pretrain_outputs(pretrain):
    case, system = pretrain
    given, tokens, matching = corrupted(case, system), system.mix.terms["tokens"], system.mix.terms["matching"]
    assert given.matched.tolist() == case["in/itm_label"].tolist()
    with torch.no_grad():
        outputs = system.model(given)
        logits = tokens.head(outputs.joint.hidden[:, outputs.text_index], outputs.word_table)
        itm = matching.logits(outputs.pooled)
        losses = {name: float(term(outputs, given)) for name, term in system.mix.terms.items()}
    assert worst(outputs.pooled, case["out/pooled"]) < 1e-5
    assert worst(logits, case["out/mlm_logits"]) < 1e-5
    assert worst(itm.unsqueeze(1), case["out/itm_logits"]) < 1e-5
    assert float(matching.accuracy(outputs, given)) == pytest.approx(float(case["out/itm_accuracy"]))
    assert losses["tokens"] == pytest.approx(float(case["out/mlm_loss"]), rel=1e-5)
    assert losses["matching"] == pytest.approx(float(case["out/itm_loss"]), rel=1e-5)


def test_pretrain_step(pretrain):
    case, system = pretrain
    without_dropout(system).zero_grad()
    total, _ = system.mix(system.model, corrupted(case, system))
    total.backward()
    check_step(case, system, total)
    recorded = case.json("train")["parameters_without_gradient"]
    types = {"encoder.bert.embeddings.token_type_embeddings.weight"}  # a gradient of zeros in the original too (R10)
    assert _without_gradient(system) == {system.renamed[name] for name in types.union(recorded)}
    system.eval().zero_grad()


def test_every_original_parameter_has_a_place(finetune, pretrain):
    for case, system in (finetune, pretrain):
        assert sum(parameter.numel() for parameter in system.parameters()) == case.json("parameter_count")


def test_optimizer_groups(finetune):
    """The original decays everything but names with bias or LayerNorm.weight, at one rate; ours goes by shape."""
    case, system = finetune
    check_decay(case, system, weight_decay=0.01)


def test_frame_encoder():
    """The original's Swin-T is timm's, name by name but for where the reduction between two stages stands."""
    import timm

    case = load_case("rank72/swin_tiny")
    swin = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, num_classes=0).eval()
    load_renamed(swin, case.weights, SWIN)
    images = torch.kron(case["in/image_base"], torch.ones(8, 8)).flatten(0, 1)
    with torch.no_grad():
        feature = swin(images).unflatten(0, (1, 2))
    assert worst(feature, case["out/feature"]) < 1e-5
    assert sum(parameter.numel() for parameter in swin.parameters()) == case.json("parameter_count")
