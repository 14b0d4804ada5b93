"""Worlds: the calibrated one is what it was, and corpora of one world speak one language."""

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from lab.corpora.twin import calibration, generate
from lab.corpora.twin.classes import ClassTwin
from lab.corpora.twin.pairs import PairTwin
from lab.corpora.twin.text import title_lengths
from lab.corpora.twin.worlds import GIVEN_UP, IN_WORDS, WORLDS, WorldSpec, differences, why_given_up

# Of version 2 of the generative model, which knew no worlds: 300 videos of pairs, 60 of classes.
BEFORE = {"pairs": "5f28d0316f406e9c", "classes": "3c6e7aabbef825d8"}
SIZES = {"pairs": {"track": "pairs", "videos": 300}, "classes": {"track": "classes", "videos": 60}}


def checksum(folder: Path) -> str:
    """Of every file but twin.json, which names versions."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "twin.json":
            total.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return total.hexdigest()[:16]


@pytest.mark.parametrize("track", SIZES)
def test_the_calibrated_world_has_not_moved_by_a_byte(tmp_path, track):
    generate(tmp_path / "twin", **SIZES[track], progress=False)
    assert checksum(tmp_path / "twin") == BEFORE[track]


@pytest.mark.parametrize("track", SIZES)
def test_the_clear_world_is_another_and_the_same_twice(tmp_path, track):
    for name, more in {"once": {}, "again": {}, "other seed": {"seed": 1}, "other language": {"world_seed": 1}}.items():
        generate(tmp_path / name, **SIZES[track], world="clear", progress=False, **more)
    sums = {folder.name: checksum(folder) for folder in tmp_path.iterdir()}
    assert sums["once"] == sums.pop("again")
    assert len({BEFORE[track], *sums.values()}) == 4


@pytest.mark.parametrize("name", WORLDS)
def test_mixes_and_variances_add_up(name):
    for spec in WORLDS[name].values():
        for parts in (spec.x, spec.y, dict(spec.title).values(), dict(spec.speech).values()):
            assert sum(parts) == pytest.approx(1)


@pytest.fixture(scope="module")
def both() -> dict[str, dict]:
    """Statistic -> its row of the table of both worlds."""
    return {row["statistic"]: row for track in SIZES for row in calibration.of_worlds(track)}


def test_the_clear_world_keeps_what_it_must(both):
    """Pair graph, scores, judgement, class curve, lengths and missing fields; only what is named may be given up."""
    lost = [name for name, row in both.items() if not row["low"] <= row["clear"] <= row["high"]]
    assert all(name.startswith(tuple(GIVEN_UP)) for name in lost), [both[name] for name in lost]
    assert all(row["low"] <= row["calibrated"] <= row["high"] for row in both.values())
    assert why_given_up("distinct tags, relative to the curve") == GIVEN_UP["distinct tags"]
    assert why_given_up("label noise") == "no reason known"


def test_fields_are_as_often_missing_in_both_worlds():
    """Texts that are empty and frames that say nothing, in percent of 5,000 videos."""
    rows, shares = np.arange(5000), []
    for world in WORLDS:
        twin = ClassTwin(5000, 0, world=world)
        lengths = twin.lengths(rows)
        shares.append([(length == 0).mean() for length in lengths.values()] + [twin.camera.blank(rows).mean()])
    assert shares[0] == shares[1] == pytest.approx([0.04, 0.30, 0.15, 0.10], abs=0.02)


def test_what_differs_is_told_in_words():
    assert set(IN_WORDS) >= {field.name for field in fields(WorldSpec)}
    told = {what: values for what, *values in differences("pairs")}
    assert told[IN_WORDS["uninformative"]] == [WORLDS[name]["pairs"].uninformative for name in WORLDS]
    assert IN_WORDS["bias"] not in told  # the same in both


def views(twin: PairTwin | ClassTwin) -> tuple[np.ndarray, np.ndarray]:
    """Mean frames [N, D], standardised by themselves, and counts [N, V] of the characters of titles."""
    rows = np.arange(twin.world.n)
    frames = np.stack([film.astype(np.float32).mean(axis=0) for film in twin.camera.film(rows)])
    titles = twin.writer.titles(twin.writer.told(rows), title_lengths(twin.seed, rows))
    counts = np.zeros((len(rows), 0x5200), np.float32)
    for row, title in enumerate(titles):
        np.add.at(counts[row], [ord(c) - 0x4E00 for c in title if 0x4E00 <= ord(c) < 0xA000], 1)
    return frames, counts


def test_what_is_learnt_on_one_corpus_holds_on_another_of_its_world():
    """A linear reader of frames and characters, fitted to the truth of one corpus, ranks the pairs of another one by the
    cosine of what it reads; it can't where words, topics and the camera mean something else."""
    with threadpool_limits(1):
        one, other, foreign = (
            PairTwin(2500, seed=seed, pairs=800, world="clear", world_seed=language)
            for seed, language in ((0, 0), (1, 0), (1, 1))
        )
    assert set(one.ids).isdisjoint(other.ids)
    seen, read = views(one)
    truth = one.world.embedding(np.arange(one.world.n))
    centre = seen.mean(axis=0), read.mean(axis=0)
    fitted = []
    for values, penalty in ((seen - centre[0], 30.0), (np.sqrt(read) - np.sqrt(read).mean(axis=0), 30.0)):
        gram = values @ values.T + penalty * np.eye(len(values), dtype=np.float32)
        fitted.append(values.T @ np.linalg.solve(gram, truth - truth.mean(axis=0)))
    result = {}
    for name, twin in (("other", other), ("foreign", foreign)):
        frames, counts = views(twin)
        guess = (frames - centre[0]) @ fitted[0] + (np.sqrt(counts) - np.sqrt(read).mean(axis=0)) @ fitted[1]
        cosine = (guess[twin.i] * guess[twin.j]).sum(axis=1)
        cosine /= np.linalg.norm(guess[twin.i], axis=1) * np.linalg.norm(guess[twin.j], axis=1)
        result[name] = spearmanr(cosine, twin.score).statistic
    assert result["other"] > 0.6 and result["foreign"] < result["other"] - 0.1
