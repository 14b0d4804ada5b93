"""Systems of the class track: rare and frequent classes, confusion, and how sure a classifier may be.

How wide intervals of F1 are is said in :mod:`lab.show.longtail`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from scipy.special import softmax

from lab.show import formats as f
from lab.show import predictions, style
from lab.show.calibration import ACCURACY, BINS, CHANCE, CONFIDENCE, ERROR, calibration, sureness
from lab.show.calibration import reliability as reliability_of
from lab.show.longtail import (
    THIRDS,
    f1_of_groups,
    per_class,
    scores_of_groups,
    thirds_of_classes,
    thirds_of_videos,
    wrong_answers,
)
from lab.show.picture import Picture
from lab.show.predictions import ClassPredictions
from lab.show.space import described
from lab.show.table import Column, Table, number, with_interval
from lib.data.items import class_counts, split_rows
from lib.data.store import Store
from lib.data.vocabulary import CategoryTree
from lib.evaluation.metrics import mean_f1
from lib.recipes.job import Job
from lib.runs.folder import RunFolder

COLOURS = dict(zip(THIRDS, (style.BLUE, style.GREEN, style.ORANGE), strict=True))
BOOTSTRAP = "95 % interval over the scored videos (bootstrap)"
WILSON = "Wilson's 95 % interval"
FEW = 5  # scored videos; the F1 of a class with fewer is mostly luck
METRICS = {
    "mean_f1": "mean F1\nof the four below",
    "lv1_f1_micro": "upper level, micro F1\nthe accuracy",
    "lv1_f1_macro": "upper level, macro F1\nmean over classes",
    "lv2_f1_micro": "lower level, micro F1\nthe accuracy",
    "lv2_f1_macro": "lower level, macro F1\nmean over classes",
}


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

    @property
    def level1(self) -> np.ndarray:
        """int64 [C]: the upper class of each class."""
        return self.tree.level1_of_level2


def both_ways(answers: Answers) -> Table:
    """The score as it is official (``present``), with every class counted (``all``), and faultless (``perfect``)."""
    (truth, predicted), level1 = answers.both, answers.level1
    ways = {
        "present": mean_f1(truth, predicted, level1),
        "all": mean_f1(truth, predicted, level1, "all"),
        "perfect": mean_f1(truth, truth, level1, "all"),
    }
    frame = pd.DataFrame([{"metric": m, **{way: scores[m] for way, scores in ways.items()}} for m in METRICS])
    columns = (
        Column("score", lambda r: METRICS[r["metric"]]),
        number("official", "present", f.score, "classes on neither side are skipped"),
        number("all classes", "all", f.score, "classes on neither side count as zero"),
        number("at most", "perfect", f.score, "all classes, every answer right"),
    )
    caption = (
        "Official: classes that neither the truth nor the prediction has are skipped. All classes: they count as zero, so "
        "that even a faultless prediction stays below one where the scored part lacks classes (last column)."
    )
    mark = lambda r: "reference" if r["metric"] == "mean_f1" else ""  # noqa: E731
    return Table(frame, columns, caption, emphasis=mark, name=f"both_ways_{answers.name}")


# ---- frequent and rare


def long_tail(answers: Answers) -> Picture:
    """F1 of each class against its training videos; the line is the mean over classes of similar size (``kind`` mean)."""
    every = class_table(answers)
    seen = every.dropna(subset=["f1"])
    edges = np.unique(np.geomspace(1, max(answers.train.max(), 1) + 1, 8))
    bins = pd.cut(seen["train"], np.concatenate([[0], edges]), right=False)
    means = seen.groupby(bins, observed=True)[["train", "f1"]].mean()
    sure = np.where(seen["videos"] < FEW, f"fewer than {FEW}", f"{FEW} or more")
    points = seen[["class", "train", "videos", "f1", "third"]].assign(validation=sure, kind="class")
    figure, axis = style.canvas(height=3.4)
    sns.scatterplot(
        points, x="train", y="f1", ax=axis, hue="third", hue_order=THIRDS, palette=COLOURS, style="validation",
        style_order=[f"{FEW} or more", f"fewer than {FEW}"], markers=["o", "X"], alpha=0.75,
    )  # fmt: skip
    axis.plot(means["train"], means["f1"], color=style.RED, marker="o", markersize=4, label="mean, similar size")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize=8)
    style.counts_axis(axis, points["train"])
    axis.set(xlabel="training videos of the class", ylabel="F1 of the class", ylim=(-0.04, 1.04))
    frame = pd.concat([points, means.assign(kind="mean")], ignore_index=True)
    missed, few = int((every["videos"] == 0).sum()), int(every["videos"].between(1, FEW - 1).sum())
    alt = f"F1 of each class of {answers.name} against its number of training videos"
    caption = (
        f"{f.plural(len(answers.result.truth), 'scored video')}, {f.plural(len(every), 'class', 'classes')} under "
        f"{len(answers.tree.level1_names)} upper ones. {missed} have no scored video and {few} more have fewer than "
        f"{FEW}, so the macro scores hang on a few videos. The colour says to which third of the classes a class belongs."
    )
    return Picture(figure, frame, f"tail_{answers.name}", alt, caption)


def thirds(answers: Answers, seeds: list[ClassPredictions]) -> Table:
    """All classes, then head, middle and tail by number of classes and by number of videos.

    Args:
        seeds: predictions of every seed's run, for mean and standard deviation over seeds.
    """
    truth, predicted = answers.both
    frames = []
    for by, group, names in (
        ("", np.zeros(len(answers.train), np.int64), ("all",)),
        ("a third of the classes", thirds_of_classes(answers.train), THIRDS),
        ("a third of the training videos", thirds_of_videos(answers.train), THIRDS),
    ):
        frame = scores_of_groups(truth, predicted, group, names)
        frame.insert(0, "by", by)
        frame.insert(4, "train", np.bincount(group, answers.train, len(names)).astype(np.int64))
        f1 = np.array([f1_of_groups(one.truth, one.predicted, group, len(names)) for one in seeds])
        frames.append(frame.assign(mean=f1.mean(axis=0), sd=f1.std(axis=0, ddof=1) if len(f1) > 1 else np.nan))
    macro = f"mean over the classes on either side, and below it the {BOOTSTRAP}"
    right = f"share of the videos of these classes that were classified right, and below it {WILSON}"
    over = "mean ± standard deviation over seeds"
    columns = [
        Column("classes", lambda r: f"{r['slice']}\n{r['by']}"),
        Column("number", lambda r: f"{f.count(r['classes'])}\n{f.count(r['counted'])} counted", "number", "of classes"),
        number("training videos", "train", f.count),
        number("scored videos", "n", f.count),
        with_interval("macro F1", "f1", "f1_low", "f1_high", macro),
        with_interval("right", "recall", "recall_low", "recall_high", right),
    ]
    if len(seeds) > 1:
        title = f"macro F1, {len(seeds)} seeds"
        columns.append(Column(title, lambda r: f"{f.score(r['mean'])}\n± {f.score(r['sd'])}", "number", over))
    caption = (
        "Head, middle and tail by training videos. Macro F1 is the mean over the counted classes, those that the truth or "
        f"the prediction has. Below it: {BOOTSTRAP}; it is rather too narrow where classes have so few videos, and there "
        f"is none where nothing was right. Below the share of right answers: {WILSON}."
    )
    mark = lambda r: "reference" if r["by"] == "" else ""  # noqa: E731
    frame = pd.concat(frames, ignore_index=True)
    return Table(frame, tuple(columns), caption, emphasis=mark, name=f"thirds_{answers.name}")


def every_class(answers: Answers) -> Table:
    """Every class with its parent, its third, its videos and scores; most frequent in training first."""
    given = "scored videos that were said to be of the class"
    columns = (
        Column("class", lambda r: f.literal(r["class"])),
        Column("upper class", lambda r: f.literal(r["parent"])),
        Column("third", "third", "text", "of the classes, by training videos"),
        number("training videos", "train", f.count),
        number("scored videos", "videos", f.count),
        number("given", "given", f.count, given),
        number("precision", "precision"),
        number("recall", "recall"),
        number("F1", "f1"),
    )
    caption = "Most frequent in training first. The CSV can be sorted by any column."
    return Table(class_table(answers), columns, caption, name=f"classes_{answers.name}")


def class_table(answers: Answers) -> pd.DataFrame:
    """The frame of ``every_class``: ``class``, ``parent``, ``third``, ``third_of_videos``, ``train``, then ``per_class``."""
    tree, train = answers.tree, answers.train
    about = pd.DataFrame(
        {
            "class": tree.ids,
            "parent": tree.level1_names[tree.level1_of_level2],
            "third": np.array(THIRDS)[thirds_of_classes(train)],
            "third_of_videos": np.array(THIRDS)[thirds_of_videos(train)],
            "train": train,
        }
    )
    frame = pd.concat([about, per_class(*answers.both, len(tree))], axis=1)
    return frame.sort_values(["train", "class"], ascending=[False, True], ignore_index=True)


# ---- mistakes


def confusion(answers: Answers) -> Picture:
    """Share of each true upper class (row) that was given each upper class (column); the diagonal is what was right."""
    level1, names = answers.level1, answers.tree.level1_names
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
        cbar_kws={"shrink": 0.6, "label": "share of the true class"},
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
    found, of = wrong_answers(*answers.both, answers.level1), len(answers.result.truth)
    if not found["wrong"]:
        return "No answer is wrong."
    return (
        f"{f.count(found['wrong'])} of {f.plural(of, 'answer')} are wrong ({f.share(found['wrong'] / of)}). Of these "
        f"{f.count(found['siblings'])} stay under the right upper class: {f.share(found['share'])} (over scored videos "
        f"{f.share(found['low'])} to {f.share(found['high'])}), where answers spread evenly over all other classes would "
        f"reach {f.share(found['chance'])}."
    )


def worst(run: RunFolder, store: Store, count: int = 10) -> Table:
    """Validation videos given a wrong class with the greatest confidence."""
    result, names = predictions.of_classes(run), np.array(store.manifest["categories"], str)
    shares = softmax(result.logits.astype(np.float64), axis=1)
    confidence, wrong = shares.max(axis=1), np.flatnonzero(result.predicted != result.truth)
    order = wrong[np.lexsort((result.rows[wrong], -confidence[wrong]))][:count]
    frame = pd.DataFrame(
        {
            "video": [described(store, row) for row in result.rows[order]],
            "true class": [f.literal(name) for name in names[result.truth[order]]],
            "given": [f.literal(name) for name in names[result.predicted[order]]],
            "confidence": confidence[order],
            "share of the true class": shares[order, result.truth[order]],
        }
    )
    return Table.plain(frame, "Wrong with the greatest confidence." if len(frame) else "No answer is wrong.", f.share)


# ---- how sure it may be


def reliability(answers: Answers, corrected: str = "") -> Picture:
    """Accuracy against confidence, and below how many answers had that confidence.

    Args:
        corrected: what changed the logits after training, if anything.
    """
    logits, truth = answers.result.logits, answers.result.truth
    found = calibration(logits, truth).set_index("what")["value"]
    bins = reliability_of(*sureness(logits, truth))
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
    how = "It is too sure of itself" if found[CONFIDENCE] > found[ACCURACY] else "It is more often right than it says"
    shown = "but no more than chance allows" if found[ERROR] <= found[CHANCE] else "by more than chance explains"
    moved = f" These are the probabilities after `{corrected}`, which moves them on purpose." if corrected else ""
    caption = f"{how}, {shown} with so many videos.{moved} A bar below the dotted line: too sure of itself."
    alt = f"Share of right answers of {answers.name} against its confidence"
    return Picture(figure, bins, f"reliability_{answers.name}", alt, caption)


def calibration_table(answers: Answers) -> Table:
    """Calibration in one table of facts."""
    frame = calibration(answers.result.logits, answers.result.truth)
    ends = Column("95 % interval", lambda r: f.interval(r["low"], r["high"]), "number", "over scored videos")
    columns = (Column("", "what"), number("value", "value"), ends)
    caption = (
        f"At temperature 1: nothing was fitted to the validation part. {BINS} bins of equal width. The interval of the "
        "error is the basic bootstrap's (an error of absolute values is biased upwards, and more so in a bootstrap sample)."
    )
    return Table(frame, columns, caption, name=f"calibration_{answers.name}")
