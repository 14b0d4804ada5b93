"""What may be done to the logits of categories after training (``evaluation.postprocess`` of a stage), for the sake of
rare ones. Counts are those of the training part, before any repetition of rare categories."""

from collections.abc import Sequence

import numpy as np


class CountRescaling:
    """Multiplies the probability of category c by 1 + strength / n_c; in logits, the log of that is added. Top 1
    changes only toward rarer categories. A category that training never saw counts as seen once. Specification: section
    10.6 of the WeChat 2022 systems. Raises ValueError: negative strength. ``strength``: 0 changes nothing."""

    def __init__(self, class_counts: Sequence[int], *, strength: float = 10.0):
        if strength < 0:
            raise ValueError(f"CountRescaling: strength must be 0 (off) or more, got {strength}")
        self.gain = np.log1p(strength / np.maximum(np.asarray(class_counts, np.float64), 1))

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """float [N, C] logits in and out, of the same type."""
        return logits + self.gain.astype(logits.dtype)


class LogitAdjustment:
    """Takes tau times the log of each category's share in training from its logit (Menon et al. 2021,
    arXiv:2007.07314).

    With tau 1 and a model that is right about its training data the result is the best guess when all categories were
    equally common. A category that training never saw counts as seen once. ``tau``: 0 changes nothing.
    """

    def __init__(self, class_counts: Sequence[int], *, tau: float = 1.0):
        counts = np.maximum(np.asarray(class_counts, np.float64), 1)
        self.loss = tau * np.log(counts / counts.sum())

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """float [N, C] logits in and out, of the same type."""
        return logits - self.loss.astype(logits.dtype)
