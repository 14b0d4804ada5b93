"""Floor 3: five slots of a model (text, frames, fusion, pooling, head); each offers what a recipe may name.

A sixth, images, is filled where the model encodes pictures itself.

Letters in shapes, here and in ``lib.objectives``: B videos of a batch (side 1 of all pairs first, then side 2), P pairs, T text
tokens, F frames, L positions of either, N numbers of a frame's features, D width of a state, H width of the pooled
vector, E of the embedding, C categories, K tags, V words of the vocabulary. Masks are bool, False where padded. Text and
frame encoders take a ``Batch`` and return ``States``; a fusion takes both and returns a ``Joint``; a pooling returns [B, H];
a head returns an embedding [B, E] or logits [B, C].
"""

from lib.models.bags import MeanFrames, NgramBag
from lib.models.enhanced_rcnn import EnhancedRcnn
from lib.models.frame_encoders import (
    FrameLinear,
    FrameProjection,
    FrameVectors,
    InceptionFrames,
    NextVladFrames,
    TransformerFrames,
)
from lib.models.fusion import CrossModal, CrossModalEncoder, CrossTransformer, EarlyFusion, SingleStream
from lib.models.gating import ConcatSE, GatedSum
from lib.models.heads import Classifier, GatedProjection, Identity, Projection
from lib.models.image_frames import ImageFrames
from lib.models.matching import Esim, MatchPooled
from lib.models.pooling import AttentionPool, ClsPool, FirstAndFramesPool, FirstPooled, MeanPool
from lib.models.text_encoders import BertText, Embeddings
from lib.models.video_transformer import VideoTransformer
from lib.models.word_vectors import InceptionWords, RecurrentWords, TransformerWords, WordVectors

__all__ = [
    "AttentionPool",
    "BertText",
    "Classifier",
    "ClsPool",
    "ConcatSE",
    "CrossModal",
    "CrossModalEncoder",
    "CrossTransformer",
    "EarlyFusion",
    "Embeddings",
    "EnhancedRcnn",
    "Esim",
    "FirstAndFramesPool",
    "FirstPooled",
    "FrameLinear",
    "FrameProjection",
    "FrameVectors",
    "GatedProjection",
    "GatedSum",
    "Identity",
    "ImageFrames",
    "InceptionFrames",
    "InceptionWords",
    "MatchPooled",
    "MeanFrames",
    "MeanPool",
    "NextVladFrames",
    "NgramBag",
    "Projection",
    "RecurrentWords",
    "SingleStream",
    "TransformerFrames",
    "TransformerWords",
    "VideoTransformer",
    "WordVectors",
]
