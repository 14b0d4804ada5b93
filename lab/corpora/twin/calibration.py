"""Every published statistic beside what a twin has: the table of twin.json.

Targets, their tolerances and sources are in ``facts.json``. They hold for about 20,000 videos and 8,000 pairs; in a corpus
of a few hundred videos sampling alone moves most of them further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import spearmanr

from lab.corpora.twin import text as texts
from lab.corpora.twin.random import facts, stream, targets
from lab.corpora.twin.scores import mean_f1

if TYPE_CHECKING:
    from lab.corpora.twin.classes import ClassTwin
    from lab.corpora.twin.pairs import PairTwin

FILMED = 300  # videos whose frames are looked at
READ = 10_000  # videos whose lengths are counted


def of_pairs(twin: PairTwin) -> list[dict[str, Any]]:
    """Rows of ``statistic``, ``target``, ``low``, ``high``, ``measured``."""
    return _table("aiac2021", {**pair_graph(twin), **scores(twin), **tags(twin), **lengths(twin), **frames(twin)})


def of_classes(twin: ClassTwin) -> list[dict[str, Any]]:
    world, rows = twin.world, np.arange(twin.world.n)
    labels, expected = twin.labels(rows), np.array(list(facts("wechat2022")["class_counts"].values()))
    measured = {
        "class curve, total variation": _variation(np.bincount(labels, minlength=len(expected)), expected),
        "label noise": float((labels != world.cls).mean()),
        "oracle mean F1": mean_f1(labels, world.cls, world.level1),
    }
    some = stream(twin.seed, "looked at").permutation(world.n)[:READ]
    measured |= {
        f"{name} length, mean": length.mean() for name, length in twin.lengths(some).items() if name != "title"
    }
    titles = twin.writer.titles(twin.writer.told(some), twin.lengths(some)["title"])  # the longest come out shorter
    return _table("wechat2022", measured | {"title length, mean": np.mean([len(title) for title in titles])})


def pair_graph(twin: PairTwin) -> dict[str, float]:
    """Degrees, components, split."""
    known, (nodes, flat) = facts("aiac2021"), np.unique(np.concatenate([twin.i, twin.j]), return_inverse=True)
    a, b = flat[: len(twin.i)], flat[len(twin.i) :]
    degree = np.bincount(flat)
    owner = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(len(nodes),) * 2), directed=False)[1]
    size = np.bincount(owner)
    small = {int(k): v for k, v in known["component_sizes"].items()}
    fold = twin.ids[nodes] % 5 == 0
    held = fold[a] & fold[b]
    seen = np.zeros(len(nodes), bool)
    seen[a[~held]] = seen[b[~held]] = True
    return {
        "degrees, total variation": _variation(
            np.bincount(degree, minlength=200), _dense(known["degrees"], max(200, degree.max() + 1))
        ),
        "small components, total variation": _variation(np.bincount(size[size < 39], minlength=39), _dense(small, 39)),
        "giant component, share of videos": size.max() / len(nodes),
        "giant component, share of pairs": (size[owner[a]] == size.max()).mean(),
        "mod-5 validation share": held.mean(),
        "mod-5 validation pairs touching training": (seen[a[held]] | seen[b[held]]).mean()
        if held.any()
        else float("nan"),
    }


def scores(twin: PairTwin) -> dict[str, float]:
    """Histogram, likeness inside a query, noise of a second round of annotators, oracle."""
    score, again = twin.score, twin.annotation("second annotator")
    order = np.argsort(twin.i[twin.asked], kind="stable")
    query, of_query = twin.i[twin.asked][order], score[twin.asked][order]
    groups = np.split(of_query, np.flatnonzero(np.diff(query)) + 1)
    return {
        "score histogram, total variation": _variation(
            np.bincount(np.round(score * 20).astype(int), minlength=21), facts("aiac2021")["score_counts"]
        ),
        "intra-class correlation of a query's scores": _intra_class(groups),
        "annotation noise, variance": ((score - again) ** 2).mean() / 2,
        "retest Spearman": _spearman(score, again),
        "oracle Spearman": _spearman(twin.affinity, score),
    }


def tags(twin: PairTwin) -> dict[str, float]:
    """Tags and categories against scores; the number of distinct tags against the curve at this size."""
    world, score, count = twin.world, twin.score, twin.tagger.count
    carried: dict[int, np.ndarray] = {}
    used = np.zeros(count, bool)
    for start in range(0, world.n, 2048):
        rows = np.arange(start, min(world.n, start + 2048))
        for row, found in zip(rows, twin.tagger.tags(rows), strict=True):
            used[found] = True
            if twin.paired[row]:
                carried[row] = found
    shared = np.array(
        [len(np.intersect1d(carried[i], carried[j], assume_unique=True)) for i, j in zip(twin.i, twin.j, strict=True)]
    )
    first, second = (twin.annotators.classes(rows) for rows in (twin.i, twin.j))
    return {
        "Spearman of score and shared tags": _spearman(score, shared),
        "Spearman of score and same level-1 category": _spearman(score, world.level1[first] == world.level1[second]),
        "Spearman of score and same level-2 category": _spearman(score, first == second),
        "shared tags at score 0, mean": shared[score == 0].mean(),
        "shared tags above score 0.5, mean": shared[score > 0.5].mean(),
        "distinct tags, relative to the curve": used.sum() / _expected_tags(world.n),
    }


def lengths(twin: PairTwin) -> dict[str, float]:
    """Characters and frames."""
    known, rows = facts("aiac2021"), stream(twin.seed, "looked at").permutation(twin.world.n)[:READ]
    title, asr, count = (
        texts.title_lengths(twin.seed, rows),
        texts.asr_lengths(twin.seed, rows),
        twin.camera.count(rows),
    )
    result = {
        f"{name} histogram, total variation": _binned(values, known[fact])
        for name, values, fact in (("title length", title, "title_length"), ("frame count", count, "frame_count"))
    }
    result |= {"ASR length, mean": asr.mean(), "ASR length, standard deviation": asr.std()}
    return result | {f"ASR length, {q} % quantile": np.quantile(asr, q / 100) for q in (25, 50, 75)}


def frames(twin: PairTwin) -> dict[str, float]:
    """Marginals and cosines of frame features."""
    rows = stream(twin.seed, "looked at").permutation(twin.world.n)[:FILMED]
    films = [film.astype(np.float32) for film in twin.camera.film(rows)]
    some = np.concatenate(films[:60])
    z = (some - some.mean()) / some.std()
    units = [film / np.linalg.norm(film, axis=1, keepdims=True) for film in films]
    mean = np.stack([film.mean(axis=0) for film in films])
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    far = [(u[lag:] * u[:-lag]).sum(axis=1) for u in units for lag in (4, 6, 8) if len(u) > lag]
    return {
        "frame features, standard deviation": some.std(), "frame features, skew": (z**3).mean(), "frame features, excess kurtosis": (z**4).mean() - 3,
        "cosine of adjacent frames": np.concatenate([(u[1:] * u[:-1]).sum(axis=1) for u in units]).mean(),
        "cosine of frames 4 s or more apart": np.concatenate(far).mean() if far else float("nan"),
        "cosine of mean frames of two videos": (mean @ mean.T)[np.triu_indices(len(mean), 1)].mean(),
    }  # fmt: skip


def _table(contest: str, measured: dict[str, float]) -> list[dict[str, Any]]:
    """In the order of the targets; a value that could not be taken is null."""
    rows = []
    for name, aim in targets(contest).items():
        value = float(measured[name])
        rows.append(
            {
                "statistic": name,
                "target": aim["target"],
                "low": aim["low"],
                "high": aim["high"],
                "measured": value if np.isfinite(value) else None,
            }
        )
    return rows


def _expected_tags(n: int) -> float:
    """Distinct tags among n videos by the published rank-frequency curve of a million."""
    curve, rank = facts("aiac2021")["tag_curve"], np.arange(1, 62_881.0)
    log = np.log(rank + curve["b"])
    return float((1 - np.exp(-np.exp(curve["a"] - curve["s"] * log - curve["q"] * log**2) * n / 1e6)).sum())


def _intra_class(groups: list[np.ndarray]) -> float:
    """One-way intra-class correlation, ICC(1) of Shrout and Fleiss 1979, with the mean group size."""
    values, k = np.concatenate(groups), np.mean([len(group) for group in groups])
    if len(groups) < 2 or len(values) == len(groups):
        return float("nan")
    between = sum(len(group) * (group.mean() - values.mean()) ** 2 for group in groups) / (len(groups) - 1)
    within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (len(values) - len(groups))
    return (between - within) / (between + (k - 1) * within)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b).statistic) if np.ptp(a.astype(float)) and np.ptp(b.astype(float)) else float("nan")


def _variation(a: np.ndarray, b: np.ndarray | list) -> float:
    """Total variation distance of two histograms."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return float(0.5 * np.abs(a / max(a.sum(), 1) - b / b.sum()).sum())


def _binned(values: np.ndarray, histogram: dict[str, Any]) -> float:
    counts = [((values >= low) & (values <= high)).sum() for low, high in histogram["bins_inclusive"]]
    return _variation(np.array(counts), histogram["fractions"])


def _dense(counts: dict, size: int) -> np.ndarray:
    dense = np.zeros(size)
    for value, count in counts.items():
        if int(value) < size:
            dense[int(value)] = count
    return dense
