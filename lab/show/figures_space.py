"""The embedding space seen from above: PCA, then t-SNE, with titles and frames of example videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.show import style

MAX_POINTS = 900  # t-SNE of so many takes a few seconds on one core
AS_SHAPES = 200  # dots; more of them are one image, a tenth of the bytes
THUMBNAIL = (0.072, 0.108)  # width and height of a frame, as shares of the map: a square of about 45 px


def sample(ids: np.ndarray, limit: int = MAX_POINTS) -> np.ndarray:
    """Positions of at most ``limit`` videos, the same for every run over the same ids.

    Returns:
        int64 [n], ascending.
    """
    if len(ids) <= limit:
        return np.arange(len(ids))
    return np.sort(np.random.default_rng(0).choice(len(ids), limit, replace=False))


def layout(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """PCA to at most 30 dimensions, then t-SNE, started from the first two: deterministic on one thread.

    Args:
        vectors: float [N, E], N >= 5; compared by cosine.

    Returns:
        float64 [N, 2].
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    reduced = PCA(min(30, *unit.shape), svd_solver="full").fit_transform(unit.astype(np.float64))
    perplexity = float(np.clip(len(vectors) / 20, 2, 30))
    return TSNE(
        2, init="pca", perplexity=perplexity, random_state=seed, max_iter=500, method="barnes_hut", n_jobs=1
    ).fit_transform(reduced)


def spread(points: np.ndarray, count: int) -> np.ndarray:
    """Positions of ``count`` points far from each other (farthest-point sampling), so that labels do not collide."""
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)


def embedding_map(
    points: np.ndarray,
    groups: list[str],
    titles: list[str],
    examples: int = 10,
    groups_shown: int = 7,
    picture: Callable[[int], np.ndarray] | None = None,
) -> Figure:
    """Every dot is a video, its colour its category; some carry their title, and a frame where there are any.

    Args:
        points: float [N, 2].
        groups: category of each video; beyond the most frequent ``groups_shown`` all share one grey.
        titles: of each video; may be Chinese.
        picture: position of a video -> one of its frames, uint8 [side, side, 3]; None where the corpus has no pictures.
    """
    figure, axis = style.canvas(height=5.2)
    names, counts = np.unique(groups, return_counts=True)
    common = names[np.lexsort((names, -counts))][:groups_shown]
    palette = style.colours(common)
    group = np.asarray(groups)
    rest = ~np.isin(group, common)
    look = {"linewidths": 0, "rasterized": len(points) > AS_SHAPES}
    axis.scatter(*points[rest].T, s=9, color=style.FAINT, alpha=0.6, label="other" if rest.any() else None, **look)
    for name in common:
        axis.scatter(*points[group == name].T, s=13, color=palette[name], alpha=0.75, label=str(name), **look)
    axis.set(xticks=[], yticks=[])
    axis.margins(0.08)
    axis.autoscale_view()
    axis.autoscale(False)
    for index, title, right in _apart(points, titles, examples, picture is not None):
        if picture is None:
            _name(axis, points[index], title, right)
        else:
            _show(axis, points, index, title, right, picture(index))
        axis.scatter(*points[index], s=26, facecolors="none", edgecolors=style.INK, linewidths=0.9)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    figure.legend(
        loc="outside lower center",
        ncols=min(8, len(common) + 1),
        title="category",
        markerscale=1.6,
        columnspacing=1.1,
        handletextpad=0.2,
    )
    return figure


def _apart(points: np.ndarray, titles: list[str], examples: int, framed: bool) -> Iterator[tuple[int, str, bool]]:
    """Position, short title and side (right of its dot?) of points far from each other, none covering another."""
    lows, highs = points.min(axis=0), points.max(axis=0)
    scale = np.where(highs > lows, highs - lows, 1.0)
    taken: list[tuple[float, float, float, float]] = []
    for index in spread(points, 4 * examples):
        title = shorten(titles[index], 7 if framed else 9)
        if not title or len(taken) == examples:
            continue
        x, y = (points[index] - lows) / scale
        right = bool(x < 0.5)
        width, above, below = 0.03 + 0.019 * len(title), 0.055, 0.0
        if framed:
            width, above, below = max(width, THUMBNAIL[0] + 0.03), THUMBNAIL[1] / 2, THUMBNAIL[1] / 2 + 0.05
        box = (x if right else x - width, y - below, x + width if right else x, y + above)
        if any(box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken):
            continue
        taken.append(box)
        yield int(index), title, right


def _name(axis: Axes, point: np.ndarray, title: str, right: bool) -> None:
    """The title in a box beside its dot."""
    axis.annotate(
        title,
        (point[0], point[1]),
        xytext=(7 if right else -7, 5),
        textcoords="offset points",
        ha="left" if right else "right",
        fontsize=8,
        color=style.INK,
        bbox=_BOX,
        arrowprops={"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.6},
    )


def _show(axis: Axes, points: np.ndarray, index: int, title: str, right: bool, picture: np.ndarray) -> None:
    """A frame beside its dot, the title below it."""
    (x, y), (width, height) = points[index], THUMBNAIL * np.ptp(points, axis=0)
    left = x + 0.2 * width if right else x - 1.2 * width
    axis.plot([x, left if right else left + width], [y, y], color=style.MUTED, linewidth=0.6, zorder=1)
    frame = axis.inset_axes((left, y - height / 2, width, height), transform=axis.transData)
    frame.imshow(picture, interpolation="none")  # as it is, not drawn again at the figure's own resolution
    frame.set(xticks=[], yticks=[])
    frame.spines[:].set(visible=True, color=style.INK, linewidth=0.7)
    frame.set_xlabel(title, fontsize=7.5, labelpad=3, bbox=_BOX)


_BOX = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": style.RULE, "alpha": 0.88, "linewidth": 0.6}


def shorten(text: str, length: int) -> str:
    """
    >>> shorten("一二三四五", 4), shorten(" a\\nb ", 9)
    ('一二三…', 'a b')
    """
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
