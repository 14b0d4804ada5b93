"""What happens to the text of a field before it is numbered: cut into words (AIAC rank 6), or prepared (WeChat rank
72). The preparation is off by default: the key words mostly repeat the text (quirk R1)."""

import logging
import math
import re
from collections import Counter
from collections.abc import Mapping

STOP_WORDS = frozenset("是的嗯呀")
WORD = re.compile(r"\b\w+\b")


def segment(text: str, unknown: bool = True) -> list[str]:
    """Words of a text, punctuation and blanks included: jieba's default dictionary, ``unknown`` words by its hidden Markov
    model.

    >>> segment("家常红烧肉")
    ['家常', '红烧肉']
    """
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba.lcut(text, HMM=unknown)


def key_words(text: str) -> str:
    """What is between white space and punctuation, sorted by tf-idf, highest first, a space behind each.

    The documents of this idf are the parts of this one text between white space, so a word that stands in few of them is
    a key word (quirk R1); its weight is the highest in any of them. The numbers are scikit-learn's ``TfidfVectorizer``'s
    (smooth idf, rows of unit length) without its preparations, which cost more than the work.

    >>> key_words("Hello worldhello 的 world world")
    'worldhello world hello '
    """
    documents = [Counter(word for word in WORD.findall(bit.lower()) if word not in STOP_WORDS) for bit in text.split()]
    found_in = Counter(word for document in documents for word in document)
    idf = {word: math.log((1 + len(documents)) / (1 + count)) + 1 for word, count in found_in.items()}
    weights: dict[str, float] = {}
    for document in documents:
        row = {word: document[word] * idf[word] for word in sorted(document)}
        norm = math.sqrt(sum(weight * weight for weight in row.values()))
        for word, weight in row.items():
            weights[word] = max(weights.get(word, 0.0), weight / norm)
    return "".join(f"{word} " for word in sorted(weights, key=lambda word: (weights[word], word), reverse=True))


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


def prepare(
    field: str,
    texts: Mapping[str, str],
    *,
    fillers: str = "",
    keywords: int = 0,
    shortest_title: int = 0,
    ends: int = 0,
) -> str:
    """One field of a video as WeChat rank 72 prepares it. ``texts``: all three, whole."""
    text = without_runs(texts["asr"], fillers) if field == "asr" else texts[field]
    if field == "title" and keywords:
        if len(text) < shortest_title:
            return ""
        spoken = without_runs(texts["asr"], fillers)
        found = key_words(text + texts["ocr"] + spoken)  # no separator: words grow together where fields meet (R1)
        return text[:keywords] + found[:keywords]
    return both_ends(text, ends) if ends else text
