"""Tables and pictures by hand: what a cell shows, what the CSV holds."""

import re

import pandas as pd

from lab.show import formats, style
from lab.show.page import TEMPLATES
from lab.show.table import NUMBERS, Column, Picture, Table, chip, csv, inline, link

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


# ---- what a table and a picture give a notebook

ARMS = pd.DataFrame({"arm": ["with", "without"], "score": [0.712345, 0.7]})


def picture() -> Picture:
    figure, axis = style.canvas()
    axis.plot(ARMS["score"])
    axis.set_title("家常 of 1.23456")
    return Picture(figure, ARMS, "scores", "Two scores", "Both arms")


def test_a_table_gives_html_markdown_and_its_numbers():
    bundle = Table(
        ARMS, (Column("arm", "arm"),), caption=f"See {link('EMA', 'question', 'ema')}", name="arms"
    )._repr_mimebundle_()
    assert '<td class="text">without</td>' in bundle["text/html"]
    assert '<a href="page:question/ema">EMA</a>' in bundle["text/html"]
    assert "| without |" in bundle["text/markdown"]
    assert bundle[NUMBERS] == {"name": "arms", "csv": "arm,score\nwith,0.712345\nwithout,0.7\n"}


def test_a_table_without_a_name_has_no_csv():
    assert NUMBERS not in Table.plain(ARMS)._repr_mimebundle_()


def test_a_table_without_columns_is_its_caption_and_its_csv():
    bundle = Table(ARMS, (), "All runs", name="runs")._repr_mimebundle_()
    assert bundle["text/html"] == '<figure class="table facts"><figcaption>All runs</figcaption></figure>'
    assert bundle["text/markdown"].strip() == "All runs" and bundle[NUMBERS]["csv"].count("\n") == 3


def test_a_picture_gives_its_image_and_every_number():
    bundle = picture()._repr_mimebundle_()
    about = {"name": "scores", "alt": "Two scores", "caption": "Both arms"}
    assert bundle[NUMBERS] == about | {"csv": "arm,score\nwith,0.712345\nwithout,0.7\n"}
    assert bundle["image/svg+xml"].startswith("<svg") and bundle["text/plain"] == "Two scores"


def test_letters_stay_letters_and_coordinates_are_short():
    text = picture()._repr_mimebundle_()["image/svg+xml"]
    assert "家常 of 1.23456" in text and "'Noto Sans SC', sans-serif" in text
    assert not re.search(r'="[^"]*\d\.\d{3}', text)
