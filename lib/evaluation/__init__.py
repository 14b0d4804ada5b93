"""Floor 6: scores, intervals, comparisons, ensembles, submissions."""

from lib.evaluation.ensemble import ConcatSvd, MeanEmbedding, WeightedLogits

__all__ = ["ConcatSvd", "MeanEmbedding", "WeightedLogits"]
