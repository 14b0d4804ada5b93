"""Systems of the class track: rare and frequent classes, confusion, and how sure a classifier may be.

Everything is counted from truth and prediction of the same videos. Intervals of F1 are 95 % percentile bootstrap intervals
over videos: they say how far a number depends on which videos were held out, nothing about another training. Where many
classes have one or two videos they are too narrow: in simulations with 200 such classes they covered the expected score in
84 to 89 % of the cases (the basic and the bias-corrected bootstrap in 78 to 83 %).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from scipy.special import softmax

from lab.show import formats as f
from lab.show import predictions, style
from lab.show.predictions import ClassPredictions
from lab.show.table import Column, Picture, Table, number
from lib.data.items import class_counts, split_rows
from lib.data.schema import CategoryTree
from lib.data.store import Store
from lib.evaluation.intervals import interval, interval_of_share, resampled_videos
from lib.recipes.job import Job

THIRDS = ("head", "middle", "tail")
COLOURS = dict(zip(THIRDS, (style.BLUE, style.GREEN, style.ORANGE), strict=True))
BOOTSTRAP = "95 % interval over the scored videos (bootstrap)"
WILSON = "Wilson's 95 % interval"
FEW = 5  # scored videos; the F1 of a class with fewer is mostly luck
BINS = 15  # of confidence, equally wide


@dataclass(frozen=True)
class Answers:
    """What one run said of the videos it is scored on.

    Attributes:
        result: rows, logits and truth; tree: the corpus' categories, C of them.
        train: int64 [C], training videos of each class, split as the job split them; repeats of rare classes not counted.
        name: of the recipe, for file names.
    """

    result: ClassPredictions
    tree: CategoryTree
    train: np.ndarray
    name: str

    @classmethod
    def of(cls, job: Job, store: Store) -> Answers:
        data, split = job.stage_spec.data, job.stage_spec.data.split
        train, _ = split_rows(store, data.parts, use=split.use, k=split.k, fold=split.fold, seed=split.seed)
        tree = CategoryTree([str(name) for name in store.manifest["categories"]])
        return cls(predictions.of_classes(job.folder), tree, class_counts(store, train), job.recipe)

    @property
    def both(self) -> tuple[np.ndarray, np.ndarray]:
        """int64 [V] each: truth and prediction."""
        return self.result.truth, self.result.predicted


# ---- frequent and rare


def long_tail(answers: Answers) -> Picture:
    """F1 of each class against its training videos; the line is the mean over classes of similar size (``kind`` mean).

    Its CSV is the table of all classes (:func:`class_table`).
    """
    every = class_table(answers)
    points = every.assign(
        validation=np.where(every["videos"] < FEW, f"fewer than {FEW}", f"{FEW} or more"), kind="class"
    )
    seen = points.dropna(subset=["f1"])
    edges = np.unique(np.geomspace(1, max(answers.train.max(), 1) + 1, 8))
    bins = pd.cut(seen["train"], np.concatenate([[0], edges]), right=False)
    means = seen.groupby(bins, observed=True)[["train", "f1"]].mean()
    figure, axis = style.canvas(height=3.4)
    sns.scatterplot(
        seen, x="train", y="f1", ax=axis, hue="third", hue_order=THIRDS, palette=COLOURS, style="validation",
        style_order=[f"{FEW} or more", f"fewer than {FEW}"], markers=["o", "X"], alpha=0.75, rasterized=len(seen) > style.AS_SHAPES,
    )  # fmt: skip
    axis.plot(means["train"], means["f1"], color=style.RED, marker="o", markersize=4, label="mean, similar size")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize=8)
    axis.set_xscale("symlog", linthresh=1, linscale=0.4)  # on which 0 has a place
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlim(-0.2 if every["train"].min() < 1 else 0.8 * every["train"].min(), 1.25 * every["train"].max() + 0.1)
    axis.set(xlabel="training videos of the class", ylabel="F1 of the class", ylim=(-0.04, 1.04))
    frame = pd.concat([points, means.assign(kind="mean")], ignore_index=True)
    missed, few = int((every["videos"] == 0).sum()), int(every["videos"].between(1, FEW - 1).sum())
    alt = f"F1 of each class of {answers.name} against its number of training videos"
    caption = (
        f"{f.plural(len(answers.result.truth), 'scored video')}, {f.plural(len(every), 'class', 'classes')} under "
        f"{len(answers.tree.level1_names)} upper ones. {missed or 'None'} have no scored video and {few} more have fewer than "
        f"{FEW}, so the macro scores hang on a few videos. The colour says to which third of the classes a class belongs."
    )
    return Picture(figure, frame, f"tail_{answers.name}", alt, caption)


def class_table(answers: Answers) -> pd.DataFrame:
    """Every class, most frequent in training first: ``class``, ``parent``, ``third``, ``train``, then :func:`per_class`."""
    tree, train = answers.tree, answers.train
    about = {"class": tree.ids, "parent": tree.level1_names[tree.level1_of_level2]}
    about |= {"third": np.array(THIRDS)[thirds_of_classes(train)], "train": train}
    frame = pd.concat([pd.DataFrame(about), per_class(*answers.both, len(tree))], axis=1)
    return frame.sort_values(["train", "class"], ascending=[False, True], ignore_index=True)


def per_class(truth: np.ndarray, predicted: np.ndarray, classes: int) -> pd.DataFrame:
    """Precision, recall and F1 of every class.

    Args:
        truth, predicted: int [N] classes; classes: C.

    Returns:
        C rows in order: ``videos`` (of the class), ``given`` (videos that were said to be of it), ``hits``, ``precision``
        (NaN if nothing was given), ``recall`` (NaN without a video), ``f1`` (NaN with neither: official macro F1, the
        mean of what is left, skips the class).
    """
    videos, given, hits = _counts(truth, predicted, classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = {"precision": hits / given, "recall": hits / videos, "f1": 2 * hits / (videos + given)}
    return pd.DataFrame({"videos": videos, "given": given, "hits": hits, **rates})


def _counts(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int [C] each: videos of a class, videos said to be of it, both."""
    return tuple(np.bincount(x, minlength=classes) for x in (truth, predicted, truth[truth == predicted]))


