"""Systems of the class track: tables by hand and against each other, figures read back number by number."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from lab.show import classes, predictions, style, systems
from lab.show.classes import Answers
from lab.show.predictions import ClassPredictions
from lib.data.schema import CategoryTree
from lib.data.store import Store
from lib.evaluation import intervals
from lib.evaluation.intervals import Z, resampled_videos
from lib.evaluation.metrics import mean_f1
from tests.show import drawn

NAME = "wechat_baseline"
TREE = CategoryTree(["0000", "0001", "0100"])
# classes 0, 0, 1, 0 were said to be 0, 1, 1, 0; nobody is of class 2
BY_HAND = Answers(
    ClassPredictions(np.arange(4), np.eye(3)[[0, 1, 1, 0]], np.array([0, 0, 1, 0])), TREE, np.array([2, 9, 0]), "x"
)


def answers_of(truth, said, names=("a/x", "a/y", "b/z"), train=(5, 3, 1)) -> Answers:
    rows, tree = np.arange(len(truth)), CategoryTree(list(names))
    return Answers(ClassPredictions(rows, np.eye(len(names))[said], np.array(truth)), tree, np.array(train), "x")


@pytest.fixture(scope="module")
def job(world):
    return systems.scored_job(world, NAME)


@pytest.fixture(scope="module")
def answers(job):
    return Answers.of(job, Store.open(job.corpus.store))


@pytest.fixture(scope="module")
def seeds(world):
    return [predictions.of_classes(systems.scored_job(world, NAME, seed).folder) for seed in world.seeds]


# ---- tables


def test_training_counts_leave_out_what_validates(answers, job):
    store, k = Store.open(job.corpus.store), job.stage_spec.data.split.k
    assert len(answers.train) == 60 and answers.train.sum() == len(store) - len(store) // k
    assert (answers.train <= np.bincount(store.categories(), minlength=60)).all()


def test_class_table_by_hand():
    frame = classes.class_table(BY_HAND)
    assert list(frame)[:7] == ["class", "parent", "third", "train", "videos", "given", "hits"]
    assert frame["class"].tolist() == ["0001", "0000", "0100"] and frame["parent"].tolist() == ["00", "00", "01"]
    assert frame["third"].tolist() == ["head", "middle", "tail"] and frame["videos"].tolist() == [1, 3, 0]
    assert frame["train"].tolist() == [9, 2, 0] and frame["given"].tolist() == [2, 2, 0]
    assert frame["f1"].tolist() == pytest.approx([2 / 3, 4 / 5, float("nan")], nan_ok=True)
    assert classes.long_tail(BY_HAND).frame[list(frame)][:3].astype(frame.dtypes).equals(frame), (
        "its CSV has every class"
    )


def test_tables_agree_with_each_other(answers, seeds):
    """Official macro F1 is the mean F1 of the classes that have one; thirds have every class and video."""
    every, thirds = classes.class_table(answers), classes.thirds(answers, seeds).frame
    official = mean_f1(*answers.both, answers.tree.level1_of_level2)
    assert every["f1"].mean() == pytest.approx(official["lv2_f1_macro"])
    assert thirds["f1"].iloc[0] == pytest.approx(official["lv2_f1_macro"])
    assert len(every) == 60 and every["train"].is_monotonic_decreasing
    rows = thirds.iloc[1:]
    assert rows["classes"].sum() == 60 and rows["n"].sum() == len(answers.result.truth)
    assert rows["train"].sum() == every["train"].sum() == thirds["train"].iloc[0]


def test_thirds_tell_mean_and_spread_over_seeds(answers, seeds):
    table = classes.thirds(answers, seeds)
    group = classes.thirds_of_classes(answers.train)
    heads = [classes.f1_of_groups(one.truth, one.predicted, group, 3)[0] for one in seeds]
    head = table.frame.iloc[1]
    assert head["slice"] == "head"
    assert head["mean"] == pytest.approx(np.mean(heads)) and head["sd"] == pytest.approx(np.std(heads, ddof=1))
    assert f"| {np.mean(heads):.3f}<br>± {np.std(heads, ddof=1):.3f} |" in table.markdown()
    assert "seeds" not in classes.thirds(answers, seeds[:1]).markdown().splitlines()[0]


def test_mistakes_by_hand():
    """Six videos; two answers are wrong, one of them is a sibling."""
    told = classes.confused(answers_of([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0])).caption
    assert told.startswith("2 of 6 answers are wrong (33.3 %). Of these 1 stays under the right upper class: 50.0 % (")
    assert "answers spread evenly over all other classes would reach 25.0 %." in told


def test_confused_by_hand():
    given = answers_of([0, 0, 0, 1, 1, 2], [1, 1, 0, 0, 1, 0])
    frame = classes.confused(given).frame
    assert frame.to_dict("list") == {
        "true": ["a/x", "a/y", "b/z"], "given": ["a/y", "a/x", "a/x"], "videos": [2, 1, 1], "of": [3, 2, 1],
    }  # fmt: skip
    assert "| a/x | a/y | 2 | 66.7 % |" in classes.confused(given).markdown()


def test_a_system_without_a_mistake_says_so(answers):
    perfect = Answers(
        ClassPredictions(answers.result.rows, 9.0 * np.eye(60)[answers.result.truth], answers.result.truth),
        answers.tree, answers.train, NAME,
    )  # fmt: skip
    table = classes.confused(perfect)
    assert table.frame.empty and table.caption == "No answer is wrong."


# ---- figures


def test_long_tail_draws_each_class_by_training_videos_and_third(answers):
    picture = classes.long_tail(answers)
    axis, frame = picture.figure.axes[0], picture.frame
    every = classes.class_table(answers).dropna(subset=["f1"])
    points = frame[frame["kind"] == "class"].dropna(subset=["f1"])
    assert points["f1"].tolist() == every["f1"].tolist() and points["train"].tolist() == every["train"].tolist()
    assert drawn.dots(axis) == pytest.approx(points[["train", "f1"]].to_numpy())
    colours = [style.BLUE, style.GREEN, style.ORANGE]
    shown = [colours[classes.THIRDS.index(third)] for third in points["third"]]
    faces = axis.collections[0].get_facecolors()[:, :3]
    assert faces == pytest.approx(np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in shown]))
    means = frame[frame["kind"] == "mean"]
    assert drawn.line(axis, "mean, similar size") == pytest.approx(means[["train", "f1"]].to_numpy())
    assert np.average(means["f1"], weights=_sizes(every["train"], answers.train.max(), len(means))) == pytest.approx(
        every["f1"].mean()
    )
    assert (points["validation"].eq("fewer than 5") == (points["videos"] < 5)).all()
    told = classes.class_table(answers)["videos"]
    assert f"{(told == 0).sum() or 'None'} have no scored video and {told.between(1, 4).sum()} more" in picture.caption


def _sizes(train: pd.Series, most: int, bins: int) -> list[int]:
    """How many classes each mean is of."""
    edges = np.concatenate([[0], np.unique(np.geomspace(1, most + 1, 8))])
    counts = np.histogram(train, edges)[0]
    assert (counts > 0).sum() == bins
    return counts[counts > 0].tolist()


def test_confusion_shares_are_of_the_row():
    """Upper class a: 4 videos of 5 right; b: both of its videos were given to a."""
    picture = classes.confusion(answers_of([0, 0, 0, 1, 1, 2, 2], [0, 0, 2, 0, 1, 0, 1]))
    axis = picture.figure.axes[0]
    assert np.asarray(axis.collections[0].get_array()).reshape(2, 2).tolist() == [[0.8, 0.2], [1.0, 0.0]]
    assert drawn.ticks(axis) == ["a (5)", "b (2)"]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["a", "b"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1], "the first class is above"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("given", "true (videos)")
    rows = {(row.true, row.given): (row.videos, row.share) for row in picture.frame.itertuples()}
    assert rows == {("a", "a"): (4, 0.8), ("a", "b"): (1, 0.2), ("b", "a"): (2, 1.0), ("b", "b"): (0, 0.0)}
    assert "57.1 % lie on the diagonal" in picture.alt


def test_reliability_draws_accuracy_gap_and_number_of_each_bin():
    logits = np.log(np.array([[0.3, 0.7], [0.35, 0.65], [0.9, 0.1], [0.05, 0.95]]))
    given = Answers(
        ClassPredictions(np.arange(4), logits, np.array([1, 0, 0, 1])), CategoryTree(["00", "01"]), np.ones(2, int), "x"
    )
    picture = classes.reliability(given, "LogitAdjustment")
    upper, lower = picture.figure.axes
    bins = picture.frame
    known = bins[bins["n"] > 0]
    assert drawn.heights(upper) == pytest.approx(known["accuracy"].tolist())
    assert [patch.get_x() for patch in upper.patches] == pytest.approx(known["from"].tolist())
    assert drawn.heights(lower) == bins["n"].tolist() and sum(drawn.heights(lower)) == 4
    assert upper.patches[0].get_width() == pytest.approx(1 / classes.BINS)
    gaps = drawn.bars(upper)
    assert gaps[:, :, 0] == pytest.approx(known[["confidence", "confidence"]].to_numpy())
    assert gaps[:, :, 1] == pytest.approx(known[["accuracy", "confidence"]].to_numpy())
    by_hand = np.array([[0.65, 0], [0.7, 1], [0.9, 1], [0.95, 1]])  # each in a bin of its own
    assert known[["confidence", "accuracy"]].to_numpy() == pytest.approx(by_hand)
    told = f"Mean confidence 0.800, right 0.750; mean gap of a bin {(0.65 + 0.3 + 0.1 + 0.05) / 4:.3f}"
    assert picture.caption.startswith(told) and "`LogitAdjustment`" in picture.caption


def test_one_class_and_names_full_of_signs_draw_what_there_is():
    alone = answers_of([0, 0], [0, 0], names=("$a_b$ 5%",), train=(3,))
    for picture in (classes.long_tail(alone), classes.confusion(alone), classes.reliability(alone)):
        assert style.svg(picture.figure).startswith("<svg")
    assert drawn.ticks(classes.confusion(alone).figure.axes[0]) == ["$a_b$ 5% (2)"]
    assert not classes.confusion(alone).figure.axes[0].get_xticklabels()[0].get_parse_math()
    assert classes.thirds(alone, [alone.result]).frame["classes"].sum() == 2


# ---- what is counted

LEVEL1 = np.array([0, 0, 0, 1, 1, 2])  # three siblings, two siblings, an only child
TRUTH = np.array([0, 0, 0, 1, 1, 3, 3, 4])
SAID = np.array([0, 0, 1, 0, 3, 3, 4, 3])


def test_per_class_by_hand():
    """Class 0: 3 videos, 3 given, 2 hits. Class 2 and 5 are on neither side. Class 4: one video, given to another."""
    frame = classes.per_class(TRUTH, SAID, 6)
    assert frame["videos"].tolist() == [3, 2, 0, 2, 1, 0] and frame["given"].tolist() == [3, 1, 0, 3, 1, 0]
    assert frame["hits"].tolist() == [2, 0, 0, 1, 0, 0]
    nan = float("nan")
    assert frame["precision"].tolist() == pytest.approx([2 / 3, 0, nan, 1 / 3, 0, nan], nan_ok=True)
    assert frame["recall"].tolist() == pytest.approx([2 / 3, 0, nan, 1 / 2, 0, nan], nan_ok=True)
    assert frame["f1"].tolist() == pytest.approx([2 / 3, 0, nan, 2 / 5, 0, nan], nan_ok=True)
    assert frame["f1"].mean() == pytest.approx(f1_score(TRUTH, SAID, average="macro"))


def test_thirds_of_classes_break_ties_by_index_and_are_as_even_as_can_be():
    assert classes.thirds_of_classes(np.array([5, 5, 5, 5])).tolist() == [0, 0, 1, 2]
    assert np.bincount(classes.thirds_of_classes(np.arange(200))).tolist() == [67, 67, 66]


def test_groups_by_hand():
    """Head {0, 1}: F1 2/3 and 0, 2 of 5 videos right. Middle {2, 3}: only 3 occurs. Tail {4, 5}: 4 occurs, never right."""
    frame = classes.scores_of_groups(TRUTH, SAID, np.array([0, 0, 1, 1, 2, 2]))
    assert frame["slice"].tolist() == ["head", "middle", "tail"] and frame["n"].tolist() == [5, 2, 1]
    assert frame["classes"].tolist() == [2, 2, 2] and frame["counted"].tolist() == [2, 1, 1]
    assert frame["f1"].tolist() == pytest.approx([1 / 3, 2 / 5, 0])
    assert frame["recall"].tolist() == pytest.approx([2 / 5, 1 / 2, 0])
    assert frame["f1_low"].isna().tolist() == [False, False, True], "nothing of the tail is right: no spread"
    assert (frame["f1_low"] <= frame["f1"])[:2].all() and (frame["f1"] <= frame["f1_high"])[:2].all()
    assert frame["recall_low"].iloc[2] == 0 and frame["recall_high"].iloc[2] == pytest.approx(Z**2 / (1 + Z**2))


def test_interval_of_a_group_is_that_of_scikit_learns_f1(monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 100)
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, (2, 40))
    row = classes.scores_of_groups(truth, said, np.zeros(4, int), ("all",), seed=3).iloc[0]
    draws = [f1_score(truth[i], said[i], average="macro", zero_division=0.0) for i in resampled_videos(40, 3)]
    assert (row["f1_low"], row["f1_high"]) == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5])))


def test_a_group_nobody_is_in_has_no_score():
    frame = classes.scores_of_groups(np.array([0, 0]), np.array([0, 0]), np.array([0, 1]), ("some", "none"))
    assert frame["f1"].tolist() == pytest.approx([1, float("nan")], nan_ok=True)
    assert np.isnan(frame["recall_low"].iloc[1]) and frame["n"].tolist() == [2, 0]


def test_wrong_answers_by_hand():
    """0 as 1, 1 as 0, 3 as 4, 4 as 3 stay with their siblings; 1 as 3 does not. By chance 2/5 of 0 and 1, 1/5 of 3 and 4."""
    found = classes.wrong_answers(TRUTH, SAID, LEVEL1)
    assert (found["wrong"], found["siblings"]) == (5, 4)
    assert found["share"] == pytest.approx(4 / 5) and found["chance"] == pytest.approx((3 * 2 / 5 + 2 * 1 / 5) / 5)
    assert 0 <= found["low"] <= 4 / 5 <= found["high"] <= 1


def test_confidence_by_hand():
    """Two bins: 0.4 wrong below; 0.5 (on the border, so above), 0.9 and 1.0 with two of three right."""
    frame = classes.by_confidence(np.array([0.4, 0.5, 0.9, 1.0]), np.array([False, True, False, True]), bins=2)
    assert frame["n"].tolist() == [1, 3] and frame["from"].tolist() == [0, 0.5] and frame["to"].tolist() == [0.5, 1]
    assert frame["confidence"].tolist() == pytest.approx([0.4, 0.8])
    assert frame["accuracy"].tolist() == pytest.approx([0, 2 / 3])
    alone = classes.by_confidence(np.array([0.99]), np.array([True]))
    assert alone["n"].tolist() == [0] * 14 + [1] and alone["accuracy"].isna().sum() == 14
