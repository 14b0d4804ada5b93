"""One question as it is shown: every number is read back from what is drawn or from the cell of a table."""

from __future__ import annotations

import pandas as pd

from lab.show import questions
from lab.show.verdicts import ONE_ANSWER, digest_of
from lib.evaluation.compare import NOT_IN_PLAY, RULED_OUT, TOO_SMALL, UNKNOWN
from lib.recipes.load import load
from lib.recipes.specs import Ablation, Claim
from tests.show import drawn, made

NOTHING = "no effect above 0.025"
THREE = made.frame(
    made.reference(),
    made.arm(arm="up", difference=0.03, low=0.01, high=0.05, claimed=0.02),
    made.arm(arm="down", difference=-0.04, low=-0.07, high=-0.02, verdict="hurts"),
    made.arm(arm="flat", difference=0.005, low=-0.015, high=0.025, verdict=NOTHING),
)


def cells(table) -> dict[str, dict[str, str]]:
    """First cell of a row -> title of a column -> cell, of a table in Markdown."""
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.markdown().splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


# ---- forest


def test_a_forest_names_tricks_and_where_there_are_several_systems():
    two = made.frame(made.reference(), made.arm(), made.reference("focal_gamma"), made.arm("focal_gamma", arm="gamma1"))
    (axis,) = questions.forest(two, "forest_spearman").figure.axes
    assert drawn.ticks(axis) == ["EMA of the weights", "focal loss on tags, gamma 1"]
    assert axis.get_xlabel() == "difference in Spearman to the reference arm"
    systems = made.frame(
        made.reference(), made.arm(), made.reference(recipe="aiac_rank6"), made.arm(recipe="aiac_rank6")
    )
    (axis,) = questions.forest(systems, "forest_ema").figure.axes
    assert drawn.ticks(axis) == ["EMA of the weights · AIAC 1st", "EMA of the weights · AIAC 6th"]


def test_where_arms_are_compared_with_each_other_the_axis_says_so():
    chain = made.frame(made.reference(), made.arm(arm="a"), made.arm(arm="b", reference="a"))
    (axis,) = questions.forest(chain, "x").figure.axes
    assert axis.get_xlabel() == "difference in Spearman to the arm before"
    branch = (made.arm("modal_alignment", arm=arm) for arm in ("pairs", "tcl"))
    whole = made.arm("modal_alignment", arm="whole", reference="pairs")
    part = made.frame(made.reference("modal_alignment"), *branch, whole)
    (axis,) = questions.forest(part, "x").figure.axes
    assert axis.get_xlabel() == "difference in Spearman to the arm that it is held against"
    told = "six pairs, no part left out against six pairs of four parts"
    assert f"`whole`<br>{told}" in cells(questions.table(part))
    linked = "[six pairs, no part left out](page:question/modal_alignment) against six pairs of four parts<br>AIAC 1st"
    assert linked in cells(questions.verdicts(part, "x"))


# ---- curves


# ---- tables


def test_table_of_a_question_cell_by_cell():
    part = made.frame(
        made.reference(unseen=0.31),
        made.arm(claimed=0.012, claimed_source="slides", unseen=0.42, sd=0.0123, detectable=0.0456),
    )
    table = questions.table(part)
    rows = cells(table)
    assert rows["`without`<br>reference"]["Spearman"] == "0.480" and rows["`without`<br>reference"]["verdict"] == "–"
    assert rows["`with`<br>EMA of the weights"] == {
        "arm": "`with`<br>EMA of the weights", "Spearman": "0.510", "sd": "0.012", "unseen videos": "0.420", "claimed": "+0.012",
        "could be seen": "0.046", "measured": "+0.03", "95 % interval": "+0.02 to +0.04", "verdict": "**helps**",
        "training": "12 s",
    }  # fmt: skip
    assert table.caption.endswith("median: 0.005 from seed to seed, 0.002 from one set of test items to another.")
    assert table.name == "ablation_ema" and table.frame["scores"].tolist() == ["0.47 0.49 0.48", "0.5 0.52 0.51"]
    assert table.frame["is_reference"].tolist() == [True, False]
    assert [table.emphasis(row) for row in table.frame.to_dict("records")] == ["reference", ""]


