"""Which pairs are labelled: isolated stars, and queries with their retrieved candidates, which form the giant component."""

from dataclasses import dataclass

import numpy as np

from lab.corpora.twin.random import choice, facts, from_counts, stream
from lab.corpora.twin.world import RELATIONS, World

STAR_MIX = {"dup": 0.15, "event": 0.17, "tt": 0.20, "topic": 0.26, "cat": 0.14, "rand": 0.08}
CLUSTER_MIX = {"event": 0.13, "tt": 0.16, "topic": 0.29, "cat": 0.24, "rand": 0.18}
LOOSER, CLOSER = 0.07, 0.06  # members a step further from, or nearer to, the base than their cluster's level
OWN_CLUSTER, OWN_CLASS, AFFINITY, POPULARITY, POPULARITY_CAP = 5.5, 2.8, 1.5, 1.8, 3.5  # retrieval scores
BLOCK = 200  # queries whose scores are held at a time


@dataclass
class Pool:
    """What retrieval chooses from, before there are latent vectors."""

    stars: tuple[np.ndarray, np.ndarray]
    queries: np.ndarray
    query_cluster: np.ndarray
    candidates: np.ndarray
    candidate_cluster: np.ndarray
    out_degree: np.ndarray
    hot: np.ndarray  # topics that queries are about


def populate(world: World, pairs: int, name: str = "", hot: np.ndarray | None = None) -> Pool:
    """Add the videos that pairs are made of.

    Args:
        pairs: about; small numbers of stars and queries are rounded.
        name: of the population; one of another name shares no video and no story with it.
        hot: topics that queries are about; half of all by default.
    """
    known, rng = facts("aiac2021"), stream(world.seed, f"pairs{name}")
    fraction = pairs / known["pairs"]["pairs"]
    stars = _stars(world, rng, known["component_sizes"], fraction)
    n = max(1, round(known["queries"] * fraction))
    out_degree = from_counts(rng.random(n), known["query_out_degree"])
    size = np.minimum(1 + (2.5 * rng.pareto(1.25, n)).astype(int), min(80, int(30 * max(1, pairs / 8000) ** 0.5)))
    size = size[: np.searchsorted(np.cumsum(size), n) + 1]
    size[-1] -= size.sum() - n
    clusters = len(size)
    if hot is None:
        hot = rng.permutation(len(world.topic_class))[: max(30, len(world.topic_class) // 2)]
    topic = hot[choice(rng, world.p_topic[hot] ** 0.75, clusters)]
    # the shares of the levels are exact in queries: clusters are laid out along the line and cut where the mix says
    edges = np.cumsum(list(CLUSTER_MIX.values())) / sum(CLUSTER_MIX.values())
    level = np.searchsorted(edges[:-1], (np.cumsum(size) - size / 2) / n)
    level = np.array([RELATIONS.index(name) for name in CLUSTER_MIX])[level]
    base = world.add(topic, world.theme_for(rng, topic), world.fresh("event", clusters))
    look = np.where(rng.random(clusters) < 0.5, 0.95, 0.10)

    def members(cluster: np.ndarray) -> np.ndarray:
        u, step = rng.random(len(cluster)), 1 + (rng.random(len(cluster)) < 0.35)
        relation = level[cluster] + np.where(u < LOOSER, step, np.where(u > 1 - CLOSER, -1, 0))
        relation = np.array(RELATIONS)[relation.clip(0, len(RELATIONS) - 1)]
        return world.partners(rng, base[cluster], relation, look[cluster])

    query_cluster = np.repeat(np.arange(clusters), size)
    queries = members(query_cluster)
    candidate_cluster = np.repeat(np.arange(clusters), np.ceil(2.6 * size + 14.0 * rng.random(clusters)).astype(int))
    candidates = members(candidate_cluster)
    also = rng.random(n) < 0.17  # queries that are candidates of others too
    candidates = np.concatenate([candidates, queries[also]])
    candidate_cluster = np.concatenate([candidate_cluster, query_cluster[also]])
    return Pool(stars, queries, query_cluster, candidates, candidate_cluster, out_degree, hot)


def _stars(
    world: World, rng: np.random.Generator, sizes: dict[str, int], fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    count = max(1, round(sum(sizes.values()) * fraction))
    size = from_counts(rng.random(count), sizes)
    topic = world.topics(rng, count, 0.95)
    centre = np.repeat(world.add(topic, world.theme_for(rng, topic), world.fresh("event", count)), size - 1)
    relation = np.array(list(STAR_MIX))[choice(rng, np.array(list(STAR_MIX.values())), len(centre))]
    return centre, world.partners(rng, centre, relation)


def retrieve(world: World, pool: Pool, name: str = "") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose each query's candidates by Gumbel-top-k; needs the latent vectors. Returns rows i and j of every pair, and
    whether a query asked for it (else it is part of a star)."""
    rng = stream(world.seed, f"retrieve{name}")
    popularity = POPULARITY * np.minimum(rng.exponential(size=len(pool.candidates)), POPULARITY_CAP)
    target = world.embedding(pool.candidates).T
    own = OWN_CLUSTER + np.log(len(pool.candidates) / 2700)  # keeps the share of foreign candidates whatever the size
    most = min(10, len(pool.candidates) - 1)
    ranked = np.empty((len(pool.queries), most), np.int64)
    for start in range(0, len(pool.queries), BLOCK):
        part = slice(start, start + BLOCK)
        query = pool.queries[part]
        score = popularity + AFFINITY * (world.embedding(query) @ target)
        score += own * (pool.query_cluster[part, None] == pool.candidate_cluster)
        score += OWN_CLASS * (world.cls[query][:, None] == world.cls[pool.candidates]) + rng.gumbel(size=score.shape)
        score[query[:, None] == pool.candidates] = -np.inf
        best = np.argpartition(-score, most - 1, axis=1)[:, :most]
        ranked[part] = np.take_along_axis(best, np.argsort(-np.take_along_axis(score, best, 1), axis=1), 1)
    degree = np.minimum(pool.out_degree, most)
    i = np.concatenate([np.repeat(pool.queries, degree), pool.stars[0]])
    j = np.concatenate([pool.candidates[ranked[k, :d]] for k, d in enumerate(degree)] + [pool.stars[1]])
    by_query = np.arange(len(i)) < degree.sum()
    # a query among the candidates may meet itself twice
    first = np.sort(np.unique(np.stack([i, j], 1), axis=0, return_index=True)[1])
    return i[first], j[first], by_query[first]
