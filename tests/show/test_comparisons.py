"""The one table of comparisons from run folders, against values worked out here; missing runs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lab.show import comparisons
from lab.show.comparisons import arms, compared, of_question, p_value, paired, scores, together
from lib.evaluation.compare import HELPS, HURTS, NOTHING, UNKNOWN, compare, detectable
from lib.recipes.code_digest import digest
from lib.runs.folder import MissingRun
from tests.show import made

ARM, REFERENCE = np.array([0.52, 0.55, 0.50]), np.array([0.50, 0.51, 0.47])


def metrics(job) -> dict:
    return json.loads(job.folder.metrics.read_text())["scores"]


def validation(jobs) -> np.ndarray:
    return np.array([metrics(job)["validation"]["spearman"] for job in jobs])


def test_row_of_an_arm_by_hand(world):
    jobs = world.ablation_jobs("ema")
    arm, reference = (validation(jobs["aiac_rank1", name]) for name in ("with", "without"))
    differences = arm - reference
    half = stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1)
    row = compared(of_question(world, "ema")).set_index(["recipe", "arm"]).loc["aiac_rank1", "with"]
    assert (row["n"], row["reference"], row["family"]) == (5, "without", "weight averaging")
    assert row["score"] == pytest.approx(arm.mean()) and row["sd"] == pytest.approx(arm.std(ddof=1))
    assert row["unseen"] == pytest.approx(
        np.mean([metrics(j)["unseen"]["spearman"] for j in jobs["aiac_rank1", "with"]])
    )
    assert row["difference"] == pytest.approx(differences.mean())
    assert (row["low"], row["high"]) == pytest.approx((differences.mean() - half, differences.mean() + half))
    assert row["p"] == pytest.approx(stats.ttest_rel(arm, reference).pvalue)
    assert row["detectable"] == pytest.approx(detectable(differences.std(ddof=1), 5))
    assert row["verdict"] == HELPS and row["seconds"] == 12.5  # the fake runs were given this effect


def test_rows_of_runs_are_paired_by_seed(world):
    jobs = world.ablation_jobs("ema")
    rows = of_question(world, "ema")[lambda rows: rows["seed"].notna() & (rows["recipe"] == "aiac_rank1")]
    arm, reference = (rows[rows["arm"] == name] for name in ("with", "without"))
    assert arm["seed"].tolist() == [0, 1, 2, 3, 4] and arm["n"].tolist() == [1] * 5
    assert arm["score"].tolist() == validation(jobs["aiac_rank1", "with"]).tolist()
    assert arm["digest"].tolist() == [job.digest for job in jobs["aiac_rank1", "with"]]
    assert arm["difference"].tolist() == pytest.approx(arm["score"].to_numpy() - reference["score"].to_numpy())
    assert reference["difference"].isna().all()
    assert scores(rows, "aiac_rank1", "without").tolist() == reference["score"].tolist()


def test_reference_comes_first_and_claims_come_from_the_question(world):
    rows = arms(of_question(world, "masked_tokens"))
    assert rows["arm"].tolist() == ["without", "with"] and rows["reference"].tolist() == ["", "without"]
    assert rows["difference"].isna().tolist() == [True, False]
    assert rows["claimed"].isna().tolist() == [True, False] and rows["claimed"].iloc[1] == 0.0026
    assert len(compared(rows)) == 1


def test_placebo_arms_are_compared_with_the_one_before(world):
    rows = of_question(world, "placebo")
    jobs = world.ablation_jobs("placebo")
    by_hand = compare(*(validation(jobs["aiac_rank1", arm]) for arm in ("luck07", "luck06")))
    row = compared(rows).set_index("arm").loc["luck07"]
    assert row[["difference", "low", "high"]].tolist() == pytest.approx(by_hand[:3]) and row["reference"] == "luck06"
    assert rows.loc[(rows["arm"] == "luck07") & rows["seed"].notna(), "seed"].tolist() == [70, 71, 72]


def test_parts_are_put_together_in_the_order_of_the_plan(world, monkeypatch):
    monkeypatch.setitem(world.__dict__, "ablations", {name: world.ablations[name] for name in ("ema", "masked_tokens")})
    found = comparisons.of_plan(world)
    parts = pd.concat([of_question(world, name) for name in ("ema", "masked_tokens")], ignore_index=True)
    pd.testing.assert_frame_equal(found.drop(columns="holm"), parts.drop(columns="holm"))
    assert found["holm"].notna().sum() == len(compared(found)) == 3 * 4 + 1  # arms of three systems, and of one


def test_holm_by_hand_over_all_questions_of_a_metric():
    """Sorted 0.01, 0.02, 0.04 of three: times 3, 2 and 1, never falling; checks and the other metric don't count."""
    found = together(
        made.frame(
            made.arm("a", p=0.02),
            made.arm("b", p=0.01),
            made.arm("c", p=0.03),
            made.arm("d", p=0.001, check="placebo"),
            made.arm("e", p=0.5, metric="mean_f1"),
        )
    )
    assert compared(found)["holm"].tolist() == pytest.approx([0.04, 0.03, 0.04, float("nan"), 0.5], nan_ok=True)
    assert found.loc[found["seed"].notna(), "holm"].isna().all()


