"""Comparisons, ensembles and boards from run folders, against values worked out here; missing runs."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lab.show import certainty, ensembles, predictions, slicing
from lab.show import runs as gather
from lab.show.answers import answer, folder
from lab.show.plan import Plan
from lib.evaluation.metrics import spearman
from lib.runs.folder import MissingRun


def score(job) -> float:
    return json.loads(job.folder.metrics.read_text())["scores"]["validation"]["spearman"]


def test_paired_difference_and_interval_by_hand(world):
    found = answer(world, "ema")
    arm, reference = ([score(job) for job in found.jobs["aiac_rank1", name]] for name in ("with", "without"))
    differences = np.subtract(arm, reference)
    half = stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1)
    row = found.comparisons.set_index("recipe").loc["aiac_rank1"]
    assert row["difference"] == pytest.approx(differences.mean())
    assert (row["low"], row["high"]) == pytest.approx((differences.mean() - half, differences.mean() + half))
    assert row["verdict"] == "helps"  # the fake runs were given this effect
    judged = certainty.comparisons([found]).set_index("recipe").loc["aiac_rank1"]
    assert judged["p"] == pytest.approx(stats.ttest_rel(arm, reference).pvalue) and judged["p"] <= judged["holm"] <= 1


def test_reference_row_comes_first_and_has_no_difference(world):
    frame = answer(world, "masked_tokens").frame
    assert frame["is_reference"].tolist() == [True, False] and frame["arm"].tolist() == ["without", "with"]
    assert frame["difference"].isna().tolist() == [True, False]
    assert frame["claimed"].iloc[1] == 0.0026  # from params


def test_written_answer_can_be_read_again(world, tmp_path):
    found = answer(world, "ema")
    found.write(tmp_path)
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["digest"] == found.digest and written["rows"][0]["difference"] is None
    assert len(written["runs"]) == len(found.runs) == 3 * 2 * len(world.seeds_of("ema"))  # systems, arms, seeds
    assert pd.read_csv(tmp_path / "table.csv")["score"].tolist() == pytest.approx(found.frame["score"].tolist())


def test_digest_changes_with_the_numbers_only(world):
    found = answer(world, "ema")
    assert found.digest == answer(world, "ema").digest
    found.frame.loc[1, "score"] += 0.001
    assert found.digest != answer(world, "ema").digest


def test_unknown_question_names_those_there_are(world):
    with pytest.raises(KeyError, match=r"no ablation 'emma'.*ema"):
        answer(world, "emma")


def test_missing_run_is_an_error_naming_folder_and_command(world, tmp_path):
    job = world.job("aiac_rank1", "finetune", "ema.with", 1)
    moved = shutil.move(job.folder.path, tmp_path / "away")
    try:
        with pytest.raises(MissingRun) as error:
            answer(world, "ema")
    finally:
        shutil.move(moved, job.folder.path)
    assert "ema.with/seed1" in str(error.value)
    assert "make run RECIPE=aiac_rank1 STAGE=finetune ARM=ema.with SEED=1 SCALE=laptop" in str(error.value)


def test_stale_run_is_an_error(world):
    job = world.job("wechat_baseline", "finetune")
    before = job.folder.metrics.read_text()
    job.folder.metrics.write_text(json.dumps(json.loads(before) | {"digest": "0" * 16}))
    try:
        with pytest.raises(MissingRun, match="other settings or code"):
            gather.systems(world)
    finally:
        job.folder.metrics.write_text(before)


def test_board_means_over_seeds_by_hand(world):
    everything = gather.systems(world)
    members = everything[everything["arm"] != "base"]
    assert members.groupby("recipe").size().to_dict() == {"aiac_rank1": 10, "aiac_rank17": 1}
    assert set(members["seeds"]) == {1}
    board = everything[everything["arm"] == "base"].set_index(["recipe", "stage"])
    assert list(board.index) == [
        ("aiac_rank1", "finetune"), ("aiac_rank1", "distill"), ("aiac_rank17", "finetune"), ("wechat_baseline", "finetune"),
    ]  # fmt: skip
    jobs = [world.job("aiac_rank1", "finetune", "base", seed) for seed in world.seeds]
    row = board.loc["aiac_rank1", "finetune"]
    assert row["score"] == pytest.approx(np.mean([score(job) for job in jobs]))
    assert row["total_seconds"] == 25.0  # pretraining and finetuning, 12.5 s each
    assert board.loc["aiac_rank1", "distill"]["total_seconds"] == 37.5  # and distillation
    assert row["published"] == "0.886031 (validation); 0.836 (test)"


def test_mixed_commits_are_told():
    frame = pd.DataFrame({"commit": ["a", "b"], "device": ["cpu", "cpu"], "torch": ["2", "2"]})
    assert "commits a, b" in gather.mixed(frame)
    assert gather.mixed(frame.head(1)) == ""


def test_ensemble_of_clones_is_the_clone(world):
    """Concatenating members weights their cosines equally, so the score of the whole is known without the class."""
    result = ensembles.combine(world, "aiac_rank1_jobs")
    found = [predictions.of_pairs(job.folder) for job in world.ensemble_jobs("aiac_rank1_jobs")]
    mean = np.mean([one.cosine for one in found], axis=0)
    whole = result.metrics["scores"]["validation"]["spearman"]
    assert whole == pytest.approx(spearman(mean, found[0].score), abs=2e-3)  # a truncated SVD loses a little
    assert result.members["score"].is_monotonic_decreasing
    assert result.members["growth"].iloc[-1] == whole
    assert np.allclose(result.similarity, result.similarity.T) and np.allclose(np.diag(result.similarity), 1)


def test_ensemble_is_read_back_and_refused_when_members_changed(world, tmp_path):
    where = ensembles.folder(world, "wechat_baseline_mean")
    shutil.rmtree(where, ignore_errors=True)  # another file's tests may have written it
    with pytest.raises(MissingRun, match="make ensemble NAME=wechat_baseline_mean SCALE=laptop"):
        ensembles.read(world, "wechat_baseline_mean")
    result = ensembles.combine(world, "wechat_baseline_mean")
    ensembles.write(result, where)
    again = ensembles.read(world, "wechat_baseline_mean")
    assert again.metrics == result.metrics and np.allclose(again.similarity, result.similarity)
    fewer = Plan.load("laptop", seeds=2)
    with pytest.raises(MissingRun, match="other members"):
        ensembles.read(fewer, "wechat_baseline_mean")


def test_thirds_by_hand():
    def found(values):
        return [(name, int(mask.sum())) for _, name, mask in slicing._thirds("x", np.array(values), "frames")]

    assert found([1] * 12 + [5] * 12 + [9] * 12) == [("1 frames", 12), ("5 frames", 12), ("9 frames", 12)]
    assert found(range(60)) == [("0 to 19 frames", 20), ("20 to 39 frames", 20), ("40 to 59 frames", 20)]
    assert found([3] * 40) == [("3 frames", 40)]
    assert found([3] * 30 + [4] * 5) == [("3 frames", 30)]  # five videos say nothing


def test_wilson_interval_against_scipy():
    right = np.array([True] * 7 + [False] * 13)
    expected = stats.binomtest(7, 20).proportion_ci(method="wilson")
    assert slicing._share(right)[1:] == pytest.approx((0.35, expected.low, expected.high), abs=1e-6)


def test_run_folder_of_a_question(world):
    assert folder(world, "ema").parts[-4:] == ("runs", "laptop", "ablations", "ema")
