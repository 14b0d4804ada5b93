"""Ledger, contradictions and noise, from comparisons made by hand or from fake runs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lab.show import claims, comparisons, runs, verdicts
from lab.show import formats as f
from lab.show.claims import NOT_HERE, contradicted, contradictions, ledger, ledger_table, quirk_of
from lab.show.plan import Plan
from lab.show.specs import Claims
from lab.show.verdicts import ONE_ANSWER
from lib.evaluation.compare import HELPS, HURTS, NAN, NOT_IN_PLAY, RULED_OUT, TOO_SMALL, word
from lib.recipes.load import load, names, validate
from lib.recipes.resolve import layers
from lib.recipes.specs import Ablation, Recipe
from lib.runs import paths
from tests.show import made
from tests.show.test_questions import cells

NO_ENSEMBLES = pd.DataFrame(columns=["name", "metric"])


# ---- the ledger


@pytest.fixture
def frame() -> pd.DataFrame:
    return made.frame(
        made.arm("masked_frames"),
        made.arm("masked_tokens", difference=0.05, low=0.045, high=0.055),
        made.arm("focal_tags", arm="gamma1", difference=0.5),
        made.arm("focal_tags", difference=0.001, low=-0.002, high=0.004, verdict=RULED_OUT, detectable=0.02),
    )


def plan(*systems: str) -> Plan:
    return Plan.load("smoke", systems=list(systems or ["aiac_rank1"]))


def test_every_claim_has_one_row(frame, tmp_path: Path) -> None:
    rows = ledger(plan("aiac_rank1", "wechat_baseline"), frame, NO_ENSEMBLES, tmp_path)
    asked = sum(len(load(Ablation, name).claimed) for name in names(Ablation))
    assert len(rows) == asked + len(load(Claims, "claims").others) >= 40
    assert (rows["note"].astype(bool) | rows["verdict"].map(word).isin([HELPS, HURTS, RULED_OUT])).all()


def test_a_claim_is_held_against_the_arm_it_names(frame, tmp_path: Path) -> None:
    rows = ledger(plan(), frame, NO_ENSEMBLES, tmp_path).set_index("source")
    focal = rows.loc["AIAC rank 6, write-up: more than +1 %"]
    assert (focal["arm"], focal["measured"], focal["claimed"], focal["detectable"]) == ("with", 0.001, 0.01, 0.02)
    assert (focal["low"], focal["high"], focal["holm"], focal["verdict"]) == (-0.002, 0.004, 0.2, RULED_OUT)
    assert focal["page"] == "question/focal_tags"
    assert rows.loc["AIAC rank 6, write-up: +0.01 %", "verdict"] == NOT_HERE


def test_each_of_several_claims_has_its_own_verdict(tmp_path: Path) -> None:
    """The claims 0.003, 0.013 and 0.045 beside an interval from -0.01 to 0.0126; what was never in play rules out nothing."""
    numbers = {"recipe": "wechat_rank72", "metric": "mean_f1", "difference": 0.001, "low": -0.01, "high": 0.0126}
    told = {}
    for verdict in (TOO_SMALL, NOT_IN_PLAY, ONE_ANSWER):
        numbers |= {"low": NAN, "high": NAN} if verdict == ONE_ANSWER else {}
        frame = made.frame(made.arm("pretraining", verdict=verdict, **numbers))
        rows = ledger(plan("wechat_rank72"), frame, NO_ENSEMBLES, tmp_path)
        told[verdict] = dict(rows[rows["page"] == "question/pretraining"][["claimed", "verdict"]].to_numpy())
    assert told[TOO_SMALL] == {0.003: TOO_SMALL, 0.013: RULED_OUT, 0.045: RULED_OUT}
    assert all(set(told[verdict].values()) == {verdict} for verdict in (NOT_IN_PLAY, ONE_ANSWER))


def test_another_report_has_a_verdict_for_each_claim_too(tmp_path: Path) -> None:
    numbers = {"recipe": "wechat_rank72", "metric": "mean_f1", "difference": 0.001, "low": -0.01, "high": 0.0126}
    frame = made.frame(made.arm("pretraining", verdict=TOO_SMALL, **numbers))
    (tmp_path / "smoke-emoji" / "tables").mkdir(parents=True)
    verdicts.write(frame, tmp_path / "smoke-emoji" / "tables")
    rows = ledger(plan("wechat_rank72"), frame, NO_ENSEMBLES, tmp_path)
    told = dict(rows[rows["page"] == "question/pretraining"][["claimed", "elsewhere"]].to_numpy())
    assert told[0.003] == f"smoke-emoji: +0.001, {TOO_SMALL}" and told[0.045] == f"smoke-emoji: +0.001, {RULED_OUT}"


def test_a_claim_of_an_ensemble_is_held_against_its_best_member(frame, tmp_path: Path) -> None:
    row = dict(name="aiac_rank1_jobs", recipe="aiac_rank1", metric="spearman", score=0.5, low=0.4, high=0.6)
    row |= {"difference": 0.02, "difference_low": -0.01, "difference_high": 0.05, "verdict": "no effect above 0.05"}
    found = ledger(plan(), frame, pd.DataFrame([row]), tmp_path).set_index("trick").loc["six models instead of one"]
    assert (found["measured"], found["low"], found["high"], found["verdict"]) == (0.02, -0.01, 0.05, TOO_SMALL)
    assert found["page"] == "ensemble/aiac_rank1_jobs"
    missing = ledger(plan(), frame, NO_ENSEMBLES, tmp_path).set_index("trick").loc["six models instead of one"]
    assert missing["verdict"] == NOT_HERE and "`make ensemble NAME=aiac_rank1_jobs` shows it" in missing["note"]


def test_other_corpora_fill_their_column(frame, tmp_path: Path) -> None:
    (tmp_path / "smoke-emoji" / "tables").mkdir(parents=True)
    verdicts.write(frame, tmp_path / "smoke-emoji" / "tables")
    rows = ledger(plan(), frame, NO_ENSEMBLES, tmp_path)
    elsewhere = rows.loc[rows["source"].str.contains("tag \\+ MLM over tag only"), "elsewhere"].item()
    assert elsewhere == "smoke-emoji: +0.05, helps"


def test_a_recipe_of_the_users_own_belongs_to_the_track_of_its_corpus(frame, tmp_path: Path, monkeypatch) -> None:
    """Whatever it is called: here a system of the class track with a name of the other."""
    shutil.copytree(paths.params(), tmp_path / "params")
    recipes = tmp_path / "params" / "recipes"
    (recipes / "my_aiac_copy.yaml").write_text((recipes / "wechat_baseline.yaml").read_text(encoding="utf-8"))
    monkeypatch.setenv("VIDLAB_PARAMS", str(tmp_path / "params"))
    rows = ledger(plan("my_aiac_copy"), frame, NO_ENSEMBLES, tmp_path)
    assert len(rows) and set(rows["metric"]) == {"mean_f1"}


def test_ledger_cell_by_cell(frame, tmp_path: Path) -> None:
    table = ledger_table(ledger(plan(), frame, NO_ENSEMBLES, tmp_path), "spearman")
    row = cells(table)[
        "[focal loss on tags, gamma 2](page:question/focal_tags)<br>AIAC rank 6, write-up: more than +1 %"
    ]
    assert row["claimed"] == "+0.01" and row["could be seen"] == "0.02" and row["verdict"] == f"**{RULED_OUT}**"
    assert row["measured"] == "+0.001<br>−0.002 to +0.004<br>p 0.200 after Holm<br>AIAC 1st"
    assert table.name == "claims_spearman" and list(table.frame.columns) == list(claims.LEDGER)
    assert (
        "3 of 3 measured claims of a size are smaller than what could be seen" in table.caption
    )  # 0.01 < 0.02, 0.0026 and 0.0011 < 0.05


# ---- what the code did


@pytest.fixture(scope="module")
def found(world) -> pd.DataFrame:
    """Of the questions that measure a contradiction."""
    asked = {row.measured.question for row in contradictions() if row.measured} & set(world.ablations)
    return comparisons.of_plan(replace(world, questions=tuple(asked)))


def rows_of(plan: Plan, frame: pd.DataFrame) -> dict[tuple[str, str], dict]:
    return {(row["recipe"], row["id"]): row for row in contradicted(plan, frame).to_dict("records")}


def test_only_the_plans_systems_and_all_of_theirs(world, found):
    listed = rows_of(world, found)
    assert set(listed) == {(row.recipe, row.id) for row in contradictions() if row.recipe in world.systems}
    assert len({recipe for recipe, _ in listed}) == len(world.systems)


def test_difference_is_as_coded_minus_as_said_whichever_is_the_reference(world, found):
    listed, rows = rows_of(world, found), verdicts.compared(found).set_index(["ablation", "recipe", "arm"])
    padding = listed["aiac_rank1", "A7-1"]
    by_hand = rows.loc[("pool_padding", "aiac_rank1", "padding")]
    for name in ("difference", "low", "high"):
        assert padding[name] == by_hand[name]
    assert (padding["seeds"], padding["arms"], padding["metric"]) == (
        3,
        "pooling over padding against masked",
        "spearman",
    )
    strict, leak = rows.loc[("strict_split", "aiac_rank1", "strict")], listed["aiac_rank1", "A7-7"]
    assert leak["difference"] == pytest.approx(-strict["difference"]) and leak["low"] == pytest.approx(-strict["high"])


def test_two_arms_neither_of_which_is_the_reference_are_paired_anew(world, found):
    """C7-1 lies between coded and described; the question compares both with training without the loss."""
    jobs = world.ablation_jobs("nearest_level")
    coded, described = (runs.rows(jobs["aiac_rank17", arm])["score"].to_numpy(float) for arm in ("coded", "described"))
    row = rows_of(world, found)["aiac_rank17", "C7-1"]
    assert (
        row["difference"] == pytest.approx((coded - described).mean()) and row["low"] < row["difference"] < row["high"]
    )


def test_arms_of_one_name_belong_to_their_own_question(world):
    frame = made.frame(made.reference("fgm"), made.arm("fgm", difference=0.9), made.reference("ema"), made.arm("ema"))
    found = comparisons.between(world, frame, "ema", "aiac_rank1", "with", "without")
    assert found["difference"] == 0.03


def test_contradictions_cell_by_cell(world, found):
    rows = contradicted(world, found)
    table = claims.contradiction_table(rows, "aiac_rank1")
    row = cells(table)["mean of the sequence<br>A7-1"]
    numbers = rows.set_index(["recipe", "id"]).loc[("aiac_rank1", "A7-1")]
    difference, low, high = (f.difference(numbers[name]) for name in ("difference", "low", "high"))
    effect = f"{difference} Spearman<br>{low} to {high}<br>"
    assert (
        row["implemented minus described"]
        == effect + "[pooling over padding against masked](page:question/pool_padding)"
    )
    assert (
        row["verdict"] == f"**{numbers['verdict']}**" and "`model.pooling.include_padding: true`" in row["implemented"]
    )
    assert (
        table.name == "contradictions_aiac_rank1"
        and f" of the {len(table.frame)} cases have an experiment, " in table.caption
    )
    shown = rows.assign(difference=0.0, low=0.0, high=0.0)
    told = "every score is the same: it never came into play here"
    assert told in claims.contradiction_table(shown, "aiac_rank1").markdown() and told not in table.markdown()


def test_a_question_that_is_not_asked_names_its_command(world, found):
    few = found[found["ablation"] != "pool_padding"]
    text = claims.contradiction_table(contradicted(world, few), "aiac_rank1").markdown()
    assert "not in this report<br>`make ablation NAME=pool_padding` asks<br>pooling over padding against masked" in text
    nothing = claims.contradiction_table(contradicted(world, few.head(0)), "aiac_rank1")
    assert "have an experiment, none of them ran. Below" in nothing.caption


def test_a_system_of_which_no_contradiction_is_known(world, found):
    own = replace(world, systems=("my_system",))
    table = claims.contradiction_table(contradicted(own, found), "my_system")
    assert len(table.frame) == 0 and table.caption == "No such case is known."


def test_captions_count_effects():
    rows = pd.DataFrame(
        [{"recipe": "r", "question": q, "in_report": bool(q), "verdict": v, "id": "x"} for q, v in
         (("a", "hurts"), ("b", "hurts"), ("c", "helps"), ("d", "no effect above 0.012"), ("", ""))]
    )  # fmt: skip
    caption = claims.contradiction_table(rows, "r").caption
    assert caption.startswith(
        "4 of the 5 cases have an experiment, 4 of them ran; doing what the code does: 2 hurts, 1 helps."
    )


def test_switches_come_from_the_quirk_the_variant_or_the_arms(world, found):
    switches = {key: row["switch"] for key, row in rows_of(world, found).items()}
    assert switches["aiac_rank1", "A7-5"] == "stages.pretrain.reload_best_each_epoch: true"
    assert switches["aiac_rank1", "all"] == "variant faithful"
    assert switches["aiac_rank1", "A7-2"].startswith("not stages.pretrain.objectives.frames.similarity: cosine\nnot ")
    assert switches["aiac_rank1", "A7-3"] == ""


def depends_on(recipe: str, arm: str, stage: str, switch: dict) -> dict:
    """All that a run of a stage depends on: features, model, and the stages it comes from, without terms of weight 0."""
    last = list(layers(recipe, arm, "laptop"))[-1].under(switch, arm)
    tree = validate(Recipe, last.tree, arm).model_dump(mode="json")
    waiting, stages = [stage], {}
    while waiting:
        name = waiting.pop()
        own = stages[name] = tree["stages"][name]
        own["objectives"] = {key: value for key, value in own["objectives"].items() if value["weight"] > 0}
        waiting += [own[role] for role in ("init_from", "teacher") if own[role] and own[role] not in stages]
    return {"features": tree["features"], "model": tree["model"], "stages": stages}


MEASURED = [row for row in contradictions() if row.measured and (quirk := quirk_of(row)) and quirk.switch]


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row.recipe}-{row.id}")
def test_just_the_quirks_switch_lies_between_the_arms_that_measure_it(row):
    """Or the row says what its arms leave out."""
    spec = load(Ablation, row.measured.question)
    coded, said = (f"{row.measured.question}.{arm}" for arm in (row.measured.coded, row.measured.said))
    stage, switch = spec.stages.get(row.measured.coded, spec.stage), quirk_of(row).switch
    original, mended, switched = (
        depends_on(row.recipe, arm, stage, changes) for arm, changes in ((coded, {}), (said, {}), (said, switch))
    )
    assert original != mended and (original == switched or row.unmeasured)


def test_most_quirks_that_can_be_switched_are_measured():
    assert len(MEASURED) >= 14


@pytest.mark.parametrize("recipe", ["aiac_rank1", "aiac_rank6", "aiac_rank17"])
def test_every_arm_of_the_quirk_questions_is_a_quirk(recipe):
    """Arms carry the quirk's number and nothing but its switch; ``all`` is the recipe's faithful variant."""
    spec, question = load(Recipe, recipe), load(Ablation, f"quirks_{recipe}")
    switches = {quirk.id.lower().replace("-", "_"): dict(quirk.switch) for quirk in spec.quirks}
    switches |= {"fixed": {}, "all": dict(spec.variants["faithful"])}
    assert {arm: switches[arm] for arm in question.arms} == question.arms and len(question.arms) <= 6