def test_paired_where_less_is_better_and_where_seeds_say_little():
    assert paired(ARM, REFERENCE, "spearman")["verdict"] == HELPS
    assert paired(ARM, REFERENCE, "mse")["verdict"] == HURTS
    assert paired(ARM, ARM, "spearman") == {
        "difference": 0, "low": 0, "high": 0, "p": 1.0, "detectable": pytest.approx(float("nan"), nan_ok=True), "verdict": NOTHING,
    }  # fmt: skip
    alone = paired(ARM[:1], REFERENCE[:1], "spearman")
    assert alone["verdict"] == UNKNOWN and np.isnan([alone[key] for key in ("low", "high", "p", "detectable")]).all()
    with pytest.raises(ValueError, match="same seeds on both sides"):
        paired(ARM, REFERENCE[:2], "spearman")


def test_p_value_by_hand() -> None:
    """Differences 0.02, 0.04, 0.03: t = 0.03 / (0.01 / sqrt(3)); with two degrees of freedom p = 1 - t / sqrt(t^2 + 2)."""
    t = 0.03 / (0.01 / np.sqrt(3))
    assert p_value(ARM, REFERENCE) == pytest.approx(1 - t / np.sqrt(t**2 + 2), rel=1e-9)


def test_p_value_belongs_to_the_interval_that_decides() -> None:
    """The difference of an arm moved by half the interval's width touches zero: p is one in twenty there."""
    assert p_value(ARM - compare(ARM, REFERENCE).low, REFERENCE) == pytest.approx(comparisons.LEVEL, rel=1e-9)


def test_p_value_where_the_test_has_none() -> None:
    assert np.isnan(p_value(ARM[:1], REFERENCE[:1]))
    assert p_value(ARM, ARM) == 1.0 and p_value(np.array([0.75, 1.75]), np.array([0.5, 1.5])) == 0.0
    with pytest.raises(ValueError):
        p_value(ARM, REFERENCE[:2])


def test_a_written_part_is_read_again(tmp_path):
    part = made.frame(made.reference(), made.arm(claimed=0.01, claimed_source="slides"))
    file = comparisons.write(part, tmp_path)
    assert file.name == "comparisons.csv"
    pd.testing.assert_frame_equal(comparisons.read(file), part, check_dtype=False)
    assert len(compared(comparisons.read(file))) == 1


def test_digest_changes_with_the_numbers_only():
    part = made.frame(made.reference(), made.arm())
    before = comparisons.digest_of(part)
    assert before == comparisons.digest_of(part.assign(seconds=1.0, claimed=0.3))
    part.loc[4, "score"] += 0.001
    assert comparisons.digest_of(part) != before


def test_digest_is_the_one_that_discussions_were_accepted_with():
    """Of numbers rounded to six places, in the order of recipes and arms."""
    nothing = dict.fromkeys(("difference", "low", "high"), float("nan"))
    rows = [{"recipe": "r", "arm": "without", "score": "0.123457", **nothing, "verdict": ""}]
    assert comparisons.digest_of(made.frame(made.reference(recipe="r", scores=(0.1234567,)))) == digest(rows)


def test_unknown_question_names_those_there_are(world):
    with pytest.raises(KeyError, match=r"no ablation 'emma'.*ema"):
        of_question(world, "emma")


def test_missing_run_is_an_error_naming_folder_and_command(world, tmp_path):
    job = world.job("aiac_rank1", "finetune", "ema.with", 1)
    moved = shutil.move(job.folder.path, tmp_path / "away")
    try:
        with pytest.raises(MissingRun) as error:
            of_question(world, "ema")
    finally:
        shutil.move(moved, job.folder.path)
    assert "ema.with/seed1" in str(error.value)
    assert "make run RECIPE=aiac_rank1 STAGE=finetune ARM=ema.with SEED=1 SCALE=laptop" in str(error.value)
