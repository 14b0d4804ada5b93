"""The shape of the code: no circle of files, and few arrows between floors and parts. Import-linter holds their order."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

from lib.runs.paths import PROJECT

FLOORS = {
    f"lib.{floor}"
    for floor in ["recipes", "runs", "data", "features", "models", "objectives", "training", "evaluation", "stages"]
}
PARTS = {"lab.corpora", "lab.show", "lab.flow"}
GROUND = {"lib.recipes", "lib.runs", "lib.data"}  # what everything may stand on


def imports() -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports, anywhere in its text."""
    files = [file for top in ("lib", "lab") for file in (PROJECT / top).rglob("*.py")]
    ours = {".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}
    found: dict[str, set[str]] = {}
    for module, file in ours.items():
        nodes = [
            node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        names = {(node.module or "", alias.name) for node in nodes for alias in node.names}
        found[module] = {f"{a}.{b}" if f"{a}.{b}" in ours else a for a, b in names} & set(ours) - {module}
    return found


def test_no_circle_of_files():
    assert len(list(TopologicalSorter(imports()).static_order())) > 150


def test_few_arrows_between_floors_and_parts():
    arrows = {tuple(".".join(m.split(".")[:2]) for m in (a, b)) for a, others in imports().items() for b in others}
    above = {(a, b) for a, b in arrows if a != b and {a, b} <= FLOORS | PARTS and b not in GROUND}
    assert ("lib.stages", "lib.training") in above
    assert len(above) <= 12, sorted(above)


def test_the_driver_starts_without_torch():
    """Import-linter does not see what a package's ``__init__.py`` loads on the way to one of its modules."""
    code = "import sys, lab.cli, lab.flow.reproduce; print(*{'torch', 'transformers', 'timm', 'accelerate'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not done.stdout.split()
