"""Floor 3: five slots of a model (text, frames, fusion, pooling, head); each offers what a recipe may name.

A sixth, images, is filled where the model encodes pictures itself.

Letters in shapes, here and in ``lib.objectives``: B videos of a batch (side 1 of all pairs first, then side 2), P pairs, T text
tokens, F frames, L positions of either, N numbers of a frame's features, D width of a state, H width of the pooled
vector, E of the embedding, C categories, K tags, V words of the vocabulary. Masks are bool, False where padded. Text and
frame encoders take a ``Batch`` and return ``States``; a fusion takes both and returns a ``Joint``; a pooling returns [B, H];
a head returns an embedding [B, E] or logits [B, C]. Arguments that YAML does not give (``frame_dim``, ``hidden``, ``text_dim``,
``num_text_slots``, ...; ``lib.recipes.bind.CONTEXT``) are sizes of the corpus, the backbone and the slots before.
"""

from lib.models.aggregates import Aggregates
from lib.models.frame_encoders import (
    FrameLinear,
    FrameProjection,
    FrameVectors,
    InceptionFrames,
    MeanFrames,
    NextVladFrames,
    PatchFrames,
    TransformerFrames,
    VideoLayers,
    VideoTransformer,
)
from lib.models.fusion import CrossModal, CrossModalEncoder, CrossTransformer, EarlyFusion, SingleStream
from lib.models.gating import ConcatSE, GatedSum
from lib.models.heads import (
    AttentionPool,
    Classifier,
    FirstPooled,
    GatedProjection,
    Identity,
    MeanOfMeans,
    MeanPool,
    Poolings,
    Projection,
    SideBySide,
)
from lib.models.image_frames import ImageFrames
from lib.models.matching import EnhancedRcnn, Esim, MatchPooled
from lib.models.streams import CrossStacks, SharedFusions, SplitStream
from lib.models.text_encoders import (
    BertText,
    Embeddings,
    InceptionWords,
    NgramBag,
    RecurrentWords,
    TransformerWords,
    WordVectors,
)
