"""How big a recipe is run, and the only things that may depend on it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lib.recipes.specs.base import CorpusName, Spec


class Scale(Spec):
    """How big, not what: a scale replaces names and limits; it never changes an objective, a weight or a trick."""

    about: str
    corpora: dict[CorpusName, str]  # what a recipe calls its corpus -> corpus
    backbone: str | None = None  # replaces every pretrained name; null keeps the recipe's
    tokenizer: str | None = None  # "corpus" builds a character vocabulary from the corpus; null keeps the recipe's
    encoder: str | None = None  # replaces the encoder of every image set; null keeps the set's
    pictures: str = "pixels_small"  # set of images for a user's corpus that has pictures and no frame features
    word_dim: int | None = Field(None, ge=4)  # replaces the width of word vectors, tag profile included
    seeds: tuple[int, ...] = (0,)
    headline_seeds: tuple[int, ...] = ()  # of the report's headline questions; empty for ``seeds``
    checks: tuple[str, ...] = ()  # questions with a known answer, asked beside those of the report
    member_seeds: int = Field(1, ge=1)  # how many of them for the further models of a system
    overrides: dict[str, dict[str, Any]] = {}  # recipe -> dotted paths; only those of SCALE_MAY_SET
    expected_seconds: dict[str, float] = {}  # per rule, before there are timings
    threads: int = Field(1, ge=1)  # part of the scale: another thread count gives other bits
    banner: str = ""


# What a scale may set, as the last parts of a dotted path: sizes, budgets and the step size that goes with them.
# Besides, whether frames come from pictures: small corpora have them where a large one has only features.
SCALE_MAY_SET = (
    "corpus",
    "features.frames.set",
    "features.text.length",
    "features.frames.length",
    "data.batch_size",
    "data.epochs",
    "data.min_steps",
    "data.limit",
    "data.resample",
    "data.split.k",
    "data.split.use",
    "data.hold.k",
    "optimizer.lr",
    "optimizer.lr.backbone",
    "optimizer.lr.rest",
    "evaluation.every",
    "evaluation.limit",
    "model.frames.clusters",
    "model.frames.output_dim",
    "model.frames.groups",
    "model.frames.expansion",
    "model.fusion.output_dim",
    "model.head.dim",
    "model.text.dim",
    "model.frames.dim",
    "model.text.output_dim",
    "model.fusion.width",
    "model.fusion.channels",
    "model.frames.depth",
    "model.frames.heads",
    "model.frames.head_dim",
    "model.frames.ffn",
    "model.fusion.depth",
    "model.fusion.heads",
    "model.fusion.ffn",
    "rewind.window",
    "ema.decay",
)
