"""What is shown of corpora of one's own, whose categories no contest named."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.corpora.importing import import_corpus
from lab.show import corpus, space
from tests.corpora import small


def test_upper_level_of_own_categories(tmp_path: Path):
    names = ["animals/cat", "cars", "10802", "0105", None]
    items = [{"frames": "a.npy", "category": name} for name in names]
    store = import_corpus(small.custom(tmp_path / "corpus", items), tmp_path / "store")
    assert space.upper_categories(store, np.arange(5)).tolist() == ["animals", "cars", "108", "01", space.UNKNOWN]


def test_calibration_of_a_generated_corpus_is_judged(tmp_path: Path):
    """A statistic on the edge of its tolerance lies inside; one that cannot be taken of so few videos does not."""
    store = import_corpus(small.custom(tmp_path / "corpus", [{"frames": "a.npy"}]), tmp_path / "store")
    assert corpus.generator(store, "own").frame.empty
    limits = {"target": 0.5, "low": 0.4, "high": 0.6}
    measured = {"inside": 0.5, "edge": 0.6, "above": 0.7, "none": None}
    rows = [{"statistic": name, **limits, "measured": value} for name, value in measured.items()]
    store.manifest["twin"] = {"calibration": rows}
    table = corpus.generator(store, "twin")
    assert [table.columns[-1].text(row) for _, row in table.frame.iterrows()] == ["yes", "yes", "no", "no"]
    assert table.caption.startswith("2 of 4 statistics")
