"""A file that is not the one that was written stops whoever opens it, also when its time of writing was set back."""

import os

import numpy as np
import pytest

from lib.data.schema import Video
from lib.data.store import Store, StoreError
from lib.data.writer import StoreWriter
from lib.features import tokens
from lib.features.sets import TokenSet
from lib.runs import files


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path / "home"))
    with StoreWriter(tmp_path / "store", track="classes", source="custom") as writer:
        for number in range(4):
            frames = np.full((2, 8), number, np.float16)
            writer.add(Video(id=str(number), title=f"题{number}", category="a", frames=frames))
        return writer.finish(categories=["a"])


def flip(file) -> None:
    """Change one byte and set the time of writing back."""
    times = os.stat(file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("name", ["frames.f16", "videos.arrow"])
@pytest.mark.parametrize("again", [False, True])
def test_a_flipped_byte_of_a_store(store, name, again):
    if again:  # verified before, in this process and in the note beside the runs
        store.verified()
    flip(store.path / name)
    with pytest.raises(StoreError, match=f"{name} has changed since it was written.* import the corpus again"):
        Store.open(store.path).verified()


def test_a_flipped_byte_of_a_token_set(store, tmp_path):
    tokens.build(store, tmp_path / "set", "digest")
    flip(tmp_path / "set" / "tokens.i32")
    with pytest.raises(ValueError, match=r"tokens.i32 has changed .* delete .*features.json and build the set again"):
        TokenSet(tmp_path / "set")
    (tmp_path / "set" / "tokens.i32").unlink()
    with pytest.raises(ValueError, match="tokens.i32 is missing"):
        TokenSet(tmp_path / "set")


def test_whole_files_are_read_once(store, monkeypatch):
    store.verified()
    monkeypatch.setattr(files, "checksum", lambda file: pytest.fail("read again"))
    Store.open(store.path).verified()
    monkeypatch.setattr(files, "_seen", {})  # another process
    Store.open(store.path).verified()
