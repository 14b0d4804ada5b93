"""The embedding space seen from above: PCA, then t-SNE, with titles of example videos."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lib.reporting import style

MAX_POINTS = 900  # t-SNE of so many takes a few seconds on one core


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
    points: np.ndarray, groups: list[str], titles: list[str], examples: int = 14, groups_shown: int = 7
) -> Figure:
    """Every dot is a video, its colour its category; some carry their title.

    Args:
        points: float [N, 2].
        groups: category of each video; beyond the most frequent ``groups_shown`` all share one grey.
        titles: of each video; may be Chinese.
    """
    figure, axis = style.canvas(height=5.2)
    names, counts = np.unique(groups, return_counts=True)
    common = names[np.lexsort((names, -counts))][:groups_shown]
    palette = style.colours(common)
    group = np.asarray(groups)
    rest = ~np.isin(group, common)
    axis.scatter(
        *points[rest].T, s=9, color=style.FAINT, alpha=0.6, linewidths=0, label="other" if rest.any() else None
    )
    for name in common:
        axis.scatter(*points[group == name].T, s=13, color=palette[name], alpha=0.75, linewidths=0, label=str(name))
    axis.set(xticks=[], yticks=[])
    axis.margins(0.08)
    _label(axis, points, titles, examples)
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


def _label(axis, points: np.ndarray, titles: list[str], examples: int) -> None:
    """Titles at points far from each other, left out where they would cover another title."""
    lows, highs = points.min(axis=0), points.max(axis=0)
    scale = np.where(highs > lows, highs - lows, 1.0)
    taken: list[tuple[float, float, float, float]] = []
    for index in spread(points, 4 * examples):
        title = shorten(titles[index], 12)
        if not title or len(taken) == examples:
            continue
        x, y = (points[index] - lows) / scale
        right = x < 0.5
        width, height = 0.03 + 0.019 * len(title), 0.055
        box = (x if right else x - width, y, x + width if right else x, y + height)
        if any(box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken):
            continue
        taken.append(box)
        axis.annotate(
            title,
            points[index],
            xytext=(7 if right else -7, 5),
            textcoords="offset points",
            ha="left" if right else "right",
            fontsize=8,
            color=style.INK,
            bbox={
                "boxstyle": "round,pad=0.2",
                "facecolor": "white",
                "edgecolor": style.RULE,
                "alpha": 0.88,
                "linewidth": 0.6,
            },
            arrowprops={"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.6},
        )
        axis.scatter(*points[index], s=26, facecolors="none", edgecolors=style.INK, linewidths=0.9)


def shorten(text: str, length: int) -> str:
    """
    >>> shorten("一二三四五", 4), shorten(" a\\nb ", 9)
    ('一二三…', 'a b')
    """
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
