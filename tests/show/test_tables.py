"""Tables by hand: what a cell shows, what the CSV holds."""

import pandas as pd
from lab.show.answers import Answer

from lab.show import formats, reading, tables
from lab.show.table import Column, Table, chip, inline
from lib.recipes.load import load
from lib.recipes.specs import Ablation, Claim

FRAME = pd.DataFrame({"name": ["a|b", "<i>"], "score": [0.12345, None], "verdict": ["helps", ""]})
TABLE = Table(
    FRAME,
    (
        Column("name", lambda r: formats.literal(r["name"]) + "\nbelow"),
        Column("score", lambda r: formats.score(r["score"]), "number", "what it means"),
        Column("verdict", lambda r: r["verdict"] or None, "verdict"),
    ),
    "A caption.",
    emphasis=lambda r: "reference" if r["score"] != r["score"] else "",
)


def test_markdown_by_hand():
    assert TABLE.markdown() == (
        "| name | score | verdict |\n| --- | ---: | --- |\n| a\\|b<br>below | 0.123 | **helps** |\n"
        "| \\<i\\><br>below | – | – |\n\nA caption."
    )


def test_html_escapes_what_the_corpus_says_and_marks_the_reference():
    text = TABLE.html()
    assert "&lt;i&gt;<small>below</small>" in text and "<i>" not in text
    assert '<tr class="reference">' in text
    assert '<td class="number">0.123</td>' in text and 'title="what it means"' in text
    assert '<span class="chip helps">helps</span>' in text


def test_csv_holds_the_numbers_themselves(tmp_path):
    path = TABLE.write_csv(tmp_path / "t.csv")
    assert path.read_text() == "name,score,verdict\na|b,0.12345,helps\n<i>,,\n"


def test_a_table_without_headings_has_no_head():
    facts = Table(pd.DataFrame({"k": ["x"], "v": ["y"]}), (Column("", "k"), Column("", "v")))
    assert "<thead>" not in facts.html() and 'class="table facts"' in facts.html()


def test_verdict_words_decide_the_colour():
    assert 'class="chip hurts"' in chip("hurts")
    assert 'class="chip none"' in chip("no measurable effect")


def test_titles_full_of_signs_stay_as_they_are():
    title = "*a* _b_ [c](d) `e` <f> #g $h$ ~i~ \\j"
    shown = inline(formats.literal(title))
    assert shown == "*a* _b_ [c](d) `e` &lt;f&gt; #g $h$ ~i~ \\j"


def comparison(**changes) -> dict:
    row = {"recipe": "r", "ablation": "ema", "arm": "with", "metric": "spearman", "n": 3, "difference": 0.01}
    row |= {"low": 0.002, "high": 0.018, "verdict": "helps", "detectable": 0.012}
    return row | changes


def test_summary_of_a_track_names_the_largest_effect_first():
    nothing = comparison(ablation="focal_tags", verdict="no measurable effect", low=-0.1, high=0.1)
    worst = comparison(ablation="mask", difference=-0.5, verdict="hurts")
    text = reading.track_summary("spearman", pd.DataFrame([comparison(), worst, nothing]))
    assert text.startswith(
        "**Pairs** (Spearman): 2 of 3 comparisons show an effect. [mask](ablation_mask.md) hurts on r, −0.5000"
    )
    assert "[EMA](ablation_ema.md) helps on r, +0.0100 (95 % interval +0.0020 to +0.0180)" in text
    assert text.endswith(
        "Where no effect was seen, 3 seeds would typically have shown a true one of 0.0120 four times out of five."
    )


def test_summary_without_any_effect_says_so():
    rows = pd.DataFrame(
        [comparison(verdict="one seed: no interval", low=None, high=None, detectable=float("nan"), n=1)]
    )
    told = "**Classes** (mean F1): one seed cannot tell an effect from chance; 1 comparison without a verdict."
    assert reading.track_summary("mean_f1", rows) == told
    rows = rows.assign(n=3)
    assert reading.track_summary("mean_f1", rows) == "**Classes** (mean F1): none of 1 comparison shows an effect."


def answer_of(*rows: dict) -> Answer:
    reference = comparison(arm="without", difference=float("nan"), verdict="")
    frame = pd.DataFrame([reference, *rows]).assign(is_reference=lambda f: f["verdict"] == "")
    return Answer("ema", load(Ablation, "ema"), frame, {}, pd.DataFrame())


def test_headline_says_every_verdict_once():
    assert reading.headline(answer_of(comparison())) == (
        "Helps on r: +0.0100 (95 % interval +0.0020 to +0.0180) in Spearman."
    )
    others = [comparison(recipe="s"), comparison(recipe="t", verdict="hurts")]
    assert reading.headline(answer_of(comparison(), *others)) == "Helps on r and s; hurts on t."
    arms = [comparison(arm="a"), comparison(arm="b"), comparison(arm="c", verdict="hurts")]
    assert reading.headline(answer_of(*arms)) == "Helps on r (arms `a` and `b`); hurts on r (arm `c`)."


def test_identical_arms_are_said_to_be_identical():
    same = comparison(difference=0.0, low=0.0, high=0.0, verdict="no measurable effect", detectable=float("nan"))
    line = reading.sentences(answer_of(same | {"claimed": float("nan")}))[0]
    assert "0.0000 (95 % interval 0.0000 to 0.0000)" in line and line.endswith("never came into play here.")
    assert "four times out of five" not in line


def test_a_claim_is_about_the_comparison_it_names():
    claim = Claim(value=0.1, metric="spearman", source="s", arm="mean")
    assert claim.is_about("any", "mean") and not claim.is_about("any", "oof")
    assert Claim(value=0.1, metric="spearman", source="s").is_about("any", "oof")


def test_published_scores_name_their_model_where_there_are_several():
    row = {"arm": "base", "stage": "finetune", "split": "test", "metric": "spearman", "value": 0.8, "source": "s"}
    rows = [row | {"note": ""}, row | {"arm": "job2", "note": "n"}]
    assert (
        "| the recipe itself | finetune | test | Spearman | 0.8 |" in tables.published(rows, {"job2": "J"}).markdown()
    )
    assert "the recipe itself" not in tables.published(rows[:1], {"job2": "J"}).markdown()
