"""Checks of the laboratory: false verdicts counted by hand, planted effects of the size that was asked for, the figure read back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lab.show import checks, verdicts
from lab.show.comparisons import of_question, predicted
from lab.show.plan import Plan
from lab.show.specs import NoiseTable
from lab.show.verdicts import noise
from lib.evaluation.compare import HELPS, HURTS
from lib.evaluation.intervals import interval_of_share
from lib.recipes import job as jobs
from lib.runs import paths
from tests.show import drawn, made
from tests.show.test_questions import cells


def test_how_many_false_verdicts_are_no_surprise():
    """Of 20 at 5 %: none with 36 %, at most one with 74 %, at most two with 92 %."""
    assert [checks.allowed(arms) for arms in (1, 2, 10, 20, 200)] == [0, 0, 1, 2, 14]


def test_placebos_are_counted_by_track():
    verdicts = [HELPS, HURTS, *["no effect above 0.01"] * 8]
    arms = [
        made.arm("placebo", arm=f"a{k}", check="placebo", verdict=verdict, difference=0.01 * k, family="checks")
        for k, verdict in enumerate(verdicts)
    ]
    told = {"recipe": "wechat_baseline", "metric": "mean_f1", "check": "placebo", "verdict": HURTS, "difference": -0.3}
    other = made.arm("placebo", **told)
    table = checks.placebos(made.frame(made.arm("ema", verdict=HELPS), *arms, other))
    fields = ["metric", "systems", "arms", "helps", "hurts", "allowed"]
    assert table.frame[fields].to_numpy().tolist() == [
        ["spearman", "AIAC 1st", 10, 1, 1, 1],
        ["mean_f1", "WeChat baseline", 1, 0, 1, 0],
    ]
    assert table.frame["largest"].tolist() == pytest.approx([0.09, 0.3]) and "(page:question/placebo)" in table.caption
    row = cells(table)["Spearman"]
    assert (row["help"], row["harm"], row["no surprise"], row["largest difference"]) == ("1", "1", "1", "0.09")
    assert not checks.placebos(made.frame(made.arm("ema"))).name


def test_placebo_arms_differ_by_the_order_of_items_alone():
    plan, seen = Plan.load("laptop"), []
    for name in ("placebo", "placebo_more"):
        spec, asked = plan.question(name), plan.ablation_jobs(name)
        for (recipe, arm), group in asked.items():
            base = [plan.job(recipe, "finetune", "base", job.seed) for job in group]
            stages = [job.stage_spec.model_dump() for job in group]
            seen += [(recipe, stage["data"].pop("order_seed")) for stage in stages[:1] if arm != spec.reference]
            if arm == spec.reference:
                assert [job.digest for job in group] == [job.digest for job in base]
            for job, stage, plain in zip(group, stages, base, strict=True):
                expected = plain.stage_spec.model_dump()
                for one in (stage, expected):
                    one["data"].pop("order_seed", None)
                assert stage == expected and job.seed == plain.seed
                assert {p.digest for p in job.parents.values()} == {p.digest for p in plain.parents.values()}
    assert len(seen) == len(set(seen)) == 20 and all(order for _, order in seen)
    assert {job.spec.track for group in asked.values() for job in group} == {"pairs", "classes"}


# ---- planted effects


@pytest.mark.parametrize("recipe", ["aiac_rank1", "wechat_baseline"])
def test_what_is_planted_is_as_large_as_it_was_meant(world, recipe):
    one = checks.spoilable(world.job(recipe, "finetune"))
    share = one.share_for(0.05, seed=3)
    assert 0 < share < 1 and one.run.score - one.spoiled(share, 3).score >= 0.05
    assert one.run.score - one.spoiled(share - 2**-checks.HALVINGS, 3).score < 0.05
    assert one.spoiled(0.0, 3).score == pytest.approx(one.run.score, abs=1e-9)
    np.testing.assert_allclose(one.spoiled(0.0, 3).influence, one.run.influence, atol=1e-6)
    assert one.spoiled(1.0, 3).score < 0.4 < one.run.score and one.spoiled(share, 3).digest != one.run.digest
    assert np.isnan(one.share_for(2.0, seed=3))
    assert one.spoiled(share, 3).score == one.spoiled(share, 3).score != one.spoiled(share, 4).score


def test_planted_effects_are_judged_as_every_comparison(world, monkeypatch):
    """Fake placebos differ by the noise of their fake runs; what is planted comes on top of that."""
    monkeypatch.setitem(world.__dict__, "ablations", {"placebo": world.ablations["placebo"]})
    monkeypatch.setattr(verdicts, "load", lambda kind, name: NoiseTable(scales={}))
    frame = checks.planted(world).set_index(["recipe", "planted"])
    plain = of_question(world, "placebo").query("arm == 'other_order' and seed.isna()").set_index("recipe")
    for recipe in ("aiac_rank1", "aiac_rank17", "wechat_baseline"):
        rows = frame.loc[recipe]
        assert rows.index.tolist() == list(checks.PLANTED)
        assert rows.loc[0.1, "difference"] < plain.loc[recipe, "difference"]
        assert rows.loc[0.1, "low"] < rows.loc[0.1, "difference"] < rows.loc[0.1, "high"]
    found = frame.xs(0.1, level="planted")["difference"] - plain["difference"]
    assert found.mean() == pytest.approx(-0.1, abs=0.05)  # of some dozen items
    monkeypatch.setattr(checks, "PLANTED", (0.0,))  # nothing planted: the placebo against its reference is left
    alone = checks.planted(world).set_index("recipe")["difference"]
    assert alone.tolist() == pytest.approx(plain.loc[alone.index, "difference"].tolist(), abs=1e-3)
    assert alone.abs().max() > 5e-3, "which is not nothing"
    job = world.ablation_jobs("placebo")["aiac_rank1", "other_order"][0]
    assert noise(world, "spearman").df == 0 and predicted(job).score == checks.spoilable(job).run.score


def test_power_is_counted_and_drawn():
    rows = [
        dict(metric=metric, planted=size, corpus=f"c{k // 2}", difference=-size, verdict=HURTS if k < found else "x")
        for metric, size, found in (("spearman", 0.01, 1), ("spearman", 0.1, 4), ("mean_f1", 0.01, 2))
        for k in range(4)
    ]
    picture = checks.power(pd.DataFrame(rows).assign(share=0.1))
    assert picture.frame["found"].tolist() == [1, 4, 2] and picture.frame["share"].tolist() == [0.25, 1.0, 0.5]
    assert picture.frame["corpora"].tolist() == [2, 2, 2] and picture.frame["found_on"].tolist() == [0, 2, 1]
    assert picture.frame["measured"].tolist() == pytest.approx([-0.01, -0.1, -0.01])
    (axis,) = picture.figure.axes
    assert drawn.line(axis, "Spearman").tolist() == [[0.01, 0.25], [0.1, 1.0]]
    ends = drawn.bars(axis)
    assert ends[0, :, 1].tolist() == pytest.approx(list(interval_of_share(1, 4)))
    assert (
        "Spearman, 0.01: 1 of 4, on 0 of 2 corpora" in picture.alt
        and axis.get_ylabel() == "share of arms in which it is found"
    )
    assert checks.power(pd.DataFrame()) is None


@pytest.mark.slow
def test_this_laboratory_passes_its_checks(monkeypatch):
    """Trains what is missing in this clone's ``runs/``; nothing after `make reproduce DEPTH=all`."""
    for name in ("VIDLAB_HOME", "MAKEFLAGS", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-m", "lab", "reproduce", "ablation/placebo", "ablation/placebo_more"]
    done = subprocess.run(command, cwd=paths.PROJECT, capture_output=True, text=True, timeout=7200, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    jobs._load.cache_clear()
    plan = Plan.load("laptop", questions=["placebo", "placebo_more"])
    table = checks.placebos(pd.concat([of_question(plan, name) for name in plan.ablations], ignore_index=True)).frame
    assert (table["helps"] + table["hurts"]).sum() <= checks.allowed(int(table["arms"].sum()))
    power = checks.power(checks.planted(plan)).frame
    assert (power.loc[power["planted"] == 0.02, "share"] >= 0.8).all(), power.to_dict("records")
