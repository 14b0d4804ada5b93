"""Videos one by one, for corpora of one's own: the embedding space seen from above, nearest neighbours, titles.

Titles of a generated corpus are random words; there is nothing to read in them.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from PIL import Image

from lab.show import formats as f
from lab.show import predictions, style
from lab.show.picture import Picture
from lab.show.table import Table
from lib.data.store import Store
from lib.data.vocabulary import level1
from lib.runs.folder import RunFolder

MAX_POINTS = 900  # t-SNE of so many takes a few seconds on one core
GROUPS = 7  # categories with a colour of their own
QUERIES, COUNT = 5, 4
SIDE = 96  # pixels of a thumbnail
UNKNOWN = "unknown"


def embedding_map(run: RunFolder, store: Store, name: str) -> Picture:
    """Videos of the run seen from above (PCA, then t-SNE), coloured by upper-level category."""
    rows, vectors = predictions.vectors(run)
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:MAX_POINTS])
    points = layout(vectors[chosen])
    groups = upper_categories(store, rows[chosen])
    common = pd.Series(groups).value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:GROUPS]
    shown = np.where(np.isin(groups, common), groups, "other")
    frame = pd.DataFrame(
        {"row": rows[chosen], "x": points[:, 0], "y": points[:, 1], "category": groups, "colour": shown}
    )
    figure, axis = style.canvas(height=5.2)
    palette = {**style.colours(common), "other": style.FAINT}
    order = [*common, *(["other"] if (shown == "other").any() else [])]
    dots = {"s": 14, "alpha": 0.75, "linewidth": 0, "rasterized": len(frame) > style.AS_SHAPES}
    sns.scatterplot(frame, x="x", y="y", hue="colour", hue_order=order, palette=palette, legend=False, ax=axis, **dots)
    handles = [axis.scatter([], [], s=20, color=palette[group]) for group in order]
    figure.legend(handles, order, loc="outside lower center", ncols=min(8, len(order)), title="category")
    axis.set(xticks=[], yticks=[], xlabel="", ylabel="")
    axis.grid(visible=False)
    near = agreement(run, store)
    caption = (
        "Principal components, then t-SNE; distances between far groups mean nothing. "
        f"Of the {COUNT} videos nearest to each of {f.count(near['videos'])} labelled ones, {f.share(near['share'])} are "
        f"of its own upper-level category; of videos drawn at random it would be {f.share(near['chance'])}."
    )
    return Picture(figure, frame, f"map_{name}", f"Videos in the space of {name}, coloured by category", caption)


def neighbours(run: RunFolder, store: Store, queries: int = QUERIES, count: int = COUNT) -> Table:
    """For a few videos far apart from each other, the videos nearest to them by cosine."""
    rows, cosines = nearest(run, queries, count)
    records = [
        {"video": described(store, rows[query, 0]), "nearest": described(store, rows[query, rank]), "rank": rank,
         "cosine": cosines[query, rank]}
        for query, rank in np.ndindex(rows.shape)
        if rank
    ]  # fmt: skip
    return Table.plain(pd.DataFrame(records), "Below each title: category, then tags.", f.significant)


def gallery(run: RunFolder, store: Store, name: str) -> Picture:
    """A row a video of a corpus with pictures, itself first, then its neighbours with their cosines: their middle frames."""
    rows, cosines = nearest(run, QUERIES, COUNT)
    figure, axes = style.canvas(height=1.35 * len(rows), rows=len(rows), columns=rows.shape[1], squeeze=False)
    for place, axis in np.ndenumerate(axes):
        if frames := store.images(int(rows[place])):  # the first and the last are often black or a title card
            image = Image.open(io.BytesIO(frames[len(frames) // 2])).convert("RGB")
            image.thumbnail((SIDE, SIDE))
            axis.imshow(image)
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel(title(store, rows[place], 9) + (f"\n{f.score(cosines[place])}" if place[1] else ""), fontsize=7)
    query, rank = np.indices(rows.shape).reshape(2, -1)
    ids = store.column("id")[rows]
    frame = pd.DataFrame({"query": ids[query, 0], "rank": rank, "video": ids.ravel(), "cosine": cosines.ravel()})
    caption = "Left: a video. To its right the videos nearest to it, with their cosines."
    return Picture(figure, frame, f"gallery_{name}", f"Videos and their neighbours by {name}", caption, photo=True)


def nearest(run: RunFolder, queries: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For a few videos far apart from each other, the videos nearest to them by cosine.

    Returns:
        int64 [queries, 1 + count] store rows, each query before its neighbours; float64 of the same shape, cosines with
        the query. Fewer where the run saw fewer videos.
    """
    rows, vectors = predictions.vectors(run)
    chosen = _far_apart(vectors, queries)
    found = np.column_stack([chosen, _neighbours(vectors, count)[chosen]])
    return rows[found], np.einsum("qe,qne->qn", vectors[chosen], vectors[found])


