"""Batches from a real store: sides of pairs, unknown tags, padding, frame rules that are functions of video and epoch."""

import numpy as np
import pytest
import torch

from lab.corpora.importing import import_corpus
from lab.corpora.twin import generate
from lib.data.batch import IGNORE
from lib.data.store import Store
from lib.features.loader import Assembler, Items, TrainLoader
from lib.features.sets import TokenSet
from lib.features.tokens import build


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> tuple[Store, TokenSet]:
    """A generated corpus of 120 videos and 60 pairs."""
    home = tmp_path_factory.mktemp("tiny")
    generate(home / "raw", track="pairs", videos=120, pairs=60)
    import_corpus(home / "raw", home / "store")
    store = Store.open(home / "store")
    return store, build(store, home / "tokens", "digest")


def assembler(tiny, *, text_pad="batch", frame_pad="batch", frames=8, train_sample="same", tags=False, seed=0):
    return Assembler(
        *tiny, layout="cls_title", text_length=24, pad_text=text_pad == "full", frames_length=frames, train_sample=train_sample,
        pad_frames=frame_pad == "full", tags=tags, seed=seed,
    )  # fmt: skip


def items_of(store: Store) -> Items:
    table = store.pairs()
    return Items(table[["row1", "row2"]].to_numpy(np.int64), score=table["score"].to_numpy(np.float32))


def test_side_1_comes_first(tiny):
    items = items_of(tiny[0])
    items = items.take(np.arange(5))
    batch = assembler(tiny)(items, train=False)
    assert batch.rows.tolist() == [*items.rows[:, 0], *items.rows[:, 1]]
    assert batch.pair.tolist() == [[i, i + 5] for i in range(5)]
    assert batch.score.tolist() == items.score.tolist()


def test_resumed_batches_are_equal_bit_for_bit(tiny):
    def loader():
        given = assembler(tiny, frames=4, train_sample="random_bin")
        return TrainLoader(given, items_of(tiny[0]), 8, seed=1, bucket=True)

    walked = loader()
    stream = iter(walked)
    for step in range(12):
        set_there = loader()
        set_there.load_state_dict(walked.state_dict())
        left, right = next(stream), next(iter(set_there))
        assert torch.equal(left.rows, right.rows) and torch.equal(left.frames, right.frames), step
        assert torch.equal(left.input_ids, right.input_ids)


def test_tags_of_unknown_videos_are_ignored(tiny, monkeypatch):
    store = tiny[0]
    indptr, indices, known = store.tags_csr()
    known = known.copy()
    row = int(np.flatnonzero(known & (np.diff(indptr) > 0))[0])
    other = int(np.flatnonzero(known)[-1])
    known[other] = False
    monkeypatch.setattr(store, "tags_csr", lambda: (indptr, indices, known))
    batch = assembler(tiny, tags=True)(Items(np.array([row, other])), train=False)
    assert IGNORE == -100 and (batch.tags[1] == IGNORE).all()
    assert batch.tags[0].nonzero().ravel().tolist() == sorted(indices[indptr[row] : indptr[row + 1]])
    assert assembler(tiny)(Items(np.array([row])), train=False).tags is None


@pytest.mark.parametrize("pad", ["batch", "full"])
def test_padding(tiny, pad):
    store = tiny[0]
    shortest = np.argsort(store.n_frames, kind="stable")[:3]
    batch = assembler(tiny, text_pad=pad, frame_pad=pad, frames=32)(Items(shortest), train=False)
    lengths = np.minimum(store.n_frames[shortest], 32)
    assert batch.frames.shape[1] == batch.frame_mask.shape[1] == (32 if pad == "full" else lengths.max())
    assert batch.frame_mask.sum(dim=1).tolist() == lengths.tolist()
    assert (batch.frames[~batch.frame_mask] == 0).all()
    tokens = batch.text_mask.sum(dim=1)
    assert batch.input_ids.shape[1] == (24 if pad == "full" else tokens.max())
    assert (batch.input_ids[~batch.text_mask] == tiny[1].special.pad).all()
    for place, row in enumerate(shortest):
        stored = torch.from_numpy(np.asarray(store.frames(int(row)))).float()
        assert torch.equal(batch.frames[place, : lengths[place]], stored[: lengths[place]])


def test_random_frames_are_a_function_of_video_and_epoch(tiny):
    """Whatever batch a video is in; another epoch or seed draws others; evaluation does not draw."""
    long = np.flatnonzero(tiny[0].n_frames >= 12)[:6]
    assert len(long) == 6
    given = assembler(tiny, frames=4, train_sample="random_sorted")

    def frames(rows, **options):
        return given(Items(rows), train=True, **options).frames

    assert torch.equal(frames(long, epoch=2), frames(long[::-1].copy(), epoch=2).flip(0))
    assert torch.equal(frames(long[3:4], epoch=2)[0], frames(long, epoch=2)[3])
    assert not torch.equal(frames(long, epoch=2), frames(long, epoch=3))
    other = assembler(tiny, frames=4, train_sample="random_sorted", seed=1)
    assert not torch.equal(other(Items(long), train=True, epoch=2).frames, frames(long, epoch=2))
    fixed = [given(Items(long), train=False, epoch=epoch).frames for epoch in (0, 1)]
    assert torch.equal(*fixed)


def test_bucketing_pads_less(tiny):
    """Slots of frames and tokens over two epochs of single videos."""
    slots = {}
    for bucket in (False, True):
        loader = TrainLoader(assembler(tiny, frames=32), Items(np.arange(120)), 8, seed=0, bucket=bucket)
        stream = iter(loader)
        batches = [next(stream) for _ in range(2 * loader.steps_per_epoch)]
        slots[bucket] = sum(batch.frame_mask.numel() + batch.text_mask.numel() for batch in batches)
    assert slots[True] < slots[False]
