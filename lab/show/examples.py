"""Videos worth looking at one by one: largest errors, nearest neighbours, confused classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lab.show import formats, predictions
from lab.show.figures_space import shorten
from lab.show.table import Column, Table
from lib.data.store import Store
from lib.data.vocabulary import CategoryTree
from lib.runs.folder import RunFolder

TITLE = 30  # characters of a title in a table


def opened(store: Store | Path | str) -> Store:
    return store if isinstance(store, Store) else Store.open(store)


def title(store: Store, row: int) -> str:
    """The title, or what else there is to know the video by."""
    video = store.video(int(row), frames=False)
    return shorten(video.title or video.asr, TITLE) or f"(no text) {video.id}"


def labels(store: Store, row: int, limit: int = 3) -> str:
    """Category and tags, as the corpus has them."""
    video = store.video(int(row), frames=False)
    tags = [str(tag) for tag in (video.tags or ())[:limit]]
    return " · ".join([*([video.category] if video.category else []), *tags])


def worst_pairs(run: RunFolder, store: Store, count: int = 10) -> Table:
    """Validation pairs whose rank by cosine is furthest from their rank by human score."""
    from scipy.stats import rankdata

    result = predictions.of_pairs(run)
    ranks = [rankdata(values) / len(values) for values in (result.cosine, result.score)]
    gap = ranks[0] - ranks[1]
    rows = [
        {
            "title_1": title(store, result.pairs[i, 0]),
            "title_2": title(store, result.pairs[i, 1]),
            "score": result.score[i],
            "cosine": result.cosine[i],
            "rank_gap": gap[i],
            "labels_1": labels(store, result.pairs[i, 0]),
            "labels_2": labels(store, result.pairs[i, 1]),
        }
        for i in np.lexsort((result.pairs[:, 1], result.pairs[:, 0], -np.abs(gap)))[:count]
    ]
    columns = (
        Column("first video", lambda r: described(r["title_1"], r["labels_1"])),
        Column("second video", lambda r: described(r["title_2"], r["labels_2"])),
        Column("human score", lambda r: formats.score(r["score"], 2), "number"),
        Column("cosine", lambda r: formats.score(r["cosine"], 2), "number"),
        Column(
            "rank gap",
            lambda r: formats.difference(r["rank_gap"], 2),
            "number",
            "rank of the cosine minus rank of the human score, both from 0 to 1",
        ),
    )
    caption = "Pairs ranked most wrongly: a positive gap means that the system finds them more alike than people did."
    return Table(pd.DataFrame(rows), columns, caption)


def worst_classes(run: RunFolder, store: Store, count: int = 10) -> Table:
    """Validation videos given a wrong class with the greatest confidence."""
    result = predictions.of_classes(run)
    logits = result.logits.astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    confidence, wrong = shares.max(axis=1), np.flatnonzero(result.predicted != result.truth)
    names = store.manifest["categories"]
    rows = [
        {
            "title": title(store, result.rows[i]),
            "true": str(names[result.truth[i]]),
            "given": str(names[result.predicted[i]]),
            "confidence": confidence[i],
            "share_of_true": shares[i, result.truth[i]],
        }
        for i in wrong[np.lexsort((result.rows[wrong], -confidence[wrong]))][:count]
    ]
    columns = (
        Column("video", lambda r: formats.literal(r["title"])),
        Column("true class", "true"),
        Column("given", "given"),
        Column("confidence", lambda r: formats.share(r["confidence"]), "number"),
        Column("share of the true class", lambda r: formats.share(r["share_of_true"]), "number"),
    )
    frame = pd.DataFrame(rows, columns=["title", "true", "given", "confidence", "share_of_true"])
    return Table(frame, columns, "Wrong with the greatest confidence.")


def confused(run: RunFolder, store: Store, count: int = 10) -> Table:
    """Pairs of classes that are taken for each other most often."""
    result = predictions.of_classes(run)
    names = store.manifest["categories"]
    wrong = result.predicted != result.truth
    frame = (
        pd.DataFrame({"true": result.truth[wrong], "given": result.predicted[wrong]})
        .value_counts()
        .rename("videos")
        .reset_index()
    )
    frame["of"] = frame["true"].map(pd.Series(result.truth).value_counts())
    frame = frame.sort_values(["videos", "true", "given"], ascending=[False, True, True]).head(count)
    for column in ("true", "given"):
        frame[column] = [str(names[index]) for index in frame[column]]
    columns = (
        Column("true class", "true"),
        Column("taken for", "given"),
        Column("videos", lambda r: formats.count(r["videos"]), "number"),
        Column("of all of the class", lambda r: formats.share(r["videos"] / r["of"]), "number"),
    )
    return Table(frame.reset_index(drop=True), columns, "Classes taken for each other most often.")


def upper_confusion(result: predictions.ClassPredictions, store: Store) -> tuple[np.ndarray, list[str]]:
    """Counts over the upper level of the category tree, rows are truth, and its names; only what occurs."""
    tree = CategoryTree([str(name) for name in store.manifest["categories"]])
    matrix = np.zeros((len(tree.level1_names), len(tree.level1_names)), dtype=np.int64)
    np.add.at(matrix, (tree.level1_of_level2[result.truth], tree.level1_of_level2[result.predicted]), 1)
    used = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    return matrix[np.ix_(used, used)], tree.level1_names[used].tolist()


def upper_category(category: str | None) -> str:
    """Both contests write the upper level first: five digits with a leading 1 (aiac2021), or four (wechat2022).

    >>> upper_category("10802"), upper_category("0105"), upper_category(None)
    ('108', '01', 'unknown')
    """
    return category[:-2] if category else "unknown"


def nearest(run: RunFolder, queries: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For a few videos far apart from each other, the videos nearest to them by cosine.

    Returns:
        int64 [queries, 1 + count] store rows, each query before its neighbours; float64 of the same shape, cosines with
        the query. Fewer where the run saw fewer videos.
    """
    rows, vectors = predictions.vectors(run)
    chosen, cosines = _far_apart(vectors, queries), []
    found = np.empty((len(chosen), 1 + min(count, len(rows) - 1)), np.int64)
    for place, query in enumerate(chosen):
        alike = vectors @ vectors[query]
        alike[query] = np.inf  # first, even where another has the same vector
        found[place] = np.argsort(-alike, kind="stable")[: found.shape[1]]
        cosines.append([1.0, *alike[found[place, 1:]]])
    return rows[found], np.array(cosines)


