"""Every published statistic beside what a twin has: the table of twin.json, which ``00_data_eda`` shows. Targets, their
tolerances and sources are in ``facts.json``. They hold for about 20,000 videos and 8,000 pairs; in a corpus of a few
hundred videos sampling alone moves most of them further, so worlds are compared at that size (``of_worlds``)."""

from typing import Any, cast

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import kurtosis, skew, spearmanr
from threadpoolctl import threadpool_limits

from lab.corpora.twin import text as texts
from lab.corpora.twin.classes import ClassTwin
from lab.corpora.twin.pairs import PairTwin
from lab.corpora.twin.random import facts, stream, targets
from lab.corpora.twin.worlds import WORLDS
from lib.evaluation.metrics import mean_f1

VIDEOS, PAIRS, LABELLED = 20_000, 8_000, 25_000  # of the corpora that targets hold for, pairs and classes
FILMED, READ = 300, 10_000  # videos whose frames are looked at, and whose lengths are counted


def of_pairs(twin: PairTwin) -> list[dict[str, Any]]:
    """Rows of ``statistic``, ``target``, ``low``, ``high``, ``measured``, in the order of the targets."""
    return _table("aiac2021", _pair_graph(twin) | _scores(twin) | _tags(twin) | _lengths(twin) | _frames(twin))


def of_classes(twin: ClassTwin) -> list[dict[str, Any]]:
    """As ``of_pairs``."""
    world, labels = twin.world, twin.labels(np.arange(twin.world.n))
    counts = list(facts("wechat2022")["class_counts"].values())
    some = stream(twin.seed, "looked at").permutation(world.n)[:READ]
    length = twin.lengths(some)
    titles = twin.writer.titles(twin.writer.told(some), length["title"])  # the longest come out shorter
    measured = {
        "class curve, total variation": _variation(labels, counts),
        "label noise": (labels != world.cls).mean(),
        "oracle mean F1": mean_f1(labels, world.cls, world.level1)["mean_f1"],
        "title length, mean": np.mean([len(title) for title in titles]),
        "asr length, mean": length["asr"].mean(),
        "ocr length, mean": length["ocr"].mean(),
    }
    return _table("wechat2022", measured)


def of_worlds(track: str) -> list[dict[str, Any]]:
    """Every statistic of a corpus of each world, as large as the targets ask for; takes seconds, and no file is
    written. Returns rows of ``statistic``, ``target``, ``low``, ``high`` and a column per world."""
    rows: dict[str, dict[str, Any]] = {}
    for world in WORLDS:
        with threadpool_limits(1):
            twin = PairTwin(VIDEOS, 0, PAIRS, world=world) if track == "pairs" else ClassTwin(LABELLED, 0, world=world)
            found = of_pairs(twin) if isinstance(twin, PairTwin) else of_classes(twin)
        for row in found:
            rows.setdefault(row["statistic"], row)[world] = row.pop("measured")
    return list(rows.values())


def _table(contest: str, measured: dict[str, float]) -> list[dict[str, Any]]:
    """A statistic that cannot be taken of a corpus so small is null."""
    values = {name: float(measured[name]) for name in targets(contest)}
    return [
        {"statistic": name, **{key: aim[key] for key in ("target", "low", "high")}}
        | {"measured": values[name] if np.isfinite(values[name]) else None}
        for name, aim in targets(contest).items()
    ]


def _pair_graph(twin: PairTwin) -> dict[str, float]:
    known, (nodes, flat) = facts("aiac2021"), np.unique(np.concatenate([twin.i, twin.j]), return_inverse=True)
    a, b = flat[: len(twin.i)], flat[len(twin.i) :]
    owner = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(len(nodes),) * 2), directed=False)[1]
    size = np.bincount(owner)
    fold = twin.ids[nodes] % 5 == 0
    held = fold[a] & fold[b]
    seen = np.isin(np.arange(len(nodes)), np.concatenate([a[~held], b[~held]]))
    return {
        "degrees, total variation": _variation(np.bincount(flat), known["degrees"]),
        "small components, total variation": _variation(size[size < 39], known["component_sizes"]),
        "giant component, share of videos": size.max() / len(nodes),
        "giant component, share of pairs": (size[owner[a]] == size.max()).mean(),
        "mod-5 validation share": held.mean(),
        "mod-5 validation pairs touching training": _mean((seen[a] | seen[b])[held]),
    }


def _scores(twin: PairTwin) -> dict[str, float]:
    """Histogram, likeness inside a query, noise of a second round of annotators, oracle."""
    score, again = twin.score, twin.annotation("second annotator")
    return {
        "score histogram, total variation": _variation(np.round(score * 20), facts("aiac2021")["score_counts"]),
        "intra-class correlation of a query's scores": _intra_class(score[twin.by_query], twin.i[twin.by_query]),
        "annotation noise, variance": ((score - again) ** 2).mean() / 2,
        "retest Spearman": _spearman(score, again),
        "oracle Spearman": _spearman(twin.affinity, score),
    }


