"""Every figure draws without a missing glyph and gives the same bytes twice."""

import warnings

import numpy as np
import pandas as pd
import pytest

from lab.show import (
    figures_classes,
    figures_compare,
    figures_data,
    figures_scores,
    figures_space,
    figures_system,
    figures_training,
    style,
)
from lab.show.calibration import reliability

CHINESE = "家常红烧肉，简单好吃"


def history() -> pd.DataFrame:
    steps = np.arange(0, 80, 2)
    fall = np.exp(-steps / 30)
    return pd.DataFrame(
        {
            "step": steps,
            "loss": 2 * fall,
            "lr": 1e-3 * fall,
            "grad_norm": 1 + fall,
            "terms.tags": fall,
            "terms.mlm": fall,
        }
    )


def scores() -> pd.DataFrame:
    return pd.DataFrame({"step": [20, 40, 60], "scores.spearman": [0.4, 0.6, 0.55]})


def comparisons() -> pd.DataFrame:
    rows = [("ema", 0.01, 0.004, 0.016, "helps", 0.02), ("mask", -0.01, -0.02, -0.001, "hurts", np.nan)]
    rows += [
        ("focal", 0.0, -0.01, 0.01, "no measurable effect", np.nan),
        ("one", 0.1, np.nan, np.nan, "one seed", np.nan),
    ]
    return pd.DataFrame(rows, columns=["label", "difference", "low", "high", "verdict", "claimed"])


def board() -> pd.DataFrame:
    row = {"label": CHINESE, "score": 0.7, "low": 0.68, "high": 0.72, "seeds": [0.69, 0.71], "seconds": 30.0}
    return pd.DataFrame([row | {"oracle": 0.94, "published": [0.886]}, row | {"oracle": np.nan, "published": []}])


def sliced() -> pd.DataFrame:
    rows = [("title", f"{CHINESE} {n}", n, 0.5, 0.4, 0.6) for n in (20, 30)]
    return pd.DataFrame(rows, columns=["by", "slice", "n", "score", "low", "high"])


def classes() -> pd.DataFrame:
    rows = [(40, 9, 0.9, "head"), (9, 2, 0.5, "middle"), (0, 1, 0.0, "tail"), (2, 0, np.nan, "tail")]
    return pd.DataFrame(rows, columns=["train", "videos", "f1", "third"])


def points(rows: int, columns: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns))


PARTS = dict.fromkeys(("text", "frames", "fusion", "pooling", "head"), "Part")
STEPS = [
    figures_system.Step("pretrain", "videos", ("TagFocal", "TagFocal", "MaskedTokens")),
    figures_system.Step("finetune", "pairs", ("CosineRegression",), "pretrain"),
    figures_system.Step("distill", "pairs", ("SoftSimilarity",), "pretrain", "finetune"),
    figures_system.Step("distill_2", "pairs", ("SoftSimilarity",), "distill", "distill"),
    figures_system.Step("finetune_2", "pairs", ("CosineRegression",), "unseen"),
]

