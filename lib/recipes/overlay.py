"""Set dotted paths that already exist; refuse all others, so that a misspelt path is an error and not a silent no-op."""

from __future__ import annotations

import copy
from typing import Any

from lib.recipes.errors import RecipeError, nearest


def overlay(tree: dict[str, Any], changes: dict[str, Any], where: str) -> dict[str, Any]:
    """A copy of ``tree`` with every dotted path of ``changes`` set.

    A mapping that carries ``use`` replaces the component whole; any other value replaces the leaf.

    Raises:
        RecipeError: a path does not exist in ``tree``; the message starts with ``where`` (file and arm).

    >>> overlay({"a": {"b": 1}}, {"a.b": 2}, "x.yaml")
    {'a': {'b': 2}}
    """
    result = copy.deepcopy(tree)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node = result
        for depth, part in enumerate(parents):
            if not isinstance(node, dict) or part not in node:
                raise _unknown(where, path, depth, node)
            node = node[part]
        is_new_argument = isinstance(node, dict) and "use" in node  # its signature decides when it is bound
        if not isinstance(node, dict) or (last not in node and not is_new_argument):
            raise _unknown(where, path, len(parents), node)
        node[last] = copy.deepcopy(value)
    return result


def _unknown(where: str, path: str, depth: int, node: Any) -> RecipeError:
    part = path.split(".")[depth]
    if not isinstance(node, dict):
        return RecipeError(
            f"{where}: {path}: nothing can be set below {'.'.join(path.split('.')[:depth])}, which is {node!r}"
        )
    return RecipeError(
        f"{where}: {path}: {part!r} does not exist in the resolved recipe; {nearest(part, map(str, node))}"
    )
