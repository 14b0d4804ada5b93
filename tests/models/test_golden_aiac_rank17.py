"""AIAC rank 17: both models, their parts and their losses against recordings of the original code (golden/r17).
Tolerance 1e-5 for outputs, losses and updated parameters, 1e-4 relative for gradient norms."""

import pytest
import torch

from lib.models.frame_encoders import VideoTransformer
from lib.models.gating import FeatureGate
from lib.objectives.similarity import within_side
from lib.objectives.tags import focal_with_logits
from lib.training.optimizers import BertAdam, param_groups
from lib.training.schedule import WarmupLinear
from tests.golden_models import worst
from tests.golden_models_aiac_rank17 import (
    GATE,
    VIDEO_TRANSFORMER,
    cross,
    gated_sum,
    rank17_batch,
    text_pretraining,
    video_pretraining,
)
from tests.golden_rule import check_decay, check_step, gradient_norms, load_case, load_renamed, without_dropout
from tests.small import batch

PRETRAINING = {
    "text_pretrain": (text_pretraining, {"text_model": "text"}),
    "video_pretrain": (video_pretraining, {"video_model": "frames.layers.0"}),
    "multi_bert_pretrain": (
        cross,
        {"text_ln": "text", "text_model": "text.encoder", "visual_embeddings": "frames", "multi_bert": "fusion"},
    ),
}
FINETUNING = {
    "simnet_13": (
        gated_sum, ("text", "frames"),
        {
            "text_model.text_model": "text", "video_model.video_model": "frames.layers.0",
            "text_embed": "fusion.project_text", "video_embed": "fusion.project_frames",
        },
    ),
    "multi_bert_simnet_1": (
        cross, ("text", "frames"), {"bert.text_model": "text.encoder", "bert.multi_bert": "fusion"},
    ),
}  # fmt: skip


def _probes(model, places, batch):
    """Outputs of the model and what its parts returned."""
    seen = {}

    def keep(place):
        def hook(module, inputs, output):
            seen[place] = getattr(output, "hidden", getattr(output, "last_hidden_state", output))

        return hook

    hooks = [model.get_submodule(place).register_forward_hook(keep(place)) for place in places.values()]
    with torch.no_grad():
        outputs = model(batch)
    for hook in hooks:
        hook.remove()
    return outputs, {name: seen[place] for name, place in places.items()}


def _corner(value):
    return value[:, :2, :16] if value.ndim == 3 else value[:, :32]


@pytest.mark.parametrize("name", PRETRAINING)
def test_pretraining(name):
    """Feature, probabilities, loss and one step of each of the three pretrainings (§10 R17-1 on the whole model)."""
    case = load_case(f"r17/{name}")
    build, places = PRETRAINING[name]
    system, given = build(case), rank17_batch(case)
    tags = system.mix.terms["tags"]
    outputs, probes = _probes(system.model, places, given)
    for original, value in probes.items():
        assert worst(_corner(value), case[f"probe/{original}"]) < 1e-5, original
    with torch.no_grad():
        probability = torch.sigmoid(tags.head(outputs))
        loss = tags(outputs, given)
    assert worst(outputs.pooled, case["out/embedding"]) < 1e-5
    assert worst(probability[:, :256], case["out/tag_probability"]) < 1e-5
    torch.testing.assert_close(probability.double().sum(dim=1), case["out/tag_probability_row_sums"], rtol=1e-6, atol=0)
    assert float(loss) == pytest.approx(float(case["out/loss"]), rel=1e-5)
    without_dropout(system)
    total, _ = system.mix(system.model, given)
    total.backward()
    check_step(case, system, total)
    missing = {name for name, _ in case.json("parameters")} - set(system.renamed)
    assert missing == set(case.json("train")["parameters_without_gradient"])
    assert all(parameter.grad is not None for parameter in system.parameters())


