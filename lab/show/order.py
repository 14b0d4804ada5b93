"""Do the models of a team come out in the order in which they were published? What this laboratory is worth as an instrument.

Only the order can be compared: published scores belong to other data and to models a hundred times as large.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure
from scipy import stats

from lab.show import formats as f
from lab.show import predictions, shared, style
from lab.show.plan import Plan
from lab.show.table import Picture
from lib.evaluation.influence import spearman_influence
from lib.recipes.load import load
from lib.recipes.specs import Recipe

FEWEST = 5  # models, for an order
DRAWS = 400
EXACT = 50_000  # permutations that are all looked at: those of eight models


def models(plan: Plan, board: pd.DataFrame) -> pd.DataFrame:
    """The models whose published scores are of one team, stage and split, best published first.

    Args:
        board: of ``runs.systems``.

    Returns:
        ``recipe``, ``stage``, ``group`` (as text), ``model``, ``metric``, ``published``, ``score`` (mean over seeds), ``scores``
        (of the seeds, with blanks between) and ``seeds``. A team with fewer than ``FEWEST`` models is left out.
    """
    ours, rows = board.set_index(["recipe", "stage", "arm"]), []
    for recipe in plan.systems:
        spec = load(Recipe, recipe)
        for p in spec.published:
            if (recipe, p.stage, p.arm) not in ours.index or ours.loc[(recipe, p.stage, p.arm), "metric"] != p.metric:
                continue
            about = {"recipe": recipe, "stage": p.stage, "arm": p.arm, "split": p.split, "published": p.value}
            about |= {"group": f"{shared.system(recipe)}, {p.stage}", "model": shared.model(recipe, p.arm)}
            rows.append(about | ours.loc[(recipe, p.stage, p.arm), ["metric", "score", "scores", "seeds"]].to_dict())
    columns = ["recipe", "stage", "arm", "split", "published", "group", "model", "metric", "score", "scores", "seeds"]
    frame = pd.DataFrame(rows, columns=columns)
    enough = frame.groupby(["group", "split"])["arm"].transform("size") >= FEWEST
    order = ["recipe", "stage", "published"]
    return frame[enough].sort_values(order, ascending=[True, False, False], kind="stable", ignore_index=True)


def agreement(plan: Plan, found: pd.DataFrame) -> pd.DataFrame:
    """One row a team and stage: rank correlation of published and measured scores.

    ``low`` and ``high`` hold 95 % of its values when seeds and test items are drawn anew; ``p`` is that of the exact
    permutation test: how often a random order would agree or disagree as much.

    Args:
        found: of :func:`models`.

    Raises:
        MissingRun: a run left no predictions.
    """
    rows = []
    for group, part in found.groupby("group", sort=False):
        published, score = part["published"].to_numpy(float), part["score"].to_numpy(float)
        low, high = np.percentile([rank_correlation(published, drawn) for drawn in _drawn(plan, part)], [2.5, 97.5])
        row = {"group": group, "recipe": part["recipe"].iloc[0], "models": len(part)}
        row |= {"seeds": int(part["seeds"].min()), "most_seeds": int(part["seeds"].max())}
        row |= {"rho": rank_correlation(published, score), "low": low, "high": high, "p": p_value(published, score)}
        rows.append(row)
    return pd.DataFrame(rows, columns=["group", "recipe", "models", "seeds", "most_seeds", "rho", "low", "high", "p"])


def p_value(published: np.ndarray, score: np.ndarray) -> float:
    """Two-sided, of a permutation test of the rank correlation; exact for up to eight models.

    Args:
        published, score: float [n].

    >>> round(p_value(np.arange(6), np.array([0, 1, 2, 4, 3, 5])), 3)
    0.017
    """
    ranks, others = (stats.rankdata(values) for values in (published, score))

    def correlation(drawn: np.ndarray, axis: int) -> np.ndarray:
        return ((drawn - ranks.mean()) * (ranks - ranks.mean())).sum(axis=axis)

    found = stats.permutation_test(
        (others,), correlation, permutation_type="pairings", n_resamples=EXACT, vectorized=True, rng=np.random.default_rng(0)
    )  # fmt: skip
    return float(found.pvalue)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(stats.rankdata(one), stats.rankdata(other))[0, 1])


def _drawn(plan: Plan, part: pd.DataFrame) -> np.ndarray:
    """Scores float [DRAWS, models] with seeds and items drawn anew, the same items for every model."""
    jobs = [plan.member_jobs(row["recipe"], row["stage"])[row["arm"]] for row in part.to_dict("records")]
    read = [[predictions.of_pairs(job.folder) for job in group] for group in jobs]
    items = item_draws(np.stack([one.cosine for group in read for one in group]), read[0][0].score, read[0][0].pairs)
    rng, ends = np.random.default_rng(0), np.cumsum([len(group) for group in read])
    draws = np.arange(DRAWS)[:, None]
    seeds = [rng.integers(end - len(group), end, (DRAWS, len(group))) for group, end in zip(read, ends, strict=True)]
    return np.stack([items[draws, chosen].mean(axis=1) for chosen in seeds], axis=1)


def item_draws(cosine: np.ndarray, score: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Rank correlations float [DRAWS, runs] of predictions with scores, items drawn anew: normal, with the covariance that
    their influences have over pairs which share a video (``lib.evaluation.influence``).

    Args:
        cosine: float [runs, P]; score: float [P]; pairs: int [P, 2] store rows.
    """
    influence = np.stack([spearman_influence(one, score) for one in cosine])
    videos, which = np.unique(pairs, return_inverse=True)
    which = which.reshape(pairs.shape)
    ends = [[np.bincount(which[:, end], one, len(videos)) for one in influence] for end in (0, 1)]
    of_videos = np.sum(ends, axis=0)
    values, axes = np.linalg.eigh(of_videos @ of_videos.T - influence @ influence.T)  # a pair is in both of its videos
    drawn = np.random.default_rng(0).normal(size=(DRAWS, len(cosine))) * np.sqrt(values.clip(min=0))
    return [rank_correlation(one, score) for one in cosine] + drawn @ axes.T


