"""Floor 6: scores, intervals, comparisons, ensembles, submissions."""

from lib.evaluation.blend import LinearBlend
from lib.evaluation.ensemble import Concat, ConcatSvd, CosineWeights, MeanEmbedding, WeightedLogits
from lib.evaluation.postprocess import CountRescaling, LogitAdjustment, TailExpert
from lib.evaluation.pseudo import Confident, EverySoft, FillRare, NeighbourVote
