"""Words of the generated language: real Chinese words of jieba's dictionary in a geometry of meanings.

Seven tenths nouns and three tenths names form synonym sets of one to three words; each set has one global concept vector,
so a word means the same in every topic and can be learnt from co-occurrence, while synonyms defeat bag-of-words overlap.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

from lib.data.twin.random import DIM, stream, unit
from lib.data.twin.world import World

HOOKS = "竟然 原来 网友 看完 太 真的 为什么 怎么 没想到 终于 居然 突然 现场 实拍 揭秘 盘点 这 一个 又 最 全 都 被 把 让 就 还 不 了 的 和 与 在 上 下".split()
SPOKEN = "我们 你们 大家 这个 那个 然后 就是 其实 可以 一下 现在 今天 这样 因为 所以 但是 什么 没有 觉得 知道 非常 可能 开始 时候 已经 还是 如果 来 去 说 看 是 有 会 要 嗯 啊 吧 呢".split()
# kind -> (dictionary tags, lengths, frequencies)
KINDS = {
    "noun": ({"n", "vn", "an"}, (2, 4), (80, 8000)),
    "name": ({"nr", "nrt", "ns", "nt", "nz"}, (2, 5), (5, 2000)),
    "verb": ({"v"}, (2, 2), (50, 8000)),
    "adjective": ({"a"}, (2, 2), (50, np.inf)),
    "idiom": ({"i", "l"}, (4, 4), (5, np.inf)),
}


@cache
def dictionary() -> dict[str, list[str]]:
    """Words by kind, and frequent single characters, from the dictionary file of the jieba package; sorted."""
    spec = importlib.util.find_spec("jieba")  # found, not imported: importing it loads its own index
    assert spec is not None and spec.origin is not None
    words: dict[str, list[str]] = {kind: [] for kind in (*KINDS, "character")}
    with (Path(spec.origin).parent / "dict.txt").open(encoding="utf-8") as file:
        for line in file:
            word, count, tag = line.split()
            if not all("\u4e00" <= character <= "\u9fff" for character in word):
                continue
            for kind, (tags, length, frequency) in KINDS.items():
                if tag in tags and length[0] <= len(word) <= length[1] and frequency[0] <= int(count) <= frequency[1]:
                    words[kind].append(word)
                    break
            if len(word) == 1 and int(count) > 3000:
                words["character"].append(word)
    return {kind: sorted(list_) for kind, list_ in words.items()}


class Lexicon:
    """Which words topics, classes, stories and themes own."""

    def __init__(self, world: World):
        rng, known = stream(world.seed, "lexicon"), dictionary()
        noun, name = (rng.permutation(np.array(known[kind], object)) for kind in ("noun", "name"))
        own = len(noun) - 400  # the last nouns belong to the themes
        pool = rng.permutation(np.concatenate([noun[:own], name[: own * 3 // 7]]))
        size = rng.integers(1, 4, len(pool))
        size = size[: np.searchsorted(np.cumsum(size), len(pool))][: int(60 * max(world.size, 20_000) ** 0.4)]  # grows with the corpus (Heaps)
        self.start, self.size, self.pool = np.concatenate([[0], np.cumsum(size)[:-1]]), size, pool
        self.concept = (rng.standard_normal((len(size), DIM)) / np.sqrt(DIM)).astype(np.float32)
        fame = -0.06 * np.log(np.arange(1, len(size) + 1.0)).astype(np.float32)
        self.topic_sets = self._nearest(rng, world.topic_x, 24, fame)
        self.class_sets = self._nearest(rng, world.class_x, 60, fame)
        self.event_sets = self._nearest(rng, world.event_x, 3, fame)
        self.event_name = name[rng.integers(0, len(name), world.counts["event"])]
        self.class_verbs = np.array(known["verb"], object)[rng.integers(0, len(known["verb"]), (len(world.class_ids), 30))]
        self.theme_words = noun[own + rng.integers(0, 400, (world.themes, 6))]
        self.verb, self.adjective, self.idiom, self.character = (known[kind] for kind in ("verb", "adjective", "idiom", "character"))

    def word(self, concept: int, form: int) -> str:
        """One of the synonyms of a set."""
        return self.pool[self.start[concept] + form % self.size[concept]]

    def _nearest(self, rng: np.random.Generator, x: np.ndarray, k: int, fame: np.ndarray) -> np.ndarray:
        """The k sets best aligned with each row of x, best first."""
        result = np.empty((len(x), k), np.int32)
        for start in range(0, len(x), 2000):
            part = x[start : start + 2000]
            score = unit(part) @ unit(self.concept).T + fame + 0.08 * rng.standard_normal((len(part), len(fame)), dtype=np.float32)
            top = np.argpartition(-score, k, axis=1)[:, :k]
            result[start : start + 2000] = np.take_along_axis(top, np.argsort(-np.take_along_axis(score, top, 1), 1), 1)
        return result