def thirds_of_classes(train: np.ndarray) -> np.ndarray:
    """int [C]: 0, 1, 2 for head, middle, tail; equally many classes each, by descending number of training videos.

    Among classes with equally many the one with the smaller index is nearer to the head.

    >>> thirds_of_classes(np.array([1, 50, 3, 9, 0, 20])).tolist()
    [2, 0, 1, 1, 2, 0]
    """
    third = np.empty(len(train), np.int64)
    third[np.argsort(-train, kind="stable")] = np.arange(len(train)) * 3 // max(len(train), 1)
    return third


def thirds(answers: Answers, seeds: list[ClassPredictions]) -> Table:
    """All classes, then head, middle and tail.

    Args:
        seeds: predictions of every seed's run, for mean and standard deviation over seeds.
    """
    frames = []
    for group, names in ((np.zeros_like(answers.train), ("all",)), (thirds_of_classes(answers.train), THIRDS)):
        f1 = np.array([f1_of_groups(one.truth, one.predicted, group, len(names)) for one in seeds])
        spread = f1.std(axis=0, ddof=1) if len(f1) > 1 else np.nan
        train = np.bincount(group, answers.train, len(names)).astype(np.int64)
        frames.append(
            scores_of_groups(*answers.both, group, names).assign(train=train, mean=f1.mean(axis=0), sd=spread)
        )
    macro = f"mean over the classes on either side, and below it the {BOOTSTRAP}"
    right = f"share of the videos of these classes that were classified right, and below it {WILSON}"
    columns = [
        Column("classes", "slice"),
        Column("number", lambda r: f"{f.count(r['classes'])}\n{f.count(r['counted'])} counted", "number", "of classes"),
        number("training videos", "train", f.count),
        number("scored videos", "n", f.count),
        Column("macro F1", lambda r: f.ranged(r["f1"], r["f1_low"], r["f1_high"]), "number", macro),
        Column("right", lambda r: f.ranged(r["recall"], r["recall_low"], r["recall_high"]), "number", right),
    ]
    if len(seeds) > 1:
        over = "mean ± standard deviation over seeds"
        title = f"macro F1, {len(seeds)} seeds"
        columns.append(Column(title, lambda r: f"{f.score(r['mean'])}\n± {f.score(r['sd'])}", "number", over))
    caption = (
        "Head, middle and tail: thirds of the classes by training videos. Macro F1 is the mean over the counted classes, those "
        f"that the truth or the prediction has. Below it: {BOOTSTRAP}; it is rather too narrow where classes have so few "
        f"videos, and there is none where nothing was right. Below the share of right answers: {WILSON}."
    )
    frame = pd.concat(frames, ignore_index=True)
    mark = lambda r: "reference" if r["slice"] == "all" else ""  # noqa: E731
    return Table(frame, tuple(columns), caption, emphasis=mark, name=f"thirds_{answers.name}")


