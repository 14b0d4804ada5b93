"""Ensembles as they are shown: numbers read back from figures, cells and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lab.show import ensembles, style
from lab.show.floors import LINES
from lib.recipes.load import load
from lib.recipes.specs import EnsembleSpec
from lib.stages.ensemble import Result
from tests.show import drawn
from tests.show.test_questions import cells

NAN, NOTHING = float("nan"), "no effect above 0.2"


def compared(score: float, prefix: str = "", **more) -> dict:
    row = dict(score=score, low=score - 0.1, high=score + 0.1, best="b", best_score=0.4, unseen=score - 0.05)
    row |= {"difference": score - 0.4, "difference_low": -0.01, "difference_high": 0.2, "verdict": NOTHING}
    row |= {"unseen_difference": 0.02, "unseen_difference_low": 0.01, "unseen_difference_high": 0.03}
    row |= {"unseen_best": "a", "unseen_best_score": 0.3, "unseen_verdict": "helps"}
    named = {key: key if not prefix else prefix if key == "score" else f"{prefix}_{key}" for key in row}
    return {named[key]: value for key, value in row.items()} | more


def result(**metrics) -> Result:
    members = pd.DataFrame(
        [
            {"member": "b", "score": 0.4, "low": 0.3, "high": 0.5, "unseen": 0.31, "without": 0.35, "gain": 0.11, **compared(0.4, "growth")},
            {"member": "a", "score": 0.38, "low": 0.28, "high": 0.48, "unseen": 0.3, "without": NAN, "gain": NAN, **compared(0.46, "growth")},
        ]
    )  # fmt: skip
    kinds = pd.DataFrame(
        [
            {"kind": "ConcatSvd, dim 64, fit transductive", "role": "specified", "note": "", **compared(0.46, inside=NAN, width=64)},
            {"kind": "CosineWeights", "role": "also", "note": "", **compared(0.5, verdict="helps", inside=0.61, width=384)},
            {"kind": "MeanEmbedding", "role": "also", "note": "members of one width", "score": NAN, "difference": NAN, "width": NAN},
            {"kind": "b", "role": "best member", "note": "", **compared(0.4, inside=NAN, width=64)},
        ]
    )  # fmt: skip
    about = dict(ensemble="e", primary="spearman", items={"validation": 300, "unseen": 60}, oracle={"spearman": 0.9})
    about |= {"scores": {"validation": {"spearman": 0.46}}}
    return Result(about | metrics, members, kinds, np.array([[1.0, 0.7], [0.7, 1.0]]), {})


def test_growth_draws_the_ensemble_its_intervals_and_each_member():
    known = pd.DataFrame({"floor": ["constant", "untrained", "oracle"], "score": [0.0, 0.31, 0.9]})
    picture = ensembles.growth(result(), known)
    floors = {
        line.get_label(): line.get_ydata()[0] for line in picture.figure.axes[0].lines if line.get_label() in LINES
    }
    assert floors == {"untrained": 0.31, "oracle": 0.9}
    (axis,) = picture.figure.axes
    assert drawn.line(axis, "ensemble of the first n").tolist() == [[1, 0.4], [2, 0.46]]
    assert drawn.line(axis, "the n-th member alone").tolist() == [[1, 0.4], [2, 0.38]]
    assert drawn.bars(axis) == pytest.approx(np.array([[[1, 0.3], [1, 0.5]], [[2, 0.36], [2, 0.56]]]))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("members", "Spearman") and axis.get_xticks().tolist() == [1, 2]
    looks = {line.get_label(): line.get_color() for line in axis.lines if line.get_label() not in LINES}
    assert looks == {"ensemble of the first n": style.BLUE, "the n-th member alone": style.MUTED}
    assert picture.name == "growth_e" and picture.frame["n"].tolist() == [1, 2] and "0.400, 0.460" in picture.alt


def test_similarity_shows_each_two_members_once_a_side():
    picture = ensembles.similarity(result())
    axis = picture.figure.axes[0]
    shown = {(round(t.get_position()[0] - 0.5), round(t.get_position()[1] - 0.5)): t.get_text() for t in axis.texts}
    assert shown == {(0, 1): "0.700", (1, 0): "0.700"}  # nothing on the diagonal
    assert drawn.ticks(axis) == ["b", "a"] and [t.get_text() for t in axis.get_xticklabels()] == ["b", "a"]
    assert picture.frame.to_dict("list") == {"member": ["b", "a"], "b": [1.0, 0.7], "a": [0.7, 1.0]}
    alone = Result(result().metrics, result().members.head(1), result().kinds, np.ones((1, 1)), {})
    assert not list(ensembles.similarity(alone).figure.axes[0].texts)


def test_forest_of_kinds_leaves_out_the_best_member_and_what_cannot_be_joined():
    picture = ensembles.kinds_forest(result())
    (axis,) = picture.figure.axes
    assert drawn.ticks(axis) == ["ConcatSvd, dim 64, fit transductive", "CosineWeights"]
    assert drawn.line(axis, "helps") == pytest.approx(np.array([[0.1, 1]])) and drawn.line(axis, "no effect above")[
        0, 0
    ] == pytest.approx(0.06)
    assert drawn.bars(axis)[0].tolist() == [[-0.01, 1], [0.2, 1]]
    assert axis.get_xlabel() == "difference in Spearman to the best member"


def test_kinds_cell_by_cell():
    table = ensembles.kinds(result())
    rows = cells(table)
    assert rows["CosineWeights"] == {
        "joined by": "CosineWeights", "Spearman": "0.500<br>0.400 to 0.600", "against the best member": "+0.1<br>−0.01 to +0.2",
        "verdict": "**helps**", "unseen videos": "0.450<br>+0.02<br>+0.01 to +0.03", "numbers": "384", "in-sample": "0.610",
    }  # fmt: skip
    assert rows["ConcatSvd<br>dim 64, fit transductive<br>as specified"]["in-sample"] == "–"
    assert rows["MeanEmbedding<br>members of one width"]["Spearman"] == "–"
    best = rows["b<br>best member alone"]
    assert (best["against the best member"], best["verdict"], best["unseen videos"]) == ("–", "–", "0.350")
    assert [table.emphasis(row) for row in table.frame.to_dict("records")] == ["", "", "", "reference"]
    assert "**ConcatSvd**: Concatenation, then an un-centred truncated SVD." in table.notes
    assert any("learned from the very pairs it is scored on; not a result" in note for note in table.notes)


def test_members_cell_by_cell():
    rows = cells(ensembles.added(result()))
    assert rows["`b`"] == {
        "member": "`b`", "Spearman": "0.400<br>0.300 to 0.500", "unseen videos": "0.310", "without it": "0.350", "adds": "+0.11",
    }  # fmt: skip


def test_a_column_that_nothing_is_known_of_is_left_out():
    found = result()
    known = Result(found.metrics, found.members.drop(columns="unseen"), found.kinds, found.similarity, {})
    table = ensembles.added(known)
    assert "unseen videos" not in [column.title for column in table.columns] and not table.notes


def test_table_of_all_ensembles_cell_by_cell():
    spec = load(EnsembleSpec, "aiac_rank1_jobs")
    row = ensembles.summary("aiac_rank1_jobs", spec, result())
    numbers = [row[name] for name in ("score", "best", "difference", "oracle", "members")]
    assert numbers == pytest.approx([0.46, 0.4, 0.06, 0.9, 2])
    assert (row["unseen"], row["unseen_difference"], row["published"]) == (pytest.approx(0.41), 0.02, "0.852 (test)")
    shown = cells(ensembles.table(pd.DataFrame([row])))
    cell = shown[f"[{spec.title}](page:ensemble/aiac_rank1_jobs)<br>AIAC 1st, 2 members"]
    assert (cell["score"], cell["best member"]) == ("0.460<br>0.360 to 0.560", "0.400")
    assert (cell["gain"], cell["verdict"]) == ("+0.06<br>−0.01 to +0.2", f"**{NOTHING}**")
    assert (cell["unseen videos"], cell["oracle"]) == ("0.410<br>+0.02<br>+0.01 to +0.03", "0.900")


def test_reading_tells_all_items_and_unseen_videos_apart():
    first, second = ensembles.reading(result()).data.splitlines()
    assert first == (
        f"- On all 300 validation pairs: **{NOTHING}**. The ensemble reaches 0.460 Spearman, its best member there, `b`, 0.400: "
        "+0.06 (95 % interval over items −0.01 to +0.2)."
    )
    assert second == (
        "- On the 60 pairs whose videos are in no training pair of any member: **helps**. The ensemble reaches 0.410 Spearman, "
        "its best member there, `a`, 0.300: +0.02 (95 % interval over items +0.01 to +0.03)."
    )


@pytest.mark.parametrize(
    ("unseen", "told"), [(300, "nothing leaks into this score"), (9, "Only 9 pairs of 300"), (10, "On the 10 pairs")]
)
def test_reading_with_few_unseen_pairs_or_none_seen(unseen, told):
    text = ensembles.reading(result(items={"validation": 300, "unseen": unseen})).data
    assert told in text.splitlines()[1]


def test_reading_of_a_test_part_says_where_the_best_member_was_chosen():
    made = result(items={"test": 9000, "unseen": 9000}, scores={"test": {"spearman": 0.46}})
    first, second = ensembles.reading(made).data.splitlines()[:2]
    assert first.startswith("- On all 9,000 test pairs: ") and "the best member is that of validation" in second


def test_reading_says_how_what_is_learned_was_judged():
    text = ensembles.reading(result(folds_of="components of videos")).data.splitlines()[2]
    assert (
        "learned from scored pairs in folds of components of videos; every pair is judged by a fit that did not see it"
        in text
    )


def test_unknown_ensemble_names_those_there_are(world):
    with pytest.raises(KeyError, match=r"no ensemble 'jobs'.*aiac_rank1_jobs"):
        ensembles.combine(world, "jobs")
