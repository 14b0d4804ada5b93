"""A bar where someone watches, a line every ten seconds elsewhere."""

import pytest

from lib.training import feed as module
from lib.training.feed import progress


def told(capsys, style, steps=3) -> str:
    with progress(steps, 1, style) as bar:
        bar.set_postfix_str("loss 0.5", refresh=False)
        bar.update()
    return capsys.readouterr().err


def test_lines_a_bar_and_nothing(capsys):
    line = told(capsys, "lines").strip().splitlines()[-1]
    assert line.startswith("step 2 of 3, 00:00 gone, 00:00 left") and line.endswith(", loss 0.5")
    assert "2/3" in told(capsys, "bar")
    assert told(capsys, "off") == ""


@pytest.mark.parametrize(
    "terminal, notebook, wish, lines",
    [(True, False, "", False), (False, False, "", True), (False, True, "", False), (True, True, "lines", True)],
)
def test_choice(monkeypatch, capsys, terminal, notebook, wish, lines):
    monkeypatch.setenv("VIDLAB_PROGRESS", wish)
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: terminal, raising=False)
    modules = {name: value for name, value in module.sys.modules.items() if name != "ipykernel"}
    monkeypatch.setattr(module.sys, "modules", modules | ({"ipykernel": object()} if notebook else {}))
    assert told(capsys, "auto").lstrip().startswith("step ") == lines