def test_floors_of_the_same_items_stand_below_the_arms():
    known = pd.DataFrame(
        {"floor": ["untrained", "oracle"], "label": ["cosines", "truth"], "metric": "spearman", "score": [0.31, 0.97]}
    )
    known = known.assign(corpus="twin", scored_on="test", low=0.1, high=0.2, n=9)
    elsewhere = [known.assign(metric="mean_f1", score=0.5), known]
    table = questions.table(made.frame(made.reference(), made.arm()), pd.concat(elsewhere))
    rows = cells(table)
    assert (
        list(rows)[2:] == ["untrained<br>cosines", "oracle<br>truth"]
        and rows["untrained<br>cosines"]["Spearman"] == "0.310"
    )
    assert {rows["oracle<br>truth"][name] for name in ("verdict", "measured", "95 % interval", "training")} == {"–"}
    looks = [table.emphasis(row) for row in table.frame.to_dict("records")]
    assert looks == ["reference", "", "single", "single"] and "Grey: what needs no network" in table.caption
    held_out = made.frame(made.reference("strict_split"), made.arm("strict_split"))
    assert load(Ablation, "strict_split").scored_on == "validation", (
        "of other items than those the floors are scored on"
    )
    assert len(questions.table(held_out, known).frame) == 2


def test_one_seed_has_no_interval_and_no_word_of_it():
    nothing = dict.fromkeys(("low", "high", "p", "detectable", "sd", "sd_seeds"), float("nan"))
    part = made.frame(made.reference(scores=(0.5,)), made.arm(scores=(0.5,), verdict=UNKNOWN, **nothing))
    caption = questions.table(part, pd.DataFrame()).caption
    assert caption == "1 seed an arm. Training: time by the clock, whatever else ran on the machine."
    drawn_ = questions.forest(part, "x")
    assert drawn_.caption == "Dot: measured; one seed has no interval." and drawn_.alt.endswith("of 1 comparison")


def test_columns_that_nothing_is_known_of_are_left_out():
    table = questions.table(made.frame(made.reference(check="placebo"), made.arm(check="placebo")))
    assert not {"claimed", "unseen videos"} & {column.title for column in table.columns}
    assert table.name == "check_ema"
    two = made.frame(made.reference(), made.arm(), made.reference(recipe="aiac_rank6"), made.arm(recipe="aiac_rank6"))
    assert "`with`<br>EMA of the weights, AIAC 6th" in cells(questions.table(two))


def test_verdicts_cell_by_cell():
    frame = made.frame(
        made.reference(), made.arm(claimed=0.5, n=5), made.reference("fgm"), made.arm("fgm", verdict="hurts")
    )
    table = questions.verdicts(frame, "verdicts_spearman")
    rows = cells(table)
    first = rows["[EMA of the weights](page:question/ema)<br>AIAC 1st"]
    assert (first["verdict"], first["difference"], first["claimed"]) == ("**helps**", "+0.03", "+0.5")
    assert (first["95 % interval"], first["could be seen"]) == ("+0.02 to +0.04", "0.05")
    assert first["p after Holm"] == "0.200" and table.frame["p"].tolist() == [0.01, 0.01]
    assert list(table.frame["ablation"]) == ["ema", "fgm"] and table.caption.startswith(
        "Arm minus reference, 3 to 5 paired seeds."
    )


def test_arms_say_what_they_switch():
    rows = cells(questions.arms("ema"))
    arms = [name.split("<br>")[0] for name in rows]
    assert arms == ["`without`", "`with`"] and "`without`<br>reference" in rows
    assert (
        rows["`with`<br>EMA of the weights"]["what is switched in the recipe"]
        == '`stages.finetune.ema: {"horizon": 0.075}`'
    )
    words = cells(questions.arms("word_pieces"))["`words`<br>words instead of characters"]
    assert words["what is switched in the recipe"] == '`model of the system: "words"`'


def test_sizes_of_the_runs_behind_a_question(world):
    table = questions.sizes(world, "ema")
    rows = cells(table)
    assert rows["AIAC 1st<br>finetune"]["arms"] == "without, with"
    assert rows["AIAC 1st<br>finetune"]["training items"] == "200" and rows["AIAC 1st<br>finetune"]["steps"] == "80"
    assert (rows["AIAC 1st<br>finetune"]["scored items"], rows["AIAC 1st<br>finetune"]["a run"]) == (
        "120",
        "12 s",
    )
    assert table.notes == (
        "Arms of a system share seeds, training items, steps and scored items.", "5 seeds an arm: 0, 1, 2, 3, 4.",
    )  # fmt: skip