@pytest.mark.parametrize("name", FINETUNING)
def test_finetuning(name):
    """Embedding, then three updates of the original's own optimizer and schedule with both losses, C7-11 and C7-1. What decays
    goes by the name (C4): bias and LayerNorm.weight do not, the other norms' scales do."""
    case = load_case(f"r17/{name}")
    build, frozen, places = FINETUNING[name]
    system, given = build(case), rank17_batch(case)
    decays = check_decay(case, system, no_decay="names")
    assert decays[system.renamed["fusion_gate.fc_avg.1.weight"]] == 0.01
    outputs, probes = _probes(system.model, places, given)
    assert worst(outputs.embedding, case["out/embedding"]) < 1e-5
    for original, value in probes.items():
        assert worst(_corner(value), case[f"probe/{original}"]) < 1e-5, original

    without_dropout(system)
    system.model.freeze(frozen, mode="train")
    settings, train = case.settings, case.json("train")
    groups = param_groups(system.named_parameters(), lr=settings["lr"], no_decay="names")
    optimizer = BertAdam(groups, lr=settings["lr"])
    schedule = WarmupLinear(total_steps=settings["t_total"], warmup=settings["warmup"], whole=False)
    parameters = dict(system.named_parameters())
    for update in (1, 2, 3):
        system.zero_grad()
        total, _ = system.mix(system.model, given)
        total.backward()
        assert float(total.detach()) == pytest.approx(float(case["train/losses"][update - 1]), rel=1e-5), update
        if update == 1:
            norms = gradient_norms(system, [system.renamed[original] for original in train["grad_names"]])
            torch.testing.assert_close(norms, case["train/grad_norms"], rtol=1e-4, atol=0)
            assert all(p.grad is not None for p in system.parameters() if p.requires_grad)
        for group in optimizer.param_groups:
            group["lr"] = settings["lr"] * schedule.multiplier(update - 1)
        optimizer.step()
        for original in train["grad_names"]:
            ours = parameters[system.renamed[original]].flatten()[:64]
            assert worst(ours, case[f"train/after_update_{update}/{original}"]) < 1e-5, (update, original)
    gate = system.model.fusion.gate if name == "simnet_13" else system.model.head.gate
    for buffer in ("running_mean", "running_var"):
        recorded = case[f"train_buffer/fusion_gate/fc_avg/1/{buffer}"]
        assert worst(getattr(gate.norm, buffer)[:64], recorded) < 1e-5


def test_video_transformer_block():
    case = load_case("r17/block_video_transformer")
    settings = case.settings
    model = VideoTransformer(
        settings["dim"], depth=settings["depth"], heads=settings["heads"], head_dim=settings["dim_head"],
        ffn=settings["mlp_dim"], respect_mask=False, positions="none",
    )  # fmt: skip
    load_renamed(model, case.weights, VIDEO_TRANSFORMER)
    mask = case["in/mask"][:, 1:].bool()
    given = batch([1] * 3, [1] * 3).replace(frames=case["in/x"], frame_mask=mask)
    states = model.eval()(given)
    assert worst(states.hidden, case["out/y"][:, 1:]) < 1e-5
    weight = torch.cat([torch.ones(3, 1), mask.float()], dim=1)[:, :, None]
    assert worst(states.pooled, (case["out/y"] * weight).sum(dim=1) / weight.sum(dim=1)) < 1e-5
    assert sum(p.numel() for p in model.parameters()) == case.json("parameter_count")


@pytest.mark.parametrize("kind", ["cross", "self"])
def test_gates(kind):
    """Eval and batch statistics; the video half comes first."""
    case = load_case(f"r17/block_gate_{kind}")
    gate = FeatureGate(16, sides=1)
    weights = case.weights | {"fc_avg.1.num_batches_tracked": torch.tensor(0)}
    load_renamed(gate, weights, GATE)
    both = case["in/x"] if kind == "self" else torch.cat([case["in/video"], case["in/text"]], dim=1)
    for mode, out in ((False, "out/y"), (True, "out/y_train")):
        gated = gate.train(mode)(both) * both
        assert worst(gated if kind == "self" else gated[:, :8] + gated[:, 8:], case[out]) < 1e-5
    assert worst(gate.norm.running_mean, case["out/running_mean_after"]) < 1e-5
    assert worst(gate.norm.running_var, case["out/running_var_after"]) < 1e-5


def test_focal_loss():
    """C3.1. The original works on probabilities clamped at 1e-7, ours on logits: equal where 1 - p keeps its digits in
    float32, 7.8e-5 apart in the sum because of seven logits from 9.75 to 20, where ours agrees with float64."""
    case = load_case("r17/focal_loss")
    logits, target, recorded = case["in/logits"].requires_grad_(), case["in/target"], float(case["out/loss_sum"])
    loss = 11 * focal_with_logits(logits, target, gamma=2.0, alpha=10 / 11)
    loss.sum().backward()
    loss, inside = loss.detach(), logits.detach().abs() < 9
    assert int((~inside).sum()) == 7 and worst(logits.grad[inside], case["out/grad_logits"][inside]) < 1e-5
    p = case["out/probability"].clamp(1e-7, 1 - 1e-7)
    truth = torch.where(target == 1, p, 1 - p)
    clamped = -(1 - truth).square() * truth.log() * torch.where(target == 1, 10, 1)
    assert float(torch.where(inside, loss, clamped).sum()) == pytest.approx(recorded, rel=1e-5)
    assert float(loss.sum()) == pytest.approx(recorded, rel=1e-4)
    exact = 11 * focal_with_logits(logits.detach().double(), target.double(), gamma=2.0, alpha=10 / 11)
    assert float(loss.sum()) == pytest.approx(float(exact.sum()), rel=1e-6)


def test_pseudo_label_loss():
    """C3.2, quirk C7-1."""
    case = load_case("r17/pseudo_label_loss")
    unit, levels = case["in/unit_embeddings"].requires_grad_(), case.settings["levels"]
    loss = within_side(unit, levels)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(case["out/loss"]), rel=1e-5)
    assert worst(unit.grad, case["out/grad"]) < 1e-5
