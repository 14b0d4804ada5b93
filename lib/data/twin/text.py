"""Titles and transcripts: words of the story, topic, class and theme among hooks, fillers and recognition errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.data.twin.random import DIM, choice, facts, from_bins, stream, unit
from lib.data.twin.words import HOOKS, SPOKEN, Lexicon
from lib.data.twin.world import World

SPREAD = 3.0  # how far a video's own direction bends its choice of topic words
COPIED = 0.55  # re-uploads that edit the title of their source


@dataclass(frozen=True)
class Style:
    uninformative: float = 0.06  # titles that carry nothing specific
    filler: float = 0.50  # share of spoken filler


def title_lengths(rng: np.random.Generator, n: int) -> np.ndarray:
    return from_bins(rng, facts("aiac2021")["title_length"], n)


def asr_lengths(rng: np.random.Generator, n: int) -> np.ndarray:
    """About 12 % empty, a histogram below 40 characters, a long tail above."""
    fractions = np.array(facts("aiac2021")["asr_length_below_40"])
    bin_ = choice(rng, np.append(fractions, 1 - fractions.sum()), n)
    length = 2 * bin_ + rng.integers(0, 2, n)
    length = np.where(bin_ == 0, rng.random(n) < 0.12, length)
    tail = 40 + rng.exponential(np.where(rng.random(n) < 0.72, 40.0, 100.0)).astype(int)
    return np.where(bin_ == len(fractions), np.minimum(tail, 772), length)


def lognormal_lengths(rng: np.random.Generator, mean: float, sigma: float, empty: float, n: int, most: int) -> np.ndarray:
    """Lengths with a share of empty texts and the given overall mean."""
    length = np.exp(np.log(mean / (1 - empty)) - sigma**2 / 2 + sigma * rng.standard_normal(n))
    return np.where(rng.random(n) < empty, 0, np.maximum(1, np.round(length))).astype(int).clip(max=most)


class Writer:
    """Writes the texts of one video after the other; each video has its own stream, so any order gives the same texts."""

    def __init__(self, world: World, lexicon: Lexicon, style: Style):
        self.world, self.lexicon, self.style = world, lexicon, style
        self.source = np.full(world.counts["footage"], -1)  # first video of each footage: what re-uploads copy
        first = np.unique(world.footage, return_index=True)
        self.source[first[0]] = first[1]
        self.blank = stream(world.seed, "blank titles").random(world.n) < style.uninformative
        self._rank = -0.6 * np.log(np.arange(1, 25))

    def title(self, video: int, length: int) -> str:
        """At most ``length`` characters."""
        rng = stream(self.world.seed, "title", int(video))
        words: list[str] = []
        source = int(self.source[self.world.footage[video]])
        if source != video and rng.random() < COPIED:
            original = self._title_words(source, length, stream(self.world.seed, "title", source))
            words = [word for word in original if rng.random() > 0.22]
        return "".join(self._title_words(video, length, rng, words))[:length]

    def _title_words(self, video: int, length: int, rng: np.random.Generator, words: list[str] | None = None) -> list[str]:
        words = list(words or [])
        size = sum(map(len, words))
        if size >= length:
            return words
        w, lex = self.world, self.lexicon
        cls, event, theme = w.cls[video], w.event[video], w.theme[video]
        u, r, verb = rng.random(40).tolist(), rng.integers(0, 1 << 30, 40).tolist(), False
        concepts = self._concepts(video, rng, 12)
        for k, (z, m) in enumerate(zip(u, r, strict=True)):
            if size >= length:
                break
            if self.blank[video]:
                word = HOOKS[m % len(HOOKS)] if z < 0.4 else lex.adjective[m % len(lex.adjective)] if z < 0.6 else lex.idiom[m % len(lex.idiom)] if z < 0.7 else lex.word(lex.class_sets[cls, m % 60], m // 60)
            elif z < 0.16:
                word = HOOKS[m % len(HOOKS)]
            elif z < 0.42:
                word = lex.event_name[event] if m % 4 == 0 else lex.word(lex.event_sets[event, m % 3], m // 12)
            elif z < 0.72:
                word = lex.word(concepts[k % 12], m % 3)
            elif z < 0.84:
                word = lex.word(lex.class_sets[cls, m % 60], m // 60) if verb else lex.class_verbs[cls, m % 30]
                verb = not verb
            elif z < 0.90:
                word = lex.theme_words[theme, m % 6]
            elif z < 0.96:
                word = "，" if words and words[-1] != "，" else lex.verb[m % len(lex.verb)]
            else:
                word = lex.idiom[m % len(lex.idiom)] if z > 0.98 else lex.adjective[m % len(lex.adjective)]
            words.append(word)
            size += len(word)
        return words

    def speech(self, video: int, length: int, name: str = "asr") -> str:
        """A transcript (or, under another name, text on screen) of exactly ``length`` characters: topic and story words in filler."""
        if length == 0:
            return ""
        rng = stream(self.world.seed, name, int(video))
        w, lex = self.world, self.lexicon
        cls, event = w.cls[video], w.event[video]
        count = length // 2 + 8  # words average more than two characters less the single ones
        concepts, words, size = self._concepts(video, rng, 10), [], 0
        while size < length:
            filler = rng.random(count) < self.style.filler
            kind = np.where(filler, 0, 1 + np.searchsorted([0.32, 0.48, 0.72], rng.random(count)))
            for what, m in zip(kind.tolist(), rng.integers(0, 1 << 30, count).tolist(), strict=True):
                if what == 0:
                    word = SPOKEN[m % len(SPOKEN)]
                elif what == 1:
                    word = lex.word(concepts[m % 10], m // 10)
                elif what == 2:
                    word = lex.event_name[event] if m % 4 == 0 else lex.word(lex.event_sets[event, m % 3], m // 12)
                elif what == 3:
                    word = lex.word(lex.class_sets[cls, m % 60], m // 60)
                else:
                    word = lex.character[m % len(lex.character)]  # a recognition error
                words.append(word)
                size += len(word)
                if size >= length:
                    break
        return "".join(words)[:length]

    def _concepts(self, video: int, rng: np.random.Generator, n: int) -> list[int]:
        """Topic concepts that this video speaks of, drawn with replacement."""
        sets = self.lexicon.topic_sets[self.world.topic[video]]
        lean = SPREAD * np.sqrt(DIM) / 2 * (self.lexicon.concept[sets] @ unit(self.world.x_own[video]))
        score = self._rank + lean + rng.gumbel(size=(n, 24))
        return sets[score.argmax(axis=1)].tolist()
