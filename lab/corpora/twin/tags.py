"""Human tags: of the class, the topic, the story and the theme, with copied lists and careless annotators."""

from __future__ import annotations

import numpy as np

from lab.corpora.twin.random import facts, from_counts, integers, normals, pick, stream, uniform, uniforms
from lab.corpora.twin.world import THEMES, World

WEIGHT = {"class": 0.8, "topic": 0.8, "event": 0.4, "theme": -0.6, "noise": -0.7}
TEMPERATURE = 0.5
COPY_EVENT, COPY_TOPIC = 0.68, 0.17  # annotators copy lists
CARELESS = 0.21
WIDTH = 5 + 5 + 2 + 3 + 2  # candidates: class, topic, event, theme, noise


class Tagger:
    """Gives tags to videos.

    Five tags per class and topic, eight entity tags per topic of which a story uses two, three per theme, and off-topic
    noise; a video takes the best of weight plus strength plus Gumbel noise.

    Args:
        paired: bool [n]; pair videos carry more tags.
    """

    def __init__(self, world: World, paired: np.ndarray):
        self.world, self.paired = world, paired
        rng, classes, topics = stream(world.seed, "tags"), len(world.class_ids), len(world.topic_class)
        self.offset = np.cumsum([0, 5 * classes, 5 * topics, 8 * topics, 3 * THEMES])
        self.of_class = 0.6 * rng.standard_normal((classes, 5)) - 0.35 * np.arange(5)
        self.of_topic = 0.5 * rng.standard_normal((topics, 5)) - 0.5 * np.arange(5)
        self.of_theme = 0.6 * rng.standard_normal((THEMES, 3)) - 0.4 * np.arange(3)
        big = np.array([name == "10001" for name in world.class_ids])
        self.of_class[big, :2] = 9  # two tags cover all of category 10001, as in the real data
        self.of_class[(world.p_class > 0.05) & ~big] -= 0.9  # the other large categories have no such tag

    @property
    def count(self) -> int:
        """Tags are numbered 0 to count - 1."""
        return int(self.offset[-1])

    def careless(self, rows: np.ndarray) -> np.ndarray:
        """bool [n]: annotators who left out what is specific."""
        return uniform(self.world.seed, "careless", rows) < CARELESS

    def tags(self, rows: np.ndarray) -> list[np.ndarray]:
        """Distinct tags of each row, strongest first."""
        tags, score = self._candidates(rows)
        score[self.careless(rows), 5:12] -= 2.5
        source = uniform(self.world.seed, "tag source", rows)
        copied = source < COPY_EVENT
        order = np.argsort(-(score + TEMPERATURE * self._gumbel(rows, source)), axis=1)
        ranked = np.take_along_axis(tags, order, axis=1)
        again = (ranked[:, :, None] == ranked[:, None, :]) & np.tri(WIDTH, k=-1, dtype=bool)
        keep = ~again.any(axis=2) & (np.arange(WIDTH) < self._length(rows, copied)[:, None])
        return np.split(ranked[keep], np.cumsum(keep.sum(axis=1))[:-1])

    def _candidates(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tag numbers and their scores, [n, WIDTH] each."""
        world, seed, n = self.world, self.world.seed, len(rows)
        cls, topic, event, theme = world.cls[rows], world.topic[rows], world.event[rows], world.theme[rows]
        entity = pick(uniforms(seed, "entity", event, 2), 1 / np.arange(1, 9.0))
        noise = (
            pick(uniforms(seed, "noise tag", rows, 2), world.p_class) * 5
            + integers(seed, "noise tag of class", rows, 2) % 5
        )
        blocks = (
            cls[:, None] * 5 + np.arange(5),
            topic[:, None] * 5 + np.arange(5),
            topic[:, None] * 8 + entity,
            theme[:, None] * 3 + np.arange(3),
        )
        tags = np.concatenate(
            [block + start for block, start in zip(blocks, self.offset[:-1], strict=True)] + [noise], axis=1
        )
        of_event = 0.4 * normals(seed, "event tag strength", event, 2) - 0.5 * np.arange(2)
        strength = {
            "class": self.of_class[cls],
            "topic": self.of_topic[topic],
            "event": of_event,
            "theme": self.of_theme[theme],
            "noise": np.zeros((n, 2)),
        }
        return tags, np.concatenate([WEIGHT[name] + strength[name] for name in WEIGHT], axis=1)

    def _gumbel(self, rows: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Noise [n, WIDTH]: of the story or of the topic where the list is copied, else of the video."""
        world = self.world
        draws = [
            uniforms(world.seed, f"{name} list", ids, WIDTH)
            for name, ids in (("event", world.event[rows]), ("topic", world.topic[rows]), ("own", rows))
        ]
        which = np.digitize(source, [COPY_EVENT, COPY_EVENT + COPY_TOPIC])
        return -np.log(-np.log(np.choose(which[:, None], draws) + 1e-300))

    def _length(self, rows: np.ndarray, copied: np.ndarray) -> np.ndarray:
        """A copied list also copies its length, but only pair videos were tagged side by side."""
        seed, known, paired = self.world.seed, facts("aiac2021")["tags_per_video"], self.paired[rows]
        u = uniform(seed, "tags per video", rows)
        own = np.where(paired, from_counts(u, known["twin_pairwise"]), from_counts(u, known["twin_pointwise"]))
        of_event = from_counts(uniform(seed, "tags per event", self.world.event[rows]), known["twin_pairwise"])
        return np.where(copied & paired, of_event, own)
