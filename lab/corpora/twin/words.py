"""Words of the generated language: real Chinese words of jieba's dictionary in a geometry of meanings. Seven tenths
nouns and three tenths names form synonym sets; each set has one concept vector of the world, so a word means the same
in every topic and can be learnt from co-occurrence, while synonyms defeat bag-of-words overlap."""

import importlib.util
import re
from functools import cache
from pathlib import Path

import numpy as np

from lab.corpora.twin.random import integers, stream, unit, vectors
from lab.corpora.twin.world import THEMES, World

HOOKS = "竟然 原来 网友 看完 太 真的 为什么 怎么 没想到 终于 居然 突然 现场 实拍 揭秘 盘点 这 一个 又 最 全 都 被 把 让 就 还 不 了 的 和 与 在 上 下".split()  # noqa: SIM905
SPOKEN = "我们 你们 大家 这个 那个 然后 就是 其实 可以 一下 现在 今天 这样 因为 所以 但是 什么 没有 觉得 知道 非常 可能 开始 时候 已经 还是 如果 来 去 说 看 是 有 会 要 嗯 啊 吧 呢".split()  # noqa: SIM905
COMMA = "，"
# kind -> (dictionary tags, lengths, frequencies)
KINDS = {
    "noun": ({"n", "vn", "an"}, (2, 4), (80, 8000)),
    "name": ({"nr", "nrt", "ns", "nt", "nz"}, (2, 5), (5, 2000)),
    "verb": ({"v"}, (2, 2), (50, 8000)),
    "adjective": ({"a"}, (2, 2), (50, np.inf)),
    "idiom": ({"i", "l"}, (4, 4), (5, np.inf)),
}
LINE = re.compile(r"^([\u4e00-\u9fff]{1,5}) (\d+) (\w+)$", re.MULTILINE)
COARSE = re.compile("[妓娼嫖淫奸屎尿屁尸]")  # kept out of titles that reports print
NOISE_ROWS = 257


@cache
def dictionary() -> dict[str, list[str]]:
    """Words by kind, and frequent single characters, from the dictionary file of the jieba package; sorted."""
    spec = importlib.util.find_spec("jieba")  # found, not imported: importing it loads its own index
    assert spec is not None and spec.origin is not None
    words: dict[str, list[str]] = {kind: [] for kind in (*KINDS, "character")}
    for word, count, tag in LINE.findall((Path(spec.origin).parent / "dict.txt").read_text(encoding="utf-8")):
        if COARSE.search(word):
            continue
        for kind, (tags, length, frequency) in KINDS.items():
            if tag in tags and length[0] <= len(word) <= length[1] and frequency[0] <= int(count) <= frequency[1]:
                words[kind].append(word)
                break
        if len(word) == 1 and int(count) > 3000:
            words["character"].append(word)
    return {kind: sorted(found) for kind, found in words.items()}


class Lexicon:
    """Which words topics, classes, stories and themes own. A word is a number: its place in ``words``.

    Attributes:
        words: object [W], the strings; ``length`` int [W], their characters.
        topic_sets [T, 24], class_sets [C, 60]: synonym sets, the best aligned with the latent vector first.
        class_verbs [C, 30], theme_words [64, 6]: words.
    """

    def __init__(self, world: World):
        self.world = world
        rng, known = stream(world.world_seed, "lexicon"), dictionary()
        noun, name = (rng.permutation(np.array(known[kind], object)) for kind in ("noun", "name"))
        own = len(noun) - 400  # the last nouns belong to the themes
        pool = rng.permutation(np.concatenate([noun[:own], name[: own * 3 // 7]]))
        least, most = world.spec.words_a_set
        size = rng.integers(least, most + 1, len(pool))
        size = size[: np.searchsorted(np.cumsum(size), len(pool))]
        size = size[: world.spec.sets or int(60 * max(world.size, 20_000) ** 0.4)]  # else as a vocabulary grows (Heaps)
        self._set_start, self._set_size = np.concatenate([[0], np.cumsum(size)[:-1]]), size
        lists = {"pool": pool, "theme": noun[own:], "name": name, "hook": HOOKS, "spoken": SPOKEN, "comma": [COMMA]}
        lists |= {kind: known[kind] for kind in ("verb", "adjective", "idiom", "character")}
        self._place: dict[str, tuple[int, int]] = {}
        self.words = np.array([], object)
        for kind, strings in lists.items():
            self._place[kind] = (len(self.words), len(strings))
            self.words = np.concatenate([self.words, np.array(strings, object)])
        self.length = np.array([len(word) for word in self.words])

        self.concept = vectors(world.world_seed, "concept", len(size))
        self._direction = unit(self.concept).T
        self._fame = (-0.06 * np.log(np.arange(1, len(size) + 1.0))).astype(np.float32)
        self._noise = np.float32(world.spec.vagueness) * rng.standard_normal((NOISE_ROWS, len(size)), dtype=np.float32)
        self.topic_sets = self._nearest(world.topic_x, np.arange(len(world.topic_x)), 24)
        self.class_sets = self._nearest(world.class_x, np.arange(len(world.class_x)) + 101, 60)
        self.class_verbs = self.any("verb", rng.integers(0, 1 << 30, (len(world.class_ids), 30)))
        self.theme_words = self.any("theme", rng.integers(0, 1 << 30, (THEMES, 6)))

    def any(self, kind: str, number: np.ndarray) -> np.ndarray:
        """A word of this kind for each number."""
        start, count = self._place[kind]
        return start + number % count

    def synonym(self, sets: np.ndarray, number: np.ndarray) -> np.ndarray:
        """One of the words of each set."""
        return self._set_start[sets] + number % self._set_size[sets]

    def story(self, event: np.ndarray, topic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Three synonym sets [n, 3] and one name (a word, [n]) of each story."""
        each, first, back = np.unique(event, return_index=True, return_inverse=True)
        sets = self._nearest(self.world.event_x(each, topic[first]), each, 3)
        return sets[back], self.any("name", integers(self.world.seed, "event name", event, 1)[:, 0])

    def _nearest(self, x: np.ndarray, ids: np.ndarray, k: int) -> np.ndarray:
        """The k sets best aligned with each row of x, best first; a row's noise is chosen by its id."""
        result = np.empty((len(x), k), np.int32)
        for start in range(0, len(x), 500):
            part = slice(start, start + 500)
            score = unit(x[part]) @ self._direction
            score += self._fame
            score += self._noise[ids[part] % NOISE_ROWS]
            top = np.argpartition(score, -k, axis=1)[:, -k:]
            result[part] = np.take_along_axis(top, np.argsort(-np.take_along_axis(score, top, 1), axis=1), 1)
        return result
