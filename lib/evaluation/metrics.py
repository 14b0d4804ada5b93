"""The two competitions' scores."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import f1_score


def spearman(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Rank correlation with average ranks for ties (AIAC 2021 track 1). float in [-1, 1]; 0.0 if one side is constant."""
    if np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(spearmanr(predicted, truth).statistic)


def mean_f1(truth: np.ndarray, predicted: np.ndarray, level1_of_level2: np.ndarray) -> dict[str, float]:
    """The WeChat 2022 score: mean of micro and macro F1 at both levels, over the classes present on either side.

    Args:
        truth, predicted: int [N] level-2 classes.
        level1_of_level2: int [C].
    """
    scores = {}
    for level, (t, p) in (("lv2", (truth, predicted)), ("lv1", (level1_of_level2[truth], level1_of_level2[predicted]))):
        for average in ("micro", "macro"):
            scores[f"{level}_f1_{average}"] = float(f1_score(t, p, average=average, zero_division=0.0))
    return {"mean_f1": sum(scores.values()) / 4, **scores}
