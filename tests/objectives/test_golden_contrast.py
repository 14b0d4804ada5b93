"""Contrasts against recordings of public neighbours of the WeChat 2022 finalists and of papers' code, tolerance 1e-5."""

import pytest
import torch
from torch import nn

from lib.models import BertText, Identity, MeanPool
from lib.models.bert import load_state
from lib.models.video_model import Joint, Outputs, States, VideoModel
from lib.objectives import HardMatching, InverseCloze, ModalAlignment, SimCse, VideoTextAlignment
from lib.objectives.contrast import Keys, unit
from tests.golden_models import worst
from tests.golden_models_wechat_final import (
    albef,
    below,
    check_queues,
    load_matching,
    load_text,
    recorded_batch,
    single_stream,
    small_bert,
    texts,
)
from tests.golden_rule import load_case, without_dropout


def test_clip_loss_and_its_gradients():
    case = load_case("topsix/n8/clip_loss")
    image, text = (case[f"in/{name}"].requires_grad_() for name in ("image", "text"))
    states = {
        "text": States(text, torch.ones(text.shape[:2], dtype=torch.bool)),
        "frames": States(image, torch.ones(image.shape[:2], dtype=torch.bool)),
    }
    none = torch.zeros(0, dtype=torch.long)
    given = texts(torch.ones(6, 5).long(), torch.ones(6, 5), torch.zeros(6, 4, 12), torch.ones(6, 4))
    outputs = Outputs(Joint(text, states["text"].mask), none, none, text[:, 0], **states, batch=given)
    objective = VideoTextAlignment(12, 12, 12, at="encoders", dim=None)
    loss = objective({"both": outputs}, given)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(case["out/loss"]), rel=1e-5)
    assert worst(image.grad, case["out/grad_image"]) < 1e-5 and worst(text.grad, case["out/grad_text"]) < 1e-5
    assert float(objective.log_scale.grad) == pytest.approx(float(case["out/grad_logit_scale"]), rel=1e-5)
    own = objective.vectors({"both": outputs}, objective.project)
    assert float(objective.ask(own["text"], own["frames"])) == pytest.approx(float(case["out/loss_text"]), rel=1e-5)
    assert outputs.similarity is not None and outputs.similarity.shape == (6, 6)


def test_simcse_with_the_mean_of_the_states():
    case = load_case("topsix/simcse/contrast")
    model, objective = single_stream(case, "bert.", video=False), SimCse(temperature=case.settings["temperature"])
    seen = {name: model(texts(case[f"in/{name}"], case[f"in/{name}_mask"]), "text") for name in ("first", "second")}
    own = objective.vectors(seen, objective.project)
    assert worst(own["first"].vectors @ own["second"].vectors.T / 0.05, case["out/avg_logits"]) < 2e-5
    loss = objective(seen, texts(case["in/first"], case["in/first_mask"]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(case["train/avg_loss"]), rel=1e-5)
    norms = torch.stack(
        [
            model.text.word_table.grad.double().norm(),
            model.fusion.encoder.layer[1].output.dense.weight.grad.double().norm(),
        ]
    )
    torch.testing.assert_close(norms, case["train/avg_grad_norms"], rtol=1e-4, atol=0)


def test_inverse_cloze_in_its_neighbours_form():
    """The whole text as the query, OCR and ASR with the frames as the answer, no temperature, sum of both directions."""
    case = load_case("topsix/n8/single_pretrain")
    model, objective = single_stream(case, "roberta.bert.", video=True, frame_dim=768), InverseCloze(temperature=1.0)
    query = texts(case["in/title_input"], case["in/title_mask"], case["in/frames"], case["in/frame_mask"])
    rest = texts(case["in/ocr_asr_input"], case["in/ocr_asr_mask"], case["in/frames"], case["in/frame_mask"])
    with torch.no_grad():
        seen = {"query": model(query, "text"), "rest": model(rest)}
        own = objective.vectors(seen, objective.project)
        assert worst(own["query"].vectors, case["out/ict_query"]) < 1e-5
        assert worst(own["rest"].vectors, case["out/ict_candidate"]) < 1e-5
        assert 2 * float(objective(seen, query)) == pytest.approx(float(case["out/ict_loss"]), rel=1e-5)


def test_six_tasks_over_three_modalities():
    """Reading "combinatorial" of the alignment; the original sums both directions."""
    case = load_case("topsix/eao/combinatorial")
    short = {"frames": "video", "title": "text", "speech": "audio"}
    pairs = {"title+speech": "ta", "frames+speech": "va", "frames+title": "tv"}
    raw = {ours: case[f"in/{theirs}"].requires_grad_() for ours, theirs in (short | pairs).items()}
    present = {part: case[f"in/{name}_present"].bool() for part, name in short.items()}
    real = {name: torch.stack([present[part] for part in name.split("+")]).all(dim=0) for name in raw}
    objective = ModalAlignment(16, "combinatorial", queue=0, temperature=0.05, learned=False)
    assert set(objective.names) == set(raw)
    objective.vectors = lambda seen, project: {name: unit(raw[name], real[name]) for name in raw}
    loss = 2 * objective({}, None)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(case["out/loss"]), rel=1e-5)
    assert worst(raw["title"].grad, case["out/grad_text"]) < 1e-5
    assert worst(raw["frames+speech"].grad, case["out/grad_va"]) < 1e-5


class Video(nn.Module):
    """The neighbour's video encoder: torch's own layers over the frames."""

    def __init__(self, settings):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            768, settings["video_heads"], settings["video_ffn"], 0.0, "gelu", batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, settings["video_layers"], enable_nested_tensor=False).layers
        self.output_dim = 768

    def forward(self, batch):
        x = batch.frames
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~batch.frame_mask)
        return States(x, batch.frame_mask)


