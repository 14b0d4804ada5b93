"""The page about classes: its numbers are those of the predictions, by hand where that is possible."""

import re

import numpy as np
import pandas as pd
import pytest

from lab.show import check, confusion_tree, pages_classes, pages_data, predictions, style
from lab.show.predictions import ClassPredictions
from lab.show.site import Site
from lab.show.slicing import missing_scores
from lib.data.store import Store
from lib.data.vocabulary import CategoryTree
from lib.evaluation.metrics import mean_f1

NAME = "wechat_baseline"
TREE = CategoryTree(["0000", "0001", "0100"])
BY_HAND = ClassPredictions(np.arange(4), np.eye(3)[[0, 1, 1, 0]], np.array([0, 0, 1, 0]))


@pytest.fixture(scope="module")
def site(world, tmp_path_factory):
    """The two pages that link to each other, and nothing else."""
    site = Site(tmp_path_factory.mktemp("site") / "out", [("home", "index.html")])
    pages_classes.classes(site, world, NAME)
    pages_data.errors(site, world, NAME)
    site.html("index", "<p>x</p>", "home")
    return site.finish()


@pytest.fixture(scope="module")
def result(world):
    return predictions.of_classes(pages_data.scored_job(world, NAME).folder)


def table(site, name: str) -> pd.DataFrame:
    return pd.read_csv(site / "tables" / f"{name}_{NAME}.csv", dtype={"class": str, "parent": str})


def test_page_opens_offline_and_says_what_its_tables_say(site, result):
    assert check.problems(site) == []
    told = (site / f"classes_{NAME}.md").read_text(encoding="utf-8")
    assert f"{len(result.truth)} validation videos, 60 classes" in told
    scores, thirds = table(site, "both_ways"), table(site, "thirds")
    assert f"| {scores['present'].iloc[0]:.4f} | {scores['all'].iloc[0]:.4f} |" in told
    assert all(f"{f1:.3f}<br>" in told for f1 in thirds["f1"].dropna())
    wrong = result.predicted != result.truth
    assert f"{wrong.sum()} answers are wrong ({100 * wrong.mean():.1f} % of all)" in told
    assert "<details>" in told and "without speech" in told and "temperature 1" in told


def test_both_pages_lead_to_each_other(site):
    pages = [(site / f"{kind}_{NAME}.html").read_text(encoding="utf-8") for kind in ("classes", "errors")]
    assert f'href="errors_{NAME}.html"' in pages[0] and f'href="classes_{NAME}.html"' in pages[1]


def test_tables_agree_with_each_other(site, result, world):
    """Official macro F1 is the mean F1 of the classes that have one; all three ways of cutting have every class and video."""
    every, thirds, scores = table(site, "classes"), table(site, "thirds"), table(site, "both_ways")
    store = Store.open(pages_data.scored_job(world, NAME).corpus.store)
    level1 = CategoryTree(store.manifest["categories"]).level1_of_level2
    official = mean_f1(result.truth, result.predicted, level1)
    assert scores.set_index("metric")["present"].to_dict() == pytest.approx(official)
    assert every["f1"].mean() == pytest.approx(official["lv2_f1_macro"])
    assert thirds["f1"].iloc[0] == pytest.approx(official["lv2_f1_macro"])
    assert len(every) == 60 and every["train"].is_monotonic_decreasing
    for rows in (thirds.iloc[1:4], thirds.iloc[4:7]):
        assert rows["classes"].sum() == 60 and rows["n"].sum() == len(result.truth)
        assert rows["train"].sum() == every["train"].sum() == thirds["train"].iloc[0]


def test_training_counts_leave_out_what_validates(world):
    job = pages_data.scored_job(world, NAME)
    store = Store.open(job.corpus.store)
    counts, k = pages_classes.training_counts(job, store), job.stage_spec.data.split.k
    assert len(counts) == 60 and counts.sum() == len(store) - len(store) // k
    assert (counts <= np.bincount(store.categories(), minlength=60)).all()


def test_class_table_by_hand():
    frame = pages_classes.class_table(BY_HAND, TREE, np.array([2, 9, 0]))
    assert frame["class"].tolist() == ["0001", "0000", "0100"] and frame["parent"].tolist() == ["00", "00", "01"]
    assert frame["third"].tolist() == ["head", "middle", "tail"] and frame["videos"].tolist() == [1, 3, 0]
    assert frame["f1"].tolist() == pytest.approx([2 / 3, 4 / 5, float("nan")], nan_ok=True)


