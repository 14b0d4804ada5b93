"""WeChat rank 72 from corpus to run folders: pretraining without labels, both feature sets, resampled finetuning."""

import json

import numpy as np
import pytest

from lib.recipes.job import Job
from lib.stages.build import check
from lib.stages.problem import make_problem
from lib.stages.run import run

NEEDED = [("wechat_rank72", "finetune", arm) for arm in ("base", "faithful")]
SWIN, HEAD = 27_519_354, 768 * 200 + 200


def _job(stage, arm="base", scale="smoke"):
    return Job.load("wechat_rank72", stage, arm, 0, scale)


@pytest.mark.parametrize("arm", ["base", "faithful"])
def test_both_stages(home, arm):
    """Pretraining is judged by its losses and keeps pooled vectors as they are; finetuning is judged by mean F1."""
    folder = run(_job("pretrain", arm))
    metrics = json.loads(folder.metrics.read_text())
    rows = folder.history.rows()
    assert metrics["primary"] == metrics["selected_by"] == "loss" and metrics["scores"]["validation"]["loss"] > 0
    assert set(next(row["terms"] for row in rows if "terms" in row)) == {"tokens", "matching"}
    vectors = folder.read_arrays(folder.embeddings)["vectors"]
    assert np.isfinite(vectors).all() and (np.abs(np.linalg.norm(vectors, axis=1) - 1) > 1e-3).all()
    metrics = json.loads(run(_job("finetune", arm)).metrics.read_text())
    assert metrics["primary"] == "mean_f1" and 0 <= metrics["scores"]["validation"]["mean_f1"] <= 1


def test_what_is_trained_on(home):
    labels = home.categories()
    problem = make_problem(_job("pretrain"), home)
    assert set(home.column("part")[problem.train.rows]) == {"unlabeled"} and (labels[problem.train.rows] < 0).all()
    assert len(problem.rows) and not np.isin(problem.rows, problem.train.rows).any()
    problem = make_problem(_job("finetune"), home)
    seen = np.unique(problem.train.rows, return_counts=True)
    assert seen[1].max() > 1, "rare categories come more often"
    assert not np.isin(problem.rows, seen[0]).any(), "resampled after the split"


def test_published_sizes():
    """With the frame encoder, whose features are stored here; pretraining carries the unused head of the categories."""
    assert check(_job("finetune", "faithful", "full")) + SWIN == 213_229_634
    assert check(_job("pretrain", "faithful", "full")) + SWIN - HEAD == 213_689_859


def test_arms_of_resampling_make_as_many_epochs_or_as_many_updates(home):
    steps, epochs = {}, {}
    for arm in ("without", "with", "same_steps"):
        job = _job("finetune", f"resampling.{arm}")
        run(_job("pretrain"))
        steps[arm] = json.loads(run(job).metrics.read_text())["steps"]
        epochs[arm] = steps[arm] * job.stage_spec.data.batch_size / len(make_problem(job, home).train)
    assert steps["with"] > steps["without"] == steps["same_steps"]
    assert epochs["with"] == pytest.approx(epochs["without"], rel=0.15)
    assert epochs["same_steps"] < 0.85 * epochs["without"]
