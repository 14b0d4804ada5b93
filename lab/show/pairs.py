"""Systems of the pair track: cosines against labels, and what a cosine is worth.

Bins hold about equally many scored pairs. Their intervals are 95 % percentile bootstrap intervals over first videos
with all their pairs, as for the score itself.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns

from lab.show import formats as f
from lab.show import style
from lab.show.predictions import PairPredictions
from lab.show.slices import equal_bins
from lab.show.table import Picture
from lib.evaluation.intervals import resampled_pairs
from lib.evaluation.metrics import spearman

COSINE_BINS = 10
DRAWN = 2_000  # pairs of a figure, at most: more weigh megabytes and look the same
LABEL = "label of the corpus"  # of people, or of the generator


def predicted(result: PairPredictions, name: str) -> Picture:
    """Cosine against label, and the same as ranks, which is all that Spearman sees."""
    frame = pd.DataFrame({"label": result.score, "cosine": result.cosine})
    frame[["rank_of_label", "rank_of_cosine"]] = frame.rank(pct=True)
    frame = frame.iloc[:: -(-len(frame) // DRAWN)]
    figure, (left, right) = style.canvas(height=3.2, columns=2)
    dots = {"s": 9, "alpha": 0.35, "color": style.BLUE, "linewidth": 0, "rasterized": len(frame) > style.AS_SHAPES}
    sns.scatterplot(frame, x="label", y="cosine", ax=left, **dots)
    left.set(xlabel=LABEL, ylabel="predicted cosine", title="Values")
    sns.scatterplot(frame, x="rank_of_label", y="rank_of_cosine", ax=right, **dots)
    right.axline((0, 0), slope=1, color=style.FAINT, linewidth=1, zorder=0)
    right.set(xlabel="rank of label", ylabel="rank of cosine", title="Ranks", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    score = f"Spearman {f.score(spearman(result.cosine, result.score))} over {f.plural(len(result.score), 'pair')}"
    caption = "Left: values; right: ranks, which is all that Spearman sees."
    if len(frame) < len(result.score):
        caption += f" {f.count(len(frame))} of {f.plural(len(result.score), 'pair')} are drawn, evenly chosen."
    values = frame[["label", "cosine"]].round(4)  # all digits of them weigh more than all figures
    return Picture(figure, values, f"predicted_{name}", f"Cosines of {name} against labels: {score}", caption)


def calibration(result: PairPredictions, name: str) -> Picture:
    """Mean label against mean cosine, bin by bin; the label as the loss saw it is drawn where it is another."""
    bins, same = by_cosine(result), np.allclose(result.target, result.score)
    figure, axis = style.canvas(width=4.9, height=4.0)
    axis.vlines(bins["cosine"], bins["low"], bins["high"], color=style.SKY, linewidth=2.4, zorder=1)
    dots = {"marker": "o", "linewidth": 1.2, "label": f"{LABEL}, 95 %", "zorder": 2}
    axis.plot(bins["cosine"], bins["score"], color=style.BLUE, **dots)
    if not same:
        seen = {"marker": "D", "markerfacecolor": "none", "label": "label as the loss saw it"}
        axis.plot(bins["cosine"], bins["target"], color=style.ORANGE, **seen)
    axis.axline((0, 0), slope=1, color=style.MUTED, linewidth=1, linestyle=":", label="cosine = label")
    axis.legend(loc="upper left")
    axis.set(xlabel="mean cosine of the bin", ylabel="mean label of the bin", ylim=(-0.04, 1.04))
    alt = f"Mean label of the scored pairs of {name} against the cosine it gave them, in {len(bins)} bins"
    target = "" if same else f", from the label that the loss saw {f.score(calibration_error(bins, 'target'), 2)}"
    caption = (
        f"Mean distance of cosine and label, bin by bin: {f.score(calibration_error(bins), 2)}{target}. On the dotted "
        "line a cosine is the label itself. Bins hold about equally many pairs. Intervals: bootstrap over first videos."
    )
    return Picture(figure, bins, f"similarity_calibration_{name}", alt, caption)


def by_cosine(result: PairPredictions, bins: int = COSINE_BINS) -> pd.DataFrame:
    """What pairs that the system finds about equally alike were labelled.

    Returns:
        a row per bin, ascending: ``from``, ``to``, ``n``, means of ``cosine``, label ``score`` and ``target`` (the label as the
        loss saw it), ``low`` and ``high`` of the label's.
    """
    place = equal_bins(result.cosine, bins)
    parts = pd.DataFrame({"cosine": result.cosine, "score": result.score, "target": result.target}).groupby(place)
    frame = parts["cosine"].agg(["min", "max", "size"]).set_axis(["from", "to", "n"], axis=1).join(parts.mean())
    # of the mean of each bin; a sample without any of a bin says nothing about it
    counts = [(n, np.bincount(place, n)) for n in resampled_pairs(result.pairs)]
    with np.errstate(invalid="ignore"):
        draws = [np.bincount(place, n * result.score, len(of)) / of for n, of in counts]
    low, high = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    return frame.assign(low=low, high=high)


def calibration_error(frame: pd.DataFrame, label: str = "score") -> float:
    """Mean over pairs of |mean cosine - mean label| of their bin. Args: frame: of ``by_cosine``; label: a column of it."""
    return float(np.average((frame["cosine"] - frame[label]).abs(), weights=frame["n"]))
