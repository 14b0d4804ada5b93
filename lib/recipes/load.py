"""Read ``params/``: every file becomes a frozen spec, every mistake one sentence naming file and key."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from lib.recipes.errors import RecipeError, from_validation, nearest
from lib.recipes.overlay import overlay
from lib.recipes.specs import (
    SCALE_MAY_SET,
    Ablation,
    Claims,
    Contradictions,
    CorpusSpec,
    EnsembleSpec,
    FeatureSet,
    Recipe,
    ReportSpec,
    Scale,
    Spec,
)
from lib.runs import paths

Kind = TypeVar("Kind", bound=Spec)
FOLDERS: dict[type[Spec], str] = {
    Recipe: "recipes", Scale: "scales", CorpusSpec: "corpora", Ablation: "ablations", EnsembleSpec: "ensembles",
    FeatureSet: "features", ReportSpec: ".", Claims: ".", Contradictions: ".",
}  # fmt: skip


def names(kind: type[Spec]) -> list[str]:
    return sorted(path.stem for path in (paths.params() / FOLDERS[kind]).glob("*.yaml"))


def split_names(text: str) -> list[str]:
    """Names as a user types them, separated by commas or spaces."""
    return text.replace(",", " ").split()


def file_of(kind: type[Spec], name: str) -> Path:
    """The YAML file of a recipe, scale, corpus, ablation or ensemble.

    Raises:
        RecipeError: there is none of that name.
    """
    path = paths.params() / FOLDERS[kind] / f"{name}.yaml"
    if not path.exists():
        what = FOLDERS[kind].rstrip("s")
        raise RecipeError(f"no {what} named {name!r} in {paths.shown(path.parent)}/; {nearest(name, names(kind))}")
    return path


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"{paths.shown(path)}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{paths.shown(path)}: expected keys and values at the top level, got {type(tree).__name__}")
    _refuse_truth_values_as_keys(tree, paths.shown(path))
    return tree


def _refuse_truth_values_as_keys(tree: Any, where: str) -> None:
    """YAML reads ``on:`` and ``off:`` as booleans, also as keys."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not isinstance(key, str):
                raise RecipeError(
                    f"{where}: key {key!r} is not text (YAML reads on, off, yes and no as truth values); write 'with' and 'without'"
                )
            _refuse_truth_values_as_keys(value, f"{where}: {key}")


@cache
def load(kind: type[Kind], name: str) -> Kind:
    """A validated spec from its YAML file.

    Raises:
        RecipeError: no such file, not YAML, unknown key, wrong type or impossible combination.
    """
    path = file_of(kind, name)
    return validate(kind, read_yaml(path), paths.shown(path))


def validate(kind: type[Kind], tree: dict[str, Any], where: str) -> Kind:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise from_validation(error, where, _known_keys(kind, error)) from None


def _known_keys(kind: type[Spec], error: ValidationError) -> dict[str, list[str]]:
    """Valid keys beside an unknown one: walk the spec's types down to the parent of the offending key."""
    location = error.errors()[0]["loc"]
    model: Any = kind
    for part in location[:-1]:
        fields = getattr(model, "model_fields", None)
        annotation = fields[part].annotation if fields and part in fields else model
        model = next((t for t in _flatten(annotation) if isinstance(t, type) and issubclass(t, Spec)), model)
    return {".".join(str(p) for p in location[:-1]): list(getattr(model, "model_fields", {}))}


def _flatten(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *[item for argument in arguments for item in _flatten(argument)]]


def resolve(
    recipe: str, scale: str, changes: dict[str, Any] | None = None, where: str = "", member: str = "base"
) -> Recipe:
    """A recipe at a scale under an arm: file, defaults written out, member, scale, arm, validation.

    Defaults are written out before anything is overlaid, so every path an arm may set exists. A member of a system is a
    model like the recipe itself, so the scale comes after it; an arm asks a question at that scale and has the last word.
    """
    base = load(Recipe, recipe)
    file = paths.shown(file_of(Recipe, recipe))
    tree = base.model_dump(mode="json")
    if member != "base":
        if member not in base.members:
            raise RecipeError(f"{where or file}: no member {member!r}; {nearest(member, base.members)}")
        tree = overlay(tree, base.variants[member], f"{file}: variants.{member}")
    sizes = load(Scale, scale)
    scale_file = paths.shown(file_of(Scale, scale))
    for key in ("*", recipe):
        tree = overlay(
            tree,
            _expand(tree, sizes.overrides.get(key, {}), scale_file, lenient=key == "*"),
            f"{scale_file}: overrides.{key}",
        )
    tree = overlay(tree, changes or {}, where or file)
    return validate(Recipe, tree, where or file)


def _expand(tree: dict[str, Any], changes: dict[str, Any], where: str, lenient: bool) -> dict[str, Any]:
    """Replace ``*`` in a scale's paths by the keys that are there, and refuse what a scale may not set."""
    result = {}
    for path, value in changes.items():
        if not path.endswith(SCALE_MAY_SET):
            raise RecipeError(f"{where}: {path}: a scale sets sizes and budgets only ({', '.join(SCALE_MAY_SET)})")
        for full in _matches(tree, path.split(".")):
            node = tree
            for part in full[:-1]:
                node = node.get(part, {}) if isinstance(node, dict) else {}
            there = isinstance(node, dict) and full[-1] in node
            another = isinstance(node, dict) and "use" in node  # a member may have a component there without that size
            if there or not (lenient or another):
                result[".".join(full)] = value
    return result


def _matches(tree: Any, parts: list[str], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if "*" not in parts:
        return [(*prefix, *parts)]
    head, *tail = parts
    choices = (list(tree) if isinstance(tree, dict) else []) if head == "*" else [head]
    return [
        match
        for key in choices
        for match in _matches(tree.get(key, {}) if isinstance(tree, dict) else {}, tail, (*prefix, key))
    ]
