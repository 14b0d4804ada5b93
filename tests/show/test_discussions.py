"""Discussions: missing, current or older than the numbers; accepting one edits one line of its file."""

from __future__ import annotations

import shutil

import pytest
import yaml

from lab.flow.tasks import tasks_of
from lab.show import discussions
from lab.show.answers import answer
from lab.show.plan import Plan
from lib.recipes.errors import RecipeError
from lib.recipes.load import load
from lib.recipes.specs import Ablation
from lib.runs import paths


@pytest.fixture
def params(world, tmp_path, monkeypatch):
    """A copy of the questions that may be edited; returns a plan that has read them."""

    def edited(name: str, discussion: str = "", digest: str = "") -> Plan:
        file = tmp_path / "params" / "ablations" / f"{name}.yaml"
        text = file.read_text(encoding="utf-8").partition("discussion:")[0]
        text += f"discussion: >-\n  {discussion}\n" if discussion else ""
        file.write_text(text + (f'discussion_digest: "{digest}"\n' if digest else ""), encoding="utf-8")
        load.cache_clear()
        return Plan.load("laptop", systems=list(world.systems))

    shutil.copytree(paths.params(), tmp_path / "params")
    monkeypatch.setenv("VIDLAB_PARAMS", str(tmp_path / "params"))
    yield edited
    load.cache_clear()


def state_of(plan: Plan, name: str) -> str:
    return discussions.state(answer(plan, name))


def test_states(params):
    assert state_of(params("ema"), "ema") == "missing"
    assert state_of(params("ema", "It helps.", "0" * 16), "ema") == "older than the numbers"
    now = answer(params("ema", "It helps."), "ema").digest
    assert state_of(params("ema", "It helps.", now), "ema") == "current"


def test_accepting_edits_one_line_and_keeps_comments_and_layout(params, tmp_path):
    plan = params("ema", "It helps.", "0" * 16)
    file = tmp_path / "params" / "ablations" / "ema.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(f"# a comment\n{before}", encoding="utf-8")
    discussions.accept(plan, "ema")
    after = file.read_text(encoding="utf-8").splitlines()
    assert [line for line in after if line not in f"# a comment\n{before}".splitlines()] == [
        f'discussion_digest: "{answer(plan, "ema").digest}"'
    ]
    assert len(after) == len(before.splitlines()) + 1
    load.cache_clear()
    assert state_of(Plan.load("laptop", systems=list(plan.systems)), "ema") == "current"


def test_accepting_for_the_first_time_adds_the_line(params, tmp_path):
    plan = params("ema", "It helps.")
    discussions.accept(plan, "ema")
    tree = yaml.safe_load((tmp_path / "params" / "ablations" / "ema.yaml").read_text(encoding="utf-8"))
    assert tree["discussion_digest"] == answer(plan, "ema").digest and tree["discussion"] == "It helps."


def test_a_digest_of_digits_alone_stays_text():
    assert (
        yaml.safe_load(discussions.with_digest("a: 1\n", "1234567890123456"))["discussion_digest"] == "1234567890123456"
    )


def test_nothing_to_accept_names_the_file(params):
    with pytest.raises(RecipeError, match=r"ema.yaml: discussion: missing; write it first"):
        discussions.accept(params("ema"), "ema")
    with pytest.raises(RecipeError, match="keywords.yaml: not a question of this report"):
        discussions.accept(params("ema"), "keywords")


def test_a_discussion_changes_no_digest_but_the_reports(params):
    silent = {f"{task.rule}/{task.name}": task.digest for task in tasks_of(params("ema"))}
    spoken = {f"{task.rule}/{task.name}": task.digest for task in tasks_of(params("ema", "It helps.", "0" * 16))}
    assert {name for name in silent if silent[name] != spoken[name]} == {"report/report"}


def test_only_a_question_without_numbers_has_none(world):
    listed = {name: (digest, state) for name, digest, state in discussions.states(world)}
    assert set(listed) == set(world.ablations)
    assert listed["ema"] == (answer(world, "ema").digest, discussions.state(answer(world, "ema")))
    written = {name for name in world.ablations if load(Ablation, name).discussion}
    assert {name for name, (_, state) in listed.items() if state == discussions.MISSING} == set(
        world.ablations
    ) - written
