"""Labels as people would give them: similarity scores of pairs, noisy classes of videos, tags with copied lists."""

import numpy as np

from lab.corpora.twin.random import facts, from_counts, integers, normals, pick, pick_in_row, stream, uniform, uniforms
from lab.corpora.twin.world import THEMES, World
from lab.corpora.twin.worlds import WorldSpec

NOISE, MIDDLE, WIDTH, FLOOR, LAPSE = 0.073, 0.42, 0.10, 0.25, 0.006
WRONG_CLASS, WRONG_SIBLING = 0.085, 0.5  # annotators' category of a pair video differs from the true one
LABEL_NOISE, SIBLING = 0.15, 0.75  # the same for the class corpus, and how often it is a sibling
TAG_WEIGHT = {"class": 0.8, "topic": 0.8, "event": 0.4, "theme": -0.6, "noise": -0.7}
TEMPERATURE = 0.5
COPY_EVENT, COPY_TOPIC = 0.68, 0.17  # annotators copy lists
CARELESS = 0.21
TAGS_OF_STORY, TAGS_OF_THEME, NOISE_TAGS = 2, 3, 2


def annotate(spec: WorldSpec, affinity: np.ndarray, by_query: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One human score per pair, a multiple of 0.05: people agree on unrelated and identical videos and differ in
    between. ``affinity``: float [P]. ``by_query``: bool [P]; pairs of a query and its candidates were graded on a finer
    scale than the others."""
    p = 1 / (1 + np.exp(-(affinity - MIDDLE) / WIDTH))
    felt = affinity + NOISE * (FLOOR + (1 - FLOOR) * 4 * p * (1 - p)) * rng.standard_normal(len(affinity))
    lapse = rng.random(len(affinity)) < LAPSE
    felt[lapse] = rng.permutation(affinity)[: lapse.sum()]
    level = [np.searchsorted(cuts, felt, side="right") for cuts in (spec.star_cuts, spec.query_cuts)]
    return np.where(by_query, level[1], level[0]) / 20


class Annotators:
    """Categories of the pair corpus as people chose them."""

    def __init__(self, world: World):
        self.world = world
        same = world.level1[:, None] == world.level1
        weight = np.where(same, world.p_class, 0.0)
        self._sibling = np.cumsum(weight / weight.sum(1, keepdims=True), axis=1)

    def classes(self, rows: np.ndarray) -> np.ndarray:
        """Class index per row: the true one, or a sibling, or any other."""
        world = self.world
        true, u = world.cls[rows], uniforms(world.seed, "observed class", rows, 3)
        sibling = pick_in_row(u[:, 2], self._sibling, true)
        other = np.where(u[:, 1] < WRONG_SIBLING, sibling, pick(u[:, 2], world.p_class))
        return np.where(u[:, 0] < WRONG_CLASS, other, true)


def confusion(frequency: np.ndarray, level1: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Row-stochastic [C, C], true class -> label: a similar class, mostly a sibling and rather a frequent one.
    ``direction``: unit vectors [C, D]; similar classes point alike."""
    weight = np.sqrt(frequency)[None] * np.exp(4 * direction @ direction.T)
    np.fill_diagonal(weight, 0)
    same = level1[:, None] == level1

    def rows(m: np.ndarray) -> np.ndarray:
        return m / np.maximum(m.sum(1, keepdims=True), 1e-12)

    wrong = SIBLING * rows(weight * same) + (1 - SIBLING) * rows(weight * ~same)
    return (1 - LABEL_NOISE) * np.eye(len(frequency)) + LABEL_NOISE * rows(wrong)


def true_prior(matrix: np.ndarray, frequency: np.ndarray, rounds: int = 200) -> np.ndarray:
    """Class prior whose noisy labels have the published frequencies (Richardson 1972, Lucy 1974)."""
    prior = frequency.copy()
    for _ in range(rounds):
        prior *= matrix @ (frequency / (prior @ matrix))
        prior /= prior.sum()
    return prior


def noisy_labels(world: World, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Class index per row of the class corpus, through the confusion matrix."""
    return pick_in_row(uniform(world.seed, "label", rows), np.cumsum(matrix, axis=1), world.cls[rows])


class Tagger:
    """Gives tags to videos. Candidates are tags of the class and the topic, entities of the topic of which a story uses
    two, three tags of the theme, and off-topic noise; a video takes the best of weight plus strength plus Gumbel noise.
    ``paired``: bool [n]; pair videos carry more tags."""

    def __init__(self, world: World, paired: np.ndarray):
        self.world, self.paired, spec = world, paired, world.spec
        rng, classes, topics = stream(world.world_seed, "tags"), len(world.class_ids), len(world.topic_class)
        sizes = (
            classes * spec.tags_of_class,
            topics * spec.tags_of_topic,
            topics * spec.entities,
            TAGS_OF_THEME * THEMES,
        )
        self.offset = np.cumsum([0, *sizes])
        self.candidates = spec.tags_of_class + spec.tags_of_topic + TAGS_OF_STORY + TAGS_OF_THEME + NOISE_TAGS
        self.of_class = _strengths(rng, 0.6, 0.35, (classes, spec.tags_of_class))
        self.of_topic = _strengths(rng, 0.5, 0.5, (topics, spec.tags_of_topic))
        self.of_theme = _strengths(rng, 0.6, 0.4, (THEMES, TAGS_OF_THEME))
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
        spec = self.world.spec
        specific = slice(spec.tags_of_class, spec.tags_of_class + spec.tags_of_topic + TAGS_OF_STORY)
        score[self.careless(rows), specific] -= 2.5
        source = uniform(self.world.seed, "tag source", rows)
        copied = source < COPY_EVENT
        order = np.argsort(-(score + TEMPERATURE * self._gumbel(rows, source)), axis=1)
        ranked = np.take_along_axis(tags, order, axis=1)
        again = (ranked[:, :, None] == ranked[:, None, :]) & np.tri(self.candidates, k=-1, dtype=bool)
        keep = ~again.any(axis=2) & (np.arange(self.candidates) < self._length(rows, copied)[:, None])
        return np.split(ranked[keep], np.cumsum(keep.sum(axis=1))[:-1])

    def _candidates(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tag numbers and their scores, [n, candidates] each."""
        world, seed, n = self.world, self.world.seed, len(rows)
        cls, topic, event, theme = world.cls[rows], world.topic[rows], world.event[rows], world.theme[rows]
        spec = world.spec
        entity = pick(uniforms(seed, "entity", event, TAGS_OF_STORY), 1 / np.arange(1, spec.entities + 1.0))
        noise = (
            pick(uniforms(seed, "noise tag", rows, NOISE_TAGS), world.p_class) * spec.tags_of_class
            + integers(seed, "noise tag of class", rows, NOISE_TAGS) % spec.tags_of_class
        )
        blocks = (
            cls[:, None] * spec.tags_of_class + np.arange(spec.tags_of_class),
            topic[:, None] * spec.tags_of_topic + np.arange(spec.tags_of_topic),
            topic[:, None] * spec.entities + entity,
            theme[:, None] * TAGS_OF_THEME + np.arange(TAGS_OF_THEME),
        )
        moved = [block + start for block, start in zip(blocks, self.offset[:-1], strict=True)]
        tags = np.concatenate([*moved, noise], axis=1)
        of_event = 0.4 * normals(seed, "event tag strength", event, TAGS_OF_STORY) - 0.5 * np.arange(TAGS_OF_STORY)
        strength = self.of_class[cls], self.of_topic[topic], of_event, self.of_theme[theme], np.zeros((n, NOISE_TAGS))
        return tags, np.concatenate([a + b for a, b in zip(TAG_WEIGHT.values(), strength, strict=True)], axis=1)

    def _gumbel(self, rows: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Noise [n, candidates]: of the story or of the topic where the list is copied, else of the video."""
        world = self.world
        draws = [
            uniforms(world.seed, f"{name} list", ids, self.candidates)
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


def _strengths(rng: np.random.Generator, spread: float, step: float, shape: tuple[int, int]) -> np.ndarray:
    """Strength of each candidate tag; later ones are weaker by ``step``."""
    return spread * rng.standard_normal(shape) - step * np.arange(shape[1])
