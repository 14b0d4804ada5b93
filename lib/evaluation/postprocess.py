"""What may be done to the logits of categories after training (``evaluation.postprocess`` of a stage), for the sake of
rare ones. Counts are those of the training part, before any repetition of rare categories."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field, NonNegativeFloat


class CountRescaling:
    """Multiplies the probability of category c by 1 + strength / n_c; in logits, the log of that is added. Top 1
    changes only toward rarer categories. A category that training never saw counts as seen once. Specification: section
    10.6 of the WeChat 2022 systems. ``strength``: 0 changes nothing."""

    def __init__(self, class_counts: Sequence[int], *, strength: NonNegativeFloat = 10.0):
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


class TailExpert:
    """Mixes in a second model that was trained on rare categories and a few others (3rd of the WeChat final; U8, all numbers
    are guesses). With e its probabilities, T the categories below ``below`` training videos and e_other their complement's sum:
    (1 - share) p_c + share e_c in T, and (1 - share) p_c + share e_other p_c / sum of p outside T elsewhere. ``share``: 0
    changes nothing."""

    def __init__(
        self, class_counts: Sequence[int], *, below: int = 100, share: Annotated[float, Field(ge=0, le=1)] = 0.5
    ):
        self.tail, self.share = np.asarray(class_counts) < below, share

    def __call__(self, logits: np.ndarray, expert: np.ndarray) -> np.ndarray:
        """float [N, C] logits of both models in, of the mixture out, of the same type."""
        from scipy.special import softmax

        p, e = (softmax(x.astype(np.float64), axis=1) for x in (logits, expert))
        others = [x[:, ~self.tail].sum(axis=1, keepdims=True) for x in (p, e)]
        mixed = np.where(self.tail, e, others[1] * p / np.maximum(others[0], 1e-30))
        return np.log(np.maximum((1 - self.share) * p + self.share * mixed, 1e-30)).astype(logits.dtype)
