"""Floor 4: named terms of the loss; each may corrupt its input and owns the heads that only it needs."""

from lib.objectives.agreement import RDrop
from lib.objectives.category import CategoryCE
from lib.objectives.distill import SoftLabels, SoftSimilarity
from lib.objectives.masking import MaskedFrames, MaskedTokens
from lib.objectives.matching import VideoTextMatching
from lib.objectives.nearest_level import NearestLevel
from lib.objectives.similarity import CosineRegression
from lib.objectives.tags import TagBCE, TagFocal

__all__ = [
    "CategoryCE",
    "CosineRegression",
    "MaskedFrames",
    "MaskedTokens",
    "NearestLevel",
    "RDrop",
    "SoftLabels",
    "SoftSimilarity",
    "TagBCE",
    "TagFocal",
    "VideoTextMatching",
]
