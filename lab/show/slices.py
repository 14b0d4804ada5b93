"""Scores by kind of video: long and short titles, missing parts, few and many frames, rare and common classes.

Pairs are scored by Spearman. Classes are scored by the share of right answers at the lower level: mean F1 of a slice
would depend on which classes happen to be in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from lab.show import formats as f
from lab.show import predictions, style
from lab.show.predictions import ClassPredictions, PairPredictions
from lab.show.table import Picture
from lib.data.store import Store
from lib.evaluation.intervals import Z, interval_of_share
from lib.evaluation.metrics import spearman
from lib.recipes.job import Job

LEAST = 12  # items; smaller slices say nothing
ALL = "all"
Slice = tuple[str, str, np.ndarray]  # by what, which of it, bool [items]


def slices(job: Job) -> Picture:
    """Score of a finished job by slice with its interval; a dotted line marks the score over everything.

    The frame has columns ``by``, ``slice``, ``n``, ``score``, ``low``, ``high``; its first row is everything.
    """
    frame, metric = slice_scores(job)
    parts = frame.iloc[1:]
    figure, axis = style.canvas(height=0.9 + 0.27 * len(parts))
    y, labels = range(len(parts)), [f"{r['by']}: {r['slice']}  (n = {r['n']:,})" for r in parts.to_dict("records")]
    axis.hlines(y, parts["low"], parts["high"], color=style.SKY, linewidth=2.6, zorder=1)
    axis.plot(parts["score"], y, "o", color=style.BLUE, markersize=6, zorder=3, label="score")
    axis.set_yticks(y, labels)
    axis.set_ylim(len(parts) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.axvline(frame["score"].iloc[0], color=style.MUTED, linewidth=1, linestyle=":")
    axis.set_xlabel(metric)
    if parts.empty:
        axis.set_title("too few items to slice", fontweight="normal")
    alt = "; ".join(f"{row['by']} {row['slice']} {f.score(row['score'])}" for row in frame.to_dict("records"))
    caption = (
        f"{metric[0].upper()}{metric[1:]} by kind of video, with 95 % intervals; the dotted line is over everything."
    )
    return Picture(figure, frame, f"slices_{job.recipe}", f"{metric} of {job.recipe} by kind of video: {alt}", caption)


def slice_scores(job: Job) -> tuple[pd.DataFrame, str]:
    """The frame of ``slices`` and the name of its score."""
    store = Store.open(job.corpus.store)
    if job.kind.name == "pairs":
        pairs = predictions.of_pairs(job.folder)
        rows = [
            (by, which, *spearman_with_interval(pairs.cosine[mask], pairs.score[mask]))
            for by, which, mask in _of_pairs(pairs, store)
        ]
        whole, metric = (ALL, ALL, len(pairs.score), spearman(pairs.cosine, pairs.score), np.nan, np.nan), "Spearman"
    else:
        classes = predictions.of_classes(job.folder)
        right = classes.predicted == classes.truth
        rows = [(by, which, *_share(right[mask])) for by, which, mask in _of_classes(classes, store)]
        whole, metric = (ALL, ALL, len(right), float(right.mean()), np.nan, np.nan), "share of right answers"
    return pd.DataFrame([whole, *rows], columns=["by", "slice", "n", "score", "low", "high"]), metric


def _of_pairs(result: PairPredictions, store: Store) -> Iterator[Slice]:
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


def _of_classes(result: ClassPredictions, store: Store) -> Iterator[Slice]:
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
    # by column: one video after the other took a second of each job
    videos = pa.Table.from_batches(list(store.batches("title", "asr", "ocr", "tags"))).take(unique).to_pydict()
    frame = pd.DataFrame({field: list(map(len, videos[field])) for field in ("title", "asr")})
    frame["ocr"] = [sum(len(line["text"]) for line in lines or ()) for lines in videos["ocr"]]
    frame = frame.assign(frames=store.n_frames[unique], tags=[set(tags or ()) for tags in videos["tags"]])
    return frame, place.reshape(rows.shape)


def _thirds(by: str, values: np.ndarray, unit: str) -> Iterator[Slice]:
    """Three slices of about the same size; fewer where many values are equal."""
    place = equal_bins(values, 3)
    for third in np.unique(place):
        mask = place == third
        low, high = values[mask].min(), values[mask].max()
        if mask.sum() >= LEAST:
            yield by, f"{low} {unit}" if low == high else f"{low} to {high} {unit}", mask


def _groups(by: str, names: np.ndarray, order: tuple[str, ...] = ()) -> Iterator[Slice]:
    for name in order or dict.fromkeys(names):
        if (names == name).sum() >= LEAST:
            yield by, str(name), names == name


def equal_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """int [N]: the bin of each value, 0 the lowest; about equally many in each, equal values together.

    >>> equal_bins(np.array([5, 1, 1, 1, 9, 7]), 3).tolist()
    [1, 0, 0, 0, 2, 2]
    """
    edges = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.unique(np.searchsorted(np.unique(edges), values, side="left"), return_inverse=True)[1]


def spearman_with_interval(predicted: np.ndarray, truth: np.ndarray) -> tuple[int, float, float, float]:
    """Fisher's transform with the standard error of Fieller, Hartley and Pearson (1957), 1.03 / sqrt(n - 3)."""
    n, value = len(truth), spearman(predicted, truth)
    half = Z * 1.03 / np.sqrt(n - 3)
    centre = np.arctanh(np.clip(value, -0.999999, 0.999999))
    return n, value, float(np.tanh(centre - half)), float(np.tanh(centre + half))


def _share(right: np.ndarray) -> tuple[int, float, float, float]:
    """Wilson's interval of a share."""
    return len(right), float(right.mean()), *interval_of_share(right.sum(), len(right))
