"""Floors of a corpus beside the scores: computed once, read afterwards, made anew for another corpus."""

import numpy as np
import pandas as pd
import pytest

from lab.show import floors, runs


def marked(world) -> pd.DataFrame:
    return floors.marked(runs.systems(world), floors.of_plan(world))


def test_the_floor_is_the_best_that_needs_no_training():
    """Where frames say nothing, the sum of both cosines is below that of the texts."""
    rows = {"untrained text": 0.36, "untrained frames": 0.1, "untrained": 0.27, "linear": 0.4, "constant": 0.0}
    known = pd.DataFrame({"corpus": "mine", "floor": list(rows), "score": list(rows.values())})
    assert floors.score(known, "mine") == 0.36 and floors.score(known, "mine", "linear") == 0.4
    assert np.isnan(floors.score(known, "other"))


def test_a_system_below_the_untrained_floor_of_its_corpus_is_marked(world):
    board = marked(world)
    for label, rows in board.groupby("corpus"):
        file = world.runs_folder / "corpora" / label / "floors.csv"
        known = pd.read_csv(file).set_index("floor")["score"]
        floor = known[known.index.str.startswith("untrained")].max()
        assert rows["untrained"].tolist() == pytest.approx([floor] * len(rows))
        assert rows["below_floor"].tolist() == [score < floor for score in rows["score"]]
        written = file.read_text()
        file.write_text(written.replace(str(known["untrained"]), "0.999"))
        assert marked(world).loc[board["corpus"] == label, "below_floor"].all(), "read, not computed again"
        digests = pd.read_csv(file)["digest"]
        file.write_text(written.replace(digests[0], "of another corpus"))
        assert marked(world)["below_floor"].equals(board["below_floor"]) and file.read_text() == written
