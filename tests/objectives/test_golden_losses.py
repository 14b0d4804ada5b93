"""Losses against recordings of papers' code and libraries, tolerance 1e-5: agreement, balance, metric learning, captions."""

import pytest
import torch
from torch import nn

from lib.models.video_model import Joint, Outputs
from lib.objectives import ArcFace, Caption, RDrop, SupCon
from lib.objectives.category import class_balanced_weights
from tests import small
from tests.golden_models import worst
from tests.golden_rule import load_case, without_dropout


def test_arcface_and_supervised_contrast():
    for name in ("arcface", "supcon"):
        case = load_case(f"topsix/pml/{name}")
        pooled = case["in/embedding"].requires_grad_()
        objective = SupCon() if name == "supcon" else ArcFace(16, 5)
        if name == "arcface":
            centres = torch.nn.Parameter(case.weights["W"].T.contiguous())
            objective.centres = centres
        given = small.batch([1] * 6, [1] * 6).replace(category=case["in/label"])
        loss = objective(small.outputs(pooled=pooled), given)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(float(case["out/loss"]), rel=1e-5)
        assert worst(pooled.grad, case["out/grad_embedding"]) < 1e-5
        if name == "arcface":
            assert worst(objective.centres.grad.T, case["out/grad_W"]) < 1e-5
        more = small.batch([1] * 7, [1] * 7).replace(category=torch.cat([case["in/label"], torch.tensor([-100])]))
        same = objective(small.outputs(pooled=torch.cat([pooled, torch.ones(1, 16)])), more)
        assert float(same.detach()) == pytest.approx(float(loss.detach())), "a video without category takes no part"
        none = objective(small.outputs(pooled=pooled), given.replace(category=torch.full((6,), -100)))
        assert float(none.detach()) == 0 and none.requires_grad


def test_agreement_as_two_originals_count_it():
    """R-Drop's own code sums over the batch and adds both cross entropies; a neighbour divides by the classes."""
    case, other = load_case("topsix/rdrop/loss"), load_case("topsix/n9/rdrop_kl")
    for recorded in (case, other):
        logits = [recorded[f"in/logits_{name}"].requires_grad_() for name in ("first", "second")]
        passes, given = [small.outputs(logits=x) for x in logits], small.batch([1] * 5, [1] * 5)
        agreement = RDrop(20).over(passes, given)
        if recorded is other:
            loss = agreement / 20
        else:
            crosses = sum(nn.functional.cross_entropy(x, case["in/label"]) for x in logits)
            loss = crosses + case.settings["alpha"] * 2 * 5 * agreement
        loss.backward()
        assert float(loss.detach()) == pytest.approx(float(recorded["out/loss"]), rel=1e-5)
        assert worst(logits[0].grad, recorded["out/grad_first"]) < 1e-5


def test_class_balanced_weights_of_the_paper():
    case = load_case("topsix/cb/class_balanced")
    for beta in case.settings["betas"]:
        ours = class_balanced_weights(case.settings["samples_per_class"], beta)
        assert worst(ours, case[f"out/weights_{beta}"]) < 1e-5


def test_caption_decoder():
    """UniVL's decoder on its recorded states; its positions' table is the text encoder's."""
    case = load_case("topsix/univl/pretrain")
    weights = case.weights
    objective, words = Caption(48, 200, num_text_slots=64, depth=2, heads=4), "bert.embeddings.word_embeddings.weight"
    for layer in objective.layers:  # four times the width as published, twice in the recording
        layer.linear1, layer.linear2 = nn.Linear(48, 96), nn.Linear(96, 48)
    state = {"position_embeddings.weight": weights["bert.embeddings.position_embeddings.weight"]}
    for kind in ("weight", "bias"):
        state[f"LayerNorm.{kind}"] = weights[f"decoder.embeddings.LayerNorm.{kind}"]
        for part in ("dense", "LayerNorm"):
            state[f"head.{part}.{kind}"] = weights[f"decoder.classifier.cls.predictions.transform.{part}.{kind}"]
        for number in (0, 1):
            begin, ours = f"decoder.decoder.layer.{number}.", f"layers.{number}."
            for theirs, attention, norm in (
                ("slf_attn", "self_attn", "norm1"),
                ("enc_attn", "multihead_attn", "norm2"),
            ):
                parts = [weights[f"{begin}{theirs}.att.{name}.{kind}"] for name in ("query", "key", "value")]
                state[f"{ours}{attention}.in_proj_{kind}"] = torch.cat(parts)
                state[f"{ours}{attention}.out_proj.{kind}"] = weights[f"{begin}{theirs}.output.dense.{kind}"]
                state[f"{ours}{norm}.{kind}"] = weights[f"{begin}{theirs}.output.LayerNorm.{kind}"]
            state[f"{ours}linear1.{kind}"] = weights[f"{begin}intermediate.dense.{kind}"]
            state[f"{ours}linear2.{kind}"] = weights[f"{begin}output.dense.{kind}"]
            state[f"{ours}norm3.{kind}"] = weights[f"{begin}output.LayerNorm.{kind}"]
    state["head.bias"] = weights["decoder.classifier.cls.predictions.bias"]
    objective.load_state_dict(state)
    without_dropout(objective).eval()
    mask = torch.cat([case["in/text_mask"], case["in/frame_mask"]], dim=1).bool()
    joint, none = Joint(case["out/cross_states"], mask), torch.zeros(0, dtype=torch.long)
    outputs = Outputs(joint, none, none, joint.hidden[:, 0], word_table=weights[words])
    given = small.batch([7, 3, 8, 1], [1] * 4).replace(
        input_ids=case["in/masked_text_input"], text_mask=case["in/text_mask"].bool(),
        token_labels=torch.where(case["in/mlm_label"] < 0, -100, case["in/mlm_label"]),
    )  # fmt: skip
    with torch.no_grad():
        states = objective.states(outputs, case["in/caption_input"][:, :9], case["in/caption_mask"][:, :9].bool())
        scores = objective.head(states, weights[words])[..., :24]
        real = case["in/caption_mask"][:, :9].bool()
        assert worst(scores[real], case["out/caption_scores"][:, :9][real]) < 1e-5
        assert float(objective(outputs, given)) == pytest.approx(float(case["out/caption_loss"]), rel=1e-5)
