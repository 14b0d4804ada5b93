"""What a plan at published size costs, against what is known of the published systems and by hand."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.show import cost
from lib.recipes.job import Job
from lib.runs.machine import CARDS

PRETRAIN = Job.load("aiac_rank1", "pretrain", "base", 2021, "full")


def test_the_published_job_costs_what_it_is_known_to():
    """Job 1: 24 layers of 1024 on 36 tokens and 32 frames, a batch of 128 within 24 GB; FLOPs of a video as torch counts
    those of a step (1.65e11), within a third."""
    steps = PRETRAIN.stage_spec.data.epochs * 1e6
    found = cost.cost(PRETRAIN, operations=1e12)
    assert found.hours * 3600 * 1e12 / steps == pytest.approx(1.65e11, rel=0.35)
    assert 10 < found.memory < 24 and 3 < found.disk < found.memory


def test_a_second_pass_costs_as_much_again_and_twice_the_speed_half():
    base, other = (Job.load("wechat_rank72", "finetune", arm, 2021, "full") for arm in ("base", "fgm.without"))
    assert cost.cost(base, 1e12).hours == pytest.approx(2 * cost.cost(other, 1e12).hours)
    assert cost.cost(base, 2e12).hours == pytest.approx(cost.cost(base, 1e12).hours / 2)


def test_a_speed_that_was_measured_is_taken_and_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "RESULTS", tmp_path)
    assert cost.rate("H100") == (0.4 * CARDS["H100"][0], "not measured: 40% of an H100's peak")
    rows = [{"mfu": 0.3}, {"mfu": 0.5}, {"mfu": None}]
    (tmp_path / "published-nvidia.json").write_text(json.dumps({"device": "NVIDIA H100 80GB", "rows": rows}))
    assert cost.rate("H100") == (0.5 * CARDS["H100"][0], "measured by benchmarks.published on an H100")
    assert "not measured" in cost.rate("H200")[1]
    with pytest.raises(ValueError, match="'abacus'"):
        cost.rate("abacus")


def test_cards_wait_for_parents_and_for_each_other():
    """a (3 h) -> b (2 h); c, d (4 h each). One card 13; two: a, c; then b at 3 to 5, d at 4 to 8; four: the longest chain."""

    def job(name, *parents):
        return SimpleNamespace(folder=SimpleNamespace(path=Path(name)), parents={p.folder.path: p for p in parents})

    a = job("a")
    jobs = [a, job("b", a), job("c"), job("d")]
    hours = {Path(name): time for name, time in {"a": 3, "b": 2, "c": 4, "d": 4}.items()}
    assert [cost.wait(jobs, hours, cards) for cards in (1, 4)] == [13, 5]
    assert cost.wait([a, jobs[2], jobs[1], jobs[3]], hours, 2) == 8
    assert cost.wait(jobs, hours, 2) == 8  # nobody sits idle until b may start
