"""Floor 3: five slots of a model (text, frames, fusion, pooling, head); each offers what a recipe may name."""

from lib.models.cross_transformer import CrossTransformer
from lib.models.frame_encoders import FrameProjection, LinearFrames, NextVladFrames
from lib.models.gating import ConcatSE, GatedSum
from lib.models.heads import Classifier, GatedProjection, Identity, Projection
from lib.models.pooling import AttentionPool, ClsPool, FirstAndFramesPool, FirstPooled, MeanPool
from lib.models.single_stream import SingleStream
from lib.models.text_encoders import BertText, Embeddings
from lib.models.video_transformer import VideoTransformer

__all__ = [
    "AttentionPool",
    "BertText",
    "Classifier",
    "ClsPool",
    "ConcatSE",
    "CrossTransformer",
    "Embeddings",
    "FirstAndFramesPool",
    "FirstPooled",
    "FrameProjection",
    "GatedProjection",
    "GatedSum",
    "Identity",
    "LinearFrames",
    "MeanPool",
    "NextVladFrames",
    "Projection",
    "SingleStream",
    "VideoTransformer",
]
