"""The latent world: a tree of categories and topics, visual themes, and videos that share stories, looks and footage.
What is told, x, mixes level-1 class, class, topic, event and the individual video; what is shown, y, mixes class,
theme, visual event and the individual. The affinity of two videos is ``w <x, x'> + (1 - w) <y, y'>``, the cosine of a
48-d embedding, so a perfect model exists inside the competition's rules."""

from dataclasses import dataclass, field

import numpy as np

from lab.corpora.twin.random import DIM, choice, normals, pick_in_row, stream, unit, vectors
from lab.corpora.twin.worlds import WorldSpec

RELATIONS = ("dup", "event", "tt", "topic", "cat", "rand")  # from the same footage to nothing in common
SAME_LOOK = {"event": 0.5, "tt": 0.3}
DUP_SHARED = 0.75  # variance of the individual part that re-uploads of one footage share
THEMES = 64
COLUMNS = ("topic", "theme", "event", "look", "footage")


@dataclass
class World:
    """Growing integer tables of videos (24 bytes a video); vectors are computed when asked for.

    Args:
        spec: of the world and track.
        seed: of the corpus: which videos there are.
        size: videos that the corpus will have; where the spec does not say how many topics there are, they follow it.
        classes: class id -> frequency; the level-1 class is the id without its last two characters.
        world_seed: of classes, topics and what they mean, the same for all corpora that speak one language.
    """

    spec: WorldSpec
    seed: int
    size: int
    classes: dict[str, float]
    world_seed: int = 0
    n: int = 0
    parts: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    counts: dict[str, int] = field(default_factory=lambda: {"event": 0, "look": 0, "footage": 0})

    def __post_init__(self) -> None:
        self.class_ids = list(self.classes)
        frequency = np.array(list(self.classes.values()), float)
        self.p_class = frequency / frequency.sum()
        self.level1 = np.unique([name[:-2] for name in self.class_ids], return_inverse=True)[1]
        rng = stream(self.world_seed, "tree")
        topics = self.spec.topics or round(5100 * (self.size / 1e6) ** 0.36)
        share = self.p_class**0.8
        per_class = np.maximum(1, np.round(topics * share / share.sum()).astype(int))
        self.topic_class = np.repeat(np.arange(len(per_class)), per_class)
        self.first_topic = np.concatenate([[0], np.cumsum(per_class)])
        weight = 1 / (np.arange(len(self.topic_class)) - self.first_topic[self.topic_class] + 2.0)
        self.p_topic_inside = weight / np.add.reduceat(weight, self.first_topic[:-1])[self.topic_class]
        self.p_topic = self.p_topic_inside * self.p_class[self.topic_class]
        p_theme = np.arange(1, THEMES + 1) ** -0.7 * np.exp(1.5 * rng.standard_normal((len(per_class), THEMES)))
        self._theme_edges = np.cumsum(p_theme / p_theme.sum(1, keepdims=True), axis=1)
        self.topic_theme = self._theme_of(rng, self.topic_class)
        a = np.sqrt(self.spec.x).astype(np.float32)
        self.class_x = a[0] * vectors(self.world_seed, "x level 1", int(self.level1.max()) + 1)[self.level1]
        self.class_x += a[1] * vectors(self.world_seed, "x class", len(self.class_ids))
        self.topic_x = a[2] * vectors(self.world_seed, "x topic", len(self.topic_class))
        self.topic_x += self.class_x[self.topic_class]

    # ---- drawing

    def topics(self, rng: np.random.Generator, n: int, power: float = 1.0) -> np.ndarray:
        return choice(rng, self.p_topic**power, n)

    def topics_in(self, rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
        """A topic of each given class."""
        edges = np.cumsum(self.p_topic_inside)  # every class adds exactly one
        found = np.searchsorted(edges, classes + rng.random(len(classes)), side="right")
        return np.clip(found, self.first_topic[classes], self.first_topic[classes + 1] - 1)

    def theme_for(self, rng: np.random.Generator, topic: np.ndarray) -> np.ndarray:
        """The topic's own theme half of the time, else one of its class."""
        own = rng.random(len(topic)) < 0.5
        return np.where(own, self.topic_theme[topic], self._theme_of(rng, self.topic_class[topic]))

    def _theme_of(self, rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
        return pick_in_row(rng.random(len(classes)), self._theme_edges, classes)

    def fresh(self, kind: str, n: int) -> np.ndarray:
        start = self.counts[kind]
        self.counts[kind] += n
        return np.arange(start, start + n)

    # ---- adding videos

    def add(self, topic, theme, event, look=None, footage=None) -> np.ndarray:
        """Append videos; returns their rows."""
        n = len(topic)
        look = self.fresh("look", n) if look is None else look
        footage = self.fresh("footage", n) if footage is None else footage
        for name, value in zip(COLUMNS, (topic, theme, event, look, footage), strict=True):
            self.parts[name].append(np.asarray(value, np.int32))
        self.n += n
        return np.arange(self.n - n, self.n)

    def partners(
        self, rng: np.random.Generator, rows: np.ndarray, relation: np.ndarray, same_look: np.ndarray | None = None
    ) -> np.ndarray:
        """Add a partner of each row in the given relation; returns the new rows. dup: same footage, story and look;
        event: same story, own footage; tt: same topic and theme; topic; cat; rand."""
        topic, theme, event, look, footage = (np.concatenate(self.parts[name])[rows] for name in COLUMNS)
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

    def close(self) -> None:
        """No more videos: columns become arrays, and each footage knows its first video, which re-uploads copy."""
        columns = (np.concatenate(self.parts.pop(name)) for name in COLUMNS)
        self.topic, self.theme, self.event, self.look, self.footage = columns
        self.cls = self.topic_class[self.topic].astype(np.int32)
        self.source = np.full(self.counts["footage"], -1, np.int32)
        self.source[self.footage[::-1]] = np.arange(self.n - 1, -1, -1, dtype=np.int32)
        self._reused = np.bincount(self.footage, minlength=self.counts["footage"]) > 1

    # ---- latent vectors of any rows, float32

    def event_x(self, event: np.ndarray, topic: np.ndarray) -> np.ndarray:
        """What a story is about, [n, DIM]."""
        return self.topic_x[topic] + np.float32(self.spec.x[3] ** 0.5) * vectors(self.seed, "x event", event)

    def own_x(self, rows: np.ndarray) -> np.ndarray:
        """What a video tells beyond its topic, [n, DIM]."""
        story = np.float32(self.spec.x[3] ** 0.5) * vectors(self.seed, "x event", self.event[rows])
        return story + np.float32(self.spec.x[4] ** 0.5) * self._individual("x", rows)

    def x(self, rows: np.ndarray) -> np.ndarray:
        """What is told: unit vectors [n, DIM]."""
        return unit(self.topic_x[self.topic[rows]] + self.own_x(rows))

    def y(self, rows: np.ndarray) -> np.ndarray:
        """What is shown: unit vectors [n, DIM]."""
        b = np.sqrt(self.spec.y).astype(np.float32)
        shown = b[0] * vectors(self.world_seed, "y class", self.cls[rows])
        shown += b[1] * vectors(self.world_seed, "y theme", self.theme[rows])
        return unit(shown + b[2] * vectors(self.seed, "y look", self.look[rows]) + b[3] * self._individual("y", rows))

    def embedding(self, rows: np.ndarray) -> np.ndarray:
        """The perfect model's answer, [n, 2 DIM]; dot products are affinities."""
        w = self.spec.told
        return np.concatenate([np.float32(w**0.5) * self.x(rows), np.float32((1 - w) ** 0.5) * self.y(rows)], axis=1)

    def affinity(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """float64 [P]: how alike two videos truly are."""
        return np.einsum("pd,pd->p", self.embedding(i), self.embedding(j), dtype=np.float64)

    def _individual(self, block: str, rows: np.ndarray) -> np.ndarray:
        own, footage = normals(self.seed, f"{block} own", rows, DIM), self.footage[rows]
        group = normals(self.seed, f"{block} footage", footage, DIM)
        mixed = np.float32(DUP_SHARED**0.5) * group + np.float32((1 - DUP_SHARED) ** 0.5) * own
        return np.where(self._reused[footage][:, None], mixed, own) / np.float32(DIM**0.5)
