"""The original models rebuilt from our parts, with the recorded sizes and weights; shared by parity tests."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.features.text import SpecialIds
from lib.models import (
    AttentionPool,
    BertText,
    Classifier,
    ConcatSE,
    Embeddings,
    FirstPooled,
    FrameProjection,
    MeanPool,
    NextVladFrames,
    Projection,
    SingleStream,
)
from lib.models.video_model import VideoModel
from lib.objectives import CosineRegression, MaskedFrames, MaskedTokens, TagBCE
from lib.objectives.mix import ObjectiveMix
from tests.golden_names import AIAC_RANK1, WECHAT_BASELINE
from tests.golden_rule import Case, load_renamed

SPECIAL = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)  # of the recorded vocabulary
_FOLDERS = tempfile.TemporaryDirectory(prefix="checkpoints-")  # removed when the interpreter ends
PUBLISHED = {"tags": 1250 / 3, "tokens": 1 / 3.75, "frames": 1 / 9}


class System(nn.Module):
    """A model and its objectives under one roof, so that one name map covers both."""

    def __init__(self, model: VideoModel, mix: ObjectiveMix) -> None:
        super().__init__()
        self.model, self.mix = model, mix


def aiac_rank1(case: Case) -> System:
    """Job 1, 2 or 4 with its recorded weights, quirks on."""
    video_first, attention = case.name == "r1/job2", case.name == "r1/job4"
    settings = case.settings
    backbone, hidden = checkpoint(case, "roberta."), settings["bert"]["hidden_size"]
    positions, frame_dim = settings["bert"]["max_position_embeddings"], settings["frame_dim"]
    pooling = AttentionPool if attention else MeanPool
    model = VideoModel(
        text=Embeddings(backbone, vocab_size=200),
        frames=FrameProjection(frame_dim, hidden, positions=positions),
        fusion=SingleStream(backbone, hidden, hidden, layout="video_first" if video_first else "cls_first"),
        pooling=pooling(hidden, include_padding=True),
        head=Projection(hidden, settings["HIDDEN_SIZE"]),
    )
    tags = TagBCE(settings["NUM_CLASSES"], hidden, settings["HIDDEN_SIZE"], input="embedding" if video_first else "cls")
    tokens, frames = MaskedTokens(hidden, 200, SPECIAL, backbone=backbone), MaskedFrames(hidden, frame_dim)
    terms = {"tags": tags, "tokens": tokens, "frames": frames}
    system = System(model, ObjectiveMix({name: (term, PUBLISHED[name]) for name, term in terms.items()}))
    system.renamed = load_renamed(system, case.weights, AIAC_RANK1)
    return system.eval()


def aiac_batch(case: Case, corrupted: bool = False) -> Batch:
    """The recorded inputs; corrupted with the recorded masks, as if the objectives had drawn them."""
    masked = case["in/frame_selected"].bool()
    batch = Batch(
        rows=torch.arange(4),
        input_ids=case["in/input_ids"],
        text_mask=case["in/text_mask"].bool(),
        token_types=torch.zeros_like(case["in/input_ids"]),
        frames=case["in/frames"],
        frame_mask=case["in/frame_mask"].bool(),
        tags=case["in/target"],
        pair=torch.stack([case["in/pair_side1"], case["in/pair_side2"]], dim=1),
        score=case["in/pair_label"],
    )
    if not corrupted:
        return batch
    return batch.replace(
        input_ids=case["in/masked_input_ids"],
        token_labels=case["in/mlm_label"],
        frames=batch.frames.masked_fill(masked.unsqueeze(-1), 0.0),
        frame_selected=masked,
        clean_frames=batch.frames,
    )


def similarity_mix() -> ObjectiveMix:
    return ObjectiveMix({"similarity": (CosineRegression(loss="mse"), 1.0)})


def wechat_baseline(case: Case) -> VideoModel:
    """The official baseline with its recorded weights, quirk B1 on."""
    settings = case.settings
    width, vlad = settings["bert"]["hidden_size"], settings["vlad_hidden_size"]
    frames = NextVladFrames(
        settings["frame_embedding_size"],
        output_dim=vlad,
        clusters=settings["vlad_cluster_size"],
        se_ratio=settings["se_ratio"],
        respect_mask=False,
    )
    model = VideoModel(
        text=BertText(checkpoint(case, ""), vocab_size=200),
        frames=frames,
        fusion=ConcatSE(width, vlad, output_dim=settings["fc_size"], se_ratio=settings["se_ratio"]),
        pooling=FirstPooled(settings["fc_size"]),
        head=Classifier(settings["fc_size"], settings["classes"]),
    )
    model.renamed = load_renamed(model, case.weights, WECHAT_BASELINE)
    return model.eval()


def wechat_batch(case: Case) -> Batch:
    return Batch(
        rows=torch.arange(4),
        input_ids=case["in/title_input"],
        text_mask=case["in/title_mask"].bool(),
        token_types=torch.zeros_like(case["in/title_input"]),
        frames=case["in/frame_input"],
        frame_mask=case["in/frame_mask"].bool(),
        category=case["in/label"].squeeze(1),
    )


@functools.cache
def checkpoint(case: Case, prefix: str) -> str:
    """A folder with config.json and weights as transformers keeps them, filled by the rule; ``prefix`` is cut off
    names.
    """
    from transformers import BertConfig, BertForPreTraining

    config = BertConfig(**case.settings["bert"], tie_word_embeddings=False)  # the original unties the word decoder
    model = BertForPreTraining(config)
    recorded = {name.removeprefix(prefix): value for name, value in case.weights.items() if name.startswith(prefix)}
    state = {key: recorded[key] for key in model.state_dict() if key in recorded}
    if "cls.predictions.bias" in state:
        state["cls.predictions.decoder.bias"] = state["cls.predictions.bias"]
    model.load_state_dict(state, strict=False)
    folder = Path(_FOLDERS.name, case.name.replace("/", "-"))
    model.save_pretrained(folder)
    return str(folder)


def worst(ours: Tensor, recorded: Tensor) -> float:
    """Largest absolute difference."""
    return float((ours.detach().double() - recorded.double()).abs().max())
