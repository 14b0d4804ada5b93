"""Executed notebooks as pages: what a reader finds on them, and what the checker of pages refuses."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lab.show import page as pages
from lab.show import style
from lab.show.plan import Plan
from lab.show.table import Column, Picture, Table, link
from lib.recipes.load import load
from lib.recipes.specs import Ablation
from lib.runs import paths
from lib.runs.folder import MissingRun
from tests.pagecheck import problems

FRAME = pd.DataFrame({"arm": ["with", "without"], "score": [0.712345, 0.7]})
CELLS = {
    "index": lambda name: [
        new_code_cell("lines", id="summary", outputs=[new_output("stream", name="stdout", text="Pairs: two claims\n")]),
        code("board", Table.plain(FRAME, name="leaderboard", caption=f"See {link('EMA', 'question', 'ema', 'table')}")),
    ],
    "question": lambda name: [
        new_markdown_cell("## Table\n\nThe reference comes first."),
        code("found.table", Table.plain(FRAME.assign(question=name), name=f"ablation_{name}")),
        code("found.forest", picture(f"forest_{name}")),
        code(
            "display(Markdown(text))",
            {
                "text/plain": "<Markdown>",
                "text/markdown": f"# Own\n\n## Reading\n\nBoth of **{name}**, {link('gone', 'system', 'nobody')}.",
            },
        ),
    ],
}


def picture(name: str) -> Picture:
    figure, axis = style.canvas()
    axis.plot(FRAME["score"])
    return Picture(figure, FRAME, name, f"Scores of <{name}>", f"Both arms, {link('all', 'index')}")


def code(source: str, thing):
    data = thing if isinstance(thing, dict) else thing._repr_mimebundle_()
    return new_code_cell(source, outputs=[new_output("execute_result", data=data)])


def execute(plan: Plan, kind: str, name: str = "") -> None:
    """Leave what papermill would leave of a notebook."""
    cells = [
        new_markdown_cell("# One question\n\n*What is it worth?*", id="title"),
        new_code_cell('ablation: str = "x"', id="params"),
        new_code_cell(f'ablation = "{name}"', metadata={"tags": ["injected-parameters"]}),
        new_code_cell("check_parameters()", id="guard"),
        *CELLS.get(kind, lambda name: [new_markdown_cell("## Parts"), new_markdown_cell("## Parts\n\nMore.")])(name),
        new_code_cell("warn()", outputs=[new_output("stream", name="stderr", text="a warning")]),
        new_code_cell("file", outputs=[new_output("execute_result", data={"text/plain": f"{paths.home()}/runs/x"})]),
    ]
    about = {"input_path": f"/somewhere/notebooks/05_{kind}.ipynb", "parameters": {kind: name, "seeds": 0, "out": ""}}
    file = pages.executed(plan, kind, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"papermill": about}), file)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDLAB_HOME", str(tmp_path_factory.mktemp("home")))
        plan = Plan.load("smoke", systems=["aiac_rank1", "wechat_baseline"])
        for page in pages.pages(plan):
            for section in page.sections:
                execute(plan, section.kind, section.name)
        yield plan


@pytest.fixture(scope="module")
def report(plan) -> Path:
    return pages.render(plan).parent


@pytest.fixture
def copy(report, tmp_path) -> Path:
    """A report to break."""
    return Path(shutil.copytree(report, tmp_path / "report"))


def text(report: Path, name: str) -> str:
    return (report / name).read_text(encoding="utf-8")


def test_every_page_opens_from_disk(report):
    assert problems(report) == []


def test_one_page_a_system_and_a_family_of_questions(report, plan):
    families = {asked.family for asked in plan.ablations.values()}
    names = {path.stem for path in report.glob("*.html")}
    assert {"index", "claims", "corpora", "ensembles", "system_aiac_rank1", "system_wechat_baseline"} <= names
    assert len(names) == 6 + len(families) <= 40
    assert {path.stem for path in report.glob("*.md")} == {"index", *(n for n in names if n.startswith("questions_"))}


def test_a_question_is_a_section_with_its_title_command_and_anchor(report):
    page = text(report, "questions_weight_averaging.html")
    assert "<title>Questions: weight averaging · vidlab</title>" in page
    assert f'<h2 id="ema">EMA: {load(Ablation, "ema").question}</h2>' in page
    assert '<h3 id="ema-table">Table</h3>' in page and '<h3 id="soup-table">Table</h3>' in page
    assert "<code>papermill notebooks/05_question.ipynb out.ipynb -p question ema</code>" in page
    assert '<h3 id="ema-reading">Reading</h3>' in page and "Own" not in page
    assert "One question" not in page and "ablation: str" not in page and "check_parameters" not in page


def test_code_is_folded_and_what_was_shown_once_is_not_repeated(report):
    page = text(report, "questions_weight_averaging.html")
    blocks = re.findall(r'<details class="code">.*?</details>', page, flags=re.S)
    assert sum("table" in block for block in blocks) == 1 and page.count("<details") == len(blocks)
    assert page.count("The reference comes first.") == 1 and page.count("What is it worth?") == 1
    assert "a warning" not in page


def test_headings_of_one_name_have_different_anchors(report):
    page = text(report, "claims.html")
    assert page.count('<h2 id="parts">Parts</h2>') == 1 and page.count('<h2 id="parts-2">Parts</h2>') == 1


def test_csv_and_figure_stand_beside_what_shows_them(report):
    for name in ("tables/ablation_ema.csv", "tables/forest_ema.csv", "tables/leaderboard.csv"):
        assert pd.read_csv(report / name)["score"].tolist() == [0.712345, 0.7]
    page = text(report, "questions_weight_averaging.html")
    shown = re.search(r'<figure class="picture">.*?</figure>', page, flags=re.S)[0]
    image = re.search(r"<img .*?>", shown)[0]
    size = ('width="653"', 'height="307"')
    for attribute in ('src="figures/forest_ema.svg"', 'alt="Scores of &lt;forest_ema&gt;"', *size):
        assert attribute in image
    assert '<a href="tables/forest_ema.csv">CSV</a>' in shown
    assert '</div><p class="downloads"><a href="tables/ablation_ema.csv">CSV</a></p></figure>' in page
    assert '<figcaption>Both arms, <a href="index.html">all</a></figcaption>' in shown
    assert text(report, "figures/forest_ema.svg").startswith("<svg")


def test_links_lead_to_pages_in_html_and_to_twins_in_markdown(report):
    assert '<a href="questions_weight_averaging.html#ema-table">EMA</a>' in text(report, "index.html")
    assert "[EMA](questions_weight_averaging.md#ema-table)" in text(report, "index.md")
    assert "(system_aiac_rank1.html)" in text(report, "index.md")
    for name in ("questions_weight_averaging.html", "questions_weight_averaging.md"):
        assert "page:" not in text(report, name) and ", gone." in text(report, name)


def test_the_twin_has_tables_figures_and_no_code(report):
    twin = text(report, "questions_weight_averaging.md")
    assert '<a id="ema"></a>\n\n## EMA: Does' in twin and "| without | 0.7 | ema |" in twin
    assert "![Scores of <forest_ema>](figures/forest_ema.svg)" in twin and "found.table" not in twin


def test_front_page_leads_everywhere_and_prints_the_summary(report, plan):
    front = text(report, "index.html")
    for page in report.glob("*.html"):
        assert page.stem == "index" or f'href="{page.name}' in front
    assert "make reproduce SCALE=smoke SYSTEMS=aiac_rank1,wechat_baseline" in front
    assert text(report, "summary.txt") == "Pairs: two claims\n"


def test_no_file_names_the_folder_it_was_made_in(report):
    assert re.search(r"<details.*?<pre[^>]*>runs/x</pre>\s*</details>", text(report, "claims.html"), flags=re.S)
    for path in report.rglob("*.*"):
        assert str(report.parents[1]).encode() not in path.read_bytes(), path.name


def test_pages_are_dark_for_those_who_want_it_and_warn_of_small_scales(report, plan):
    page = text(report, "claims.html")
    assert 'content="light dark"' in page and "Skip to content" in page
    assert "The numbers on this page mean nothing" in page and f"smoke · {len(plan.jobs)} runs" in page
    dark = text(report, "style.css").split("prefers-color-scheme: dark")[1]
    assert "--paper: #14171c" in dark


def test_two_things_of_one_name_are_refused(plan, tmp_path):
    other = FRAME.assign(score=0)
    file = pages.executed(plan, "claims")
    before = file.read_bytes()
    notebook = nbformat.read(file, as_version=4)
    notebook.cells.append(code("other", Table(other, (Column("arm", "arm"),), name="leaderboard")))
    nbformat.write(notebook, file)
    try:
        with pytest.raises(ValueError, match="tables/leaderboard.csv: two different"):
            pages.render(plan, tmp_path / "report")
    finally:
        file.write_bytes(before)
    assert not (tmp_path / "report").exists()


def test_a_notebook_that_was_not_executed_is_named(plan, tmp_path):
    asked = replace(plan, scale="laptop")
    with pytest.raises(MissingRun, match=r"report/notebook.ipynb: not executed yet.*make reproduce SCALE=laptop"):
        pages.render(asked, tmp_path / "report")


@pytest.mark.parametrize(
    "found, instead, problem",
    [
        ('href="claims.html"', 'href="clams.html"', "links to clams.html, which does not exist"),
        ('href="claims.html"', 'href="claims.md"', "links to claims.md, which a browser shows as raw text"),
        (
            'href="index.html#all-pages"',
            'href="index.html#all"',
            "links to index.html#all, but there is no such anchor",
        ),
        ('href="style.css"', 'href="https://a.b/style.css"', "loads https://a.b/style.css from the network"),
        ("</figcaption>", "", "</figure> comes while <figcaption> is open"),
        ('id="content"', 'id="ema"', "id 'ema' occurs twice"),
        ('alt="Scores of &lt;forest_ema&gt;"', 'alt=""', "<img src=figures/forest_ema.svg> has no alt text"),
        ('<a href="tables/forest_ema.csv">CSV</a>', "", "<img src=figures/forest_ema.svg> has no CSV beside it"),
    ],
)
def test_a_broken_page_is_refused(copy, found, instead, problem):
    file = copy / "questions_weight_averaging.html"
    page = file.read_text(encoding="utf-8")
    assert found in page
    file.write_text(page.replace(found, instead, 1), encoding="utf-8")
    assert f"{file.name}: {problem}" in problems(copy)


def test_a_missing_table_and_an_empty_folder_are_refused(copy, tmp_path):
    (copy / "tables" / "forest_ema.csv").unlink()
    assert "questions_weight_averaging.md: links to tables/forest_ema.csv, which does not exist" in problems(copy)
    assert problems(copy / "tables") == [f"{copy / 'tables'}: no pages"]
