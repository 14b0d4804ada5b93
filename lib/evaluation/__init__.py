"""Floor 6: scores, intervals, comparisons, ensembles, submissions."""

from lib.evaluation.ensemble import ConcatSvd, MeanEmbedding, WeightedLogits
from lib.evaluation.postprocess import CountRescaling, LogitAdjustment

__all__ = ["ConcatSvd", "CountRescaling", "LogitAdjustment", "MeanEmbedding", "WeightedLogits"]
