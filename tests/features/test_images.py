"""Image sets: values by hand, resume after a kill, damaged pictures, sets in a batch."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lab.corpora.importing import import_corpus
from lab.corpora.twin import generate
from lib.data.rejects import BadRecord
from lib.data.schema import Video
from lib.data.store import Store
from lib.data.writer import StoreWriter
from lib.features import images, sets
from lib.features.loader import Assembler, Items
from lib.features.pictures import Pictures, ahead
from lib.features.sets import FrameSet, choose
from lib.features.tokens import build as build_tokens
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet
from tests.features.small_pictures import ENCODER, arguments, noise, picture, store_of


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Store:
    """Ten videos of 1 to 6 pictures; picture k of video n has red n, green k, blue 7."""
    videos = [[picture((n, k, 7)) for k in range(1 + n % 6)] for n in range(10)]
    return store_of(tmp_path_factory.mktemp("colours") / "store", videos)


class Mean:
    """An "encoder" whose features are the mean colour of a picture; remembers the sizes of its batches."""

    name, dim, device = "mean", 3, torch.device("cpu")

    def __init__(self):
        self.sizes: list[int] = []

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(pictures))
        return pictures.float().mean(dim=(2, 3))


@pytest.fixture
def mean(monkeypatch) -> Mean:
    encoder = Mean()
    monkeypatch.setattr(images, "ImageEncoder", lambda *_, **__: encoder)
    return encoder


# ---- sets


def test_values_by_hand(colours, mean, tmp_path):
    """Mean colours: video 5 has pictures 0 to 5, of which bin_centre takes 0, 2, 3 and 5."""
    found = images.build(colours, tmp_path / "set", "digest", **arguments())
    assert found.n_frames.tolist() == [1, 2, 3, 4, 4, 4, 1, 2, 3, 4] and found.frame_dim == 3
    assert found.frames(5).tolist() == [[5, k, 7] for k in (0, 2, 3, 5)]
    assert found.frames(9)[:, 0].tolist() == [9] * 4 and found.frames(9).dtype == np.float16
    # shards of 4, 4 and 2 videos: 10, 11 and 7 pictures, in batches of 5
    assert sorted(mean.sizes) == [1, 2, 5, 5, 5, 5, 5]
    assert {path.name for path in (tmp_path / "set").iterdir()} == {"features.json", "frames.f16", "offsets.npy"}
    assert not (tmp_path / "set.partial").exists()
    stamp = (tmp_path / "set" / "frames.f16").stat().st_mtime_ns
    images.build(colours, tmp_path / "set", "digest", **arguments())
    assert (tmp_path / "set" / "frames.f16").stat().st_mtime_ns == stamp
    other = images.build(colours, tmp_path / "set", "another digest", **arguments(length=1))
    assert other.n_frames.tolist() == [1] * 10


def test_overlapped_and_serial_give_the_same_bytes(colours, tmp_path):
    for workers in (0, 1, 3):
        sets_ = images.build(colours, tmp_path / str(workers), "d", **arguments(), workers=workers, device="cpu")
        assert np.isfinite(sets_.frames(0)).all() and sets_.frame_dim == 64
    files = [{file.name: file.read_bytes() for file in (tmp_path / str(w)).iterdir()} for w in (0, 1, 3)]
    assert files[0] == files[1] == files[2]


def test_work_ahead_is_bounded_and_in_order():
    started = []
    stream = ahead(lambda row: started.append(row) or row, range(1000), 2, 6)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.1)
    assert 3 < len(started) <= 9
    stream.close()
    assert len(started) <= 9 and list(ahead(str, range(3), 0, 0)) == ["0", "1", "2"]


def build_until(store: Path, folder: Path, log: Path, stop: int) -> None:
    """What a process does that is killed when it comes to video ``stop``; lists the videos that it decodes."""
    plain = Pictures.of

    def of(self, row):
        with log.open("a") as file:
            file.write(f"{row}\n")
        if row == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(self, row)

    Pictures.of = of
    images.build(Store.open(store), folder, "digest", **arguments(), workers=0, device="cpu")


def test_a_killed_build_goes_on_after_the_last_shard(colours, tmp_path, processes):
    """kill -9 at video 9, in the third shard of 4: videos 0 to 7 are not decoded again, and the bytes are the same."""
    images.build(colours, tmp_path / "whole", "digest", **arguments(), device="cpu")

    def run(stop: int) -> list[int]:
        log = tmp_path / f"log{stop}"
        child = processes.Process(target=build_until, args=(colours.path, tmp_path / "set", log, stop))
        child.start()
        child.join()
        assert child.exitcode == (0 if stop < 0 else -signal.SIGKILL)
        return [int(line) for line in log.read_text().split()]

    assert run(9) == list(range(10)) and not (tmp_path / "set").exists()
    shards = tmp_path / "set.partial" / "shards"
    assert sorted(file.name for file in shards.iterdir()) == ["0.npz", "4.npz", "head.json"]
    (shards / "4.npz").unlink()  # any shard may be missing
    assert run(-1) == [4, 5, 6, 7, 8, 9]
    for name in ("frames.f16", "offsets.npy", "features.json"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_build_killed_on_its_way_into_place_is_only_put_there(colours, mean, tmp_path, monkeypatch):
    expected = images.build(colours, tmp_path / "whole", "digest", **arguments()).frames(5)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sets, "write_json", killed)
        images.build(colours, tmp_path / "set", "digest", **arguments())
    with pytest.raises(FileNotFoundError):
        FrameSet(tmp_path / "set")
    mean.sizes.clear()
    found = images.build(colours, tmp_path / "set", "digest", **arguments())
    assert mean.sizes == [] and np.array_equal(found.frames(5), expected) and not (tmp_path / "set.partial").exists()


def test_a_partial_set_of_another_digest_is_thrown_away(colours, mean, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(images, "_put_together", lambda *_: exec("raise RuntimeError"))
        images.build(colours, tmp_path / "set", "old", **arguments())
    mean.sizes.clear()
    found = images.build(colours, tmp_path / "set", "new", **arguments())
    assert found.frames(1)[0].tolist() == [1, 0, 7] and len(mean.sizes) == 7


@pytest.fixture
def damaged(tmp_path) -> Store:
    videos = [[noise(64, 64), noise(64, 48)] for _ in range(6)]
    videos[4][1] = videos[4][1][:1000]
    return store_of(tmp_path / "damaged", videos)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_picture_stops_the_build_and_is_named(damaged, mean, tmp_path, workers):
    with pytest.raises(BadRecord) as caught:
        images.build(damaged, tmp_path / "set", "digest", **arguments(), workers=workers)
    for part in ("images.bin", "video v4", "picture 2 of 2", "1000 bytes", "cannot be decoded", "quarantine"):
        assert part in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_in_quarantine_it_has_no_frames_and_is_listed(damaged, mean, tmp_path):
    with pytest.raises(BadRecord):
        images.build(damaged, tmp_path / "set", "digest", **arguments())
    mean.sizes.clear()
    found = images.build(damaged, tmp_path / "set", "digest", **arguments(), quarantine=True)
    assert sum(mean.sizes) == 2  # the first shard was kept; of the second, video 5
    assert found.n_frames.tolist() == [2, 2, 2, 2, 0, 2] and found.frames(4).shape == (0, 3)
    assert found.about["rejected"] == 1
    (row,) = pq.read_table(tmp_path / "set" / "rejects.parquet").to_pylist()
    assert row["record"] == "video v4" and row["field"] == "picture 2 of 2"


def test_rejects_survive_a_kill(damaged, mean, tmp_path, monkeypatch):
    """What was listed before the build stopped is listed after it, though its shard is not read again."""
    spec = arguments(shard=1)

    plain, asked = Pictures.of, []

    def stop_at_5(self, row):
        asked.append(row)
        if row == 5 and len(asked) == 6:
            raise KeyboardInterrupt
        return plain(self, row)

    monkeypatch.setattr(Pictures, "of", stop_at_5)
    with pytest.raises(KeyboardInterrupt):
        images.build(damaged, tmp_path / "set", "digest", **spec, quarantine=True, workers=0)
    asked[:] = asked[:0] + [None] * 6
    found = images.build(damaged, tmp_path / "set", "digest", **spec, quarantine=True, workers=0)
    assert asked[6:] == [5] and found.about["rejected"] == 1 and found.n_frames.tolist() == [2, 2, 2, 2, 0, 2]


def test_features_that_do_not_fit_half_precision_are_named(colours, mean, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Mean, "__call__", lambda self, x: x.float().mean(dim=(2, 3)) * (1e5 if x[0, 0, 0, 0] == 6 else 1)
    )
    with pytest.raises(ValueError, match="video v6: a feature does not fit half precision"):
        images.build(colours, tmp_path / "set", "digest", **arguments(batch_size=1))


def test_a_corpus_without_pictures_says_what_to_do(tmp_path):
    with StoreWriter(tmp_path / "store", track="classes", source="custom") as writer:
        writer.add(Video(id="1", category="a", frames=np.ones((2, 4), np.float16)))
        store = writer.finish(categories=["a"])
    with pytest.raises(ValueError, match="without pictures; import one that has them"):
        images.build(store, tmp_path / "set", "digest", **arguments())


# ---- in a batch


def test_a_batch_takes_its_frames_from_the_set(damaged, mean, tmp_path):
    frames = images.build(damaged, tmp_path / "set", "digest", **arguments(), quarantine=True)
    tokens = build_tokens(damaged, tmp_path / "tokens", "digest")
    rules = {"layout": "cls_title", "text_length": 8, "frames_length": 3}
    batch = Assembler(damaged, tokens, **rules, visual=frames)(Items(np.array([4, 0])), train=False)
    assert batch.frames.shape == (2, 2, 3) and batch.frame_mask.tolist() == [[False, False], [True, True]]
    assert torch.equal(batch.frames[1], torch.from_numpy(frames.frames(0)).float()) and not batch.frames[0].any()
    alone = Assembler(damaged, tokens, **rules, visual=frames)(Items(np.array([4])), train=False)
    assert alone.frames.shape == (1, 1, 3) and not alone.frame_mask.any()


def test_choose(damaged, colours, mean, tmp_path):
    made = images.build(colours, tmp_path / "set", "digest", **arguments())
    assert isinstance(choose(colours, tmp_path / "set"), FrameSet)
    with pytest.raises(ValueError, match="made from another corpus"):
        choose(damaged, tmp_path / "set")
    with pytest.raises(ValueError, match="holds pictures but no frame features"):
        choose(colours, None)
    with pytest.raises(FileNotFoundError, match="-p features nothing"):
        choose(colours, tmp_path / "nothing")
    sets.check(made, colours)
    with pytest.raises(ValueError, match="another corpus"):
        sets.check(made, damaged)


def test_twin_through_the_door(tmp_path):
    """The generator's JPEGs through the random encoder: frames of one video are nearer than those of two videos."""
    generate(tmp_path / "raw", track="classes", videos=60, frames="both", progress=False)
    store = import_corpus(tmp_path / "raw", tmp_path / "store")
    found = images.build(store, tmp_path / "set", "digest", **load(FeatureSet, "pixels_small").arguments(ENCODER))
    assert np.array_equal(found.n_frames, np.minimum([len(store.images(row)) for row in range(60)], 8))
    assert len(sets.examples(found, store, 5)) == 5
    several = [found.frames(row).astype(np.float32) for row in range(60) if found.n_frames[row] > 1]
    within = np.mean([np.linalg.norm(v[0] - v[1]) for v in several])
    between = np.mean([np.linalg.norm(a[0] - b[0]) for a, b in zip(several, several[1:], strict=False)])
    assert within < 0.7 * between
