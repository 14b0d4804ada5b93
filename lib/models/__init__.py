"""Floor 3: five slots of a model (text, frames, fusion, pooling, head); each offers what a recipe may name."""

from lib.models.frame_encoders import FrameProjection, NextVladFrames
from lib.models.gating import ConcatSE
from lib.models.heads import Classifier, Projection
from lib.models.pooling import AttentionPool, ClsPool, FirstPooled, MeanPool
from lib.models.single_stream import SingleStream
from lib.models.text_encoders import BertText, Embeddings

__all__ = [
    "AttentionPool",
    "BertText",
    "Classifier",
    "ClsPool",
    "ConcatSE",
    "Embeddings",
    "FirstPooled",
    "FrameProjection",
    "MeanPool",
    "NextVladFrames",
    "Projection",
    "SingleStream",
]
