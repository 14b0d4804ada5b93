"""AIAC rank 6's eight models against recordings of the original code (golden/r6), tolerance 1e-5."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lib.objectives import CosineRegression
from tests.golden_models import worst
from tests.golden_models_aiac_rank6 import MODELS, recorded, recorded_batch
from tests.golden_rule import check_step, load_case, without_dropout

SIDES_APART = {"erc", "inception_lxmert", "esim"}  # what they compute depends on the batch: norms, longest item


@pytest.fixture(scope="module", params=MODELS)
def system(request):
    case = load_case(f"r6/{request.param}")
    return case, recorded(case)


def pair_rows(case):
    return torch.cat([case["in/pair_side1"], case["in/pair_side2"]]).tolist()


def pair_batch(case):
    """Both sides in one batch, as the loader makes it."""
    rows = pair_rows(case)
    half = len(rows) // 2
    pair = torch.stack([torch.arange(half), torch.arange(half) + half], dim=1)
    return recorded_batch(case, rows).replace(pair=pair, score=case["in/pair_label"])


def pair_outputs(case, model, batch):
    """Embeddings of a pair batch; where they depend on the batch, each side passes alone, as in the original."""
    if case.name.removeprefix("r6/") not in SIDES_APART:
        return model(batch)
    half = len(batch) // 2
    plain = batch.replace(pair=None, score=None)
    sides = [model(plain._map(lambda t, part=part: t[part])) for part in (slice(None, half), slice(half, None))]
    return replace(sides[0], embedding=torch.cat([side.embedding for side in sides]))


def test_outputs(system):
    case, built = system
    with torch.no_grad():
        batch = recorded_batch(case)
        outputs = built.model(batch)
        tags = built.mix.terms["tags"]
        probability = torch.sigmoid(tags.head(outputs))
        loss = float(tags(outputs, batch)) / tags.scale
    unit = F.normalize(outputs.embedding, dim=-1)
    assert worst(outputs.embedding, case["out/embedding"]) < 1e-5
    assert worst(unit, case["out/embedding_normed"]) < 1e-5
    assert worst(probability, case["out/tag_probability"]) < 1e-5
    assert loss == pytest.approx(float(case["out/pointwise_loss"]), rel=1e-5)
    if "out/embedding_alone_1" in case:  # B7-2: with masks of ones an item alone has another embedding
        with torch.no_grad():
            alone = built.model(recorded_batch(case, [1])).embedding
        assert worst(alone, case["out/embedding_alone_1"]) < 1e-5
        assert worst(alone[0], case["out/embedding"][1]) > 0.1


def test_pair_cosine(system):
    case, built = system
    with torch.no_grad():
        batch = pair_batch(case)
        unit = F.normalize(pair_outputs(case, built.model, batch).embedding, dim=-1)
        cosine = (unit[batch.pair[:, 0]] * unit[batch.pair[:, 1]]).sum(dim=-1)
    assert worst(cosine, case["out/pair_cosine"]) < 1e-5


def test_pointwise_step(system):
    case, built = system
    before = {name: value.clone() for name, value in built.named_buffers()}  # the norms' statistics move
    without_dropout(built).zero_grad()
    total, _ = built.mix(built.model, recorded_batch(case))
    total.backward()
    _check_step(case, built, total, "pointwise")
    _check_buffers(case, built)
    named = dict(built.named_parameters())
    without = {original for original, ours in built.renamed.items() if ours in named and named[ours].grad is None}
    left_out = set(case.weights) - set(built.renamed)
    recorded_without = set(case.json("train")["pointwise_parameters_without_gradient"])
    assert without == set() and {name for name in left_out if "running" not in name} == recorded_without
    built.load_state_dict(before, strict=False)
    built.zero_grad()


def test_pairwise_step(system):
    case, built = system
    before = {name: value.clone() for name, value in built.named_buffers()}  # the norms' statistics move
    without_dropout(built).zero_grad()
    batch = pair_batch(case)
    loss = CosineRegression()(pair_outputs(case, built.model, batch), batch)
    loss.backward()
    _check_step(case, built, loss, "pairwise")
    built.load_state_dict(before, strict=False)
    built.zero_grad()


def _check_buffers(case, built):
    """Running statistics of the batch norms after the step; those of the dropped third branch have no counterpart."""
    keys = [key for key in case.keys("train_buffer/") if "/BN3/" not in key]
    buffers = dict(built.named_buffers())
    assert len(keys) == {"r6/erc": 8, "r6/inception_lxmert": 24}.get(case.name, 0)
    for key in keys:
        ours = buffers[built.renamed[key.removeprefix("train_buffer/").replace("/", ".")]]
        assert worst(ours[:64], case[key]) < 1e-5, key


def _check_step(case, built, loss, stage):
    """Loss and gradient norms of one step in train mode with dropout 0."""
    check_step(case, built, loss, f"{stage}_")
    built.eval()


def test_lxmert_second_mask_value():
    """B7-5: all four videos with text mask 2, and the pairs with mask 1 on both sides."""
    case = load_case("r6/lxmert")
    built = recorded(case)
    batch = recorded_batch(case)
    every = torch.stack([torch.arange(4), torch.arange(4)], dim=1)
    with torch.no_grad():
        two = built.model(batch.replace(pair=every)).embedding
        one = built.model(batch).embedding  # without pairs nobody is second
    assert worst(two, case["out/embedding_mask2"]) < 1e-5
    assert worst(two, one) > 0.3
    cosine = F.cosine_similarity(one[case["in/pair_side1"]], one[case["in/pair_side2"]])
    assert worst(cosine, case["out/pair_cosine_mask1"]) < 1e-5
