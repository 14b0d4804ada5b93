"""From a component in YAML to an object: the only place where ``{use: Class, ...}`` becomes one.

The key says the package, ``use`` a class that its ``__init__.py`` imports. Arguments are checked against the
constructor's own type hints, read from the source: a plan of some hundred jobs imports nothing and takes a second.
"""

import ast
import importlib
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from lib.recipes.errors import RecipeError, nearest
from lib.recipes.specs import Component

PROJECT = Path(__file__).resolve().parents[2]

# Values that a constructor may ask for by name and that come from the corpus or from its neighbours, never from YAML.
# The last two are of ensembles: scored pairs to learn from, never those that are judged.
CONTEXT = frozenset((
    "frame_dim", "vocab_size", "word_vectors", "word_pieces", "num_tags", "num_classes", "hidden", "text_dim", "frames_dim", "input_dim",
    "num_text_slots", "num_frame_slots", "images", "pooled_dim", "widths", "class_counts", "special_ids", "total_steps",
    "model", "pairs", "scores",
))  # fmt: skip
# Names that the hints of constructors may use; the ranges are checked for what comes from YAML, when a job is planned.
HINTS = {"Sequence": typing.Sequence, "Mapping": typing.Mapping, "Literal": Literal, "Annotated": typing.Annotated} | {
    name: getattr(pydantic, name) for name in ("Field", "NonNegativeFloat", "PositiveFloat", "PositiveInt")
}


def bind(package: str, component: Component, context: Mapping[str, Any], where: str, **replace: Any) -> Any:
    """Build the component that ``use`` names, from YAML's arguments and the context values its constructor asks for.
    Raises RecipeError: no such class, an argument that does not fit, or a context value that is needed and not there.

    Args:
        replace: values that take the place of arguments which YAML gives (``backbone`` of a scale); None replaces nothing.
    """
    given = arguments(package, component, where)
    given |= {name: value for name, value in replace.items() if value is not None and name in given}
    wanted = context_names(package, component.use)
    missing = [name for name, required in wanted.items() if required and name not in context]
    if missing:
        raise RecipeError(
            f"{where}: {component.use} asks for {missing[0]}, which this recipe does not provide (no backbone named?)"
        )
    built = getattr(importlib.import_module(f"lib.{package}"), component.use)
    return built(**given, **{name: context[name] for name in wanted if name in context})


def arguments(package: str, component: Component, where: str) -> dict[str, Any]:
    """The component's arguments from YAML, coerced to the constructor's types. Imports nothing. Raises RecipeError:
    unknown or missing argument, or a value of the wrong type; names the key and the nearest valid one."""
    given = component.arguments
    model = _arguments_model(module_of(package, component, where), component.use)
    for key in given:
        if key not in model.model_fields:
            raise RecipeError(
                f"{where}.{key}: {component.use} takes no such argument; {nearest(key, model.model_fields)}"
            )
    try:
        return {key: getattr(model(**given), key) for key in given}
    except ValidationError as error:
        first = error.errors()[0]
        key = first["loc"][0]
        if first["type"] == "missing":
            raise RecipeError(f"{where}.{key}: {component.use} needs it") from None
        raise RecipeError(f"{where}.{key}: {first['msg']}, got {first['input']!r}") from None


def module_of(package: str, component: Component, where: str) -> str:
    """The module that defines a component. Raises RecipeError: ``lib.<package>`` offers no such name."""
    known = exports(package)
    if component.use not in known:
        raise RecipeError(
            f"{where}.use: {component.use!r} is not offered by lib.{package}; {nearest(component.use, known)}"
        )
    return known[component.use]


def argument_names(package: str, use: str) -> list[str]:
    """The arguments that YAML may give to a class."""
    return list(_arguments_model(exports(package)[use], use).model_fields)


def defaults(package: str, use: str) -> dict[str, Any]:
    """Arguments that YAML may leave out, and the values they have then."""
    parameters = _constructor(exports(package)[use], use)
    return {name: value for name, (_, value) in parameters.items() if value is not ... and name not in CONTEXT}


