"""What is said of a corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import main
from lab.corpora import describe
from lab.corpora.importing import import_corpus
from tests.corpora import small


def test_calibration_is_judged_by_the_tolerance(tmp_path: Path):
    store = import_corpus(small.custom(tmp_path / "corpus", [{"frames": "a.npy"}]), tmp_path / "store")
    assert describe.calibration(store).empty
    values = {"inside": 0.5, "on the edge": 0.6, "above": 0.7, "not taken": None}
    limits = {"target": 0.5, "low": 0.4, "high": 0.6}
    rows = [{"statistic": name, **limits, "measured": value} for name, value in values.items()]
    store.manifest["twin"] = {"calibration": rows}
    table = describe.calibration(store)
    assert table["met"].tolist() == [True, True, False, False]
    assert table.iloc[2][["statistic", "published", "lowest", "highest", "here"]].tolist() == [
        "above",
        0.5,
        0.4,
        0.6,
        0.7,
    ]


def test_an_import_says_what_it_kept(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = small.custom(tmp_path / "corpus", [{"frames": "p"}])
    (folder / "p").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (folder / "p" / name).write_bytes(small.picture())
    assert main(["corpus", "import", str(folder), "--out", str(tmp_path / "store")]) == 0
    assert capsys.readouterr().out.strip().endswith("1 videos, 2 pictures")
