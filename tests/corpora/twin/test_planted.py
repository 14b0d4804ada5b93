"""Effects that a pair twin can be asked to plant: first frames of every video, or titles, that say nothing of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from lab.corpora.importing import import_corpus
from lab.corpora.tfrecords import read_records
from lab.corpora.twin import generate
from lab.corpora.twin.pairs import EFFECTS, PairTwin
from lab.corpora.twin.worlds import CALIBRATED

SIZE = {"track": "pairs", "videos": 150, "pairs": 40, "seed": 5, "progress": False}
START = 4
FILES = {"pointwise/pretrain_0", "pairwise/pairwise", "test_a/test_a"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A twin as ever, the same with what it has anyway said aloud, and one with a blank start and blank titles."""
    folder, wishes = tmp_path_factory.mktemp("planted"), {
        "as ever": {},
        "said aloud": {"blank_start": 0, "blank_titles": CALIBRATED["pairs"].uninformative},
        "planted": {"blank_start": START, "blank_titles": 1.0},
    }  # fmt: skip
    for name, wish in wishes.items():
        generate(folder / name, **SIZE, **wish)
    return {name: folder / name for name in wishes}


def twin(**plant) -> PairTwin:
    with threadpool_limits(1):
        return PairTwin(1500, seed=0, pairs=500, **plant)


def truth(folder: Path) -> pa.Table:
    with pa.memory_map(str(folder / "truth_videos.arrow")) as source:
        return pa.ipc.open_file(source).read_all()


def records(folder: Path) -> list[Any]:
    return [example for name in sorted(FILES) for _, example in read_records(folder / f"{name}.tfrecords")]


def test_saying_aloud_what_is_anyway_changes_no_byte(folders):
    """Nothing but the further column that was asked for, and what twin.json says of it."""
    ever, aloud = folders["as ever"], folders["said aloud"]
    for file in ever.rglob("*.*"):
        if file.name not in ("truth_videos.arrow", "twin.json"):
            assert file.read_bytes() == (aloud / file.relative_to(ever)).read_bytes(), file.name
    assert truth(ever).column_names[-len(EFFECTS) :] == EFFECTS
    assert truth(aloud).drop_columns("uninformative_start").equals(truth(ever))
    about = [json.loads((folder / "twin.json").read_text()) for folder in (ever, aloud)]
    assert about[1].pop("arguments") == {"blank_start": 0, "blank_titles": CALIBRATED["pairs"].uninformative}
    assert about[1]["planted"].pop("uninformative_start") == 0 and about[0] == about[1]


def test_what_is_planted_stands_in_the_truth_and_changes_only_what_it_says(folders):
    ever, planted = folders["as ever"], folders["planted"]
    about = json.loads((planted / "twin.json").read_text())
    assert about["arguments"] == {"blank_start": START, "blank_titles": 1.0}
    assert (about["planted"]["uninformative_start"], about["planted"]["uninformative_title"]) == (1, 1)
    assert all(truth(planted)["uninformative_start"].to_pylist())
    for name in ("pairwise/label.tsv", "truth.arrow", "tag_list.txt"):
        assert (planted / name).read_bytes() == (ever / name).read_bytes(), name
    for before, after in zip(records(ever), records(planted), strict=True):
        assert {key for key in before if before[key] != after[key]} <= {"frame_feature", "title"}
        same = [a == b for a, b in zip(before["frame_feature"], after["frame_feature"], strict=True)]
        assert same == [False] * START + [True] * (len(same) - START)


def test_the_store_keeps_what_is_planted(folders, tmp_path):
    store = import_corpus(folders["planted"], tmp_path / "store")
    assert store.manifest["twin"]["planted"]["uninformative_start"] == 1


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_titles_are_blank_as_often_as_asked(share):
    assert twin(blank_titles=share).effects(np.arange(1500))["uninformative_title"].mean() == pytest.approx(
        share, abs=0.04
    )


def test_a_blank_start_tells_nothing_of_a_pair():
    """Cosine of the mean frames of a pair follows its affinity; not that of the first ones, re-uploads included."""
    made = twin(blank_start=START)
    rows, flat = np.unique(np.concatenate([made.i, made.j]), return_inverse=True)
    copies = made.world.footage[made.i] == made.world.footage[made.j]
    films, told = made.camera.film(rows), {}
    assert copies.sum() > 10
    for name, part in (("start", slice(START)), ("rest", slice(START, None))):
        mean = np.stack([film[part].astype(np.float32).mean(axis=0) for film in films])
        mean -= mean.mean(axis=0)
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        cosine = (mean[flat[: len(made.i)]] * mean[flat[len(made.i) :]]).sum(axis=1)
        told[name] = np.corrcoef(cosine, made.affinity)[0, 1], cosine[copies].mean()
    assert min(told["rest"]) > 0.1 and max(map(abs, told["start"])) < 0.05, told


def test_silent_titles_never_name_their_story():
    share = {}
    for blank in (0.0, 1.0):
        writer = twin(blank_titles=blank).writer
        told = writer.told(np.arange(200))
        share[blank] = (writer._title_words(told) == told.event_name[:, None]).any(axis=1).mean()
    assert share[0.0] > 0.5 and share[1.0] == 0


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"track": "classes", "blank_start": 4}, "blank_start: planted in the pair corpus only"),
        ({"track": "classes", "blank_titles": 0.0}, "blank_titles: planted in the pair corpus only"),
        ({"track": "pairs", "blank_start": 33}, "blank_start: a whole number of frames from 0 to 32, not 33"),
        ({"track": "pairs", "blank_start": 2.5}, "blank_start: a whole number of frames from 0 to 32, not 2.5"),
        ({"track": "pairs", "blank_titles": -0.1}, "blank_titles: a share of the videos from 0 to 1, not -0.1"),
        ({"track": "pairs", "blank_titles": float("nan")}, "from 0 to 1, not nan"),
    ],
)
def test_wishes_that_cannot_be_met(tmp_path, wish, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        generate(tmp_path / "twin", videos=60, progress=False, **wish)
    assert list(tmp_path.iterdir()) == []


def test_command_line_plants_and_refuses(tmp_path, capsys):
    from lab.cli import main

    command = ["corpus", "generate", "--track", "pairs", "--videos", "60", "--out", str(tmp_path / "twin")]
    assert main([*command, "--blank-start", "4", "--blank-titles", "1"]) == 0
    about = json.loads((tmp_path / "twin" / "twin.json").read_text())
    assert about["arguments"] == {"blank_start": 4, "blank_titles": 1} and about["planted"]["uninformative_start"] == 1
    assert main([*command, "--blank-start", "40"]) == 1
    assert "error: --blank-start: a whole number of frames from 0 to 32, not 40" in capsys.readouterr().err
