"""The offline checker: what it lets through and what it catches."""

import pytest

from lab.show import check

GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>
<style>@font-face{src:url(data:font/woff2;base64,AA==)} p::before{content:"x"}</style></head>
<body><h1 id="top">t</h1><img src="a.svg" alt="a"><br><a href="#top">up</a> <a href="b.html#x">b</a>
<a href="https://arxiv.org/abs/1">paper</a></body></html>"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.svg").write_text("<svg/>")
    (tmp_path.parent / "outside.js").write_text("")
    (tmp_path / "b.html").write_text('<html><body><p id="x">b</p></body></html>')
    return tmp_path


def found(folder, text: str) -> list[str]:
    (folder / "page.html").write_text(text)
    return check.problems(folder)


def test_a_good_page_passes(folder):
    assert found(folder, GOOD) == []


@pytest.mark.parametrize(
    "bad, says",
    [
        ('<img src="https://x.org/a.png" alt="a">', "from the network"),
        ('<img src="//x.org/a.png" alt="a">', "from the network"),
        ('<link rel="stylesheet" href="http://x.org/a.css">', "from the network"),
        ("<style>@import 'https://x.org/a.css';</style>", "from the network"),
        ('<p style="background:url(https://x.org/a.png)">a</p>', "from the network"),
        ("<style>p{background:url(missing.png)}</style>", "missing.png, which does not exist"),
        ('<img src="missing.svg" alt="a">', "missing.svg, which does not exist"),
        ('<img src="a.svg">', "no alt text"),
        ('<a href="missing.html">x</a>', "links to missing.html"),
        ('<a href="b.html#nowhere">x</a>', "no such anchor"),
        ('<script src="missing.js"></script>', "missing.js, which does not exist"),
        ('<script src="https://x.org/a.js"></script>', "from the network"),
        ('<script src="../outside.js"></script>', "no part of the report"),
        ("<p><b>x</p></b>", "comes while <b> is open"),
        ("<div>", "comes while <div> is open"),
        ('<p id="top">x</p>', "occurs twice"),
        ('<p class="a" class="b">x</p>', "attribute twice"),
    ],
)
def test_each_fault_is_caught(folder, bad, says):
    problems = found(folder, GOOD.replace("<br>", bad))
    assert any(says in problem for problem in problems), problems


def test_what_a_stylesheet_loads_is_followed(folder):
    (folder / "a.css").write_text("p{background:url(a.svg)} @font-face{src:url(missing.woff2)}")
    assert found(folder, GOOD) == ["a.css: loads missing.woff2, which does not exist"]
    (folder / "a.css").write_text("@import 'https://x.org/a.css';")
    assert found(folder, GOOD) == ["a.css: loads https://x.org/a.css from the network"]


def test_a_tag_left_open_at_the_end_is_caught(folder):
    assert found(folder, "<p>x") == ["page.html: <p> is never closed"]


def test_an_empty_folder_is_no_report(tmp_path):
    assert check.problems(tmp_path) == [f"{tmp_path}: no pages"]
