"""The two sides of every benchmark do the same work: equal batches, equal losses; and the timing does its sums."""

import json

import numpy as np
import pytest
import torch

from benchmarks import measure
from benchmarks.naive import EveryPositionMaskedTokens, NaiveVideos
from lib.data.schema import Video
from lib.data.writer import StoreWriter
from lib.features import tokens
from lib.features.loader import Assembler, Items
from lib.objectives import MaskedTokens
from tests.small import SPECIAL, VOCABULARY, WIDTH, batch, single_stream

TITLES = ["", "猫", "猫和老鼠的故事", "a cat and a 猫 " * 9, "狗" * 60]
TAGS = [[3], [], [7, 3, 999], [11], [7]]


RULES = {"layout": "cls_sep_title", "text_length": 36, "frames_length": 32, "sample": "linspace_round"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Five videos: no title, too long a title, an unknown tag, one frame, as many as fit."""
    folder, generator = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    with StoreWriter(folder / "store", track="pairs", source="test") as writer:
        for number, (title, tags) in enumerate(zip(TITLES, TAGS, strict=True)):
            frames = generator.standard_normal((1 + 31 * number // 4, 12)).astype(np.float16)
            writer.add(Video(id=str(number), title=title, tags=tuple(tags), part="pointwise", frames=frames))
        store = writer.finish(tags=[3, 7, 11], categories=None, twin=None, truth=None)
    return store, tokens.build(store, folder / "tokens", "digest")


def test_naive_batches_are_our_batches(corpus):
    store, token_set = corpus
    rows = np.array([4, 0, 3, 2, 1])
    ours = Assembler(store, token_set, **RULES, pad_text=True, pad_frames=True, tags=True)(Items(rows), train=True)
    naive = NaiveVideos(store, token_set, rows)
    for place, item in enumerate(naive):
        for name, value in item.items():
            assert torch.equal(getattr(ours, name)[place], value), (name, place)


def test_padding_to_the_longest_only_cuts_padding_away(corpus):
    store, token_set = corpus
    rows = np.array([2, 1, 0])
    full, short = (
        Assembler(store, token_set, **RULES, pad_text=pad, pad_frames=pad, tags=True)(Items(rows), train=True)
        for pad in (True, False)
    )
    pieces, places = short.input_ids.shape[1], short.frames.shape[1]
    assert (pieces, places) == (10, 16)  # [CLS] [SEP] 7 pieces [SEP]; 1 + 31 * 2 // 4 frames
    assert torch.equal(full.input_ids[:, :pieces], short.input_ids) and not full.text_mask[:, pieces:].any()
    assert torch.equal(full.frames[:, :places], short.frames) and not full.frame_mask[:, places:].any()
    assert torch.equal(full.tags, short.tags)
    assert short.tags.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_logits_at_every_position_give_the_same_loss():
    model, videos = single_stream(), batch([5, 9, 0], [3, 2, 1])
    kinds = MaskedTokens, EveryPositionMaskedTokens
    ours, naive = (kind(WIDTH, VOCABULARY, SPECIAL, rate=0.4) for kind in kinds)
    naive.load_state_dict(ours.state_dict())
    corrupted = ours.corrupt(videos, torch.Generator().manual_seed(1))
    outputs = model(corrupted)
    losses = [float(objective(outputs, corrupted).detach()) for objective in (ours, naive)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_race_by_hand(monkeypatch, tmp_path):
    """Ours takes 1, 1, 3 seconds for 10 items, naive 8, 6, 12 for 4: ratios 20, 15, 10; the first round does not count."""
    times = iter([9.0, 9.0, 1.0, 8.0, 1.0, 6.0, 3.0, 12.0])
    clock = [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])

    def work(items: int) -> int:
        clock[0] += next(times)
        return items

    result = measure.race(lambda: work(10), lambda: work(4), rounds=3)
    assert result["ratio"] == 15 and result["ratio_range"] == [10, 20]
    assert (result["ours_per_second"], result["naive_per_second"]) == (10, 0.5)

    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    path = measure.keep("loader", "cpu", [result], {"corpus": "none"})
    assert json.loads(path.read_text())["device"] == measure.device_name()
    table = (tmp_path / "README.md").read_text()
    assert f"## loader on {measure.device_name()}" in table and "| 10.0 | 0.5 |" in table and "10.0 to 20.0" in table
