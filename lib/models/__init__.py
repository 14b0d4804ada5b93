"""Floor 3: five slots of a model (text, frames, fusion, pooling, head); each offers what a recipe may name.

A sixth, images, is filled where the model encodes pictures itself.
"""

from lib.models.bags import MeanFrames, NgramBag
from lib.models.cross_modal import CrossModal
from lib.models.cross_modal_encoder import CrossModalEncoder
from lib.models.cross_transformer import CrossTransformer
from lib.models.early_fusion import EarlyFusion
from lib.models.enhanced_rcnn import EnhancedRcnn
from lib.models.esim import Esim
from lib.models.frame_encoders import FrameProjection, NextVladFrames
from lib.models.frame_streams import FrameLinear, FrameVectors, InceptionFrames, TransformerFrames
from lib.models.gating import ConcatSE, GatedSum
from lib.models.heads import Classifier, GatedProjection, Identity, Projection
from lib.models.image_frames import ImageFrames
from lib.models.matching import MatchPooled
from lib.models.pooling import AttentionPool, ClsPool, FirstAndFramesPool, FirstPooled, MeanPool
from lib.models.single_stream import SingleStream
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
