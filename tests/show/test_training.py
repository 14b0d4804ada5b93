"""A run's history as numbers and as panels."""

import json

import pytest

from lab.show import training
from lib.runs.folder import RunFolder


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "recipe" / "finetune" / "base" / "seed0")
    for step in range(0, 200, 2):
        terms = {"tags": 2.0 + (step == 100), "tokens": 1.0}
        run.history.append(
            {"step": step, "lr": step / 1000, "loss": sum(terms.values()), "terms": terms, "grad_norm": 3.0}
        )
    for step, score in ((50, 0.2), (100, 0.6), (150, 0.5)):
        run.history.append({"step": step, "scores": {"spearman": score, "mse": 0.1}})
    run.history.append({"step": 70, "event": "rewind"})
    metrics = {"primary": "spearman", "best_step": 100, "steps": 200, "scores": {}, "digest": "d"}
    run.metrics.write_text(json.dumps(metrics))
    return run


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """A history needs no finished run around it."""
    monkeypatch.setattr(RunFolder, "read_metrics", lambda self, *_: json.loads(self.metrics.read_text()))


def test_history_by_hand(run):
    frame = training.history(run)
    panels = ["weighted sum", "tags", "tokens", "gradient norm", "learning rate", "validation Spearman", "rewind"]
    assert list(dict.fromkeys(frame["panel"])) == panels
    tags = frame[frame["panel"] == "tags"].set_index("step")
    assert tags["value"].loc[[98, 100]].tolist() == [2.0, 3.0] and len(tags) == 100
    assert frame.loc[frame["kept"], ["panel", "step", "value"]].to_numpy().tolist() == [
        ["validation Spearman", 100, 0.6]
    ]
    assert frame.loc[frame["panel"] == "rewind", "step"].tolist() == [70]
    assert frame.loc[frame["panel"] == "learning rate", "smooth"].isna().all()


def test_one_term_has_no_sum(tmp_path, run):
    run.history.path.write_text('{"step": 0, "lr": 1, "loss": 2, "terms": {"tags": 2}, "grad_norm": 1}\n')
    assert list(dict.fromkeys(training.history(run)["panel"])) == ["tags", "gradient norm", "learning rate"]


def test_panels_draw_their_rows_and_the_ring_is_the_checkpoint_kept(run):
    picture = training.curves(run)
    axes = {axis.get_title(loc="left"): axis for axis in picture.figure.axes if axis.axison}
    parts = dict(list(picture.frame.groupby("panel", sort=False)))
    for panel, axis in axes.items():
        raw, smooth, ring, *_ = axis.lines
        assert raw.get_xydata() == pytest.approx(parts[panel][["step", "value"]].to_numpy(float))
        assert smooth.get_ydata() == pytest.approx(parts[panel]["smooth"].to_numpy(), nan_ok=True)
        assert ring.get_xydata().tolist() == ([[100, 0.6]] if panel == "validation Spearman" else [])
    assert axes["tags"].lines[3].get_xdata() == [70, 70] and len(axes["validation Spearman"].lines) == 3
    assert len(axes) == 6 and axes["tags"].get_xlabel() == "step"


def test_a_median_drops_a_flicker_and_keeps_a_jump(run):
    frame = training.history(run)
    long = frame.loc[frame["panel"] == "tags", "value"].repeat(3).reset_index(drop=True)
    assert training.smooth(long, points=20).max() == 2.0
    jump = training.smooth(frame["step"].head(100).gt(100).astype(float), points=20)
    assert (jump.iloc[0], jump.iloc[-1]) == (0, 1)


@pytest.mark.parametrize("job", ["aiac_rank1 pretrain", "aiac_rank1 finetune", "wechat_baseline finetune"])
def test_scores_and_job_say_what_the_run_says(world, monkeypatch, job):
    monkeypatch.undo()
    job = world.job(*job.split())
    metrics = json.loads(job.folder.metrics.read_text())
    table = training.scores(job.folder)
    rows = {(row.split, row.metric): row for row in table.frame.itertuples()}
    for split, values in metrics["scores"].items():
        for metric, value in values.items():
            row = rows[split, metric]
            assert row.score == value and f"| {value:.3f} |".replace("-", "−") in table.markdown()
            if split == "validation" and metric in metrics["intervals"]:
                assert [row.low, row.high] == metrics["intervals"][metric]
                assert row.oracle == metrics["oracle"][metric]
            else:
                assert row.low != row.low or row.low is None
    assert "Kept: step 60 of 80." in table.caption
    assert f"`{job.digest}`" in training.job(job).markdown()
    assert training.curves(job.folder).frame["kept"].sum() == 1