def test_what_arms_share_is_said_of_what_is_equal(world, monkeypatch):
    frame = questions.runs.rows(job for jobs in world.ablation_jobs("ema").values() for job in jobs)
    frame.loc[frame["arm"] == "ema.with", ["steps", "train_items"]] = 40
    monkeypatch.setattr(questions.runs, "rows", lambda jobs: frame)
    told = questions.sizes(world, "ema").notes[0]
    assert told == "Arms of a system share seeds and scored items; they differ in training items and steps."


def test_seeds_that_differ_alike_in_all_arms_are_one_row(world, monkeypatch):
    frame = questions.runs.rows(job for jobs in world.ablation_jobs("ema").values() for job in jobs)
    frame["train_items"] = 1200 + frame["seed"]
    monkeypatch.setattr(questions.runs, "rows", lambda jobs: frame)
    table = questions.sizes(world, "ema")
    row = cells(table)["AIAC 1st<br>finetune"]
    assert (row["arms"], row["training items"], row["steps"]) == ("without, with", "1,200 to 1,204", "80")
    assert table.notes[0] == "Arms of a system share seeds, training items, steps and scored items."


# ---- sentences


def test_reading_tells_verdict_difference_claim_and_what_could_be_seen():
    part = made.frame(
        made.reference(),
        made.arm(claimed=0.05, claimed_source="slides"),
        made.arm(arm="decay_09", low=-0.01, verdict=TOO_SMALL, claimed=0.02, claimed_source="a paper"),
        made.arm(arm="flat", low=-0.01, verdict=RULED_OUT, claimed=0.2, claimed_source="a paper"),
        made.arm(arm="quiet", low=-0.01, verdict="no effect above 0.04"),
    )
    first, small, ruled, quiet = questions.reading(part).data.splitlines()
    assert first == (
        "- AIAC 1st, EMA of the weights: **helps**. Measured: +0.03 (95 % interval +0.02 to +0.04) Spearman "
        "over 3 seeds. Claimed: +0.05 (slides)."
    )
    assert small.endswith(
        " Claimed: +0.02 (a paper). Effects below 0.05 would usually be missed. The interval holds the claimed size and zero: nothing "
        "is decided."
    )
    assert ruled.endswith("would usually be missed. The interval excludes the claimed size.")
    assert "**no effect above 0.04**" in quiet and "Claimed" not in quiet and quiet.endswith("would usually be missed.")


def test_arms_that_are_one_and_the_same_are_said_to_be():
    same = made.arm(difference=0.0, low=0.0, high=0.0, verdict=NOT_IN_PLAY, detectable=float("nan"))
    line = questions.reading(made.frame(made.reference(), same)).data
    assert line.endswith(
        "**not in play**. Every prediction is the same in both arms: what is switched changed no number here."
    )


def test_runs_that_give_one_answer_to_everything_say_why_nothing_is_seen():
    nan = float("nan")
    blind = made.arm(difference=0.0, low=nan, high=nan, verdict=ONE_ANSWER, detectable=nan, claimed=0.05)
    line = questions.reading(made.frame(made.reference(), blind)).data
    assert line.startswith(
        "- AIAC 1st, EMA of the weights: **too small to see here: one answer for every item**. Every run gives"
    )


def test_a_discussion_of_other_numbers_is_left_out(monkeypatch):
    part = made.frame(made.reference(), made.arm())
    spec = load(Ablation, "ema")
    for digest, old in ((digest_of(part), False), ("0" * 16, True)):
        changed = spec.model_copy(update={"discussions": {"1" * 16: "It hurts.", digest: "It helps."}})
        monkeypatch.setattr(questions, "load", lambda kind, name, changed=changed: changed)
        text = questions.discussion(part).data
        assert text.endswith("It helps.") is not old and ("No discussion of these numbers" in text) is old
    silent = spec.model_copy(update={"discussions": {}})
    monkeypatch.setattr(questions, "load", lambda kind, name: silent)
    assert questions.discussion(part) is None


def test_a_claim_is_about_the_comparison_it_names():
    claim = Claim(value=0.1, metric="spearman", source="s", arm="mean")
    assert claim.is_about("any", "mean") and not claim.is_about("any", "oof")
    assert Claim(value=0.1, metric="spearman", source="s").is_about("any", "oof")


def test_what_is_asked_and_claimed_stands_above():
    assert questions.title("ema") == "EMA: Does averaging the weights raise the score?"
    text = questions.about("focal_tags").data
    assert "- Claimed: +0.01 Spearman, AIAC rank 6, write-up: more than +1 %" in text
    assert questions.about("ema").data.endswith("No source gives a number for this.")
