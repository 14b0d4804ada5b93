"""Titles and transcripts: words of the story, topic, class and theme among hooks, fillers and recognition errors."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lab.corpora.twin.random import DIM, facts, from_bins, integers, pick, uniform, uniforms, unit
from lab.corpora.twin.words import Lexicon
from lab.corpora.twin.world import World

COPIED, DROPPED = 0.55, 0.22  # re-uploads that edit the title of their source, and the words they leave out
SLOTS = 40  # words that a title can have
BLANK_TITLE = {"hook": 0.40, "adjective": 0.20, "idiom": 0.10, "class": 0.30}


@dataclass(frozen=True)
class Told:
    """What some videos speak of: the words at hand for each."""

    rows: np.ndarray
    cls: np.ndarray
    theme: np.ndarray
    event_sets: np.ndarray  # [n, 3]
    event_name: np.ndarray  # [n]
    topic_sets: np.ndarray  # [n, 24]
    topic_edges: np.ndarray  # [n, 24], cumulative chance of each topic set


def title_lengths(seed: int, rows: np.ndarray) -> np.ndarray:
    """Characters of each title, int [n], drawn from the published histogram."""
    return from_bins(uniform(seed, "title length", rows), facts("aiac2021")["title_length"])


def asr_lengths(seed: int, rows: np.ndarray) -> np.ndarray:
    """About 12 % of 0 or 1 characters, a histogram below 40, a long tail above."""
    fractions, u = np.array(facts("aiac2021")["asr_length_below_40"]), uniforms(seed, "asr length", rows, 4)
    bin_ = pick(u[:, 0], np.append(fractions, 1 - fractions.sum()))
    short = np.where(bin_ == 0, u[:, 1] < 0.12, 2 * bin_ + (u[:, 1] < 0.5))
    # mean, spread and upper quartile of the whole settle the three numbers of the tail
    tail = 40 + (-np.log1p(-u[:, 2]) * np.where(u[:, 3] < 0.122, 9.43, 62.3)).astype(int)
    return np.where(bin_ == len(fractions), np.minimum(tail, 772), short)


def lognormal_lengths(
    normal: np.ndarray, u: np.ndarray, *, mean: float, sigma: float, empty: float, most: int
) -> np.ndarray:
    """Lengths with a share of empty texts and the given overall mean, from standard normal and uniform numbers."""
    length = np.exp(np.log(mean / (1 - empty)) - sigma**2 / 2 + sigma * normal)
    return np.where(u < empty, 0, np.maximum(1, np.round(length))).astype(int).clip(max=most)


class Writer:
    """Writes the texts of any videos; a text depends on seed and row alone."""

    def __init__(self, world: World, lexicon: Lexicon):
        self.world, self.lexicon = world, lexicon
        self._rank = (-0.6 * np.log(np.arange(1, 25))).astype(np.float32)

    def blank(self, rows: np.ndarray) -> np.ndarray:
        """bool [n]: videos whose title carries nothing specific."""
        return uniform(self.world.seed, "blank title", rows) < self.world.spec.uninformative

    def told(self, rows: np.ndarray) -> Told:
        world, lex = self.world, self.lexicon
        topic = world.topic[rows]
        sets = lex.topic_sets[topic]
        lean = np.einsum("nsd,nd->ns", lex.concept[sets], unit(world.own_x(rows)))
        chance = np.exp(self._rank + np.float32(world.spec.spread * DIM**0.5 / 2) * lean)
        edges = np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1)
        return Told(rows, world.cls[rows], world.theme[rows], *lex.story(world.event[rows], topic), sets, edges)

    def titles(self, told: Told, lengths: np.ndarray) -> list[str]:
        """Titles of at most ``lengths`` characters; longer ones than SLOTS words hold come out shorter."""
        world, rows = self.world, told.rows
        words = self._title_words(told)
        size = self.lexicon.length[words]
        source = world.source[world.footage[rows]]
        copies = np.flatnonzero((source != rows) & (uniform(world.seed, "copied title", rows) < COPIED))
        if len(copies):
            original = self._title_words(self.told(source[copies]))
            kept = self.lexicon.length[original]
            kept[np.cumsum(kept, axis=1) - kept >= lengths[copies, None]] = 0
            kept[uniforms(world.seed, "edited title", rows[copies], SLOTS) < DROPPED] = 0
            words, size = np.concatenate([words, words], axis=1), np.concatenate([size, np.zeros_like(size)], axis=1)
            words[copies, SLOTS:], size[copies, SLOTS:] = words[copies, :SLOTS], size[copies, :SLOTS]
            words[copies, :SLOTS], size[copies, :SLOTS] = original, kept
        used = (size > 0) & (np.cumsum(size, axis=1) - size < lengths[:, None])
        return self._join(words[used], used.sum(axis=1), lengths)

    def speech(self, told: Told, lengths: np.ndarray, name: str = "asr") -> list[str]:
        """Transcripts (or, under another name, text on screen) of exactly ``lengths`` characters: what is told, in filler."""
        seed, lex, rows = self.world.seed, self.lexicon, told.rows
        u, number = uniforms(seed, name, rows, lengths), integers(seed, f"{name} word", rows, lengths)
        of, filler, mix = np.repeat(np.arange(len(rows)), lengths), self.world.spec.filler, dict(self.world.spec.speech)
        kind = np.searchsorted(np.cumsum(list(mix.values()))[:-1], (u - filler) / (1 - filler), side="right")
        choices = {
            "topic": self._topic_word(told, of, number),
            "event": self._event_word(told, of, number),
            "class": lex.synonym(lex.class_sets[told.cls[of], number % 60], number // 60),
            "error": lex.any("character", number),
        }
        words = np.where(u < filler, lex.any("spoken", number), np.choose(kind, [choices[name] for name in mix]))
        size = lex.length[words]
        before = np.cumsum(size) - size
        first = (np.cumsum(lengths) - lengths)[lengths > 0]
        start = np.repeat(before[first], lengths[lengths > 0])
        used = before - start < lengths[of]
        return self._join(words[used], np.bincount(of[used], minlength=len(rows)), lengths)

    def _title_words(self, told: Told) -> np.ndarray:
        """Words [n, SLOTS] in order."""
        seed, lex, rows = self.world.seed, self.lexicon, told.rows
        u, number = uniforms(seed, "title", rows, SLOTS), integers(seed, "title word", rows, SLOTS)
        mix, blank = dict(self.world.spec.title), self.blank(rows)[:, None]
        names, kind = list(mix), np.searchsorted(np.cumsum(list(mix.values()))[:-1], u, side="right")
        of_blank = np.array([names.index(name) for name in BLANK_TITLE])
        kind = np.where(
            blank, of_blank[np.searchsorted(np.cumsum(list(BLANK_TITLE.values()))[:-1], u, side="right")], kind
        )
        of = np.broadcast_to(np.arange(len(rows))[:, None], u.shape)
        of_class = kind == names.index("class")
        verb = (np.cumsum(of_class, axis=1) % 2 == 1) & ~blank  # verbs and words of the class take turns
        class_word = lex.synonym(lex.class_sets[told.cls[of], number % 60], number // 60)
        comma = kind == names.index("comma")
        bare = np.pad(~comma, ((0, 0), (1, 0)))[:, :-1]  # no comma at the start or after a comma
        choices = {
            "hook": lex.any("hook", number), "event": self._event_word(told, of, number), "topic": self._topic_word(told, of, number),
            "class": np.where(verb, lex.class_verbs[told.cls[of], number % 30], class_word), "theme": lex.theme_words[told.theme[of], number % 6],
            "comma": np.where(bare, lex.any("comma", number), lex.any("verb", number)), "adjective": lex.any("adjective", number), "idiom": lex.any("idiom", number),
        }  # fmt: skip
        return np.choose(kind, [choices[name] for name in names])

    def _event_word(self, told: Told, of: np.ndarray, number: np.ndarray) -> np.ndarray:
        word = self.lexicon.synonym(told.event_sets[of, number // 4 % 3], number // 12)
        return np.where(number % 4 < self.world.spec.named, told.event_name[of], word)

    def _topic_word(self, told: Told, of: np.ndarray, number: np.ndarray) -> np.ndarray:
        place = (told.topic_edges[of] < ((number >> 8) * 2.0**-23)[..., None]).sum(axis=-1).clip(max=23)
        return self.lexicon.synonym(told.topic_sets[of, place], number)

    def _join(self, words: np.ndarray, counts: np.ndarray, lengths: np.ndarray) -> list[str]:
        strings, ends = self.lexicon.words[words].tolist(), np.cumsum(counts).tolist()
        return [
            "".join(strings[end - count : end])[:length]
            for end, count, length in zip(ends, counts.tolist(), lengths.tolist(), strict=True)
        ]


def fragments(seed: int, rows: np.ndarray, texts: list[str]) -> list[list[dict]]:
    """Text on screen as it is sampled: a fragment of 6 to 20 characters every five seconds."""
    most = np.array([len(text) // 6 + 1 for text in texts])
    sizes = np.split(6 + integers(seed, "text on screen cut", rows, most) % 15, np.cumsum(most)[:-1])
    result = []
    for text, size in zip(texts, sizes, strict=True):
        ends = np.cumsum(size)
        ends = ends[: np.searchsorted(ends, len(text)) + 1].tolist() if text else []
        result.append(
            [{"time": 1 + 5 * k, "text": text[start:end]} for k, (start, end) in enumerate(pairwise([0, *ends]))]
        )
    return result
