"""From the name in YAML to the class and its arguments, read from the source: nothing is imported, so it takes milliseconds.

The key says the package, ``use`` says the class: ``fusion: {use: SingleStream}`` is the ``SingleStream`` that
``lib/models/__init__.py`` exports. A recipe can name only what ``__all__`` offers, so an error can list the choices;
arguments are checked against the constructor's own type hints, so nothing is declared twice.
"""

from __future__ import annotations

import ast
import typing
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from lib.recipes.errors import RecipeError, nearest
from lib.recipes.specs import Component

LIB = Path(__file__).resolve().parents[1]

# Values that a constructor may ask for by name and that come from the corpus or from its neighbours, never from YAML.
CONTEXT = frozenset(
    [
        "frame_dim",
        "vocab_size",
        "word_vectors",
        "num_tags",
        "num_classes",
        "hidden",
        "text_dim",
        "frames_dim",
        "input_dim",
        "num_text_slots",
        "num_frame_slots",
        "images",
        "embedding_dim",
        "pooled_dim",
        "class_counts",
        "special_ids",
        "total_steps",
        "steps_per_epoch",
        "pairs",  # ensembles: scored pairs to learn from, never those that are judged
        "scores",
    ]
)


@cache
def exports(package: str) -> dict[str, str]:
    """Names in ``__all__`` of ``lib.<package>`` and the modules they come from.

    >>> exports("models")["MeanPool"]
    'lib.models.pooling'
    """
    tree = ast.parse((LIB / package / "__init__.py").read_text(encoding="utf-8"))
    origin = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    public: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            public = ast.literal_eval(node.value)
    return {name: origin[name] for name in public if name in origin}


def module_of(package: str, component: Component, where: str) -> str:
    """The module that defines a component.

    Raises:
        RecipeError: ``lib.<package>`` exports no such name.
    """
    known = exports(package)
    if component.use not in known:
        raise RecipeError(
            f"{where}.use: {component.use!r} is not offered by lib.{package}; {nearest(component.use, known)}"
        )
    return known[component.use]


def arguments(package: str, component: Component, where: str) -> dict[str, Any]:
    """The component's arguments from YAML, coerced to the constructor's types.

    Raises:
        RecipeError: unknown or missing argument, or a value of the wrong type; names the key and the nearest valid one.
    """
    given = {key: value for key, value in component.arguments.items() if key != "weight" or package != "objectives"}
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


def context_names(package: str, use: str) -> set[str]:
    """Which context values the constructor asks for."""
    return set(_constructor(exports(package)[use], use)) & CONTEXT


@cache
def _arguments_model(module: str, name: str) -> type[BaseModel]:
    """What checks the arguments that YAML may give. Once a class: a plan asks for the same few thousands of times."""
    own = {key: field for key, field in _constructor(module, name).items() if key not in CONTEXT}
    return create_model(name, __config__=ConfigDict(arbitrary_types_allowed=True), **own)  # type: ignore[call-overload]


@cache
def _constructor(module: str, name: str) -> dict[str, tuple[Any, Any]]:
    """Parameter -> (type, default or ...), from the class' ``__init__``, a base class' or its dataclass fields."""
    tree = ast.parse((LIB.parent / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8"))
    node = next(item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == name)
    init = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    if init is not None:
        return _parameters(init)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return {
            item.target.id: (_type(item.annotation), _default(item.value))
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        }
    local = {item.name for item in tree.body if isinstance(item, ast.ClassDef)}
    for base in node.bases:
        if ast.unparse(base) in local:
            return _constructor(module, ast.unparse(base))
    return {}


def _parameters(init: ast.FunctionDef) -> dict[str, tuple[Any, Any]]:
    positional = [*init.args.posonlyargs, *init.args.args][1:]
    padding: list[ast.expr | None] = [None] * (len(positional) - len(init.args.defaults))
    pairs = [
        *zip(positional, [*padding, *init.args.defaults], strict=True),
        *zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True),
    ]
    return {argument.arg: (_type(argument.annotation), _default(default)) for argument, default in pairs}


def _type(annotation: ast.expr | None) -> Any:
    """Plain types only; a hint that needs an import (a Tensor, a class of ours) is accepted as it comes."""
    names = {"Literal": Literal, "Sequence": typing.Sequence, "Mapping": typing.Mapping}
    try:
        return eval(ast.unparse(annotation), {}, names) if annotation is not None else Any
    except (NameError, TypeError, AttributeError):
        return Any


def _default(value: ast.expr | None) -> Any:
    if value is None:
        return ...
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None
