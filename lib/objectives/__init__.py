"""Floor 4: named terms of the loss; each may corrupt its input and owns the heads that only it needs."""

from lib.objectives.alignment import ModalAlignment, VideoTextAlignment
from lib.objectives.caption import Caption
from lib.objectives.category import ArcFace, CategoryCE, RDrop, SoftLabels, SupCon
from lib.objectives.cloze import InverseCloze, SimCse
from lib.objectives.masking import FirstPicture, MaskedFrames, MaskedTokens
from lib.objectives.matching import HardMatching, VideoTextMatching
from lib.objectives.similarity import CosineRegression, NearestLevel, SoftSimilarity
from lib.objectives.tags import TagBCE, TagFocal
