"""The tables about classes of a long tail: scores two ways, thirds, mistakes, missing parts, every class."""

from __future__ import annotations

import pandas as pd

from lab.show import formats as f
from lab.show.calibration import Calibration
from lab.show.rows import Row
from lab.show.table import Column, Table

BOOTSTRAP = "95 % interval over validation videos (bootstrap)"
WILSON = "Wilson's 95 % interval"
PARTS = {
    "mean_f1": "mean F1\nof the four below",
    "lv1_f1_micro": "upper level, micro F1\nthe accuracy",
    "lv1_f1_macro": "upper level, macro F1\nmean over classes",
    "lv2_f1_micro": "lower level, micro F1\nthe accuracy",
    "lv2_f1_macro": "lower level, macro F1\nmean over classes",
}


def both_ways(frame: pd.DataFrame) -> Table:
    """The score as it is official, and with every class counted: rows ``metric``, ``present``, ``all``, ``perfect``."""
    columns = (
        Column("score", lambda r: PARTS[r["metric"]]),
        Column("official", lambda r: f.score(r["present"], 4), "number", "classes on neither side are skipped"),
        Column("all classes", lambda r: f.score(r["all"], 4), "number", "classes on neither side count as zero"),
        Column("at most", lambda r: f.score(r["perfect"], 4), "number", "all classes, every answer right"),
    )
    caption = (
        "Official: classes that neither the truth nor the prediction has are skipped. All classes: they count as zero, so "
        "that even a faultless prediction stays below one where the validation part lacks classes (last column)."
    )
    return Table(frame, columns, caption, emphasis=lambda r: "reference" if r["metric"] == "mean_f1" else "")


def thirds(frame: pd.DataFrame, seeds: int) -> Table:
    """Scores of groups of classes (``longtail.scores_of_groups`` with ``by``, ``train``, ``mean``, ``sd``)."""

    def over_seeds(row: Row) -> str:
        return f.score(row["mean"]) + (f"\n± {f.score(row['sd'])}" if pd.notna(row["sd"]) else "")

    columns = [
        Column("classes", lambda r: f"{r['slice']}\n{r['by']}"),
        Column("number", lambda r: f"{f.count(r['classes'])}\n{f.count(r['counted'])} counted", "number", "of classes"),
        Column("training videos", lambda r: f.count(r["train"]), "number"),
        Column("validation videos", lambda r: f.count(r["n"]), "number"),
        Column(
            "macro F1",
            lambda r: f"{f.score(r['f1'])}\n{f.interval(r['f1_low'], r['f1_high'])}",
            "number",
            f"mean over the classes on either side, and below it the {BOOTSTRAP}",
        ),
        Column(
            "right",
            lambda r: f"{f.score(r['recall'])}\n{f.interval(r['recall_low'], r['recall_high'])}",
            "number",
            f"share of the videos of these classes that were classified right, and below it {WILSON}",
        ),
        Column(f"macro F1, {f.plural(seeds, 'seed')}", over_seeds, "number", "mean ± standard deviation over seeds"),
    ]
    caption = (
        "Head, middle and tail by training videos. Macro F1 is the mean over the counted classes, those that the truth or "
        f"the prediction has. Below it: {BOOTSTRAP}; it is rather too narrow where classes have so few videos, and there "
        f"is none where nothing was right. Below the share of right answers: {WILSON}."
    )
    return Table(
        frame, tuple(columns if seeds > 1 else columns[:-1]), caption,
        emphasis=lambda r: "reference" if r["by"] == "" else "",
    )  # fmt: skip


def siblings(frame: pd.DataFrame, count: int) -> Table:
    """Classes of one upper class that are taken for each other (``longtail.confused_siblings``, classes by name)."""
    columns = (
        Column("upper class", "parent"),
        Column("first", "a"),
        Column("second", "b"),
        Column("first as second", lambda r: f.count(r["a_as_b"]), "number", "videos"),
        Column("second as first", lambda r: f.count(r["b_as_a"]), "number", "videos"),
        Column("of all of the two", lambda r: f.share(r["both"] / r["of"] if r["of"] else None), "number"),
    )
    return Table(frame.head(count), columns, "Siblings that are taken for each other most often.")


def missing(frame: pd.DataFrame) -> Table:
    """Scores of videos that lack something (rows of ``slicing.missing_scores``)."""
    columns = (
        Column("videos", lambda r: "\n".join(filter(None, (r["slice"], r["detail"])))),
        Column("number", lambda r: f.count(r["n"]), "number"),
        Column(
            "mean F1",
            lambda r: f"{f.score(r['mean_f1'])}\n{f.interval(r['low'], r['high'])}",
            "number",
            f"and below it the {BOOTSTRAP}",
        ),
        Column(
            "right",
            lambda r: f"{f.score(r['accuracy'])}\n{f.interval(r['accuracy_low'], r['accuracy_high'])}",
            "number",
            f"share of right answers at the lower level, and below it {WILSON}",
        ),
    )
    caption = (
        f"Below mean F1: {BOOTSTRAP}; below the share of right answers: {WILSON}. Mean F1 is official within the "
        "slice, so it also depends on which classes happen to be in it and on how many videos there are; the share of "
        "right answers does not."
    )
    return Table(frame, columns, caption, emphasis=lambda r: "reference" if r["slice"] == "all" else "")


def calibration(found: Calibration, bins: int) -> Table:
    """Calibration in one table of facts."""
    rows = {
        "expected calibration error": (found.error, found.low, found.high),
        "the same, if its confidence were exact": (found.calibrated, None, None),
        "the same, exceeded by chance once in twenty": (found.calibrated_high, None, None),
        "negative log likelihood": (found.nll, found.nll_low, found.nll_high),
        "mean confidence": (found.confidence, None, None),
        "share of right answers": (found.accuracy, None, None),
    }
    frame = pd.DataFrame(
        [{"what": what, "value": v, "low": low, "high": high} for what, (v, low, high) in rows.items()]
    )
    columns = (
        Column("", "what"),
        Column("value", lambda r: f.score(r["value"], 4), "number"),
        Column("95 % interval", lambda r: f.interval(r["low"], r["high"], 4), "number", "over validation videos"),
    )
    caption = (
        f"At temperature 1: nothing was fitted to the validation part. {bins} bins of equal width. The interval of the "
        "error is the basic bootstrap's (an error of absolute values is biased upwards, and more so in a bootstrap sample)."
    )
    return Table(frame, columns, caption)


def every_class(frame: pd.DataFrame) -> Table:
    """Every class (``longtail.per_class`` with ``class``, ``parent``, ``third``, ``train``), in the frame's order."""

    def rate(name: str):
        return lambda r: f.score(r[name])

    columns = (
        Column("class", "class"),
        Column("upper class", "parent"),
        Column("third", "third", "text", "of the classes, by training videos"),
        Column("training videos", lambda r: f.count(r["train"]), "number"),
        Column("validation videos", lambda r: f.count(r["videos"]), "number"),
        Column("given", lambda r: f.count(r["given"]), "number", "validation videos that were said to be of the class"),
        Column("precision", rate("precision"), "number"),
        Column("recall", rate("recall"), "number"),
        Column("F1", rate("f1"), "number"),
    )
    return Table(frame, columns, "Most frequent in training first. The CSV can be sorted by any column.")
