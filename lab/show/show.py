"""What a notebook shows of a job and its run folder: one call, one table or figure.

Every function reads files and returns something Jupyter draws: a Table or a matplotlib Figure.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lab.show import (
    examples,
    figures_scores,
    figures_space,
    figures_training,
    formats,
    frames,
    predictions,
    tables,
)
from lab.show.rows import dicts
from lab.show.slicing import slice_scores
from lab.show.table import Column, Table
from lib.data.store import Store
from lib.recipes.job import Job
from lib.recipes.specs import Recipe
from lib.runs.folder import RunFolder

MAP_SIDE = 48  # pixels of a frame on the embedding map
PARTS = {"unseen": tables.NEW_VIDEOS, "seen": "seen videos"}


def job(job: Job) -> Table:
    """The resolved job: recipe, stage, arm, seed, corpus, digest, folder, parents, finished or not."""
    facts = {
        key: formats.significant(value) if isinstance(value, bool) else str(value)
        for key, value in job.describe().items()
    }
    frame = pd.DataFrame({"what": list(facts), "value": list(facts.values())})
    return Table(frame, (Column("", "what"), Column("", "value", "code")))


def curves(run: RunFolder) -> Figure:
    """Losses by term, gradient norm, learning rate and validation score over steps; the ring is the checkpoint kept."""
    metrics, history = run.read_metrics(), run.history
    events = history.frame("event")
    rewinds = [int(row["step"]) for row in dicts(events) if row.get("event") == "rewind"]
    return figures_training.run_curves(
        history.frame("loss"), history.frame("scores"), metrics["primary"], metrics["best_step"], rewinds
    )


def scores(run: RunFolder) -> Table:
    """Every score of a run, with the 95 % interval over validation items and the oracle where known."""
    metrics = run.read_metrics()
    rows = [
        {
            "split": split,
            "metric": metric,
            "score": value,
            "low": metrics["intervals"].get(metric, [None, None])[0] if split == "validation" else None,
            "high": metrics["intervals"].get(metric, [None, None])[1] if split == "validation" else None,
            "oracle": metrics["oracle"].get(metric) if split == "validation" else None,
        }
        for split, values in sorted(metrics["scores"].items(), key=lambda item: item[0] != "validation")
        for metric, value in values.items()
    ]
    columns = (
        Column("part", lambda r: PARTS.get(r["split"], r["split"])),
        Column("metric", "metric"),
        Column("score", lambda r: formats.score(r["score"], 4), "number"),
        Column("95 % interval", lambda r: formats.interval(r["low"], r["high"]), "number", "over validation items"),
        Column("oracle", lambda r: formats.score(r["oracle"]), "number", "score of the generator's own truth"),
    )
    items = ", ".join(
        f"{key.replace('_', ' ')}: {formats.significant(value)}" for key, value in metrics["items"].items()
    )
    notes = (
        (f"**{tables.NEW_VIDEOS}**: {tables.EXPLAINED[tables.NEW_VIDEOS]}.",) if "unseen" in metrics["scores"] else ()
    )
    return Table(
        pd.DataFrame(rows),
        columns,
        f"{items}. Kept: step {formats.count(metrics['best_step'])} of {formats.count(metrics['steps'])}.",
        notes,
    )


def against_published(run: RunFolder, recipe: Recipe) -> Table:
    """Our score beside each published score of the same stage and metric; other data, so never subtracted."""
    metrics = run.read_metrics()
    ours = metrics["scores"]["validation"]
    rows = [
        {
            "whose": "ours",
            "corpus": metrics["job"]["corpus"],
            "split": "validation",
            "metric": m,
            "score": v,
            "source": "",
            "note": "",
        }
        for m, v in ours.items()
    ]
    rows += [
        {
            "whose": "published",
            "corpus": recipe.origin.contest,
            "split": p.split,
            "metric": p.metric,
            "score": p.value,
            "source": p.source,
            "note": p.note,
        }
        for p in recipe.published
        if p.stage in (stage := metrics["job"]["stage"], recipe.stages[stage].phase)
    ]
    frame = pd.DataFrame(rows)
    frame = frame.sort_values("metric", kind="stable", key=lambda names: names != metrics["primary"], ignore_index=True)
    columns = (
        Column("", "whose"),
        Column("metric", "metric"),
        Column("score", lambda r: formats.score(r["score"], 4), "number"),
        Column("corpus", "corpus"),
        Column("split", "split"),
        Column("source", "source"),
        Column("note", "note"),
    )
    return Table(frame, columns, emphasis=lambda r: "reference" if r["whose"] == "ours" else "")


def predicted(run: RunFolder, store: Store | Path | str) -> Figure:
    """Pairs: predicted against human score, as values and ranks. Classes: confusion of the upper level."""
    if predictions.kind(run) == "pairs":
        result = predictions.of_pairs(run)
        return figures_scores.predicted_against_true(result.cosine, result.score)
    result = predictions.of_classes(run)
    matrix, names = examples.upper_confusion(result, examples.opened(store))
    return figures_scores.confusion(matrix, names)


def slices(run: RunFolder, store: Store | Path | str) -> Figure:
    """Score by text length, missing parts, frames, and how much training saw of the pair or class."""
    return figures_scores.slices(*slice_scores(run, examples.opened(store)))


def worst(run: RunFolder, store: Store | Path | str, count: int = 10) -> Table:
    """The largest errors: pairs ranked most wrongly, or videos misclassified with the greatest confidence."""
    which = examples.worst_pairs if predictions.kind(run) == "pairs" else examples.worst_classes
    return which(run, examples.opened(store), count)


def neighbours(run: RunFolder, store: Store | Path | str, queries: int = 5, count: int = 4) -> Table:
    """Nearest videos of a few videos that are far from each other."""
    return examples.neighbours(run, examples.opened(store), queries, count)


def embedding_map(run: RunFolder, store: Store | Path | str) -> Figure:
    """Videos of the run seen from above (PCA, then t-SNE), coloured by upper-level category.

    Some carry their title, and a frame if the corpus has pictures.
    """
    opened = examples.opened(store)
    rows, vectors = predictions.vectors(run)
    if opened.manifest["images"]:  # a video may lack them all the same
        seen = opened.n_images[rows] > 0
        rows, vectors = rows[seen], vectors[seen]
    chosen = figures_space.sample(rows)
    videos = [opened.video(int(row), frames=False) for row in rows[chosen]]
    return figures_space.embedding_map(
        figures_space.layout(vectors[chosen]),
        [examples.upper_category(video.category) for video in videos],
        [video.title for video in videos],
        picture=(lambda place: frames.few_colours(frames.thumbnail(opened, rows[chosen[place]], MAP_SIDE)))
        if opened.manifest["images"]
        else None,
    )


def teacher_student(run: RunFolder, teacher: RunFolder) -> Figure:
    """Cosines of the validation pairs by teacher and by student.

    Raises:
        ValueError: the two were validated on different pairs.
    """
    student, master = predictions.of_pairs(run), predictions.of_pairs(teacher)
    if not np.array_equal(student.pairs, master.pairs):
        raise ValueError("teacher and student were validated on different pairs; give both the same split")
    return figures_scores.teacher_student(master.cosine, student.cosine, student.score)
