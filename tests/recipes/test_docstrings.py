"""What docstrings of components say: which systems use them, as the recipes do, and the shapes that they take and give."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lib.recipes.bind import exports
from lib.runs.paths import PROJECT

SHAPE = re.compile(r"\[(B|P|\.\.\.)[^\]]*\]")
SYSTEM = re.compile(r"(?P<contest>AIAC|WeChat)|(?P<name>baseline|systems)|ranks? (?P<rank>\d+)(?: and (?P<other>\d+))?")
MODULES = ("nn.Module", "nn.BatchNorm1d", "nn.Dropout", "Objective", "_Words")
RECIPES = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in (PROJECT / "params/recipes").glob("*.yaml")}
COMPONENTS = sorted((package, name) for package in ("models", "objectives", "training") for name in exports(package))
ALL_FILES = sorted((PROJECT / "lib").rglob("*.py"))


def docstring(package: str, name: str) -> str:
    tree = ast.parse((PROJECT / f"{exports(package)[name].replace('.', '/')}.py").read_text("utf-8"))
    return next(ast.get_docstring(node) or "" for node in tree.body if getattr(node, "name", "") == name)


def named(text: str) -> set[str]:
    """The recipes that a text names: "the WeChat baseline and rank 72; AIAC ranks 6 and 17"."""
    found, contest = set(), ""
    for part in SYSTEM.finditer(text):
        contest = part["contest"].lower() if part["contest"] else contest
        found |= {f"{contest}_rank{rank}" for rank in (part["rank"], part["other"]) if rank}
        if part["name"] == "systems":
            found |= {recipe for recipe in RECIPES if recipe.startswith(contest)}
        elif part["name"]:
            found.add(f"{contest}_baseline")
    return found


def uses(node: Any) -> Iterator[str]:
    """The class of every component in a recipe."""
    if isinstance(node, dict):
        if isinstance(node.get("use"), str):
            yield node["use"]
        for value in node.values():
            yield from uses(value)
    elif isinstance(node, list):
        for value in node:
            yield from uses(value)


@pytest.mark.parametrize(("package", "name"), COMPONENTS)
def test_used_by_names_recipes_that_use_it(package: str, name: str):
    """Not all of them: a new recipe is one file, and no docstring need be touched for it."""
    said = docstring(package, name).partition("Used by:")[2]
    told, offered = (
        named(said.split("\n\n")[0]),
        {recipe for recipe, content in RECIPES.items() if name in uses(content)},
    )
    assert told <= offered, f"{name} is said to be used by {sorted(told - offered)}, whose recipe does not name it"


def test_only_systems_that_have_a_recipe_are_named():
    for file in ALL_FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                ranks = re.findall(r"(AIAC|WeChat)(?: 20\d\d)? rank (\d+)", ast.get_docstring(node) or "")
                unknown = {f"{contest.lower()}_rank{rank}" for contest, rank in ranks} - set(RECIPES)
                assert not unknown, f"{file.relative_to(PROJECT)}:{getattr(node, 'lineno', 1)} names {unknown}"


@pytest.mark.parametrize("package", ["models", "objectives"])
def test_every_module_says_its_shapes(package: str):
    silent = [
        f"{file.name}: {node.name}"
        for file in ALL_FILES
        if file.parent.name == package and file.name != "mix.py"  # a sum of numbers
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) in MODULES for base in node.bases)
        if not SHAPE.search(ast.get_docstring(node) or "")
    ]
    assert not silent