def picture(found: pd.DataFrame, agreed: pd.DataFrame) -> Picture:
    """A panel a team and stage: models from top to bottom in their published order, ours as dots; best first would fall to
    the left."""
    told = [f"{r['group']} {f.score(r['rho'], 2)}" for r in agreed.to_dict("records")]
    alt = f"Published order of models against our scores; rank correlations: {', '.join(told)}"
    caption = (
        "Models from top to bottom in their published order, the published score beside the name. Were the order ours, dots "
        "would run from right to left."
    )
    wide, narrow = (_figure(found, agreed, width) for width in (style.WIDTH, style.NARROW))
    return Picture(wide, found, "order", alt, caption, narrow=narrow)


def _figure(found: pd.DataFrame, agreed: pd.DataFrame, width: float) -> Figure:
    groups = list(found.groupby("group", sort=False))
    counts = [len(part) for _, part in groups]
    height = 0.3 + sum(0.75 + 0.25 * count for count in counts)
    figure, axes = style.canvas(width, height, rows=len(groups), squeeze=False, height_ratios=counts)
    rho = agreed.set_index("group")["rho"]
    for axis, (group, part) in zip(axes.flat, groups, strict=True):
        places, runs = range(len(part)), part["scores"].str.split()
        each = [(float(score), place) for place, scores in zip(places, runs, strict=True) for score in scores]
        axis.plot(*zip(*each, strict=True), ".", color=style.SKY, label="a seed")
        axis.plot(part["score"], places, "o", color=style.BLUE, markersize=7, label="mean over seeds")
        axis.set_yticks(places, [f"{m}  {p:.3f}" for m, p in zip(part["model"], part["published"], strict=True)])
        axis.set_ylim(len(part) - 0.5, -0.5)
        axis.grid(axis="y", visible=False)
        axis.locator_params(axis="x", nbins=7 if width > style.NARROW else 3)
        axis.set(xlabel=f"{f.metric(part['metric'].iloc[0])} here")
        axis.set_title(f"{group}: {f.score(rho[group], 2)}", x=0 if width > style.NARROW else -0.5)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2)
    return figure


def sentence(agreed: pd.DataFrame) -> str:
    """What the order says, in one sentence. Args: agreed: of :func:`agreement`."""
    told = [
        f"{f.plural(r['models'], 'model')} of {r['group']}: {f.score(r['rho'], 2)} ({f.interval(r['low'], r['high'], 2)}, "
        f"p {f.significant(r['p'], 2)}, {'at least ' * (r['seeds'] < r['most_seeds'])}{f.plural(r['seeds'], 'seed')} a model)"
        for r in agreed.to_dict("records")
    ]
    return f"Rank correlation of published and measured scores: {'; '.join(told)}."


def reading(agreed: pd.DataFrame) -> Markdown:
    """The sentence of the section, and what its numbers are."""
    if agreed.empty:
        return Markdown("No system of this report has several models with published scores.")
    return Markdown(
        f"{sentence(agreed)} 1 is the published order, 0 no relation. In brackets the 95 % interval with seeds and test items "
        "drawn anew, and the p-value of the exact permutation test, both sides."
    )