def agreement(run: RunFolder, store: Store, count: int = COUNT) -> dict[str, Any]:
    """How often the nearest ``count`` videos are of the video's own upper category; unlabelled videos are left out.

    Returns:
        ``videos`` that were asked, ``share`` of their neighbours with the same category, ``chance``: the share that other
        videos drawn at random would have. NaN with fewer than two labelled videos.
    """
    rows, vectors = predictions.vectors(run)
    groups = upper_categories(store, rows)
    vectors, groups = vectors[groups != UNKNOWN], groups[groups != UNKNOWN]
    if len(groups) < 2:
        return {"videos": len(groups), "share": float("nan"), "chance": float("nan")}
    same = groups[_neighbours(vectors, count)] == groups[:, None]
    sizes = np.unique(groups, return_counts=True)[1]
    chance = (sizes * (sizes - 1)).sum() / (len(groups) * (len(groups) - 1))
    return {"videos": len(groups), "share": float(same.mean()), "chance": float(chance)}


def layout(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """PCA to at most 30 dimensions, then t-SNE, started from the first two: deterministic on one thread.

    Args:
        vectors: float [N, E], N >= 5, of length 1.

    Returns:
        float64 [N, 2].
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    reduced = PCA(min(30, *vectors.shape), svd_solver="full").fit_transform(vectors.astype(np.float64))
    perplexity = float(np.clip(len(vectors) / 20, 2, 30))
    return TSNE(
        2, init="pca", perplexity=perplexity, random_state=seed, max_iter=500, method="barnes_hut", n_jobs=1
    ).fit_transform(reduced)


def _neighbours(vectors: np.ndarray, count: int) -> np.ndarray:
    """int64 [N, count]: the nearest others of each unit vector, nearest first."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=min(count, len(vectors) - 1)).fit(vectors).kneighbors(return_distance=False)


def _far_apart(vectors: np.ndarray, count: int) -> list[int]:
    """Farthest-point sampling by cosine, from the video nearest to the centre."""
    chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    closest = vectors @ vectors[chosen[0]]
    while len(chosen) < min(count, len(vectors)):
        chosen.append(int(np.argmin(closest)))
        closest = np.maximum(closest, vectors @ vectors[chosen[-1]])
    return chosen


def upper_categories(store: Store, rows: np.ndarray) -> np.ndarray:
    """str [N]: upper-level category of each video, ``UNKNOWN`` without one."""
    names = [level1(str(name)) for name in store.manifest["categories"] or []]
    return np.array([names[index] if index >= 0 else UNKNOWN for index in store.categories()[rows]], str)


def title(store: Store, row: int, length: int = 30) -> str:
    """The title, cut short, or what else there is to know the video by."""
    video = store.video(int(row), frames=False)
    text = " ".join((video.title or video.asr).split())
    return (text if len(text) <= length else text[: length - 1] + "…") or f"(no text) {video.id}"


def described(store: Store, row: int) -> str:
    """Title above category and tags, as a cell; what Markdown would read as a sign is escaped."""
    video = store.video(int(row), frames=False)
    labels = " · ".join([*([video.category] if video.category else []), *map(str, (video.tags or ())[:3])])
    return "\n".join(f.literal(line) for line in (title(store, row), labels) if line)
