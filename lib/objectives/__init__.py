"""Floor 4: named terms of the loss; each may corrupt its input and owns the heads that only it needs."""

from lib.objectives.alignment import ModalAlignment, VideoTextAlignment
from lib.objectives.category import CategoryCE, RDrop, SoftLabels
from lib.objectives.cloze import InverseCloze, SimCse
from lib.objectives.masking import MaskedFrames, MaskedTokens
from lib.objectives.matching import VideoTextMatching
from lib.objectives.similarity import CosineRegression, NearestLevel, SoftSimilarity
from lib.objectives.tags import TagBCE, TagFocal
