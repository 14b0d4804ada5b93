"""How the fields of a video become one sequence of token ids: the layouts of the published systems.

==============  ======================================================================  ==========================
cls_sep_title   ``[CLS] [SEP] title [SEP]``                                             AIAC rank 1, jobs 1, 4, 5, 6
cls_title       ``[CLS] title [SEP]``                                                   AIAC rank 1, jobs 2, 3; WeChat baseline
title_asr       ``[CLS] title [SEP] asr [SEP]``, token types 0 and 1, asr cut first     for recipes of one's own
cls_title_cut   ``[CLS] title [SEP]``, cut at the end: a long title loses its [SEP]     AIAC rank 17, second model
title_asr_cut   ``[CLS] title [SEP] asr``, cut at the end, no last [SEP]; types 0, 1    AIAC rank 17, first model
words           the first words, nothing else                                           AIAC rank 6
packed          ``[CLS] title [SEP] ocr [SEP] asr [SEP]``, the longest field cut first  WeChat default
blocks          ``[CLS]`` and three blocks ``[CLS] field [SEP]``, each padded to a third    WeChat rank 72
                and followed by ``[SEP]``: padding inside (quirk R5)
==============  ======================================================================  ==========================
"""

import numpy as np

from lib.data.batch import SpecialIds


def cut_longest_first(lengths: np.ndarray, budget: int) -> np.ndarray:
    """How much of each field stays when together they may hold ``budget`` tokens: always one token off the longest.
    ``lengths``: int64 [fields, videos].

    >>> cut_longest_first(np.array([[10], [3], [8]]), 12).ravel().tolist()
    [5, 3, 4]
    """
    count = len(lengths)
    ascending = np.sort(lengths, axis=0)
    level = np.full(lengths.shape[1], np.iinfo(np.int64).max)  # longer fields are cut down to it
    for whole in reversed(range(count)):  # if the ``whole`` shortest fields stay as they are, the others share the rest
        share = (budget - ascending[:whole].sum(axis=0)) // (count - whole)
        level = np.where(share < ascending[whole], share, level)
    kept = np.minimum(lengths, np.maximum(level, 0))
    longer = lengths > level
    spare = np.where(longer.any(axis=0), budget - kept.sum(axis=0), 0)  # less than one each: to the first cut fields
    return kept + (longer & (longer.cumsum(axis=0) <= spare))


def lay_out(
    flat: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    layout: str,
    length: int,
    special: SpecialIds,
    *,
    full: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The token sequences of a batch. Returns ids int64 [B, T], mask bool [B, T], token types int64 [B, T].

    Args:
        flat: token ids of all fields of all videos, without special tokens.
        starts, lengths: int64 [fields of the layout, B], where in ``flat`` they lie.

    >>> special = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)
    >>> lay_out(np.arange(6, 16), np.array([[0, 0]]), np.array([[10, 1]]), "cls_sep_title", 8, special)[0].tolist()
    [[3, 4, 6, 7, 8, 9, 10, 4], [3, 4, 6, 4, 0, 0, 0, 0]]
    """
    if layout == "blocks":
        return _in_blocks(flat, starts, lengths, length, special)
    front = {"cls_sep_title": [special.cls, special.sep], "words": []}.get(layout, [special.cls])
    separators = {"words": 0, "title_asr_cut": 1}.get(layout, len(lengths))
    at_the_end = layout in ("words", "cls_title_cut", "title_asr_cut")  # nothing is shortened but the tail
    kept = lengths if at_the_end else cut_longest_first(lengths, length - len(front) - len(lengths))
    ends = len(front) + kept.sum(axis=0) + separators
    longest = int(ends.max(initial=1))
    width = length if full else min(length, longest)
    ids = np.full((kept.shape[1], max(width, longest)), special.pad, dtype=np.int64)
    types = np.zeros_like(ids)
    place = np.arange(ids.shape[1])
    ids[:, : len(front)] = front
    cursor = np.full(len(ids), len(front))
    for number, (start, size) in enumerate(zip(starts, kept, strict=True)):
        video, token = (np.arange(size.max(initial=0)) < size[:, None]).nonzero()
        ids[video, cursor[video] + token] = flat[start[video] + token]
        if number < separators:
            ids[np.arange(len(ids)), cursor + size] = special.sep
        if layout.startswith("title_asr") and number == 1:
            types[(place >= cursor[:, None]) & (place < ends[:, None])] = 1
        cursor = cursor + size + (number < separators)
    ids, mask, types = (np.ascontiguousarray(x[:, :width]) for x in (ids, place < ends[:, None], types))
    return ids, mask, types


def fields_of(lengths: np.ndarray, length: int, width: int) -> np.ndarray:
    """Which field each place of a ``packed`` sequence is of, int8 [B, width]; -1: special tokens and padding.

    Args:
        lengths, length: as for ``lay_out``.

    >>> fields_of(np.array([[2], [0], [1]]), 9, 8).tolist()
    [[-1, 0, 0, -1, -1, 2, -1, -1]]
    """
    kept = cut_longest_first(lengths, length - 1 - len(lengths))[..., None]
    start = 1 + (kept + 1).cumsum(axis=0) - kept - 1
    place = np.arange(width)
    inside = (place >= start) & (place < start + kept)  # [fields, B, width]
    return np.where(inside.any(axis=0), inside.argmax(axis=0), -1).astype(np.int8)


def _in_blocks(flat, starts, lengths, length, special) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Always 4 + 3 blocks wide, whatever is in them: 388 with blocks of 128."""
    size = (length - 1 - len(lengths)) // len(lengths)
    if size < 2:
        raise ValueError(f"features.text.length: three blocks with [CLS] and [SEP] each need 10 tokens, not {length}")
    ids = np.full((lengths.shape[1], 1 + (size + 1) * len(lengths)), special.pad, dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=bool)
    ids[:, 0], mask[:, 0] = special.cls, True
    rows = np.arange(len(ids))
    for number, (start, count) in enumerate(zip(starts, np.minimum(lengths, size - 2), strict=True)):
        first = 1 + number * (size + 1)
        video, token = (np.arange(count.max(initial=0)) < count[:, None]).nonzero()
        ids[video, first + 1 + token] = flat[start[video] + token]
        ids[:, first], ids[rows, first + 1 + count], ids[:, first + size] = special.cls, special.sep, special.sep
        mask[:, first : first + size] = np.arange(size) < count[:, None] + 2
        mask[:, first + size] = True
    return ids, mask, np.zeros_like(ids)
