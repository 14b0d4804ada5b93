"""Refuse parameters that a notebook does not have.

papermill only warns about ``-p sede 1`` and goes on with the default seed. The workflow asks before it starts a notebook,
and each notebook asks in the cell after its parameters, so that the plain papermill command is guarded too.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from typing import Any

# First line of the cell that papermill injects (its default ``comment``).
INJECTED = "# Parameters"
TYPES: dict[str, Any] = {"str": str, "int": int, "float": (float, int), "bool": bool, "list": list, "dict": dict}


class ParameterError(ValueError):
    """A parameter that the notebook does not have, or a value of another type than its parameter."""


def check_parameters() -> None:
    """Stop a notebook that was given a parameter it does not have. Call it in the cell after the parameters.

    In JupyterLab, where nothing is injected, it does nothing.

    Raises:
        ParameterError: names the parameter, the nearest one and all that exist; or the type that was expected.
    """
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    cells = [cell for cell in shell.history_manager.input_hist_raw if cell.strip()]
    injected = next((i for i in reversed(range(len(cells))) if cells[i].startswith(INJECTED)), None)
    if injected is not None:
        given = {name: shell.user_ns[name] for name in declarations(cells[injected])}
        check(given, declarations("\n".join(cells[:injected])), "this notebook")


def check(given: Mapping[str, Any], declared: Mapping[str, str], where: str) -> None:
    """Hold given parameters against declared ones (name to annotation, "" for none).

    Raises:
        ParameterError: see :func:`check_parameters`.
    """
    for name, value in given.items():
        if name not in declared:
            match = difflib.get_close_matches(name, declared, n=1, cutoff=0.5)
            near = f" (nearest: {match[0]!r})" if match else ""
            raise ParameterError(f"unknown parameter {name!r}{near}; {where} knows: {', '.join(declared)}")
        expected = TYPES.get(declared[name])
        if expected and (not isinstance(value, expected) or isinstance(value, bool) and expected is not bool):
            raise ParameterError(f"parameter {name}: {value!r} is not of type {declared[name]}, which {where} asks for")


def declarations(source: str) -> dict[str, str]:
    """Names assigned at the top level of a parameters cell, with their annotation as text ("" for none).

    >>> declarations("seed: int = 0  # of everything random")
    {'seed': 'int'}
    """
    lines = ("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())  # IPython's own
    names: dict[str, str] = {}
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign):
            names.update((target.id, "") for target in node.targets if isinstance(target, ast.Name))
    return names
