"""A page per system of the class track: frequent and rare classes, kinds of mistakes, missing parts, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lab.show import (
    confusion_tree,
    examples,
    figures_classes,
    figures_scores,
    formats,
    longtail,
    predictions,
    tables_classes,
)
from lab.show import (
    runs as gather,
)
from lab.show.calibration import BINS, calibration
from lab.show.pages_data import scored_job
from lab.show.plan import Plan
from lab.show.predictions import ClassPredictions
from lab.show.site import Site
from lab.show.slicing import missing_scores
from lib.data.labelled import class_counts, split_rows
from lib.data.store import Store
from lib.data.vocabulary import CategoryTree
from lib.evaluation.metrics import mean_f1
from lib.recipes.job import Job

PAIRS = 15  # of confused siblings
GROUPS = {
    "a third of the classes": longtail.thirds_of_classes,
    "a third of the training videos": longtail.thirds_of_videos,
}


def applies(name: str) -> bool:
    """Is it a system of the class track?"""
    return gather.contest_metric(name) == "mean_f1"


def classes(site: Site, plan: Plan, name: str) -> tuple[str, str]:
    """Write ``classes_<recipe>`` from the predictions of its first seed; the scores of thirds also over all seeds."""
    job = scored_job(plan, name)
    store = Store.open(job.corpus.store)
    tree = CategoryTree([str(category) for category in store.manifest["categories"]])
    result = predictions.of_classes(job.folder)
    train = training_counts(job, store)
    table = class_table(result, tree, train)
    seeds = [predictions.of_classes(scored_job(plan, name, seed).folder) for seed in plan.seeds]
    found = calibration(result.logits, result.truth)
    missed = int((table["videos"] == 0).sum())
    site.page(
        f"classes_{name}",
        "classes.md.j2",
        f"Rare and frequent classes of {name}",
        eyebrow=f"classes · {name} {job.stage}, seed {job.seed} · {job.corpus.label}",
        system=name,
        videos=formats.count(len(result.truth)),
        classes=formats.count(len(tree)),
        upper=formats.count(len(tree.level1_names)),
        missed=formats.count(missed),
        few=formats.count(int((table["videos"] < figures_classes.FEW).sum()) - missed),
        least=formats.count(figures_classes.FEW),
        scores=site.table(f"both_ways_{name}", tables_classes.both_ways(scores_both_ways(result, tree))),
        thirds=site.table(f"thirds_{name}", tables_classes.thirds(thirds(result, train, seeds), len(seeds))),
        tail=site.picture(
            f"tail_{name}",
            figures_classes.long_tail(table),
            f"F1 of each class of {name} against its number of training videos",
            "Each dot is a class; its colour says to which third of the classes it belongs.",
        ),
        **_mistakes(site, name, result, store, tree),
        missing=site.table(
            f"missing_{name}", tables_classes.missing(missing_scores(result, store, tree.level1_of_level2))
        ),
        calibration=site.table(f"calibration_{name}", tables_classes.calibration(found, BINS)),
        corrected=", ".join(part.use for part in job.stage_spec.evaluation.postprocess),
        too_sure=found.confidence > found.accuracy,
        shown_by_chance=found.error <= found.calibrated_high,
        reliability=site.picture(
            f"reliability_{name}",
            figures_classes.reliability(found.bins),
            f"Share of right answers of {name} against its confidence",
            "A bar above the dotted line: more often right than it says; below: too sure of itself.",
        ),
        every=site.table(f"classes_{name}", tables_classes.every_class(table)),
    )
    return name, f"classes_{name}.md"


def training_counts(job: Job, store: Store) -> np.ndarray:
    """int64 [C]: training videos of each class, split as the job split them; repeats of rare classes are not counted."""
    data, split = job.stage_spec.data, job.stage_spec.data.split
    train, _ = split_rows(store, data.parts, use=split.use, k=split.k, fold=split.fold, seed=split.seed)
    return class_counts(store, train)


def class_table(result: ClassPredictions, tree: CategoryTree, train: np.ndarray) -> pd.DataFrame:
    """Every class with its parent, its third, its videos and scores; most frequent in training first."""
    frame = longtail.per_class(result.truth, result.predicted, len(tree))
    frame.insert(0, "class", tree.ids)
    frame.insert(1, "parent", tree.level1_names[tree.level1_of_level2])
    for place, (column, rule) in enumerate(zip(("third", "third_of_videos"), GROUPS.values(), strict=True)):
        frame.insert(2 + place, column, np.array(longtail.THIRDS)[rule(train)])
    frame.insert(4, "train", train)
    return frame.sort_values(["train", "class"], ascending=[False, True], ignore_index=True)


def scores_both_ways(result: ClassPredictions, tree: CategoryTree) -> pd.DataFrame:
    """Rows ``metric``, ``present`` (official), ``all`` (classes), ``perfect`` (all classes, faultless)."""
    truth, predicted, level1 = result.truth, result.predicted, tree.level1_of_level2
    ways = {
        "present": mean_f1(truth, predicted, level1),
        "all": mean_f1(truth, predicted, level1, "all"),
        "perfect": mean_f1(truth, truth, level1, "all"),
    }
    return pd.DataFrame([{"metric": m, **{way: s[m] for way, s in ways.items()}} for m in tables_classes.PARTS])


def thirds(result: ClassPredictions, train: np.ndarray, seeds: list[ClassPredictions]) -> pd.DataFrame:
    """All classes, then head, middle and tail by each of ``GROUPS``."""
    everything = (("", np.zeros(len(train), np.int64), ("all",)),)
    rules = tuple((by, rule(train), longtail.THIRDS) for by, rule in GROUPS.items())
    frames = []
    for by, group, names in (*everything, *rules):
        frame = longtail.scores_of_groups(result.truth, result.predicted, group, names)
        frame.insert(0, "by", by)
        frame.insert(4, "train", np.bincount(group, train, len(names)).astype(np.int64))
        f1 = np.array([longtail.f1_of_groups(one.truth, one.predicted, group, len(names)) for one in seeds])
        frames.append(frame.assign(mean=f1.mean(axis=0), sd=f1.std(axis=0, ddof=1) if len(f1) > 1 else np.nan))
    return pd.concat(frames, ignore_index=True)


def _mistakes(site: Site, name: str, result: ClassPredictions, store: Store, tree: CategoryTree) -> dict[str, Any]:
    level1 = tree.level1_of_level2
    found = longtail.wrong_answers(result.truth, result.predicted, level1)
    if not found["wrong"]:
        return {"wrong": None, "siblings": None, "between": None, "tree": None}
    wrong = result.predicted != result.truth
    mistakes = ClassPredictions(result.rows[wrong], result.logits[wrong], result.truth[wrong])
    matrix, names = examples.upper_confusion(mistakes, store)
    pairs = longtail.confused_siblings(result.truth, result.predicted, level1)
    pairs.insert(0, "parent", tree.level1_names[level1[pairs["a"]]])
    ids = np.array(tree.ids)
    pairs = pairs.assign(a=ids[pairs["a"]], b=ids[pairs["b"]])
    hung, ways = confusion_tree.branches(result, tree), confusion_tree.ways(result, tree)
    told = {
        "wrong": formats.count(found["wrong"]),
        "of": formats.share(wrong.mean()),
        "siblings": formats.count(found["siblings"]),
        "share": formats.share(found["share"]),
        "low": formats.share(found["low"]),
        "high": formats.share(found["high"]),
        "outside": formats.count(found["outside"]),
        "chance": formats.share(found["chance"]),
    }
    return {
        "wrong": told,
        "tree": site.picture(
            f"tree_{name}",
            confusion_tree.confusion_tree(hung, ways),
            f"The category tree with the answers of {name}: right, a sibling's or elsewhere by upper class, and arrows "
            "from upper classes to those that their videos were given",
            f"A branch is an upper class, the small number before its bar says how many classes are below it. Arrows: the "
            f"{formats.count(min(len(ways), confusion_tree.ARROWS))} most frequent ways out of {formats.count(len(ways))} "
            "from one branch to another; the wider, the more videos.",
        ),
        "siblings": site.table(f"siblings_{name}", tables_classes.siblings(pairs, PAIRS)) if len(pairs) else None,
        "between": site.picture(
            f"between_{name}",
            figures_scores.confusion(matrix, names, "wrong answers"),
            f"Wrong answers of {name} by the upper class of the truth and of the answer",
            "Wrong answers only: share of those about each upper class (row) that went to each upper class (column). "
            "On the diagonal are siblings.",
        ),
    }
