"""Which frames of a video a model sees: named sampling rules.

Rules for n frames and S slots, n > S (with n <= S all frames are taken in order):

==================  =====================================================================  =========================
linspace_round      ``round((i + 0.5) * (n - 1) / S)``, half to even                        AIAC rank 1
floor_step          every ``n // S``-th frame, then the first S: drops the tail (quirk B5)  WeChat baseline, test time
bin_centre          ``floor((i + 0.5) * n / S)``: the centre of S equal bins                 the fixed rule
segment_centre      ``i * d + d // 2`` with ``d = n // S``: the first S while n < 2 S       AIAC rank 6
head                the first S                                                            official extractor
head_or_step        the first S while n <= 3 S, then every ``n // S``-th (quirk R4)         WeChat rank 72
random_sorted       a random S-subset in order                                             WeChat baseline, training
random_bin          one uniform draw from each of S equal bins                             a question
==================  =====================================================================  =========================
"""

import numpy as np


def pick(n: int, slots: int, rule: str, generator: np.random.Generator | None = None) -> np.ndarray:
    """Indices of the frames to take. Returns int64 [min(n, slots)], ascending. Raises ValueError: unknown rule, no
    frames, or a random rule without a generator.

    >>> pick(40, 32, "floor_step").max().item(), pick(40, 32, "bin_centre").max().item()
    (31, 39)
    """
    if n < 1:
        raise ValueError("a video has at least one frame")
    if n <= slots:
        return np.arange(n)
    slot = np.arange(slots)
    if rule == "linspace_round":
        return np.round((slot + 0.5) * (n - 1) / slots).astype(np.int64)
    if rule == "floor_step":
        return slot * (n // slots)
    if rule == "segment_centre":
        return slot * (n // slots) + n // slots // 2
    if rule == "bin_centre":
        return ((slot + 0.5) * n / slots).astype(np.int64)
    if rule == "head" or (rule == "head_or_step" and n <= 3 * slots):
        return slot
    if rule == "head_or_step":
        return slot * (n // slots)
    if generator is None:
        raise ValueError(f"frame rule {rule!r} needs a random generator")
    if rule == "random_sorted":
        return np.sort(generator.choice(n, slots, replace=False))
    if rule == "random_bin":
        edges = slot * n / slots
        return np.minimum((edges + generator.random(slots) * n / slots).astype(np.int64), n - 1)
    raise ValueError(f"unknown frame rule {rule!r}")
