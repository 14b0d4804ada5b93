"""Templates hold words only: every number of a page is read from runs, or from a ``published:`` or ``claimed:`` field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.show.html import TEMPLATES
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation

PAGES = sorted(TEMPLATES.glob("*.md.j2"))


def test_there_are_templates() -> None:
    assert len(PAGES) >= 8


@pytest.mark.parametrize("template", PAGES, ids=lambda path: path.name)
def test_no_number_is_typed_in_a_template(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    words = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.S)
    assert not re.findall(r"\d[\d.,]*", words)
    assert not re.findall(r"\d+\.\d+", text)  # nor handed over as a literal


def test_a_discussion_repeats_no_number() -> None:
    """It is written for numbers, which stand beside it; its digest says for which."""
    for name in names(Ablation):
        asked = load(Ablation, name)
        assert not re.findall(r"\d", asked.discussion), name
        assert bool(asked.discussion) == bool(asked.discussion_digest), name
