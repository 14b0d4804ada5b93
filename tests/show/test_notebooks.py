"""Notebooks 05 to 07 over the fake world, cell by cell in this process: no kernel, a second each."""

import base64
import io
import json
import re

import nbformat
import numpy as np
import pytest
from PIL import Image

from lab.show import check, ensembles, notebook_pages, pages, style
from lab.show.site import Site
from lib.runs.paths import notebooks

PARAMETERS = {
    "05_ablation": {"ablation": "ema", "systems": "aiac_rank1,aiac_rank17,wechat_baseline"},
    "06_ensemble": {"ensemble": "aiac_rank1_jobs"},
    "07_leaderboard": {"systems": "wechat_baseline", "questions": "ema,label_smoothing"},
}


def run(name: str, **parameters) -> dict:
    notebook = nbformat.read(notebooks() / f"{name}.ipynb", as_version=4)
    scope: dict = {"__name__": "__main__"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{name}:{cell.id}", "exec"), scope)
            if "parameters" in cell.metadata.get("tags", []):
                assert set(parameters) <= set(scope)
                scope |= parameters
    return scope


def test_ablation_writes_table_and_comparison(world, tmp_path):
    run("05_ablation", **PARAMETERS["05_ablation"], out=str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "comparison.json"}
    assert json.loads((tmp_path / "comparison.json").read_text())["ablation"] == "ema"


def test_ensemble_writes_metrics_members_and_vectors(world, tmp_path):
    run("06_ensemble", **PARAMETERS["06_ensemble"], out=str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        "metrics.json",
        "members.csv",
        "kinds.csv",
        "similarity.csv",
        "embeddings.npz",
    }


def test_leaderboard_renders_the_same_report_as_the_module_bit_for_bit(world, tmp_path):
    """Narrowed to one system and two questions."""
    name = "wechat_baseline_mean"
    ensembles.write(ensembles.combine(world, name), ensembles.folder(world, name))
    run("07_leaderboard", **PARAMETERS["07_leaderboard"], out=str(tmp_path / "a"))
    assert len(list((tmp_path / "a").glob("ablation_*.html"))) == 2
    pages.render("laptop", **PARAMETERS["07_leaderboard"], out=str(tmp_path / "b"))
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert first == second and len(first) > 30


def test_a_notebook_page_holds_its_figures_with_few_colours_and_no_rules_of_its_own(tmp_path):
    figure, axis = style.canvas()
    axis.plot([1, 3, 2])
    axis.scatter(range(40), range(40), c=range(40), alpha=0.5)
    png = style._png(figure)
    cell = nbformat.v4.new_code_cell("x = 1", id="draw")
    cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": base64.b64encode(png).decode()})]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A", id="title"), cell])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    site = Site(tmp_path / "out", [("home", "index.html")])
    site.html("index", "<p>x</p>", "home")
    notebook_pages.convert(site, tmp_path / "a.ipynb", "notebooks/a", "A", "about")
    out = site.finish()
    page = (out / "notebooks" / "a.html").read_text(encoding="utf-8")
    assert check.problems(out) == [] and "<style" not in page and 'alt="Figure: A"' in page
    assert "pre .c1" in (out / "style.css").read_text(encoding="utf-8")
    shown = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page).group(1))
    before, after = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int) for data in (png, shown))
    assert len(shown) < 0.6 * len(png) and np.abs(before - after).max() <= 8


@pytest.mark.parametrize("name", PARAMETERS)
def test_spine(name):
    """Titled, parameters tagged and typed with help, guard next; short cells; stable ids; nothing executed."""
    notebook = nbformat.read(notebooks() / f"{name}.ipynb", as_version=4)
    cells = notebook.cells
    assert [cell.id for cell in cells if cell.cell_type == "code"][:3] == ["params", "guard", "resolve"]
    assert cells[0].id == "title" and cells[0].source.startswith("# ") and cells[-1].id == "next"
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert all(len(cell.source.splitlines()) < 15 for cell in cells)
    for line in code[0].source.splitlines():
        assert ": " in line.split("=")[0] and "  # " in line, line
