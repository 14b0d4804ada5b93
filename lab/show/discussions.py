"""Are the discussions of the questions written, and for the numbers that stand beside them now?

``python -m lab.show.discussions`` lists every question with the digest of its numbers; ``--accept NAME`` writes that
digest into the question's file, once its ``discussion`` has been read against the numbers. Nothing else in the file changes.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from lab.show.answers import Answer, answer
from lab.show.plan import Plan
from lib.recipes.errors import RecipeError
from lib.recipes.load import file_of, read_yaml
from lib.recipes.specs import Ablation
from lib.runs.files import write_text
from lib.runs.folder import MissingRun
from lib.runs.paths import shown

MISSING, OLD, CURRENT, NO_NUMBERS = "missing", "older than the numbers", "current", "no numbers"
LINE = re.compile(r"^discussion_digest:.*\n?", re.MULTILINE)


def state(found: Answer) -> str:
    """``missing``, ``older than the numbers`` or ``current``."""
    if not found.spec.discussion:
        return MISSING
    return OLD if found.discussion_is_old else CURRENT


def states(plan: Plan) -> list[tuple[str, str, str]]:
    """Name, digest and state of every question of the plan; one whose runs are missing has ``-`` for a digest."""
    result = []
    for name in plan.ablations:
        try:
            found = answer(plan, name)
        except MissingRun:
            result.append((name, "-", NO_NUMBERS))
        else:
            result.append((name, found.digest, state(found)))
    return result


def accept(plan: Plan, name: str) -> Path:
    """Write the digest of the numbers into the question's file, as the one its discussion was written for.

    Raises:
        RecipeError: an unknown question, or one without a discussion: there is nothing that could be accepted.
        MissingRun: a run behind the numbers is absent or stale; names the command that makes it.
    """
    file = file_of(Ablation, name)
    if name not in plan.ablations:
        raise RecipeError(f"{shown(file)}: not a question of this report; add {name} to params/report.yaml")
    if not plan.ablations[name].discussion:
        raise RecipeError(f"{shown(file)}: discussion: missing; write it first, then accept it")
    digest = answer(plan, name).digest
    text = with_digest(file.read_text(encoding="utf-8"), digest)
    if yaml.safe_load(text) != read_yaml(file) | {"discussion_digest": digest}:
        raise RecipeError(f"{shown(file)}: discussion_digest: not on a line of its own; write {digest} there by hand")
    return write_text(file, text)


def with_digest(text: str, digest: str) -> str:
    """A question's YAML with this digest: the line replaced where it is, else added at the end.

    It is quoted: sixteen hexadecimal digits may be a number by themselves.

    >>> with_digest("question: a\\ndiscussion: b\\n", "12e4")
    'question: a\\ndiscussion: b\\ndiscussion_digest: "12e4"\\n'
    """
    line = f'discussion_digest: "{digest}"\n'
    if LINE.search(text):
        return LINE.sub(line, text, count=1)
    return f"{text.rstrip()}\n{line}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("scale", "laptop"), ("corpus", "")):
        parser.add_argument(f"--{option}", default=default)
    parser.add_argument(
        "--accept", nargs="+", default=[], metavar="NAME", help="the discussion fits the numbers of now"
    )
    parsed = parser.parse_args(arguments)
    try:
        plan = Plan.load(parsed.scale, parsed.corpus or None)
        for name in parsed.accept:
            print(f"{shown(accept(plan, name))}: accepted")
    except (RecipeError, MissingRun) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not parsed.accept:
        for name, digest, found in states(plan):
            print(f"{name:<24} {digest:<16} {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
