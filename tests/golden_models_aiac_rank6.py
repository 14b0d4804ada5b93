"""The eight models of AIAC rank 6 rebuilt from our parts, in published or recorded sizes, quirks on or off."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from lib.data.batch import Batch
from lib.models import (
    BertText,
    CrossModal,
    EarlyFusion,
    EnhancedRcnn,
    Esim,
    FirstPooled,
    FrameLinear,
    FrameVectors,
    InceptionFrames,
    InceptionWords,
    MatchPooled,
    NextVladFrames,
    Projection,
    RecurrentWords,
    TransformerFrames,
    TransformerWords,
    WordVectors,
)
from lib.models.video_model import VideoModel
from lib.objectives import TagFocal
from lib.objectives.mix import ObjectiveMix
from tests.golden_models import System
from tests.golden_names_aiac_rank6 import AIAC_RANK6
from tests.golden_rule import Case, load_renamed

MODELS = ["erc", "esim", "lstm", "lstm_nextvlad", "lxmert", "gru_lxmert", "inception_lxmert", "light_lxmert"]
_FOLDERS = tempfile.TemporaryDirectory(prefix="backbones-")


def model(
    name: str,
    *,
    faithful: bool,
    vocab_size: int,
    frame_dim: int,
    slots: tuple[int, int] = (32, 32),
    dim: int = 300,
    embedding: int = 256,
    text_backbone: str = "bert-base-chinese",
    layer: str = "random-1x768",
    layers: str = "random-3x768",
    widths: dict[str, int] | None = None,
    second_mask_value: int = 1,
) -> VideoModel:
    """One of ``MODELS``; sizes are the published ones unless given, quirks are on or off together.

    Args:
        widths: for the text matching models, which no backbone shrinks: ``width`` and so on of their fusions.
    """
    masked, mask = not faithful, "none" if faithful else "neg_inf"
    widths = widths or {}
    words: dict[str, Any] = {"vocab_size": vocab_size, "dim": dim}
    hidden = _width(layers)
    if name == "erc":
        text, frames = WordVectors(**words), FrameLinear(frame_dim, dim)
        quirks = {"alignment": "self_bug", "branches": 2, "mask_padding": False} if faithful else {}
        fusion = EnhancedRcnn(dim, dim, *slots, **quirks, **widths)
    elif name == "esim":
        text, frames = WordVectors(**words), FrameLinear(frame_dim, dim)
        fusion = Esim(dim, dim, mask="ones" if faithful else "lengths", **widths)
    elif name == "lstm":
        text, frames = WordVectors(**words), FrameVectors(frame_dim)
        fusion = EarlyFusion(dim, frame_dim, mask_padding=masked, **widths)
    elif name == "lstm_nextvlad":
        width = widths.get("output_dim", 512)
        text = RecurrentWords(**words, output_dim=width, mask_padding=masked)
        frames = NextVladFrames(frame_dim, width, dropout=0.2, se_ratio=None, respect_mask=masked)
        fusion = MatchPooled(width, width)
    elif name == "lxmert":
        text = BertText(text_backbone, vocab_size, pooler=False, second_mask_value=second_mask_value)
        frames = FrameLinear(frame_dim, hidden=hidden, norm=True, dropout=0.1, spatial=False)
        fusion = CrossModal(hidden, hidden, layers, mask="additive01" if faithful else "neg_inf")
    elif name == "gru_lxmert":
        text, frames = WordVectors(**words), FrameLinear(frame_dim, dim)
        fusion = CrossModal(dim, dim, layers, recurrent="gru", mask=mask)
    elif name == "inception_lxmert":
        text = InceptionWords(hidden=hidden, mask_padding=masked, **words)
        frames = InceptionFrames(frame_dim, hidden, mask_padding=masked)
        fusion = CrossModal(hidden, hidden, layers, mask=mask)
    else:
        text = TransformerWords(backbone=layer, mask_padding=masked, **words)
        frames = TransformerFrames(frame_dim, layer, mask_padding=masked)
        fusion = CrossModal(hidden, hidden, layers, mask=mask)
    pooled = fusion.output_dim
    return VideoModel(text, frames, fusion, FirstPooled(pooled), Projection(pooled, embedding))


def tag_focal(name: str, num_tags: int, embedding: int = 256) -> TagFocal:
    """Stage 1's loss: scaled by 100 except for ``lxmert`` (B7-9)."""
    return TagFocal(
        num_tags,
        hidden=1,
        embedding_dim=embedding,
        input="embedding",
        activation="none",
        alpha=0.99,
        scale=1.0 if name == "lxmert" else 100.0,
        clamp=1e-4,
    )


def recorded(case: Case) -> System:
    """The case's model with its recorded weights, quirks on."""
    name, settings = case.name.removeprefix("r6/"), case.settings
    sizes: dict[str, Any] = {"frame_dim": settings["video_dim"], "embedding": settings["emb_dim"]}
    if name == "lxmert":
        sizes |= {"vocab_size": settings["bert"]["vocab_size"], "text_backbone": backbone(**settings["bert"])}
        sizes |= {"layers": backbone(**(settings["bert"] | {"num_hidden_layers": settings["cross_layer"]}))}
        sizes |= {"second_mask_value": 2}
    else:
        sizes |= {"vocab_size": settings["word_vectors"], "dim": settings["word_dim"]}
    if "config" in settings:
        config = {key: value for key, value in settings["config"].items() if not key.endswith("_layers")}
        sizes |= {"layers": backbone(**config, num_hidden_layers=settings["config"]["cross_layers"])}
        sizes |= {"layer": backbone(**config, num_hidden_layers=1)}
    built = model(name, faithful=True, slots=(settings["title_slots"], settings["frame_slots"]), **sizes)
    tags = tag_focal(name, settings["tags"], settings["emb_dim"])
    system = System(built, ObjectiveMix({"tags": (tags, 1.0)}))
    system.renamed = load_renamed(system, case.weights, AIAC_RANK6[name])
    return system.eval()


def recorded_batch(case: Case, rows: list[int] | None = None) -> Batch:
    """The recorded inputs, or some of their rows; without pairs."""
    lxmert = "in/input_ids" in case
    ids = case["in/input_ids" if lxmert else "in/title_seq"]
    frames = case["in/visual_embeds" if lxmert else "in/video"]
    real = case["in/visual_attention_mask"].bool() if lxmert else frames.abs().sum(dim=-1) > 0
    batch = Batch(
        rows=torch.arange(len(ids)),
        input_ids=ids,
        text_mask=case["in/attention_mask"].bool() if lxmert else ids != 0,
        token_types=torch.zeros_like(ids),
        frames=frames,
        frame_mask=real,
        tags=case["in/label"],
    )
    return batch if rows is None else batch._map(lambda tensor: tensor[rows])


def _width(folder: str) -> int:
    from lib.models.bert import backbone_width

    return backbone_width(folder)


def backbone(**config: Any) -> str:
    """A folder with a BERT of this configuration and some weights, which parity tests replace."""
    return _backbone(json.dumps(config, sort_keys=True))


@functools.cache
def _backbone(config: str) -> str:
    from transformers import BertConfig, BertForPreTraining

    folder = Path(_FOLDERS.name, str(abs(hash(config))))
    BertForPreTraining(BertConfig(**json.loads(config))).save_pretrained(folder)
    return str(folder)
