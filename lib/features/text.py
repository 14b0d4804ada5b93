"""How the fields of a video become one sequence of token ids: the layouts of the published systems.

==============  ======================================================================  ==========================
cls_sep_title   ``[CLS] [SEP] title [SEP]``                                             AIAC rank 1, jobs 1, 4, 5, 6
cls_title       ``[CLS] title [SEP]``                                                   AIAC rank 1, jobs 2, 3; WeChat baseline
title_asr       ``[CLS] title [SEP] asr [SEP]``, token types 0 and 1, asr cut first     two-field systems
packed          ``[CLS] title [SEP] ocr [SEP] asr [SEP]``, the longest field cut first  WeChat default
==============  ======================================================================  ==========================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FIELDS = {"cls_sep_title": ("title",), "cls_title": ("title",), "title_asr": ("title", "asr"), "packed": ("title", "ocr", "asr")}


@dataclass(frozen=True)
class SpecialIds:
    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


def cut_longest_first(lengths: Sequence[int], budget: int) -> list[int]:
    """How much of each field stays when together they may hold ``budget`` tokens: always one token off the longest.

    >>> cut_longest_first([10, 3, 8], 12)
    [5, 3, 4]
    """
    kept = list(lengths)
    while sum(kept) > budget:
        kept[max(range(len(kept)), key=lambda i: (kept[i], i))] -= 1
    return kept


def assemble(fields: dict[str, np.ndarray], layout: str, length: int, special: SpecialIds) -> tuple[np.ndarray, np.ndarray]:
    """One video's tokens.

    Args:
        fields: field name -> token ids without special tokens.
        layout: see the table above.
        length: most tokens, special ones included.

    Returns:
        input ids and token types, both int64 [at most length].

    >>> special = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)
    >>> assemble({"title": np.arange(6, 16)}, "cls_sep_title", 8, special)[0].tolist()
    [3, 4, 6, 7, 8, 9, 10, 4]
    """
    parts = [fields[name] for name in FIELDS[layout]]
    separators = len(parts) + (1 if layout == "cls_sep_title" else 0)
    kept = cut_longest_first([len(part) for part in parts], length - 1 - separators)
    ids, types = [special.cls], [0]
    if layout == "cls_sep_title":
        ids.append(special.sep)
        types.append(0)
    for number, (part, size) in enumerate(zip(parts, kept, strict=True)):
        kind = 1 if layout == "title_asr" and number == 1 else 0
        ids.extend([*part[:size].tolist(), special.sep])
        types.extend([kind] * (size + 1))
    return np.array(ids, dtype=np.int64), np.array(types, dtype=np.int64)


def pad(rows: Sequence[tuple[np.ndarray, np.ndarray]], special: SpecialIds, length: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stack token rows: ids int64 [B, T], mask bool [B, T], token types int64 [B, T]; T is ``length`` or the longest row."""
    length = length or max(len(ids) for ids, _ in rows)
    ids = np.full((len(rows), length), special.pad, dtype=np.int64)
    types = np.zeros((len(rows), length), dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=bool)
    for row, (tokens, kinds) in enumerate(rows):
        ids[row, : len(tokens)], types[row, : len(tokens)], mask[row, : len(tokens)] = tokens, kinds, True
    return ids, mask, types