def neighbours(run: RunFolder, store: Store, queries: int = 5, count: int = 4) -> Table:
    """For a few videos far apart from each other, the videos nearest to them by cosine."""
    rows, cosines = nearest(run, queries, count)
    records = [
        {
            "query": title(store, found[0]) if rank == 1 else "",
            "query_labels": labels(store, found[0]) if rank == 1 else "",
            "neighbour": title(store, found[rank]),
            "labels": labels(store, found[rank]),
            "rank": rank,
            "cosine": alike[rank],
        }
        for found, alike in zip(rows, cosines, strict=True)
        for rank in range(1, len(found))
    ]
    columns = (
        Column("video", lambda r: described(r["query"], r["query_labels"])),
        Column("nearest", lambda r: described(r["neighbour"], r["labels"])),
        Column("cosine", lambda r: formats.score(r["cosine"], 3), "number"),
    )
    return Table(
        pd.DataFrame(records),
        columns,
        "Below each title: category, then tags.",
        emphasis=lambda r: "first" if r["rank"] == 1 else "same",
    )


def agreement(run: RunFolder, store: Store, count: int = 4) -> dict[str, float]:
    """How often the nearest ``count`` videos are of the video's own upper category; unlabelled videos are left out.

    Returns:
        ``videos`` that were asked, ``share`` of their neighbours with the same category, ``chance``: the share that other
        videos drawn at random would have. NaN with fewer than two labelled videos.
    """
    rows, vectors = predictions.vectors(run)
    categories = np.array([store.manifest["categories"][i] if i >= 0 else "" for i in store.categories()[rows]])
    known = categories != ""
    vectors, groups = vectors[known], np.array([upper_category(name) for name in categories[known]])
    if len(groups) < 2:
        return {"videos": len(groups), "share": float("nan"), "chance": float("nan")}
    same = []
    for start in range(0, len(groups), 512):  # a square of all videos need not fit
        alike = vectors[start : start + 512] @ vectors.T
        alike[np.arange(len(alike)), start + np.arange(len(alike))] = -np.inf
        near = np.argsort(-alike, axis=1, kind="stable")[:, : min(count, len(groups) - 1)]
        same.append(groups[near] == groups[start : start + 512, None])
    sizes = np.unique(groups, return_counts=True)[1]
    chance = (sizes * (sizes - 1)).sum() / (len(groups) * (len(groups) - 1))
    return {"videos": len(groups), "share": float(np.concatenate(same).mean()), "chance": float(chance)}


def _far_apart(vectors: np.ndarray, count: int) -> list[int]:
    """Farthest-point sampling by cosine, from the video nearest to the centre."""
    chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    closest = vectors @ vectors[chosen[0]]
    while len(chosen) < min(count, len(vectors)):
        chosen.append(int(np.argmin(closest)))
        closest = np.maximum(closest, vectors @ vectors[chosen[-1]])
    return chosen


def described(text: str, detail: str) -> str:
    """A cell of two lines; the text is the corpus' own, so what Markdown would read as a sign is escaped."""
    return "\n".join(formats.literal(line) for line in (text, detail) if line)
