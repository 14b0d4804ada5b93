"""Neighbours of the WeChat 2022 finalists and papers' models rebuilt from our parts, with recorded sizes and weights."""

import copy

import torch
from torch import nn

from lib.data.batch import IGNORE, Batch
from lib.models import BertText, Embeddings, FrameProjection, Identity, MeanPool, Poolings, SingleStream, SplitStream
from lib.models.bert import load_state
from lib.models.video_model import States, VideoModel
from tests.golden_models import backbone, batch_of, worst
from tests.golden_rule import without_dropout


def texts(ids, mask, frames=None, frame_mask=None) -> Batch:
    """A batch of recorded texts, and frames where there are any."""
    size = len(ids)
    frames = torch.zeros(size, 1, 8) if frames is None else frames
    seen = torch.zeros(size, frames.shape[1], dtype=torch.bool) if frame_mask is None else frame_mask.bool()
    field = torch.where(mask.bool(), 0, -1).to(torch.int8)
    return Batch(torch.arange(size), ids, mask.bool(), torch.zeros_like(ids), frames, seen, field=field)


def below(weights, prefix):
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def single_stream(case, prefix, video, frame_dim=8) -> VideoModel:
    """BERT over text and frames with recorded weights; ``video`` says where those of the frames are."""
    bert, weights = backbone(**case.settings["bert"]), case.weights
    hidden = case.settings["bert"]["hidden_size"]
    frames = FrameProjection(frame_dim, hidden, positions=case.settings["bert"]["max_position_embeddings"])
    model = VideoModel(
        Embeddings(bert, vocab_size=200), frames, SingleStream(bert, hidden, hidden, layout="video_first"),
        MeanPool(hidden), Identity(hidden),
    )  # fmt: skip
    load_state(model.text.embeddings, below(weights, f"{prefix}embeddings."))
    load_state(model.fusion.encoder, below(weights, f"{prefix}encoder."))
    if video:
        given = below(weights, f"{prefix}video_embeddings.") | {
            f"project.{name}": value for name, value in below(weights, f"{prefix}video_fc.").items()
        }
        load_state(frames, given, allow_unexpected=["word_embeddings.weight"])
    return without_dropout(model)


def small_bert(width=768, heads=12, ffn=128, layers=1) -> str:
    """A backbone of the sizes that most cases have."""
    return backbone(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=ffn, vocab_size=200,
        max_position_embeddings=64, layer_norm_eps=1e-12,
    )  # fmt: skip


def load_text(text, weights, begins):
    for name in ("embeddings", "encoder"):
        load_state(getattr(text, name), below(weights, f"{begins}{name}."))


class Mapped(nn.Linear):
    """The recorded stand-in for an image transformer."""

    output_dim = 48

    def forward(self, batch):
        return States(super().forward(batch.frames), batch.frame_mask)


def albef(case, objective, **options):
    """ALBEF and an objective on it, with both copies' recorded weights and queues."""
    settings = case.settings
    bert = small_bert(48, 4, 96, 3)
    text = BertText(bert, 200, pooler=False, layers=1 / 3)
    fusion = SplitStream(48, 48, bert, split=1 / 3, cross=True)
    model = VideoModel(text, Mapped(24, 48), fusion, Poolings(48, ["first"]), Identity(48))
    made = objective(model=model, queue=12, dim=16, soft=settings["alpha"], temperature=0.07, **options)
    maps = nn.ModuleDict({side: nn.Linear(48, 16) for side in ("text", "frames")})
    made.project, made.copy.copies["project"] = maps, copy.deepcopy(maps).requires_grad_(False)
    copies = made.copy.copies
    for mark, whole, projection in (("", model, made.project), ("_m", copies["model"], copies["project"])):
        given = below(case.weights, f"text_encoder{mark}.bert.")
        load_state(whole.text.embeddings, below(given, "embeddings."))
        load_state(whole.text.encoder, {k: v for k, v in below(given, "encoder.").items() if k.startswith("layer.0.")})
        for number in (0, 1):
            load_state(whole.fusion.layer[number], below(given, f"encoder.layer.{number + 1}."))
        load_state(whole.frames, below(case.weights, f"visual_encoder{mark}."))
        load_state(projection["text"], below(case.weights, f"text_proj{mark}."))
        load_state(projection["frames"], below(case.weights, f"vision_proj{mark}."))
    return begin(case, model, made, "image")


def begin(case, model, made, pictures):
    """Recorded queues, and the momentum copies moved once, which the originals do at the start of the step."""
    for side, name in (("text", "text"), ("frames", pictures)):
        made.queues[side].vectors.copy_(nn.functional.normalize(case[f"in/{name}_queue_raw"], dim=0).T)
        made.queues[side].real.fill_(True)
    without_dropout(made)
    made.copy.follow(model=without_dropout(model), project=made.project)
    return model, made


def check_queues(case, model, objective):
    objective.after_step(model)
    for side, name in (("text", "text"), ("frames", "image")):
        assert int(objective.queues[side].at) == int(case["out/queue_pointer"])
        assert worst(objective.queues[side].vectors.T, case[f"out/{name}_queue"]) < 1e-5


def recorded_batch(case, frames="in/frames"):
    count = case[frames].shape[1]
    return texts(case["in/text_input"], case["in/text_mask"], case[frames], torch.ones(4, count))


def masked_batch(case, selected=None):
    """The recorded inputs with the recorded words hidden, and the selected frames, bool [B, F]."""
    given = batch_of(case)
    hidden = {
        "input_ids": case["in/masked_text_input"],
        "token_labels": case["in/mlm_label"].masked_fill(case["in/mlm_label"] < 0, IGNORE),
    }
    if selected is not None:
        frames = given.frames.masked_fill(selected.unsqueeze(-1), 0.0)
        hidden |= {"frames": frames, "frame_selected": selected, "clean_frames": given.frames}
    return given.replace(**hidden)


def load_head(head, weights, dense="transform.dense", norm="transform.LayerNorm", table="decoder.weight"):
    """A recorded prediction head; ``weights`` by the original's names below the head's."""
    state = {"bias": weights["bias"]} | ({} if head.table is None else {"table": weights[table]})
    for kind in ("weight", "bias"):
        state |= {f"dense.{kind}": weights[f"{dense}.{kind}"], f"LayerNorm.{kind}": weights[f"{norm}.{kind}"]}
    load_state(head, state)


def load_matching(classify, weights):
    """Two recorded logits, of which the difference counts."""
    weight, bias = weights["itm_head.weight"], weights["itm_head.bias"]
    load_state(classify, {"weight": weight[1:] - weight[:1], "bias": bias[1:] - bias[:1]})