def context_names(package: str, use: str) -> dict[str, bool]:
    """Context values that the constructor asks for, and whether it needs each (True) or has a default (False)."""
    parameters = _constructor(exports(package)[use], use)
    return {name: default is ... for name, (_, default) in parameters.items() if name in CONTEXT}


def declared(package: str, component: Component, name: str, where: str) -> Any:
    """The value that a class, or the nearest of its bases in ``lib``, gives to an attribute; None if none does.

    >>> declared("objectives", Component(use="SoftSimilarity"), "needs_teacher", "x")
    True
    """
    for node in _lineage(module_of(package, component, where), component.use):
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and ast.unparse(item.target) == name and item.value is not None:
                return ast.literal_eval(item.value)
            if isinstance(item, ast.Assign) and name in map(ast.unparse, item.targets):
                return ast.literal_eval(item.value)
    return None


@cache
def exports(package: str) -> dict[str, str]:
    """Names that ``lib/<package>/__init__.py`` imports, and the modules they come from.

    >>> exports("models")["MeanPool"]
    'lib.models.heads'
    """
    return {name: module for name, (module, _) in imported(_tree(f"lib.{package}")).items()}


@cache
def _arguments_model(module: str, name: str) -> type[BaseModel]:
    """What checks the arguments that YAML may give. Once a class: a plan asks for the same few thousands of times."""
    own = {key: field for key, field in _constructor(module, name).items() if key not in CONTEXT}
    return create_model(name, __config__=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False), **own)  # type: ignore[call-overload]


@cache
def _constructor(module: str, name: str) -> dict[str, tuple[Any, Any]]:
    """Parameter -> (type, default or ...), from the nearest ``__init__`` of a class and its bases, or dataclass fields.
    ``**rest`` in an ``__init__`` stands for the keyword-only parameters of the next one, to which it hands them on."""
    lineage, found = _lineage(module, name), {}
    for node in lineage:
        init = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
        if init is not None:
            found = _parameters(init, keywords_only=bool(found)) | found
            if init.args.kwarg is None:
                return found
        elif any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            return {
                item.target.id: (_type(item.annotation), _default(item.value))
                for part in reversed(lineage[lineage.index(node) :])
                for item in part.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
    return found


@cache
def _lineage(module: str, name: str) -> tuple[ast.ClassDef, ...]:
    """A class and its bases inside ``lib``, nearest first."""
    tree = _tree(module)
    node = next((item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == name), None)
    if node is None:  # a base that is imported from where it is imported itself
        return _lineage(*imported(tree)[name]) if name in imported(tree) else ()
    bases = [base for expression in node.bases for base in _lineage(module, ast.unparse(expression))]
    return (node, *bases)


def imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Name here -> (module, name there) of what the top level of a file imports from ``lib`` or ``lab``."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("lib", "lab")
        for alias in node.names
    }


@cache
def _tree(module: str) -> ast.Module:
    base = PROJECT.joinpath(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _parameters(init: ast.FunctionDef, keywords_only: bool) -> dict[str, tuple[Any, Any]]:
    positional = [*init.args.posonlyargs, *init.args.args][1:]
    padding: list[ast.expr | None] = [None] * (len(positional) - len(init.args.defaults))
    pairs = [*zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)]
    if not keywords_only:
        pairs = [*zip(positional, [*padding, *init.args.defaults], strict=True), *pairs]
    return {argument.arg: (_type(argument.annotation), _default(default)) for argument, default in pairs}


def _type(annotation: ast.expr | None) -> Any:
    """Plain types, and what pydantic says of their range; a hint that needs an import (a Tensor, a class of ours) is accepted as it comes."""
    try:
        return eval(ast.unparse(annotation), {}, HINTS) if annotation is not None else Any
    except (NameError, TypeError, AttributeError):
        return Any


def _default(value: ast.expr | None) -> Any:
    if value is None:
        return ...
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None
