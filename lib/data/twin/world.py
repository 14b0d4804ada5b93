"""The latent world: a tree of categories and topics, visual themes, and videos that share stories, looks and footage.

What is told, x, mixes level-1 class, class, topic, event and the individual video; what is shown, y, mixes class, theme,
visual event and the individual. The affinity of two videos is ``w <x, x'> + (1 - w) <y, y'>``, the cosine of a 48-d
embedding, so a perfect model exists inside the competition's rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lib.data.twin.random import choice, stream, unit, vectors

RELATIONS = ("dup", "event", "tt", "topic", "cat", "rand")  # from the same footage to nothing in common
SAME_LOOK = {"event": 0.5, "tt": 0.3}
DUP_SHARED = 0.75  # variance of the individual part that re-uploads of one footage share


@dataclass(frozen=True)
class Shares:
    """Variance shares of the latent parts; the pair and the class corpora differ in them."""

    x: tuple[float, ...]  # level 1, class, topic, event, individual
    y: tuple[float, ...]  # class, theme, visual event, individual
    told: float = 0.55  # weight of x in the affinity


PAIRS = Shares((0.05, 0.10, 0.25, 0.35, 0.25), (0.10, 0.30, 0.35, 0.25))
CLASSES = Shares((0.14, 0.17, 0.22, 0.20, 0.27), (0.32, 0.26, 0.21, 0.21))


@dataclass
class World:
    """Growing integer tables of videos; ``freeze`` draws the latent vectors.

    Args:
        classes: class id -> frequency; the level-1 class is the id without its last two characters.
        size: videos that the corpus will have; the number of topics follows it as the number of distinct tags does.
    """

    seed: int
    size: int
    classes: dict[str, float]
    shares: Shares
    n: int = 0
    columns: dict[str, list[np.ndarray]] = field(default_factory=lambda: {k: [] for k in ("topic", "theme", "event", "look", "footage")})
    counts: dict[str, int] = field(default_factory=lambda: {"event": 0, "look": 0, "footage": 0})

    def __post_init__(self) -> None:
        self.class_ids = list(self.classes)
        frequency = np.array(list(self.classes.values()), float)
        self.p_class = frequency / frequency.sum()
        self.level1 = np.unique([name[:-2] for name in self.class_ids], return_inverse=True)[1]
        rng = stream(self.seed, "tree")
        topics = round(5100 * (self.size / 1e6) ** 0.36)
        share = self.p_class**0.8
        per_class = np.maximum(1, np.round(topics * share / share.sum()).astype(int))
        self.topic_class = np.repeat(np.arange(len(per_class)), per_class)
        self.first_topic = np.concatenate([[0], np.cumsum(per_class)])
        weight = 1 / (np.arange(len(self.topic_class)) - self.first_topic[self.topic_class] + 2.0)
        self.p_topic_inside = weight / np.add.reduceat(weight, self.first_topic[:-1])[self.topic_class]
        self.p_topic = self.p_topic_inside * self.p_class[self.topic_class]
        self.themes = 64
        zipf = np.arange(1, self.themes + 1) ** -0.7
        p_theme = zipf * np.exp(1.5 * rng.standard_normal((len(per_class), self.themes)))
        self._theme_edges = np.cumsum(p_theme / p_theme.sum(1, keepdims=True), axis=1)
        self.topic_theme = self._theme_of(rng, self.topic_class)

    # ---- drawing

    def topics(self, rng: np.random.Generator, n: int, power: float = 1.0) -> np.ndarray:
        return choice(rng, self.p_topic**power, n)

    def topics_in(self, rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
        """A topic of each given class."""
        edges = np.cumsum(self.p_topic_inside)  # every class adds exactly one
        return np.clip(np.searchsorted(edges, classes + rng.random(len(classes)), side="right"), self.first_topic[classes], self.first_topic[classes + 1] - 1)

    def theme_for(self, rng: np.random.Generator, topic: np.ndarray) -> np.ndarray:
        """The topic's own theme half of the time, else one of its class."""
        return np.where(rng.random(len(topic)) < 0.5, self.topic_theme[topic], self._theme_of(rng, self.topic_class[topic]))

    def _theme_of(self, rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
        return (rng.random((len(classes), 1)) > self._theme_edges[classes]).sum(1).clip(max=self.themes - 1)

    def fresh(self, kind: str, n: int) -> np.ndarray:
        start = self.counts[kind]
        self.counts[kind] += n
        return np.arange(start, start + n)

    # ---- adding videos

    def add(self, topic, theme, event, look=None, footage=None) -> np.ndarray:
        """Append videos; returns their rows."""
        n = len(topic)
        values = (topic, theme, event, self.fresh("look", n) if look is None else look, self.fresh("footage", n) if footage is None else footage)
        for name, value in zip(self.columns, values, strict=True):
            self.columns[name].append(np.asarray(value))
        self.n += n
        return np.arange(self.n - n, self.n)

    def column(self, name: str) -> np.ndarray:
        return np.concatenate(self.columns[name])

    def partners(self, rng: np.random.Generator, rows: np.ndarray, relation: np.ndarray, same_look: np.ndarray | None = None) -> np.ndarray:
        """Add a partner of each row in the given relation; returns the new rows."""
        topic, theme, event, look, footage = (self.column(name)[rows].copy() for name in self.columns)
        for name in RELATIONS[1:]:
            where = np.flatnonzero(relation == name)
            if not len(where):
                continue
            footage[where] = self.fresh("footage", len(where))
            if name != "event":
                event[where] = self.fresh("event", len(where))
            keep = same_look[where] if same_look is not None and name == "event" else SAME_LOOK.get(name, 0.0)
            other = where[rng.random(len(where)) > keep]
            look[other] = self.fresh("look", len(other))
            if name == "cat":
                topic[where] = self.topics_in(rng, self.topic_class[topic[where]])
            elif name == "rand":
                topic[where] = self.topics(rng, len(where))
            if name in ("topic", "cat", "rand"):
                theme[where] = self.theme_for(rng, topic[where])
            elif name == "event":
                theme[other] = np.where(rng.random(len(other)) < 0.3, theme[other], self.theme_for(rng, topic[other]))
        return self.add(topic, theme, event, look, footage)

    def crowd(self, n: int) -> np.ndarray:
        """Add videos of no particular relation; a third joins an earlier story of its topic, some as re-uploads."""
        rng = stream(self.seed, "crowd")
        topic = self.topics(rng, n)
        theme = self.theme_for(rng, topic)
        event, look, footage = (self.fresh(kind, n) for kind in ("event", "look", "footage"))
        joins, dup, same = rng.random(n) < 0.35, rng.random(n) < 0.3, rng.random(n) < SAME_LOOK["event"]
        position = rng.random(n)
        members: dict[int, list[int]] = {}
        for k, t in enumerate(topic.tolist()):
            earlier = members.setdefault(t, [])
            if joins[k] and earlier:
                source = earlier[int(position[k] * len(earlier))]
                event[k] = event[source]
                if dup[k] or same[k]:
                    look[k], theme[k] = look[source], theme[source]
                if dup[k]:
                    footage[k] = footage[source]
            earlier.append(k)
        return self.add(topic, theme, event, look, footage)

    # ---- latent vectors

    def freeze(self) -> None:
        """Draw x and y (float32 [n, 24], unit) of all videos added so far, and the vectors of their groups."""
        self.topic, self.theme, self.event, self.look, self.footage = (self.column(name) for name in self.columns)
        self.cls = self.topic_class[self.topic]
        a, b = np.sqrt(self.shares.x).astype(np.float32), np.sqrt(self.shares.y).astype(np.float32)
        draw = lambda name, n: vectors(self.seed, name, n)  # noqa: E731
        self.class_x = a[0] * draw("x level 1", self.level1.max() + 1)[self.level1] + a[1] * draw("x class", len(self.class_ids))
        self.topic_x = self.class_x[self.topic_class] + a[2] * draw("x topic", len(self.topic_class))
        event_x = a[3] * draw("x event", self.counts["event"])
        self.event_x = np.zeros_like(event_x)
        self.event_x[self.event] = self.topic_x[self.topic] + event_x[self.event]
        self.x_own = event_x[self.event] + a[4] * self._individual("x")
        self.x = unit(self.topic_x[self.topic] + self.x_own)
        y = b[0] * draw("y class", len(self.class_ids))[self.cls] + b[1] * draw("y theme", self.themes)[self.theme]
        self.y = unit(y + b[2] * draw("y look", self.counts["look"])[self.look] + b[3] * self._individual("y"))

    def _individual(self, block: str) -> np.ndarray:
        own, group = vectors(self.seed, f"{block} own", self.n), vectors(self.seed, f"{block} footage", self.counts["footage"])[self.footage]
        shared = (np.bincount(self.footage, minlength=self.counts["footage"])[self.footage] > 1)[:, None]
        return np.where(shared, np.sqrt(DUP_SHARED) * group + np.sqrt(1 - DUP_SHARED) * own, own).astype(np.float32)

    def affinity(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """float64 [P]: how alike two videos truly are."""
        w = self.shares.told
        return (w * (self.x[i] * self.x[j]).sum(1) + (1 - w) * (self.y[i] * self.y[j]).sum(1)).astype(np.float64)