def test_two_ways_by_hand():
    """Of three classes and two upper ones one each has no video."""
    frame = pages_classes.scores_both_ways(BY_HAND, TREE).set_index("metric")
    assert frame.loc["lv2_f1_macro"].tolist() == pytest.approx([(4 / 5 + 2 / 3) / 2, (4 / 5 + 2 / 3) / 3, 2 / 3])
    assert frame.loc["lv1_f1_macro"].tolist() == pytest.approx([1, 1 / 2, 1 / 2])
    assert frame.loc["lv2_f1_micro"].tolist() == pytest.approx([3 / 4, 3 / 4, 1])


def test_missing_parts_are_those_of_the_store(result, world):
    store = Store.open(pages_data.scored_job(world, NAME).corpus.store)
    level1 = CategoryTree(store.manifest["categories"]).level1_of_level2
    frame = missing_scores(result, store, level1).set_index("slice")
    silent = np.array([store.video(int(row), frames=False).asr == "" for row in result.rows])
    row = frame.loc["without speech"]
    assert row["n"] == silent.sum()
    assert row["mean_f1"] == mean_f1(result.truth[silent], result.predicted[silent], level1)["mean_f1"]
    assert row["accuracy"] == pytest.approx((result.predicted == result.truth)[silent].mean())
    assert row["low"] <= row["mean_f1"] <= row["high"] and row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    most = int(re.search(r"\d+", frame.loc["few frames", "detail"]).group())
    assert frame.loc["few frames", "n"] == (store.n_frames[result.rows] <= most).sum() >= len(result.rows) / 3
    assert frame.loc["without text in the picture", "n"] == frame.loc["all", "n"], "no video of this world has any"
    assert "nothing missing" not in frame.index


def test_page_without_a_mistake_says_so(world, tmp_path, monkeypatch, result):
    perfect = ClassPredictions(result.rows, 9.0 * np.eye(60)[result.truth], result.truth)
    monkeypatch.setattr(pages_classes.predictions, "of_classes", lambda run: perfect)
    site = Site(tmp_path / "out", [("home", "index.html")])
    pages_classes.classes(site, world, NAME)
    assert "No answer is wrong." in (site.finish() / f"classes_{NAME}.md").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "figures" / f"tree_{NAME}.svg").exists()


def hung(truth: list[int], given: list[int], names: list[str]) -> tuple[ClassPredictions, CategoryTree]:
    return ClassPredictions(np.arange(len(truth)), np.eye(len(names))[given], np.array(truth)), CategoryTree(names)


def test_branches_and_ways_by_hand():
    """Under 00: two right, one a sibling's, one put under 02, which has no video; 01 has neither a video nor an answer."""
    made = hung([0, 1, 0, 1, 4], [0, 1, 1, 3, 0], ["0000", "0001", "0100", "0200", "0300"])
    frame = confusion_tree.branches(*made)
    assert frame["branch"].tolist() == ["00", "02", "03"] and frame["classes"].tolist() == [2, 1, 1]
    columns = ["videos", "right", "sibling", "elsewhere", "received"]
    assert frame[columns].to_numpy().tolist() == [[4, 2, 1, 1, 1], [0, 0, 0, 0, 1], [1, 0, 0, 1, 0]]
    ways = confusion_tree.ways(*made)
    assert ways.to_numpy().tolist() == [["00", "02", 1], ["03", "00", 1]]


def test_ways_come_most_frequent_first():
    ways = confusion_tree.ways(*hung([0, 0, 1, 1], [1, 1, 0, 2], ["0000", "0100", "0200"]))
    assert ways.to_numpy().tolist() == [["00", "01", 2], ["01", "00", 1], ["01", "02", 1]]


def test_tree_agrees_with_the_sentence_above_it(site, result, world):
    store = Store.open(pages_data.scored_job(world, NAME).corpus.store)
    tree = CategoryTree(store.manifest["categories"])
    frame, told = confusion_tree.branches(result, tree), (site / f"classes_{NAME}.md").read_text(encoding="utf-8")
    assert frame["videos"].sum() == len(result.truth) and frame["received"].sum() == frame["elsewhere"].sum()
    assert (frame["right"] + frame["sibling"] + frame["elsewhere"] == frame["videos"]).all()
    assert f"Of these {frame['sibling'].sum()} stay" in told and f"other {frame['elsewhere'].sum()} miss" in told
    assert frame["elsewhere"].sum() == confusion_tree.ways(result, tree)["videos"].sum()
    assert f"figures/tree_{NAME}.svg" in told


def test_tree_is_drawn_the_same_twice_and_without_a_wrong_way():
    for made in (hung([0, 1, 2], [1, 0, 1], ["0000", "0001", "0100"]), hung([0], [0], ["0000"])):
        draw = [
            style.svg(confusion_tree.confusion_tree(confusion_tree.branches(*made), confusion_tree.ways(*made)))
            for _ in range(2)
        ]
        assert draw[0] == draw[1]
