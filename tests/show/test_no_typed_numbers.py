"""Every number of a page is read from runs, or from a ``published:`` or ``claimed:`` field; none is typed by hand."""

from __future__ import annotations

import json
import re

from lib.recipes.load import load, names
from lib.recipes.specs import Ablation
from lib.runs.paths import notebooks


def test_the_prose_of_notebooks_holds_no_result() -> None:
    """Results are fractions; commands and names of files are code."""
    for file in sorted(notebooks().glob("*.ipynb")):
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                words = re.sub(r"`[^`]*`", "", "".join(cell["source"]))
                assert not re.findall(r"\d\.\d{3}", words), f"{file.name}: {cell['id']}"


def test_a_discussion_repeats_no_number() -> None:
    """It is written for numbers, which stand beside it; its digest says for which."""
    for name in names(Ablation):
        asked = load(Ablation, name)
        assert not re.search("[0-9a-f]{12}", asked.question + asked.about), f"{name}: a digest stands in its words"
        for digest, text in asked.discussions.items():
            assert not re.findall(r"\d", re.sub(r"\d+(st|nd|rd|th)\b", "", text)), name  # ranks are names
            assert re.fullmatch("[0-9a-f]{16}", digest) and text.strip(), name