def scores_of_groups(
    truth: np.ndarray, predicted: np.ndarray, group: np.ndarray, names: tuple[str, ...] = THIRDS, seed: int = 0
) -> pd.DataFrame:
    """Macro F1 and recall of groups of classes.

    Args:
        truth, predicted: int [N] classes; group: int [C], 0 to G - 1; names: G.

    Returns:
        a row per group: ``slice``, ``classes``, ``counted`` (classes on either side, of which F1 is the mean), ``n``
        (videos), ``f1``, ``f1_low``, ``f1_high``, ``recall`` (share of the group's videos that were classified right),
        ``recall_low``, ``recall_high`` (Wilson's interval); NaN for a group that no video and no prediction belongs to. The
        interval of F1 is NaN where nothing of a group was right, too: its bootstrap samples all score 0.
    """
    count = len(names)
    draws = np.array([f1_of_groups(truth[i], predicted[i], group, count) for i in resampled_videos(len(truth), seed)])
    each = per_class(truth, predicted, len(group)).groupby(group)
    frame = each.agg(classes=("hits", "size"), counted=("f1", "count"), n=("videos", "sum"), right=("hits", "sum"))
    frame = frame.reindex(range(count), fill_value=0)
    frame.insert(0, "slice", names)
    frame["f1"] = f1_of_groups(truth, predicted, group, count)
    frame[["f1_low", "f1_high"]] = [interval(draws[:, k]) if frame["right"][k] else (np.nan,) * 2 for k in range(count)]
    frame["recall"] = frame["right"] / frame["n"]
    shares = zip(frame["right"], frame["n"], strict=True)
    frame[["recall_low", "recall_high"]] = [interval_of_share(*one) for one in shares]
    return frame.drop(columns="right")


