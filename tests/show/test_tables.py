"""Tables by hand: what a cell shows, what the CSV holds."""

import re

import pandas as pd

from lab.show import formats
from lab.show.page import TEMPLATES
from lab.show.table import Column, Table, chip, csv, inline
from lib.recipes.specs import Claim

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


def test_csv_holds_the_numbers_themselves():
    assert csv(TABLE.frame) == "name,score,verdict\na|b,0.12345,helps\n<i>,,\n"


def test_a_table_without_headings_has_no_head():
    facts = Table(pd.DataFrame({"k": ["x"], "v": ["y"]}), (Column("", "k"), Column("", "v")))
    assert "<thead>" not in facts.html() and 'class="table facts"' in facts.html()


def test_a_long_table_is_folded():
    rows = pd.DataFrame({"n": range(41)})
    assert "<details><summary>41 rows</summary><div" in Table.plain(rows).html()
    assert "<details" not in Table.plain(rows[:40]).html()


def test_verdict_words_decide_the_colour():
    words = ("helps", "hurts", "claim ruled out", "too small to see here", "no effect above 0.01", "not in play")
    kinds = [re.search(r'class="chip (\w+)"', chip(word))[1] for word in words]
    assert kinds == ["helps", "hurts", "ruled", "small", "none", "idle"]
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert all(f".chip.{kind} {{" in css for kind in kinds)


def test_what_a_column_means_can_be_read_without_a_mouse_and_a_table_has_a_name():
    assert "<dl><dt>score</dt><dd>what it means</dd></dl>" in TABLE.html()
    assert 'aria-label="A caption"' in TABLE.html()


def test_chinese_says_that_it_is_chinese():
    assert inline("a 家常，菜 b") == 'a <span lang="zh">家常，菜</span> b'


def test_titles_full_of_signs_stay_as_they_are():
    title = "*a* _b_ [c](d) `e` <f> #g $h$ ~i~ \\j"
    shown = inline(formats.literal(title))
    assert shown == "*a* _b_ [c](d) `e` &lt;f&gt; #g $h$ ~i~ \\j"


def test_a_claim_is_about_the_comparison_it_names():
    claim = Claim(value=0.1, metric="spearman", source="s", arm="mean")
    assert claim.is_about("any", "mean") and not claim.is_about("any", "oof")
    assert Claim(value=0.1, metric="spearman", source="s").is_about("any", "oof")
