"""Human tags: of the class, the topic, the story and the theme, with copied lists and careless annotators."""

from __future__ import annotations

import numpy as np

from lib.data.twin.random import choice, facts, from_counts, stream
from lib.data.twin.world import World

WEIGHT = {"class": 0.8, "topic": 0.8, "event": 0.4, "theme": -0.6, "noise": -0.7}
TEMPERATURE = 0.5
COPY_EVENT, COPY_TOPIC = 0.68, 0.17  # annotators copy lists
CARELESS = 0.21
CHUNK = 20_000


def make_tags(world: World, paired: np.ndarray) -> list[np.ndarray]:
    """Tag numbers of every video, strongest first.

    Five tags per class and topic, eight entity tags per topic of which a story uses two, three per theme, and off-topic
    noise; a video takes the best of weight plus strength plus Gumbel noise.

    Args:
        paired: bool [n]; pair videos carry more tags.
    """
    rng, known = stream(world.seed, "tags"), facts("aiac2021")["tags_per_video"]
    classes, topics = len(world.class_ids), len(world.topic_class)
    offset = np.cumsum([0, 5 * classes, 5 * topics, 8 * topics])
    entity = choice(rng, 1 / np.arange(1, 9.0), world.counts["event"] * 2).reshape(-1, 2)
    strength = {
        "class": 0.6 * rng.standard_normal((classes, 5)) - 0.35 * np.arange(5),
        "topic": 0.5 * rng.standard_normal((topics, 5)) - 0.5 * np.arange(5),
        "event": 0.4 * rng.standard_normal((world.counts["event"], 2)) - 0.5 * np.arange(2),
        "theme": 0.6 * rng.standard_normal((world.themes, 3)) - 0.4 * np.arange(3),
    }
    big = np.array([name == "10001" for name in world.class_ids])
    strength["class"][big, :2] = 9  # two tags cover all of category 10001, as in the real data
    strength["class"][(world.p_class > 0.05) & ~big] -= 0.9
    width = 5 + 5 + 2 + 3 + 2
    of_event, of_topic = rng.gumbel(size=(world.counts["event"], width)).astype(np.float32), rng.gumbel(size=(topics, width)).astype(np.float32)
    length_of_event = from_counts(rng, known["twin_pairwise"], world.counts["event"])
    result: list[np.ndarray] = []
    for start in range(0, world.n, CHUNK):
        v = np.arange(start, min(world.n, start + CHUNK))
        cls, topic, event, theme = world.cls[v], world.topic[v], world.event[v], world.theme[v]
        noise = choice(rng, world.p_class, len(v) * 2).reshape(-1, 2) * 5 + rng.integers(0, 5, (len(v), 2))
        tags = np.concatenate([cls[:, None] * 5 + np.arange(5), offset[1] + topic[:, None] * 5 + np.arange(5), offset[2] + topic[:, None] * 8 + entity[event], offset[3] + theme[:, None] * 3 + np.arange(3), noise], axis=1)
        score = np.concatenate([WEIGHT["class"] + strength["class"][cls], WEIGHT["topic"] + strength["topic"][topic], WEIGHT["event"] + strength["event"][event], WEIGHT["theme"] + strength["theme"][theme], np.full((len(v), 2), WEIGHT["noise"])], axis=1)
        score[rng.random(len(v)) < CARELESS, 5:12] -= 2.5
        source = rng.random((len(v), 1))
        gumbel = np.where(source < COPY_EVENT, of_event[event], np.where(source < COPY_EVENT + COPY_TOPIC, of_topic[topic], rng.gumbel(size=score.shape)))
        order = np.argsort(-(score + TEMPERATURE * gumbel), axis=1)
        length = np.where(paired[v], from_counts(rng, known["twin_pairwise"], len(v)), from_counts(rng, known["twin_pointwise"], len(v)))
        length = np.where((source[:, 0] < COPY_EVENT) & paired[v], length_of_event[event], length).clip(max=width)
        for k in range(len(v)):
            best = tags[k, order[k, : length[k]]]
            result.append(best[np.sort(np.unique(best, return_index=True)[1])])
    return result
