"""AIAC rank 1, jobs 1, 2 and 4 against recordings of the original code (golden/r1), tolerance 1e-5."""

import pytest
import torch
import torch.nn.functional as F

from tests.golden_models import aiac_batch, aiac_rank1, similarity_mix, worst
from tests.golden_rule import check_step, load_case, without_dropout

JOBS = ["job1", "job2", "job4"]


@pytest.fixture(scope="module", params=JOBS)
def recorded(request):
    case = load_case(f"r1/{request.param}")
    return case, aiac_rank1(case)


def test_uncorrupted_outputs(recorded):
    case, system = recorded
    with torch.no_grad():
        batch = aiac_batch(case)
        outputs = system.model(batch)
        tags = system.mix.terms["tags"]
        assert worst(outputs.joint.hidden, case["out/hidden"]) < 1e-5
        assert worst(F.normalize(outputs.embedding, dim=-1), case["out/embedding"]) < 1e-5
        assert worst(tags.head(outputs), case["out/tag_logits"]) < 1e-5
        logged = 1250 / 3 if case.name == "r1/job4" else 1250  # A3.1: what each job's evaluation multiplies by
        assert float(logged * tags(outputs, batch)) == pytest.approx(float(case["out/tag_loss_eval"]), rel=1e-5)


def test_corrupted_outputs_and_losses(recorded):
    case, system = recorded
    with torch.no_grad():
        batch = aiac_batch(case, corrupted=True)
        outputs = system.model(batch)
        total, named = system.mix(system.model, batch)
        # cls-first scores the last T - 1 positions
        after_cls = slice(1, None) if case.name != "r1/job2" else slice(None)
        words = system.mix.terms["tokens"].head(outputs.joint.hidden[:, outputs.text_index[after_cls]])
        frames = system.mix.terms["frames"].head(outputs.joint.hidden[:, outputs.frame_index])
    assert worst(words, case["out/mlm_logits"]) < 1e-5
    assert worst(frames[..., :48], case["out/mfm_output"]) < 1e-5
    assert worst(F.normalize(outputs.embedding, dim=-1), case["out/corrupted_embedding"]) < 1e-5
    for name, out in {"tags": "tag_bce", "tokens": "mlm_loss", "frames": "mfm_loss"}.items():
        assert float(named[name]) == pytest.approx(float(case[f"out/{out}"]), rel=1e-5), name
    assert float(total) == pytest.approx(float(case["out/pretrain_loss"]), rel=1e-5)


def test_job4_without_any_tag():
    """A3.1: if no tag of the batch is known the term is skipped; the other two are unchanged."""
    case = load_case("r1/job4")
    system = aiac_rank1(case)
    batch = aiac_batch(case, corrupted=True)
    with torch.no_grad():
        total, named = system.mix(system.model, batch.replace(tags=torch.full_like(batch.tags, -100.0)))
    assert float(named["tags"]) == 0
    assert float(total) == pytest.approx(float(case["out/pretrain_loss_without_tags"]), rel=1e-5)


def test_pair_cosine_and_finetuning_step(recorded):
    case, system = recorded
    batch = aiac_batch(case)
    with torch.no_grad():
        unit = F.normalize(system.model(batch).embedding, dim=-1)
    cosine = (unit[batch.pair[:, 0]] * unit[batch.pair[:, 1]]).sum(dim=-1)
    assert worst(cosine, case["out/pair_cosine"]) < 1e-5
    _check_step(case, system, similarity_mix(), batch, "finetune")


def test_pretraining_step(recorded):
    case, system = recorded
    _check_step(case, system, system.mix, aiac_batch(case, corrupted=True), "pretrain")
    named = dict(system.named_parameters())
    without = {original for original, ours in system.renamed.items() if named[ours].grad is None}
    dead = {"roberta.bert.video_embeddings.word_embeddings.weight"}  # A7-14, which we do not have
    assert without | dead == set(case.json("train")["pretrain_parameters_without_gradient"])


def _check_step(case, system, mix, batch, stage):
    """Loss and gradient norms of one step in train mode with dropout 0."""
    without_dropout(system)
    system.zero_grad()
    total, _ = mix(system.model, batch)
    total.backward()
    check_step(case, system, total, f"{stage}_")
    system.eval()


def test_every_original_parameter_has_a_place(recorded):
    """Our parameters are the original's, less the dead word table for frames (A7-14: 200 x 64 here)."""
    case, system = recorded
    ours = sum(parameter.numel() for parameter in system.parameters())
    assert ours + 200 * 64 == case.json("parameter_count")
