"""ZipIndex against the standard library: what it writes is read back, what is broken is said to be."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.corpora.zips import ZipIndex

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), min_size=1, max_size=12)
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=300), max_size=8)


def write(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@given(MEMBERS, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
@settings(deadline=None, max_examples=50)
def test_reads_what_zipfile_wrote(tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes], kind: int):
    index = ZipIndex(write(tmp_path_factory.mktemp("zip") / "a.zip", members, kind))
    assert len(index) == len(members)
    assert {name: index.read(name) for name in members} == members
    with pytest.raises(KeyError):
        index.read("no such member")
    index.close()


def test_more_members_than_the_old_format_can_count(tmp_path: Path):
    """65,536 members need the zip64 directory, which spans several blocks here."""
    path = write(tmp_path / "a.zip", {f"{number}.npy": b"%d" % number for number in range(66_000)})
    index = ZipIndex(path)
    assert len(index) == 66_000
    for number in (0, 1, 32_767, 65_535, 65_536, 65_999):
        assert index.read(f"{number}.npy") == b"%d" % number
    index.close()


def test_sizes_in_the_zip64_extra_field(tmp_path: Path):
    """``force_zip64`` writes 0xffffffff in the local header; the directory still has to be understood."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, archive.open("big", "w", force_zip64=True) as member:
        member.write(b"x" * 1000)
    index = ZipIndex(tmp_path / "a.zip")
    assert index.read("big") == b"x" * 1000
    index.close()


def test_every_flipped_byte_is_noticed(tmp_path: Path):
    """Content changed anywhere gives the same content, no such member, or an error: never other content."""
    members = {"a.npy": bytes(np.arange(40, dtype=np.uint8)), "b.npy": b"hello world" * 3}
    good = write(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED).read_bytes()
    for place in range(len(good)):
        (tmp_path / "b.zip").write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
        try:
            index = ZipIndex(tmp_path / "b.zip")
        except zipfile.BadZipFile:
            continue
        for name, content in members.items():
            try:
                assert index.read(name) == content, place
            except (KeyError, zipfile.BadZipFile):
                continue
        index.close()


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive" * 100])
def test_no_archive(tmp_path: Path, content: bytes):
    (tmp_path / "a.zip").write_bytes(content)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with pytest.raises(zipfile.BadZipFile):
        ZipIndex(tmp_path / "a.zip")
    assert before is None or len(os.listdir("/proc/self/fd")) == before  # and no file stays open


def test_encrypted_members_are_refused(tmp_path: Path):
    raw = bytearray(write(tmp_path / "a.zip", {"a": b"secret"}).read_bytes())
    raw[6] |= 1  # local header
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # directory
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(zipfile.BadZipFile, match="encrypted"):
        ZipIndex(tmp_path / "a.zip").read("a")
