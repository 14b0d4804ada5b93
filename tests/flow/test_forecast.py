"""How long steps will take and what they will show, from durations and comparisons by hand."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from lab.flow import forecast
from lab.flow.forecast import MANY, expectations
from lab.flow.tasks import Task, job_task
from lab.show import verdicts
from lab.show.plan import Plan


def test_a_step_takes_as_long_as_last_time_else_as_its_system_else_as_its_kind_else_as_the_scale_says(tmp_path):
    names = [
        f"{system}-finetune-{arm}-seed0"
        for system, arm in zip("aabac", ("base", "x", "base", "y", "base"), strict=True)
    ]
    known = {f"finetune/{name}": seconds for name, seconds in zip(names, (10, 20, 60), strict=False)}
    (tmp_path / "durations.json").write_text(json.dumps(known))
    tasks = [Task("finetune", name, (), (), "") for name in names] + [Task("report", "report", (), (), "")]
    found = expectations(tasks, tmp_path, {"finetune": 1, "report": 5})
    assert list(found.values()) == [10, 20, 60, 15, 30, 5]
    found = expectations(tasks, tmp_path, {"finetune/a": 1, "finetune/c": 7})
    assert list(found.values()) == [10, 20, 60, 15, 7, 10], "said of its system, it is better than others' timings"


@pytest.fixture
def asked(monkeypatch):
    """The plan's table of questions, given the smallest effect that n seeds show."""

    def of(visible, plan):
        monkeypatch.setattr(verdicts, "read", lambda file: pd.DataFrame())
        monkeypatch.setattr(verdicts, "visible", lambda plan, name, n, known: visible(n))
        expected = dict.fromkeys((job_task(job).step for job in plan.jobs), 30.0)
        return {row["question"]: row for row in forecast.questions(plan, expected)}

    return of


PLAN = Plan.load("laptop", systems=["wechat_baseline"], questions=["rescaling", "r_drop"])


def test_a_training_counts_where_it_is_needed_first(asked):
    rows = asked(lambda n: {"wechat_baseline": 0.02 / n}, PLAN)
    first = rows["rescaling"]
    assert (first["jobs"], first["minutes"]) == (3, 1.5), "not those of the reference"
    more = asked(lambda n: {}, replace(PLAN, seeds=(0, 1, 2, 3), seeds_given=True))
    assert more["r_drop"]["jobs"] == 4 and more["r_drop"]["visible"] is None


def test_a_claim_needs_the_seeds_that_would_show_it(asked):
    rows = asked(lambda n: {"wechat_baseline": 0.02 / n}, PLAN)
    assert rows["rescaling"]["visible"] == pytest.approx(0.02 / 3)
    assert (rows["rescaling"]["claimed"], rows["rescaling"]["needed"]) == (0.004, 5)
    assert rows["r_drop"]["claimed"] is None and rows["r_drop"]["needed"] is None
    rows = asked(lambda n: {"wechat_baseline": 1.0}, PLAN)
    assert rows["rescaling"]["needed"] > MANY
    assert asked(lambda n: {"wechat_baseline": float("nan")}, PLAN)["rescaling"]["needed"] is None