class First(nn.Module):
    """A fusion that keeps the text alone: nothing here is fused."""

    output_dim = 768

    def forward(self, text, frames):
        return Joint(text.hidden, text.mask)


def test_momentum_encoder_and_queue_that_wraps_around():
    case = load_case("topsix/nis/moco")
    settings, weights = case.settings, case.weights
    text = BertText(small_bert(), vocab_size=200, pooler=False)
    model = without_dropout(VideoModel(text, Video(settings), First(), MeanPool(768), Identity(768)))
    objective = VideoTextAlignment(
        768, 768, 768, "encoders", dim=768, temperature=0.05, queue=10, momentum=settings["momentum"], model=model
    )

    def project():  # one map for both sides
        shared = nn.Sequential(nn.Linear(768, 768), nn.GELU(), nn.Linear(768, 768))
        return nn.ModuleDict({"text": shared, "frames": shared})

    objective.project, objective.copy.copies["project"] = project(), project().requires_grad_(False)
    sides = ((model, objective.project, "bert.", "transformer2.", "out_projection."),
             (objective.copy.copies["model"], objective.copy.copies["project"], "key_text_encoder.", "key_video_encoder.",
              "out_projection_k."))  # fmt: skip
    for whole, projection, words, video, mapped in sides:
        load_text(whole.text, weights, words)
        load_state(whole.frames, below(weights, video))
        load_state(projection["text"], below(weights, mapped))
    for side, name in (("text", "text"), ("frames", "video")):
        queue = objective.queues[side]
        queue.vectors.copy_(nn.functional.normalize(case[f"in/queue_{name}_raw"], dim=1))
        queue.real.fill_(True)
        queue.at.fill_(settings["pointer"])
    without_dropout(objective)
    given = texts(case["in/text_input"], case["in/text_mask"], case["in/frames"], case["in/frame_mask"])
    objective.copy.follow(model=model, project=objective.project)  # the original's is at the start of the step
    loss = 2 * objective({"both": model(given)}, given)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(case["out/loss"]), rel=1e-5)
    norms = {
        "out_projection.0.weight": objective.project["text"][0].weight,
        "bert.embeddings.word_embeddings.weight": model.text.word_table,
        "transformer2.layers.0.self_attn.in_proj_weight": model.frames.layers[0].self_attn.in_proj_weight,
    }
    for name, expected in zip(case.json("train")["grad_names"][1:], case["train/grad_norms"][1:], strict=True):
        assert float(norms[name].grad.double().norm()) == pytest.approx(float(expected), rel=1e-4), name
    objective.after_step(model)
    for side, name in (("text", "text"), ("frames", "video")):
        assert int(objective.queues[side].at) == int(case["out/queue_pointer"]) == 2
        assert worst(objective.queues[side].vectors[:, :32], case[f"out/queue_{name}"]) < 1e-5


def test_queue_with_soft_targets():
    case = load_case("topsix/albef/pretrain")

    def objective(**options):
        return VideoTextAlignment(48, 48, 48, at="encoders", pool="first", **options)

    model, made = albef(case, objective)
    given = recorded_batch(case)
    loss = made({"both": model(given)}, given)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(case["out/contrast_loss"]), rel=1e-5)
    assert worst(made._fresh["text"].vectors, case["out/text_keys"]) < 1e-5
    assert worst(made._fresh["frames"].vectors, case["out/image_keys"]) < 1e-5
    recorded = dict(zip(case.json("train")["grad_names"], case["train/grad_norms"].tolist(), strict=True))
    assert float(made.log_scale.grad.abs()) / 0.07 == pytest.approx(recorded["temp"], rel=1e-4)  # d temperature
    for side, name in (("text", "text_proj.weight"), ("frames", "vision_proj.weight")):
        assert float(made.project[side].weight.grad.norm()) == pytest.approx(recorded[name], rel=1e-4)
    check_queues(case, model, made)
    with torch.no_grad():
        own, matching = model(given), HardMatching(48)
        load_matching(matching.classify, case.weights)
        loss = matching.pairs(own, case["in/negative_frames"], case["in/negative_texts"])
    assert float(loss) == pytest.approx(float(case["out/matching_loss"]), rel=1e-5)


def test_six_terms_of_three_kinds():
    """Reading "tcl": across, within, local; the momentum copy sees a second picture of each video."""
    case = load_case("topsix/tcl/pretrain")
    model, made = albef(case, lambda **options: ModalAlignment(48, "tcl", **options))

    def vectors(seen, project):
        states = {"frames": seen["frames"].frames, "text": seen["text"].text}
        return {side: unit(project[side](s.hidden[:, 0]), s.mask.any(dim=1)) for side, s in states.items()}

    def states(side, copied):
        found, project = getattr(copied, side), made.copy.copies["project"][side]
        local = unit(project(found.hidden[:, 1:]), found.mask[:, 1:])
        if side == "text":
            return local
        grid = local.vectors.unflatten(1, (4, 4)).permute(0, 3, 1, 2)  # sixteen patches, pooled two by two
        return Keys(nn.functional.avg_pool2d(grid, 2).flatten(2).transpose(1, 2), local.real[:, :4])

    made.vectors, made.states = vectors, torch.no_grad()(states)
    seen = {"text": model(recorded_batch(case)), "frames": model(recorded_batch(case))}
    seen["frames"].batch = recorded_batch(case, "in/frames_aug")
    loss = made(seen, recorded_batch(case))
    assert float(loss.detach()) == pytest.approx(float(case["out/contrast_loss"]), rel=1e-5)
    check_queues(case, model, made)
