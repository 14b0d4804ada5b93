"""The one table of comparisons from run folders, against values worked out here; missing runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lab.show import comparisons, predictions, verdicts
from lab.show.comparisons import Predicted, judged, of_question, predicted
from lab.show.specs import NoiseTable
from lab.show.verdicts import ONE_ANSWER, arms, compared, scores, together, visible
from lib.evaluation.compare import (
    HELPS,
    HURTS,
    NOT_IN_PLAY,
    RULED_OUT,
    TOO_SMALL,
    Noise,
    compare,
    detectable,
)
from lib.evaluation.influence import spearman_influence
from lib.recipes.code_digest import digest
from lib.runs.folder import MissingRun
from tests.show import made


def metrics(job) -> dict:
    return json.loads(job.folder.metrics.read_text())["scores"]


def validation(jobs) -> np.ndarray:
    return np.array([metrics(job)["validation"]["spearman"] for job in jobs])


def items_by_hand(arm: list, reference: list) -> float:
    """Mean over runs of different seeds of the products of influences of all pairs that share a video, by plain loops."""
    influences = []
    for group in zip(arm, reference, strict=True):
        one, two = (predictions.of_pairs(job.folder) for job in group)
        influences.append(spearman_influence(one.cosine, one.score) - spearman_influence(two.cosine, two.score))
    products = [
        own[p] * other[q]
        for own in influences
        for other in influences
        if own is not other
        for p in range(len(one.pairs))
        for q in range(len(one.pairs))
        for _ in range(len({*one.pairs[p]} & {*one.pairs[q]}) if p != q else 1)
    ]
    return float(np.sqrt(max(sum(products) / (len(influences) * (len(influences) - 1)), 0)))


def test_row_of_an_arm_by_hand(world, monkeypatch):
    monkeypatch.setattr(verdicts, "load", lambda kind, name: NoiseTable(scales={}))
    jobs = world.ablation_jobs("ema")
    arm, reference = (validation(jobs["aiac_rank1", name]) for name in ("with", "without"))
    items = items_by_hand(jobs["aiac_rank1", "with"], jobs["aiac_rank1", "without"])
    by_hand = compare(arm - reference, items)
    row = compared(of_question(world, "ema")).set_index(["recipe", "arm"]).loc["aiac_rank1", "with"]
    assert (row["n"], row["reference"], row["family"]) == (5, "without", "weight averaging")
    assert row["score"] == pytest.approx(arm.mean()) and row["sd"] == pytest.approx(arm.std(ddof=1))
    assert row["unseen"] == pytest.approx(
        np.mean([metrics(j)["unseen"]["spearman"] for j in jobs["aiac_rank1", "with"]])
    )
    assert row["difference"] == pytest.approx(by_hand.mean) and row["sd_seeds"] == pytest.approx(by_hand.sd_seeds)
    assert row["sd_items"] == pytest.approx(items, rel=1e-6) and items > 0
    assert row[["low", "high", "p"]].tolist() == pytest.approx([by_hand.low, by_hand.high, by_hand.p])
    assert row["detectable"] == pytest.approx(detectable(by_hand.sd_seeds, 5, items))
    assert row["verdict"] == HELPS and row["seconds"] == 12.5  # the fake runs were given this effect


def test_noise_of_earlier_comparisons_is_used_on_the_scales_own_corpora(world, monkeypatch):
    flat = {"sd_seeds": 0.5, "df": float("inf"), "sd_items": 0.1}
    known = NoiseTable(scales={"laptop": {"spearman": flat}, "smoke": {"mean_f1": {"sd_seeds": 3, "df": 3}}})
    monkeypatch.setattr(verdicts, "load", lambda kind, name: known)
    rows = compared(of_question(world, "ema")).set_index(["recipe", "arm"])
    plain = rows.loc["wechat_baseline", "with"]
    assert plain["high"] - plain["low"] < 0.2 < rows.loc["aiac_rank1", "with"]["high"]
    assert verdicts.noise(replace(world, corpus="mine"), "spearman").df == 0


def run(score: float, influence: list[float], digest: str = "", items=((0, 1), (2, 3)), corpus: str = "") -> Predicted:
    return Predicted(score, np.array(items), np.array(influence), digest or str(score), corpus)


def test_arms_that_predict_the_same_are_not_in_play_and_others_with_the_same_score_are():
    arm = [run(0.5, [0.1, -0.1], "a"), run(0.6, [0.2, -0.2], "b")]
    same, found = (
        judged(arm, arm, "spearman", Noise()),
        judged(arm, [arm[0], run(0.6, [0.2, -0.2])], "spearman", Noise()),
    )
    assert same["verdict"] == NOT_IN_PLAY and np.isnan(same["p"])
    assert found["verdict"] == "no effect above 0" and found["p"] == 1.0


def test_arms_that_give_one_answer_to_every_item_rule_nothing_out(world, monkeypatch):
    """Other logits, the same class everywhere: neither items nor seeds vary, which is no certainty."""
    arm, other = ([replace(run(0.01, [0.0, 0.0], f"{name}{k}"), one_answer=True) for k in range(3)] for name in "ab")
    assert judged(arm, other, "mean_f1", Noise(), 0.02)["verdict"] == ONE_ANSWER
    seeing = [*other[:2], replace(other[2], one_answer=False)]
    assert judged(arm, seeing, "mean_f1", Noise(), 0.02)["verdict"] == RULED_OUT
    job = world.ablation_jobs("ema")["wechat_baseline", "with"][0]
    found = predictions.of_classes(job.folder)
    assert not predicted(job).one_answer
    same = replace(found, logits=found.logits + 99 * (np.arange(60) == 7))
    monkeypatch.setattr(comparisons.predictions, "of_classes", lambda folder, part: same)
    assert predicted(job).one_answer


def test_claim_and_direction_reach_the_verdict():
    arm, other = ([run(score + k / 100, [0.1, -0.1]) for k in (0, 1, 3)] for score in (0.5, 0.49))
    assert judged(arm, other, "spearman", Noise())["verdict"] == HELPS
    assert judged(arm, other, "mse", Noise())["verdict"] == HURTS
    other[0] = run(0.52, [0.1, -0.1])
    assert judged(arm, other, "spearman", Noise(), 0.01)["verdict"] == TOO_SMALL


def test_seeds_with_corpora_of_their_own_have_the_items_in_their_variance():
    """Influences of different corpora have no common items; those of one corpus widen the interval."""
    scores_of = (0.5, 0.53, 0.52)
    arm = [run(score, [0.2, -0.2], corpus=str(k)) for k, score in enumerate(scores_of)]
    other = [run(0.5, [0.1, -0.1], corpus=str(k)) for k in range(3)]
    apart, one = judged(arm, other, "spearman", Noise()), [replace(one, corpus="") for one in arm]
    assert apart["sd_items"] == 0 and apart["low"] == pytest.approx(compare(np.subtract(scores_of, 0.5)).low)
    assert judged(one, other, "spearman", Noise())["sd_items"] == pytest.approx(np.sqrt(0.02))


def test_arms_scored_on_different_items_are_refused():
    with pytest.raises(ValueError, match="scored on different items"):
        judged([run(0.5, [0, 0])], [run(0.5, [0, 0], items=((0, 1), (2, 4)))], "spearman", Noise())


def test_predictions_of_classes_are_read_with_the_corpus_own_tree(world):
    job = world.ablation_jobs("ema")["wechat_baseline", "with"][0]
    found = predicted(job)
    assert found.score == metrics(job)["validation"]["mean_f1"] and found.items.ndim == 1
    assert (
        found.influence.sum() == pytest.approx(0, abs=1e-12) and 0.01 < np.sqrt(found.influence @ found.influence) < 0.1
    )


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
    assert of_question(world, "ema")["claimed"].isna().all(), "nobody gave a number"


def test_an_arm_may_be_compared_with_another_than_the_reference(world):
    rows = of_question(world, "placebo_more")
    jobs = world.ablation_jobs("placebo_more")
    difference = np.subtract(*(validation(jobs["aiac_rank1", arm]) for arm in ("order3", "order2")))
    row = compared(rows).set_index(["recipe", "arm"]).loc["aiac_rank1", "order3"]
    assert row["difference"] == pytest.approx(difference.mean()) and row["reference"] == "order2"
    assert rows.loc[(rows["arm"] == "order3") & (rows["recipe"] == "aiac_rank1"), "seed"].dropna().tolist() == [0, 1, 2]


def test_parts_are_put_together_in_the_order_of_the_plan(world, monkeypatch):
    monkeypatch.setitem(world.__dict__, "ablations", {name: world.ablations[name] for name in ("ema", "masked_tokens")})
    found = comparisons.of_plan(world)
    parts = pd.concat([of_question(world, name) for name in ("ema", "masked_tokens")], ignore_index=True)
    pd.testing.assert_frame_equal(found.drop(columns="holm"), parts.drop(columns="holm"))
    assert found["holm"].notna().sum() == len(compared(found)) == 3 + 1  # an arm of three systems, and of one


def test_a_part_of_the_same_runs_is_taken_as_it_was_left(world, tmp_path, monkeypatch):
    monkeypatch.setitem(world.__dict__, "ablations", {"masked_tokens": world.ablations["masked_tokens"]})
    monkeypatch.setattr(comparisons, "folder", lambda plan, name: tmp_path)
    part = of_question(world, "masked_tokens").assign(difference=0.77)
    verdicts.write(part, tmp_path)
    assert compared(comparisons.of_plan(world))["difference"].tolist() == [0.77]
    verdicts.write(part.assign(digest="old"), tmp_path)
    assert compared(comparisons.of_plan(world))["difference"].tolist() != [0.77]


def test_holm_by_hand_over_questions_of_a_metric_and_a_kind():
    """Sorted 0.01, 0.02, 0.03: times 3, 2 and 1, never falling; checks, quirks and the other metric are judged apart."""
    found = together(
        made.frame(
            made.arm("a", p=0.02, scores=(0.1,)),
            made.arm("b", p=0.01, scores=(0.2,)),
            made.arm("c", p=0.03, scores=(0.3,), family="focal loss"),
            made.arm("d", p=0.001, check="placebo"),
            made.arm("e", p=0.5, metric="mean_f1"),
            made.arm("f", p=0.04, family="quirks"),
            made.arm("g", p=0.03, family="splits"),
        )
    )
    nan = float("nan")
    assert compared(found)["holm"].tolist() == pytest.approx([0.04, 0.03, 0.04, nan, 0.5, 0.04, 0.03], nan_ok=True)
    assert found.loc[found["seed"].notna(), "holm"].isna().all()


def test_what_is_there_twice_or_never_in_play_does_not_count():
    """The same scores of one system are one comparison, whichever way round; of another system they are another."""
    frame = made.frame(
        made.reference("a"), made.arm("a", p=0.02),
        made.reference("b", scores=(0.5, 0.52, 0.51)), made.arm("b", p=0.02, scores=(0.47, 0.49, 0.48)),
        made.reference("c"), made.arm("c", p=float("nan"), verdict=NOT_IN_PLAY),
        made.reference("d", recipe="w"), made.arm("d", recipe="w", p=0.03),
    )  # fmt: skip
    nan = float("nan")
    assert compared(together(frame))["holm"].tolist() == pytest.approx([0.04, 0.04, nan, 0.04], nan_ok=True)


def test_noise_is_measured_over_comparisons_that_are_there_once():
    arms_of = [made.arm(f"q{k}", sd_seeds=0.01 * k, sd_items=0.001 * k, scores=(0.1 * k, 0.2, 0.3)) for k in (1, 2, 3)]
    twice = made.arm("again", sd_seeds=0.03, sd_items=0.003, scores=(0.1 * 3, 0.2, 0.3))
    still = made.arm("still", sd_seeds=0.0, sd_items=0.0, scores=(0.9, 0.9, 0.9))
    found = verdicts.measured_noise(made.frame(*arms_of, twice, still))
    assert set(found) == {"spearman"} and found["spearman"].sd_items == 0.002
    assert found["spearman"] == verdicts.measured_noise(made.frame(*arms_of))["spearman"]


def test_what_a_question_would_show_with_more_seeds(world, monkeypatch):
    """From the noise that is known of the scale, then from the loudest arm of earlier comparisons."""
    known = NoiseTable(scales={"laptop": {"spearman": Noise(0.02, 4, 0.001)._asdict()}})
    monkeypatch.setattr(verdicts, "load", lambda kind, name: known)
    before = visible(world, "ema", 8, made.frame(made.arm("fgm")))
    assert before["aiac_rank1"] == pytest.approx(detectable(0.02, 8, 0.001, df=4)) and np.isnan(
        before["wechat_baseline"]
    )
    earlier = of_question(world, "ema")
    rows = compared(earlier)[lambda rows: rows["recipe"] == "wechat_baseline"]
    loudest = [detectable(row.sd_seeds, 8, row.sd_items) for row in rows.itertuples()]
    assert visible(world, "ema", 8, earlier)["wechat_baseline"] == pytest.approx(max(loudest))
    for loud in ("with", "more"):
        two = [
            made.arm("ema", "wechat_baseline", arm, sd_seeds=0.05 if arm == loud else 0.01) for arm in ("with", "more")
        ]
        found = visible(world, "ema", 8, made.frame(*two))["wechat_baseline"]
        assert found == pytest.approx(detectable(0.05, 8, 0.002)), "the loudest arm, wherever it stands"


def test_a_difference_is_turned_round_where_the_question_has_it_the_other_way(world):
    frame = made.frame(made.reference("ema"), made.arm("ema", difference=0.03, low=0.01, high=0.04, claimed=0.1))
    found = comparisons.between(world, frame, "ema", "aiac_rank1", "without", "with")
    assert [found[key] for key in ("difference", "low", "high", "verdict")] == [-0.03, -0.04, -0.01, HURTS]
    same = comparisons.between(world, frame, "ema", "aiac_rank1", "with", "without")
    assert [same[key] for key in ("difference", "low", "high", "verdict", "seeds")] == [0.03, 0.01, 0.04, HELPS, 5]


def test_a_written_part_is_read_again(tmp_path):
    part = made.frame(made.reference(), made.arm(claimed=0.01, claimed_source="slides"))
    file = verdicts.write(part, tmp_path)
    assert file.name == "comparisons.csv"
    pd.testing.assert_frame_equal(verdicts.read(file), part, check_dtype=False)
    assert len(compared(verdicts.read(file))) == 1


def test_digest_changes_with_the_numbers_only():
    part = made.frame(made.reference(), made.arm())
    before = verdicts.digest_of(part)
    assert before == verdicts.digest_of(part.assign(seconds=1.0, claimed=0.3))
    part.loc[4, "score"] += 0.001
    assert verdicts.digest_of(part) != before


def test_digest_is_the_one_that_discussions_were_accepted_with():
    """Of numbers rounded to six places, in the order of recipes and arms."""
    nothing = dict.fromkeys(("difference", "low", "high"), float("nan"))
    rows = [{"recipe": "r", "arm": "without", "score": "0.123457", **nothing, "verdict": ""}]
    assert verdicts.digest_of(made.frame(made.reference(recipe="r", scores=(0.1234567,)))) == digest(rows)


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
