"""All notebooks share one spine."""

import ast
import json
import re
from pathlib import Path

import pytest

from lab.flow.guard import declarations
from lab.flow.tasks import tasks_of
from lab.show.plan import Plan
from lib.runs.paths import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
ALLOWED = ("lib.recipes", "lib.stages", "lib.runs", "lab.show", "lab.flow.guard", "lab.flow.ensure")
DATA_TOO = {"00_data_eda": ("lib.data",), "01_features": ("lib.data", "lib.features"), "10_use": ("lib",)}
EXPECTED = [
    "00_data_eda", "01_features", "02_pretrain", "03_finetune", "04_distill", "05_ablation", "06_ensemble",
    "07_leaderboard", "08_system", "09_claims", "10_use",
]  # fmt: skip


def cells(path: Path, kind: str | None = None) -> list[dict]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if kind in (None, cell["cell_type"])]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def parameters_cell(path: Path) -> dict:
    (cell,) = [cell for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    return cell


def test_all_are_there():
    assert [path.stem for path in NOTEBOOKS] == EXPECTED


each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each
def test_it_opens_with_a_title_then_parameters_then_the_guard(path):
    assert cells(path)[0]["cell_type"] == "markdown" and source(cells(path)[0]).startswith("# ")
    first, second = cells(path, "code")[:2]
    assert first["metadata"].get("tags") == ["parameters"]
    assert source(second).strip() == "from lab.flow.guard import check_parameters\n\ncheck_parameters()"
    for node in ast.parse(source(first)).body:
        assert isinstance(node, ast.AnnAssign), f"write name: type = value: {ast.unparse(node)}"
        assert node.value is not None
        ast.literal_eval(node.value)  # derived values would be computed before papermill's
    lines = [line for line in source(first).splitlines() if line.strip()]
    assert all("  # " in line for line in lines), "papermill shows the comment as the parameter's help"


@each
def test_it_is_stripped_and_its_cells_have_names(path):
    everything = json.loads(path.read_text(encoding="utf-8"))
    assert everything["metadata"]["kernelspec"]["name"] == "python3"
    names = [cell["id"] for cell in everything["cells"]]
    assert len(set(names)) == len(names)
    for cell in everything["cells"]:
        assert re.fullmatch(r"(?![0-9a-f]{8}(-|$))[a-z][a-z0-9-]*", cell["id"]), cell["id"]
        assert not cell.get("outputs") and cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags"}


@each
def test_prose_leads_and_code_is_short(path):
    for before, cell in zip(cells(path), cells(path)[1:], strict=False):
        if cell["cell_type"] == "code" and cell["id"] != "guard":
            assert before["cell_type"] == "markdown", f"cell {cell['id']} stands without a word of explanation"
    for cell in cells(path, "code"):
        assert len(source(cell).splitlines()) < 15, cell["id"]
        for node in ast.walk(ast.parse(source(cell))):
            assert not isinstance(node, ast.ClassDef), cell["id"]
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno is not None and node.end_lineno - node.lineno < 8, cell["id"]
    assert source(cells(path)[-1]).startswith("## "), "it ends with where to go next"
    assert any(cell["id"] == "check" for cell in cells(path, "code")), "it ends with checks a reader would make"


@each
def test_it_imports_only_what_notebooks_may(path):
    allowed = (*ALLOWED, *DATA_TOO.get(path.stem, ()))
    for cell in cells(path, "code"):
        for node in ast.walk(ast.parse(source(cell))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                below = [f"lib.{alias.name}" for alias in node.names]
                modules = below if node.module == "lib" else [str(node.module)]
            for module in modules:
                assert module.split(".")[0] != "lib" or module.startswith(allowed), f"{cell['id']}: {module}"


@each
def test_every_documented_command_can_be_typed(path):
    """The papermill lines in the prose name an output file and only parameters that exist."""
    known = declarations(source(parameters_cell(path)))
    text = "\n".join(source(cell) for cell in cells(path, "markdown"))
    commands = re.findall(r"papermill notebooks/(\S+)\.ipynb (\S+)((?: -p \S+ \S+)*)", text)
    assert [name for name, *_ in commands if name == path.stem], "it shows the command that runs it"
    for name, out, words in commands:
        assert out.endswith(".ipynb")
        if name == path.stem:
            assert set(re.findall(r"-p (\S+)", words)) <= set(known)


@pytest.mark.parametrize("scale", ["smoke", "laptop"])
def test_the_plan_passes_only_parameters_that_exist(scale):
    known = {f"notebooks/{path.name}": declarations(source(parameters_cell(path))) for path in NOTEBOOKS}
    tasks = [task for task in tasks_of(Plan.load(scale)) if task.notebook]
    assert {task.notebook for task in tasks} == set(known) - {"notebooks/10_use.ipynb"}  # no step of a report
    for task in tasks:
        assert set(task.parameters) <= set(known[str(task.notebook)]), task.name
