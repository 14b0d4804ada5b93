"""Videos one by one, for corpora of one's own: nearest neighbours and titles.

Titles of a generated corpus are random words; there is nothing to read in them.
"""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from PIL import Image

from lab.show import formats as f
from lab.show import predictions, style
from lab.show.picture import Picture
from lab.show.table import Table
from lib.data.store import Store
from lib.runs.folder import RunFolder

QUERIES, COUNT = 5, 4
SIDE = 96  # pixels of a thumbnail


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