def f1_of_groups(truth: np.ndarray, predicted: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """float [count]: F1 of each group of classes, the mean over those on either side; NaN for a group without any."""
    videos, given, hits = _counts(truth, predicted, len(group))
    there = videos + given > 0
    f1 = 2 * hits[there] / (videos + given)[there]
    with np.errstate(invalid="ignore"):
        return np.bincount(group[there], f1, count) / np.bincount(group[there], minlength=count)


# ---- mistakes


def confusion(answers: Answers) -> Picture:
    """Share of each true upper class (row) that was given each upper class (column); the diagonal is what was right."""
    level1, names = answers.tree.level1_of_level2, answers.tree.level1_names
    truth, given = (pd.Categorical(names[level1[classes]], names) for classes in answers.both)
    counts = pd.crosstab(truth, given, dropna=False)
    used = counts.index[(counts.sum(axis=0) + counts.sum(axis=1)) > 0]
    counts = counts.loc[used, used]
    totals = counts.sum(axis=1)
    shares = counts.div(totals.clip(lower=1), axis=0)
    size = 0.9 + 0.21 * len(used)
    figure, axis = style.canvas(width=min(style.WIDTH, size + 1.6), height=min(5.4, size + 0.4))
    sns.heatmap(
        shares, ax=axis, cmap=style.HEAT, vmin=0, vmax=1, xticklabels=list(used),
        yticklabels=[f"{name} ({total})" for name, total in totals.items()],
        cbar_kws={"shrink": 0.6, "label": "share of the true class"}, rasterized=shares.size > style.AS_SHAPES,
    )  # fmt: skip
    axis.tick_params(labelsize=7.5)
    axis.tick_params(axis="x", rotation=90)
    axis.set(xlabel="given", ylabel="true (videos)")
    axis.grid(visible=False)
    frame = counts.rename_axis("true").reset_index().melt("true", var_name="given", value_name="videos")
    frame["share"] = shares.to_numpy().T.ravel()
    right = f.share(float(np.diag(counts).sum() / max(totals.sum(), 1)))
    alt = f"Confusion matrix of the upper classes of {answers.name}; {right} lie on the diagonal"
    caption = "Upper level of the category tree: share of each true class (row) that was given each class (column)."
    return Picture(figure, frame, f"confusion_{answers.name}", alt, caption)


def confused(answers: Answers, count: int = 10) -> Table:
    """Pairs of classes that are taken for each other most often."""
    truth, given = answers.both
    wrong, ids = truth != given, np.array(answers.tree.ids)
    frame = pd.DataFrame({"true": ids[truth[wrong]], "given": ids[given[wrong]]}).value_counts().rename("videos")
    frame = frame.reset_index().sort_values(["videos", "true", "given"], ascending=[False, True, True]).head(count)
    frame["of"] = frame["true"].map(pd.Series(ids[truth]).value_counts())
    columns = (
        Column("true class", lambda r: f.literal(r["true"])),
        Column("taken for", lambda r: f.literal(r["given"])),
        number("videos", "videos", f.count),
        Column("of all of the class", lambda r: f.share(r["videos"] / r["of"]), "number"),
    )
    return Table(frame.reset_index(drop=True), columns, _mistakes(answers), name=f"confused_{answers.name}")


def _mistakes(answers: Answers) -> str:
    """How many answers are wrong, and how many of these at least stay under the right upper class."""
    found, of = wrong_answers(*answers.both, answers.tree.level1_of_level2), len(answers.result.truth)
    if not found["wrong"]:
        return "No answer is wrong."
    return (
        f"{f.count(found['wrong'])} of {f.plural(of, 'answer')} {'is' if found['wrong'] == 1 else 'are'} wrong "
        f"({f.share(found['wrong'] / of)}). Of these "
        f"{f.count(found['siblings'])} {'stays' if found['siblings'] == 1 else 'stay'} under the right upper class: "
        f"{f.share(found['share'])} (over scored videos "
        f"{f.share(found['low'])} to {f.share(found['high'])}), where answers spread evenly over all other classes would "
        f"reach {f.share(found['chance'])}."
    )


def wrong_answers(
    truth: np.ndarray, predicted: np.ndarray, level1_of_level2: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """How many wrong level-2 answers at least stay within the right level-1 class.

    Returns:
        ``wrong`` and of them ``siblings`` (right level 1); their ``share`` with ``low`` and ``high``; ``chance``: the share
        that answers drawn evenly from all other classes would have. All but ``wrong`` are missing without a mistake.
    """
    wrong = truth != predicted
    sibling = wrong & (level1_of_level2[truth] == level1_of_level2[predicted])
    found = {"wrong": int(wrong.sum()), "siblings": int(sibling.sum())}
    if not found["wrong"]:
        return found
    with np.errstate(invalid="ignore"):
        samples = [np.divide(sibling[i].sum(), wrong[i].sum()) for i in resampled_videos(len(truth), seed)]
    low, high = interval(np.array(samples))
    size = np.bincount(level1_of_level2)[level1_of_level2]
    chance = float(((size[truth[wrong]] - 1) / (len(size) - 1)).mean())
    return found | {"share": found["siblings"] / found["wrong"], "low": low, "high": high, "chance": chance}


# ---- how sure it may be


def reliability(answers: Answers, corrected: str = "") -> Picture:
    """Accuracy against confidence, the largest softmax probability, and below how many answers had that confidence.

    Args:
        corrected: what changed the logits after training, if anything.
    """
    sure = softmax(answers.result.logits.astype(np.float64), axis=1).max(axis=1)
    right = answers.result.predicted == answers.result.truth
    bins = by_confidence(sure, right)
    known = bins[bins["n"] > 0]
    figure, (upper, lower) = style.canvas(
        width=4.6, height=4.6, rows=2, sharex=True, gridspec_kw={"height_ratios": [3.2, 1]}
    )
    upper.bar(known["from"], known["accuracy"], 1 / BINS, align="edge", color=style.SKY, alpha=0.55, label="accuracy")
    gap = {"color": style.RED, "linewidth": 1.4, "zorder": 2, "label": "gap to the confidence"}
    upper.vlines(known["confidence"], known["accuracy"], known["confidence"], **gap)
    upper.plot(known["confidence"], known["accuracy"], "o", color=style.BLUE, markersize=4, zorder=3)
    upper.axline((0, 0), slope=1, color=style.MUTED, linewidth=1, linestyle=":", label="as sure as it may be")
    upper.legend(loc="upper left")
    upper.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1.02))
    lower.bar(bins["from"], bins["n"], 1 / BINS, align="edge", color=style.MUTED, alpha=0.7)
    lower.set(xlabel="confidence: largest softmax probability", ylabel="videos")
    error = np.average((known["accuracy"] - known["confidence"]).abs(), weights=known["n"])
    moved = f" These are the probabilities after `{corrected}`, which moves them on purpose." if corrected else ""
    caption = (
        f"Mean confidence {f.score(sure.mean())}, right {f.score(right.mean())}; mean gap of a bin {f.score(error)} (expected "
        f"calibration error, to which noise only adds).{moved} A bar below the dotted line: too sure of itself."
    )
    alt = f"Share of right answers of {answers.name} against its confidence"
    return Picture(figure, bins, f"reliability_{answers.name}", alt, caption)


def by_confidence(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Answers in bins of equal width from 0 to 1 (Guo et al. 2017, arXiv:1706.04599); a border belongs to the upper bin.

    Args:
        confidence: float [N] in [0, 1]; right: bool [N].

    Returns:
        a row per bin: ``from``, ``to``, ``n``, mean ``confidence``, ``accuracy``; the means are NaN in an empty bin.
    """
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    n, sure, hits = (np.bincount(place, weights, bins) for weights in (None, confidence, right))
    edges = np.arange(bins + 1) / bins
    with np.errstate(invalid="ignore"):
        return pd.DataFrame({"from": edges[:-1], "to": edges[1:], "n": n, "confidence": sure / n, "accuracy": hits / n})