def _tags(twin: PairTwin) -> dict[str, float]:
    """Tags and categories against scores; the number of distinct tags against the curve at this size."""
    world, score = twin.world, twin.score
    rows = (np.arange(start, min(world.n, start + 2048)) for start in range(0, world.n, 2048))
    tags = [set(found.tolist()) for some in rows for found in twin.tagger.tags(some)]
    shared = np.array([len(tags[i] & tags[j]) for i, j in zip(twin.i, twin.j, strict=True)])
    first, second = (twin.annotators.classes(rows) for rows in (twin.i, twin.j))
    curve, rank = facts("aiac2021")["tag_curve"], np.arange(1, 62_881.0)  # published ranks and their frequencies
    log = np.log(rank + curve["b"])
    expected = (1 - np.exp(-np.exp(curve["a"] - curve["s"] * log - curve["q"] * log**2) * world.n / 1e6)).sum()
    return {
        "Spearman of score and shared tags": _spearman(score, shared),
        "Spearman of score and same level-1 category": _spearman(score, world.level1[first] == world.level1[second]),
        "Spearman of score and same level-2 category": _spearman(score, first == second),
        "shared tags at score 0, mean": _mean(shared[score == 0]),
        "shared tags above score 0.5, mean": _mean(shared[score > 0.5]),
        "distinct tags, relative to the curve": len(set().union(*tags)) / expected,
    }


def _lengths(twin: PairTwin) -> dict[str, float]:
    known, rows = facts("aiac2021"), stream(twin.seed, "looked at").permutation(twin.world.n)[:READ]
    title, asr = texts.title_lengths(twin.seed, rows), texts.asr_lengths(twin.seed, rows)
    return {
        "title length histogram, total variation": _variation(title, known["title_length"]),
        "frame count histogram, total variation": _variation(twin.camera.count(rows), known["frame_count"]),
        "ASR length, mean": asr.mean(),
        "ASR length, standard deviation": asr.std(),
        **{f"ASR length, {q} % quantile": np.quantile(asr, q / 100) for q in (25, 50, 75)},
    }


def _frames(twin: PairTwin) -> dict[str, float]:
    rows = stream(twin.seed, "looked at").permutation(twin.world.n)[:FILMED]
    films = [film.astype(np.float32) for film in twin.camera.film(rows)]
    some = np.concatenate(films[:60]).ravel()
    units = [film / np.linalg.norm(film, axis=1, keepdims=True) for film in films]
    mean = np.stack([film.mean(axis=0) for film in films])
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    near, far = (
        [(u[lag:] * u[:-lag]).sum(1) for u in units for lag in lags if len(u) > lag] for lags in ([1], [4, 6, 8])
    )
    return {
        "frame features, standard deviation": some.std(),
        "frame features, skew": skew(some),
        "frame features, excess kurtosis": kurtosis(some),
        "cosine of adjacent frames": _mean(np.concatenate([*near, []])),
        "cosine of frames 4 s or more apart": _mean(np.concatenate([*far, []])),
        "cosine of mean frames of two videos": _mean((mean @ mean.T)[np.triu_indices(len(mean), 1)]),
    }


def _intra_class(values: np.ndarray, group: np.ndarray) -> float:
    """One-way intra-class correlation, ICC(1) of Shrout and Fleiss 1979, with the mean group size."""
    grouped = pd.Series(values).groupby(group)
    mean, groups, k = grouped.transform("mean"), grouped.ngroups, len(values) / grouped.ngroups
    if groups < 2 or k == 1:
        return float("nan")
    between = ((mean - values.mean()) ** 2).sum() / (groups - 1)
    within = ((values - mean) ** 2).sum() / (len(values) - groups)
    return (between - within) / (between + (k - 1) * within)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    constant = not (np.ptp(a.astype(float)) and np.ptp(b.astype(float)))
    return float("nan") if constant else float(cast(Any, spearmanr(a, b)).statistic)


def _variation(values: np.ndarray, published: dict | list) -> float:
    """Total variation distance of values from a histogram: weights of 0, 1, 2 ..., {value: weight}, or bins."""
    weights: dict[Any, Any] = dict(enumerate(published)) if isinstance(published, list) else published
    bins = weights.get("bins_inclusive") or [(int(value), int(value)) for value in weights]
    expected = np.array(weights.get("fractions") or list(weights.values()), float)
    share = np.array([np.mean((values >= low) & (values <= high)) for low, high in bins])
    return float(0.5 * (np.abs(share - expected / expected.sum()).sum() + 1 - share.sum()))
