"""Scores by kind of video: long and short titles, missing parts, few and many frames, rare and common classes.

Pairs are scored by Spearman. Classes are scored by the share of right answers at the lower level: mean F1 of a slice
would depend on which classes happen to be in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lab.show import predictions
from lib.data.store import Store
from lib.evaluation.intervals import Z, interval_of_share
from lib.evaluation.metrics import mean_f1, spearman
from lib.evaluation.paired import interval, mean_f1_draws
from lib.runs.folder import RunFolder

LEAST = 12  # items; smaller slices say nothing
MISSING = {"title": "a title", "asr": "speech", "ocr": "text in the picture"}  # field -> name


def slice_scores(run: RunFolder, store: Store) -> tuple[pd.DataFrame, str, float]:
    """Scores of a run's validation items by slice.

    Returns:
        frame with columns ``by``, ``slice``, ``n``, ``score``, ``low``, ``high``; name of the score; score over all.
    """
    if predictions.kind(run) == "pairs":
        result = predictions.of_pairs(run)
        rows = [
            _row(by, name, *spearman_with_interval(result.cosine[mask], result.score[mask]))
            for by, name, mask in _of_pairs(result, store)
        ]
        return _frame(rows), "spearman", spearman(result.cosine, result.score)
    result = predictions.of_classes(run)
    right = result.predicted == result.truth
    rows = [_row(by, name, *_share(right[mask])) for by, name, mask in _of_classes(result, store)]
    return _frame(rows), "accuracy", float(right.mean())


def missing_scores(result: predictions.ClassPredictions, store: Store, level1_of_level2: np.ndarray) -> pd.DataFrame:
    """Scores of the validation videos that lack something, and of those that do not.

    Returns:
        a row per slice of at least ``LEAST`` videos: ``slice``, ``detail``, ``n``, ``mean_f1`` (official, within the slice) with its
        bootstrap interval ``low``, ``high``, and ``accuracy`` at the lower level with ``accuracy_low``, ``accuracy_high``.
    """
    facts, place = _facts(store, result.rows)
    facts = facts.iloc[place]
    frames = facts["frames"].to_numpy()
    few = int(np.quantile(frames, 1 / 3, method="inverted_cdf"))
    lacks = {name: facts[field].to_numpy() == 0 for field, name in MISSING.items()}
    whole = ~np.any([*lacks.values(), frames <= few], axis=0)
    slices = [("all", "", np.ones(len(frames), bool))]
    slices += [(f"without {name}", "", mask) for name, mask in lacks.items()]
    slices += [
        ("few frames", f"at most {few}", frames <= few),
        ("nothing missing", f"and more than {few} frames", whole),
    ]
    rows = []
    for name, detail, mask in slices:
        if mask.sum() >= LEAST:
            truth, predicted = result.truth[mask], result.predicted[mask]
            low, high = interval(mean_f1_draws(predicted[None], truth, level1_of_level2)[0])
            n, share, *ends = _share(predicted == truth)
            score = mean_f1(truth, predicted, level1_of_level2)["mean_f1"]
            rows.append((name, detail, n, score, low, high, share, *ends))
    names = ["slice", "detail", "n", "mean_f1", "low", "high", "accuracy", "accuracy_low", "accuracy_high"]
    return pd.DataFrame(rows, columns=names)


def _frame(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["by", "slice", "n", "score", "low", "high"])


def _row(by: str, name: str, n: int, score: float, low: float, high: float) -> dict:
    return {"by": by, "slice": name, "n": n, "score": score, "low": low, "high": high}


def _of_pairs(result: predictions.PairPredictions, store: Store) -> Iterator[tuple[str, str, np.ndarray]]:
    facts, place = _facts(store, result.pairs)
    yield from _thirds("shorter title", facts["title"].to_numpy()[place].min(axis=1), "characters")
    yield from _thirds("fewer frames", facts["frames"].to_numpy()[place].min(axis=1), "frames")
    silent = (facts["asr"].to_numpy()[place] == 0).any(axis=1)
    yield from _groups("speech", np.where(silent, "missing in one or both", "in both"))
    tags = facts["tags"].to_list()
    shared = np.array([len(tags[a] & tags[b]) for a, b in place])
    names = np.select([shared == 0, shared == 1], ["none", "one"], "several")
    yield from _groups("shared tags", names, ("none", "one", "several"))
    yield from _groups("training", np.where(result.seen, "shares a video with it", "videos never seen"))


def _of_classes(result: predictions.ClassPredictions, store: Store) -> Iterator[tuple[str, str, np.ndarray]]:
    facts, place = _facts(store, result.rows)
    facts = facts.iloc[place]
    yield from _thirds("title", facts["title"].to_numpy(), "characters")
    yield from _thirds("frames", facts["frames"].to_numpy(), "frames")
    for field, name in (("asr", "speech"), ("ocr", "text in the picture")):
        yield from _groups(name, np.where(facts[field].to_numpy() > 0, "there", "missing"))
    counts = np.bincount(store.categories()[store.categories() >= 0], minlength=len(store.manifest["categories"]))
    yield from _thirds("videos of the class", counts[result.truth], "in the corpus")


def _facts(store: Store, rows: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Lengths, frames and tags of the videos in ``rows``, and where each element of ``rows`` stands in them."""
    unique, place = np.unique(rows, return_inverse=True)
    videos = [store.video(int(row), frames=False) for row in unique]
    frame = pd.DataFrame(
        {
            "title": [len(video.title) for video in videos],
            "asr": [len(video.asr) for video in videos],
            "ocr": [sum(len(text) for _, text in video.ocr) for video in videos],
            "frames": store.n_frames[unique],
            "tags": [set(video.tags or ()) for video in videos],
        }
    )
    return frame, place.reshape(rows.shape)


def _thirds(by: str, values: np.ndarray, unit: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """Three slices of about the same size; fewer where many values are equal."""
    edges = np.unique(np.quantile(values, [1 / 3, 2 / 3], method="inverted_cdf"))
    index = np.searchsorted(edges, values, side="left")
    for number in np.unique(index):
        mask = index == number
        low, high = values[mask].min(), values[mask].max()
        if mask.sum() >= LEAST:
            yield by, f"{low} {unit}" if low == high else f"{low} to {high} {unit}", mask


def _groups(by: str, names: np.ndarray, order: tuple[str, ...] = ()) -> Iterator[tuple[str, str, np.ndarray]]:
    for name in order or dict.fromkeys(names):
        if (names == name).sum() >= LEAST:
            yield by, str(name), names == name


def spearman_with_interval(predicted: np.ndarray, truth: np.ndarray) -> tuple[int, float, float, float]:
    """Fisher's transform with the standard error of Fieller, Hartley and Pearson (1957), 1.03 / sqrt(n - 3)."""
    n, value = len(truth), spearman(predicted, truth)
    half = Z * 1.03 / np.sqrt(n - 3)
    centre = np.arctanh(np.clip(value, -0.999999, 0.999999))
    return n, value, float(np.tanh(centre - half)), float(np.tanh(centre + half))


def _share(right: np.ndarray) -> tuple[int, float, float, float]:
    """Wilson's interval of a share."""
    return len(right), float(right.mean()), *interval_of_share(right.sum(), len(right))