FIGURES = {
    "run_curves": lambda: figures_training.run_curves(history(), scores(), "spearman", 40, [10]),
    "curves_without_scores": lambda: figures_training.run_curves(history(), pd.DataFrame({"step": []}), "tag_loss"),
    "arms": lambda: figures_training.curves_by_arm(
        {"a": ("spearman", {"with": [scores()], "without": [scores(), scores()]})}, "without"
    ),
    "predicted": lambda: figures_scores.predicted_against_true(points(50)[:, 0], np.arange(50) % 21 / 20),
    "many_predicted": lambda: figures_scores.predicted_against_true(points(500)[:, 0], np.arange(500) % 21 / 20),
    "slices": lambda: figures_scores.slices(sliced(), "spearman", 0.5),
    "no_slices": lambda: figures_scores.slices(sliced().head(0), "spearman", 0.5),
    "confusion": lambda: figures_scores.confusion(np.array([[3, 1], [0, 0]]), [CHINESE, "02"]),
    "long_tail": lambda: figures_classes.long_tail(classes()),
    "long_tail_of_seen": lambda: figures_classes.long_tail(classes().iloc[:2]),
    "reliability": lambda: figures_classes.reliability(
        reliability(np.array([0.1, 0.5, 0.9, 1.0]), np.array([False, True, True, True]))
    ),
    "teacher": lambda: figures_scores.teacher_student(points(40)[:, 0], points(40)[:, 1], np.arange(40) / 40),
    "forest": lambda: figures_compare.forest(comparisons(), "spearman"),
    "scoreboard": lambda: figures_compare.scoreboard(board(), "spearman"),
    "cost": lambda: figures_compare.cost_against_score(board(), "mean_f1"),
    "similarity": lambda: figures_compare.member_similarity(np.array([[1, 0.9], [0.9, 1]]), ["a", CHINESE]),
    "one_member": lambda: figures_compare.member_similarity(np.ones((1, 1)), ["a"]),
    "growth": lambda: figures_compare.growth(
        pd.DataFrame({"members": [1, 2], "ensemble": [0.7, 0.72], "single": [0.7, 0.69]}), "spearman"
    ),
    "map": lambda: figures_space.embedding_map(points(60), ["101", "102", "103"] * 20, [CHINESE] * 60),
    "slots": lambda: figures_system.slots(
        {slot: "Part" for slot in ("text", "frames", "fusion", "pooling", "head")}, "embedding"
    ),
    "stages": lambda: figures_system.slots(PARTS, "class\nlogits", STEPS),
    "one_stage": lambda: figures_system.slots(PARTS, "embedding", STEPS[:1]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_draws_every_glyph_and_the_same_bytes_twice(name):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph.*missing.*")
        first, second = style.svg(FIGURES[name]()), style.svg(FIGURES[name]())
    assert first == second
    assert first.startswith("<svg") and "<dc:date>" not in first
    assert "http://" not in first.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_a_glyph_that_no_font_has_is_noticed():
    figure, axis = style.canvas()
    axis.set_title("한")
    with pytest.warns(UserWarning, match="missing"):
        style.svg(figure)


def test_saving_the_same_figure_twice_gives_the_same_bytes():
    figure = FIGURES["forest"]()
    assert style.svg(figure) == style.svg(figure)


def test_layout_is_deterministic_and_keeps_clusters_apart():
    """Two far clusters stay two clusters: every nearest neighbour on the map is of the same cluster."""
    group = np.repeat([0, 1], 30)
    vectors = points(60, 8) * 0.1 + np.eye(8)[group]
    first = figures_space.layout(vectors)
    assert np.array_equal(first, figures_space.layout(vectors))
    distance = np.linalg.norm(first[:, None] - first[None], axis=2) + np.eye(60) * 1e9
    assert (group[distance.argmin(axis=1)] == group).all()


def test_spread_takes_the_corners_of_a_square():
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0.5, 0.5]], float)
    assert set(figures_space.spread(square, 5)) == {0, 1, 2, 3, 4}
    assert figures_space.spread(square, 1).tolist() == [4]


def test_sample_depends_on_nothing_but_the_number():
    assert figures_space.sample(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    chosen = figures_space.sample(np.arange(5000), 100)
    assert len(set(chosen)) == 100 and (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, figures_space.sample(np.arange(5000) + 7, 100))


def test_stages_are_told_in_words():
    assert figures_system.told(STEPS[:3]) == (
        "stage pretrain on videos with 2 × TagFocal, MaskedTokens; stage finetune on pairs with CosineRegression, "
        "from pretrain; stage distill on pairs with SoftSimilarity, from pretrain, taught by finetune"
    )


def test_cost_numbers_only_what_nothing_cheaper_beats():
    rows = [("a finetune", 10, 0.2), ("b finetune", 30, 0.5), ("b distill", 40, 0.4), ("c finetune", 40, 0.5)]
    frame = pd.DataFrame(rows, columns=["label", "seconds", "score"]).assign(low=np.nan, high=np.nan)
    assert figures_compare.on_front(frame).tolist() == [True, True, False, False]
    legend = figures_compare.cost_against_score(frame.iloc[::-1], "spearman").legends[0]
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["1  a finetune", "2  b finetune", "others of b", "others of c"]


def test_equal_cost_and_score_are_both_on_the_front():
    assert figures_compare.on_front(pd.DataFrame({"seconds": [1, 1], "score": [0.5, 0.5]})).all()


def test_long_curves_are_thinned_and_short_ones_are_not():
    for sizes, drawn in ((pd.Series(np.arange(5000, 0, -1)), 300), (pd.Series([3, 2, 1]), 3)):
        for figure in (figures_data.long_tail(sizes, "tag"), figures_data.components(sizes)):
            x, y = (np.asarray(values) for values in figure.axes[0].lines[0].get_data())
            assert len(x) <= drawn and x[0] == 1 and x[-1] == len(sizes) and y[-1] == sizes.iloc[-1]
