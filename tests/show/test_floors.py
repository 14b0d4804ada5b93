"""Floors of a corpus beside the scores: computed once, read afterwards, made anew for another corpus."""

import pandas as pd
import pytest

from lab.show import floors, runs


def marked(world) -> pd.DataFrame:
    return floors.marked(runs.systems(world), floors.of_plan(world))


def test_a_system_below_the_untrained_floor_of_its_corpus_is_marked(world):
    board = marked(world)
    for label, rows in board.groupby("corpus"):
        file = world.runs_folder / "corpora" / label / "floors.csv"
        known = pd.read_csv(file).set_index("floor")["score"]
        assert rows["untrained"].tolist() == pytest.approx([known["untrained"]] * len(rows))
        assert rows["below_floor"].tolist() == [score < known["untrained"] for score in rows["score"]]
        written = file.read_text()
        file.write_text(written.replace(str(known["untrained"]), "0.999"))
        assert marked(world).loc[board["corpus"] == label, "below_floor"].all(), "read, not computed again"
        digests = pd.read_csv(file)["digest"]
        file.write_text(written.replace(digests[0], "of another corpus"))
        assert marked(world)["below_floor"].equals(board["below_floor"]) and file.read_text() == written
