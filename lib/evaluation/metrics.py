"""The two competitions' scores."""

from typing import Any, Literal, cast

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import f1_score


def spearman(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Rank correlation with average ranks for ties (AIAC 2021 track 1). float in [-1, 1]; 0.0 if one side is constant."""
    if np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(cast(Any, spearmanr(predicted, truth)).statistic)


def mean_f1(
    truth: np.ndarray,
    predicted: np.ndarray,
    level1_of_level2: np.ndarray,
    labels: Literal["present", "all"] = "present",
) -> dict[str, float]:
    """The WeChat 2022 score: mean of micro and macro F1 at both levels.

    ``labels``: which classes macro F1 is the mean of. ``present``, the official one, skips those that neither side has,
    so that a small validation part is averaged over fewer classes; ``all`` counts them as 0, so that even a perfect
    prediction reaches no more than the share of classes that have a video.
    """
    scores = {}
    for level, (t, p) in (("lv2", (truth, predicted)), ("lv1", (level1_of_level2[truth], level1_of_level2[predicted]))):
        size = len(level1_of_level2) if level == "lv2" else int(level1_of_level2.max()) + 1
        counted = np.arange(size) if labels == "all" else None
        for average in ("micro", "macro"):
            scores[f"{level}_f1_{average}"] = float(
                f1_score(t, p, labels=counted, average=average, zero_division=cast(Any, 0.0))
            )
    return {"mean_f1": sum(scores.values()) / 4, **scores}


def mean_f1_both_ways(truth: np.ndarray, predicted: np.ndarray, level1_of_level2: np.ndarray) -> dict[str, float]:
    """``mean_f1`` as it is official, then what changes when all classes count: ``..._all_classes``."""
    official, every = (mean_f1(truth, predicted, level1_of_level2, labels) for labels in ("present", "all"))
    return official | {f"{name}_all_classes": value for name, value in every.items() if "micro" not in name}
