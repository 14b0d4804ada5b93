"""How WeChat rank 72 prepares its fields, character by character, before they are cut into tokens.

Off by default: the key words mostly repeat the text (quirk R1). Every step is an argument of a feature set
(``params/features``): runs of fillers leave the ASR, long fields keep both ends, and the title carries the key words of
title, OCR and ASR together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.recipes.specs import FieldRules

STOP_WORDS = ("是", "的", "嗯", "呀")


def keywords(text: str) -> str:
    """What is between white space and punctuation, sorted by tf-idf, highest first, a space behind each.

    The documents of this idf are the parts of this one text between white space, so a word that stands in few of them is
    a key word (quirk R1); its weight is the highest in any of them. The original also cuts the documents with jieba and
    joins them again with nothing in between, which changes nothing.

    >>> keywords("Hello worldhello 的 world world")
    'worldhello world hello '
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    documents = text.split()
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", stop_words=list(STOP_WORDS))
    try:
        weights = vectorizer.fit_transform(documents).max(axis=0).toarray()[0]
    except ValueError:  # what scikit-learn says to documents without a single word
        return ""
    ranked = sorted(zip(weights.tolist(), vectorizer.get_feature_names_out().tolist(), strict=True), reverse=True)
    return "".join(f"{word} " for _, word in ranked)


def both_ends(text: str, count: int) -> str:
    """The first and the last ``count`` characters of a text that has twice as many or more.

    >>> both_ends("abcdefg", 2), both_ends("abc", 2)
    ('abfg', 'abc')
    """
    return text[:count] + text[-count:] if len(text) >= 2 * count else text


def without_runs(text: str, fillers: str) -> str:
    """A text without runs of three or more of the same filler.

    >>> without_runs("嗯嗯嗯好嗯嗯", "嗯")
    '好嗯嗯'
    """
    return re.sub("|".join(f"{re.escape(filler)}{{3,}}" for filler in fillers), "", text) if fillers else text


def prepare(fields: Mapping[str, str], rules: FieldRules) -> dict[str, str]:
    """The fields of one video under a feature set's rules.

    Args:
        fields: title, ocr and asr, whole.
        rules: which steps, and how many characters.
    """
    title, ocr, asr = fields["title"], fields["ocr"], without_runs(fields["asr"], rules.fillers)
    if rules.keywords:
        found = keywords(title + ocr + asr)  # no separator: words grow together where fields meet (R1)
        title = title[: rules.keywords] + found[: rules.keywords] if len(title) >= rules.shortest_title else ""
    elif rules.ends:
        title = both_ends(title, rules.ends)
    if rules.ends:
        ocr, asr = both_ends(ocr, rules.ends), both_ends(asr, rules.ends)
    return {"title": title, "ocr": ocr, "asr": asr}
