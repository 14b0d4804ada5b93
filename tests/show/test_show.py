"""What notebooks show, on fake runs: the right kind of thing, with values from the run."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from lab.show import examples, predictions, show
from lab.show.table import Table


@pytest.fixture(scope="module")
def jobs(world):
    kinds = {"pretrain": "aiac_rank1 pretrain", "pairs": "aiac_rank1 finetune", "classes": "wechat_baseline finetune"}
    return {name: world.job(*job.split()) for name, job in kinds.items()}


@pytest.mark.parametrize("name", ["pretrain", "pairs", "classes"])
def test_every_run_shows_job_curves_and_scores(jobs, name):
    job = jobs[name]
    assert job.digest in show.job(job).html()
    assert isinstance(show.curves(job.folder), Figure)
    metrics = json.loads(job.folder.metrics.read_text())
    value = metrics["scores"]["validation"][metrics["primary"]]
    assert f"{value:.4f}" in show.scores(job.folder).html()


@pytest.mark.parametrize("name", ["pairs", "classes"])
def test_scored_runs_show_errors_slices_and_neighbours(jobs, name):
    job = jobs[name]
    assert isinstance(show.slices(job.folder, job.corpus.store), Figure)
    assert isinstance(show.predicted(job.folder, job.corpus.store), Figure)
    worst = show.worst(job.folder, job.corpus.store)
    assert isinstance(worst, Table) and len(worst.frame) == 10
    assert len(show.neighbours(job.folder, job.corpus.store, queries=3, count=2).frame) == 6
    table = show.against_published(job.folder, job.spec).frame
    assert set(table["whose"]) == {"ours", "published"}


def test_worst_pairs_are_the_largest_gaps_of_rank(jobs):
    job = jobs["pairs"]
    found = predictions.of_pairs(job.folder)
    from scipy.stats import rankdata

    gap = np.abs(rankdata(found.cosine) - rankdata(found.score)) / len(found.score)
    frame = show.worst(job.folder, job.corpus.store, count=3).frame
    assert frame["rank_gap"].abs().tolist() == pytest.approx(np.sort(gap)[::-1][:3].tolist())


def test_neighbours_are_the_nearest_by_cosine(jobs):
    job = jobs["pairs"]
    rows, vectors = predictions.vectors(job.folder)
    frame = show.neighbours(job.folder, job.corpus.store, queries=1, count=3).frame
    store = examples.opened(job.corpus.store)
    first = int(np.argmax(vectors @ vectors.mean(axis=0)))
    cosines = np.delete(vectors @ vectors[first], first)
    assert frame["query"].iloc[0] == examples.title(store, rows[first])
    assert frame["cosine"].tolist() == pytest.approx(np.sort(cosines)[::-1][:3].tolist())


def test_confusion_of_the_upper_level_by_hand():
    logits = np.eye(4)[[0, 0, 1, 3, 3]]
    result = predictions.ClassPredictions(np.arange(5), logits, np.array([0, 1, 1, 3, 2]))
    store = SimpleNamespace(manifest={"categories": ["0000", "0001", "0100", "0101"]})
    matrix, names = examples.upper_confusion(result, store)
    assert matrix.tolist() == [[3, 0], [0, 2]] and names == ["00", "01"]


def test_teacher_and_student_need_the_same_pairs(jobs, world):
    student = world.job("aiac_rank1", "distill")
    assert isinstance(show.teacher_student(student.folder, student.parents["teacher"].folder), Figure)
    other = predictions.of_pairs(student.folder).pairs[:-1]
    arrays = student.folder.read_arrays(student.folder.path / "pairs.npz")
    shorter = {name: value[: len(other)] for name, value in arrays.items()}
    student.folder.write_arrays(student.folder.path / "pairs.npz", **shorter)
    try:
        with pytest.raises(ValueError, match="different pairs"):
            show.teacher_student(student.folder, student.parents["teacher"].folder)
    finally:
        student.folder.write_arrays(student.folder.path / "pairs.npz", **arrays)
