"""RecipeError: one sentence that names file and key and says what would be right."""

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path

from pydantic import ValidationError


class RecipeError(ValueError):
    """Something in ``params/`` is wrong. The message names file, key and the nearest valid key."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """'; did you mean ...?' or the list of choices.

    >>> nearest("wieght", ["weight", "use"])
    "did you mean 'weight'?"
    """
    choices = sorted(choices)
    close = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid: {', '.join(choices) or 'none'}"


def require(name: str, choices: Collection[str], where: str) -> None:
    """Raises RecipeError: a name is none of the choices; the sentence starts with ``where`` and ends with the nearest."""
    if name not in choices:
        raise RecipeError(f"{where}: {name!r}: {nearest(name, choices)}")


def from_validation(error: ValidationError, file: Path | str) -> RecipeError:
    """The first mistake pydantic found, as one RecipeError."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "(top level)"
    if first["type"] == "missing":
        return RecipeError(f"{file}: {key}: missing")
    if first["type"] == "value_error":
        prefix = f"{key}." if path else ""
        return RecipeError(f"{file}: {prefix}{first.get('ctx', {}).get('error')}")
    return RecipeError(f"{file}: {key}: {first['msg']}, got {first['input']!r}")
