"""Every kind of bad input: the error says where and what, nothing is left behind, quarantine goes on and lists it."""

import gzip
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lab.corpora.importing import import_corpus
from lab.corpora.tfrecords import encode, masked_crc
from lib.data.rejects import BadRecord
from lib.data.store import Store, StoreError
from tests.corpora import small
from tests.corpora.small import AIAC_WIDTH, WECHAT_WIDTH, annotation, matrix, record


@dataclass(frozen=True)
class Case:
    """``make`` writes the corpus; the others are what must stand in record, field, value and remedy of the error;
    ``file`` is the name of the file it points at (either, where several would help). ``kept`` videos and ``pairs`` are
    left after quarantine."""

    make: Callable[[Path], object]
    file: str
    record: str
    field: str
    value: str
    remedy: str
    kept: int
    pairs: int = 2


def frames(n: int = 2, width: int = AIAC_WIDTH, value: float | None = None) -> list[bytes]:
    result = matrix(n, width)
    if value is not None:
        result[1, 5] = value
    return [row.tobytes() for row in result]


def second(**changes) -> Callable[[Path], object]:
    """The second record of the pointwise file is spoilt; a third is sound."""
    return lambda folder: small.aiac(folder, [record("1"), record("2", **changes), record("3")])


def damaged(spoil: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        file = small.aiac(folder) / "pointwise" / "pretrain_0.tfrecords"
        file.write_bytes(spoil(file.read_bytes()))

    return make


def flip(place: int) -> Callable[[bytes], bytes]:
    def spoil(data: bytes) -> bytes:
        where = place % len(data)
        return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]

    return spoil


def plain(name: str, data: bytes) -> Callable[[Path], object]:
    """A file of frames that is not what its name says."""
    write = lambda folder: ((folder / name).parent.mkdir(exist_ok=True), (folder / name).write_bytes(data))  # noqa: E731
    return custom({"id": "b", "frames": name.split("/")[0]}, write)


def pairs(line: str) -> Callable[[Path], object]:
    return lambda folder: small.aiac(folder, pairs=f"5\t10\t0.25\n{line}\n10\t15\t1.00\n")


def wechat(number: int = 1, **changes) -> Callable[[Path], object]:
    return lambda folder: small.wechat(folder, [annotation(0), annotation(number, **changes)])


def endless(file: Path) -> None:
    """A record whose sound head promises more than any disk holds."""
    head = struct.pack("<Q", 1 << 62)
    file.write_bytes(head + struct.pack("<I", masked_crc(head)) + bytes(99))


ID1 = annotation(1)["id"]
POINTWISE, LABELS, FEATURES = "pretrain_0.tfrecords", "label.tsv", "labeled.zip"

AIAC = {
    "truncated": Case(damaged(lambda data: data[:-100]), POINTWISE, "record 1", "payload", "of", "truncated", kept=5),
    "truncated in the length": Case(damaged(lambda data: data + b"\1\2\3"), POINTWISE, "record 2", "length", "3 of 12", "truncated", kept=6),
    "flipped byte in the payload": Case(damaged(flip(-100)), POINTWISE, "record 1", "checksum", "0x", "damaged", kept=5),
    "flipped byte in the length": Case(damaged(flip(0)), POINTWISE, "record 0", "checksum of the length", "0x", "damaged", kept=4),
    "longer than the file": Case(lambda folder: endless(small.aiac(folder) / "pointwise" / POINTWISE), POINTWISE, "record 0", "payload", "of 4611686018427387904", "truncated", kept=4),
    "pointer of Git LFS": Case(damaged(lambda data: b"version https://git-lfs.github.com/spec/v1\n"), POINTWISE, "record 0", "checksum of the length", "0x", "git lfs pull", kept=4),
    "packed with zlib": Case(damaged(zlib.compress), POINTWISE, "record 0", "checksum of the length", "0x", "zlib", kept=4),
    "tag beyond all numbers": Case(lambda folder: small.aiac(folder, tags=f"11\n{'9' * 30}\n22\n"), "tag_list.txt", "line 2", "tag", "999", "10^18", kept=6),
    "packed with gzip": Case(damaged(gzip.compress), POINTWISE, "record 0", "checksum of the length", "0x", "gzip", kept=4),
    "wrong width": Case(second(frame_feature=frames(width=8)), POINTWISE, "record 1 (video 2)", "frame_feature", "8", "1536", kept=6),
    "two widths": Case(second(frame_feature=[b"\0" * 8, b"\0" * 10]), POINTWISE, "record 1 (video 2)", "frame_feature", "[8, 10] bytes", "one width", kept=6),
    "NaN": Case(second(frame_feature=frames(value=np.nan)), POINTWISE, "record 1 (video 2)", "frame_feature", "nan in frame 1", "extract the features again", kept=6),
    "infinite": Case(second(frame_feature=frames(value=np.inf)), POINTWISE, "record 1 (video 2)", "frame_feature", "inf in frame 1", "extract the features again", kept=6),
    "no frames": Case(second(frame_feature=[]), POINTWISE, "record 1 (video 2)", "frame_feature", "0", "at least one frame", kept=6),
    "too many frames": Case(second(frame_feature=frames(33)), POINTWISE, "record 1 (video 2)", "frame_feature", "33", "at most 32 frames", kept=6),
    "missing title": Case(second(title=None), POINTWISE, "record 1 (video 2)", "title", "missing", "every record needs it", kept=6),
    "missing id": Case(second(id=None), POINTWISE, "record 1", "id", "missing", "every record needs it", kept=6),
    "title not UTF-8": Case(second(title=[b"\xff\xfe"]), POINTWISE, "record 1 (video 2)", "title", "xff", "convert the file to UTF-8", kept=6),
    "title of bytes cut in a character": Case(second(title=["标".encode()[:2]]), POINTWISE, "record 1 (video 2)", "title", "xe6", "UTF-8", kept=6),
    "duplicate id": Case(lambda folder: small.aiac(folder, [record("1"), record("2"), record("1")]), POINTWISE, "video 1", "id", "'1'", "the same id came before", kept=6),
    "id that is no number": Case(second(id=[b"x2"]), POINTWISE, "record 1", "id", "x2", "decimal number", kept=6),
    "negative tag": Case(second(tag_id=[11, -3]), POINTWISE, "record 1 (video 2)", "tag_id", "-3", "non-negative", kept=6),
    "text as tag": Case(second(tag_id=[b"11"]), POINTWISE, "record 1 (video 2)", "tag_id", "11", "non-negative", kept=6),
    "category of four digits": Case(second(category_id=[1080]), POINTWISE, "record 1 (video 2)", "category_id", "1080", "five digits", kept=6),
    "line of the tag list": Case(lambda folder: small.aiac(folder, tags="11\ntag\n22\n"), "tag_list.txt", "line 2", "tag", "'tag'", "non-negative", kept=6),
    "pair of an unknown video": Case(pairs("5\t77\t0.5"), LABELS, "line 2", "id2", "'77'", "drop the pair", kept=6),
    "score above 1": Case(pairs("5\t15\t1.05"), LABELS, "line 2", "score", "1.05", "[0, 1]", kept=6),
    "negative score": Case(pairs("5\t15\t-0.05"), LABELS, "line 2", "score", "-0.05", "[0, 1]", kept=6),
    "NaN score": Case(pairs("5\t15\tnan"), LABELS, "line 2", "score", "nan", "[0, 1]", kept=6),
    "score that is no number": Case(pairs("5\t15\thigh"), LABELS, "line 2", "score", "'high'", "[0, 1]", kept=6),
    "pair of two fields": Case(pairs("5 15 0.5"), LABELS, "line 2", "line", "5 15 0.5", "<tab>", kept=6),
}  # fmt: skip

WECHAT = {
    "missing category": Case(wechat(category_id=None), "labeled.json", "record 1", "category_id", "missing", "every record needs it", kept=2, pairs=0),
    "unknown category": Case(wechat(category_id="9999"), "labeled.json", f"(video {ID1})", "category_id", "'9999'", "200 official", kept=2, pairs=0),
    "category as a number": Case(wechat(category_id=104), "labeled.json", f"(video {ID1})", "category_id", "104", "leading zeros", kept=2, pairs=0),
    "title that is no text": Case(wechat(title=3), "labeled.json", f"(video {ID1})", "title", "3", "must be text", kept=2, pairs=0),
    "text on screen as text": Case(wechat(ocr="字"), "labeled.json", f"(video {ID1})", "ocr", "字", "list of", kept=2, pairs=0),
    "duplicate id": Case(wechat(0), "labeled.json", annotation(0)["id"], "id", annotation(0)["id"], "the same id came before", kept=2, pairs=0),
    "member missing": Case(lambda folder: small.wechat(folder, features={ID1: None}), FEATURES, f"(video {ID1})", "", "", "archive", kept=2, pairs=0),
    "no array": Case(lambda folder: small.wechat(folder, features={ID1: b"hello"}), FEATURES, f"(video {ID1})", f"{ID1}.npy", "", "extract the features again", kept=2, pairs=0),
    "wrong width": Case(lambda folder: small.wechat(folder, features={ID1: matrix(2, 10)}), FEATURES, f"(video {ID1})", f"{ID1}.npy", "10", "768", kept=2, pairs=0),
    "one dimension": Case(lambda folder: small.wechat(folder, features={ID1: matrix(1, WECHAT_WIDTH)[0]}), FEATURES, f"(video {ID1})", f"{ID1}.npy", "(768,)", "matrix", kept=2, pairs=0),
    "NaN": Case(lambda folder: small.wechat(folder, features={ID1: np.full((1, WECHAT_WIDTH), np.nan, "<f2")}), FEATURES, f"(video {ID1})", f"{ID1}.npy", "nan in frame 0", "extract the features again", kept=2, pairs=0),
    "too large for half precision": Case(lambda folder: small.wechat(folder, features={ID1: np.full((1, WECHAT_WIDTH), 1e6)}), FEATURES, f"(video {ID1})", f"{ID1}.npy", "in frame 0", "extract the features again", kept=2, pairs=0),
    "frame that is no image": Case(lambda folder: small.wechat(folder, frames={ID1: {"01.jpg": b"GIF89a......"}}), f"{ID1}.zip", f"(video {ID1})", "01.jpg", "GIF89a", "not a JPEG, PNG or WebP", kept=2, pairs=0),
    "zip of no frames": Case(lambda folder: small.wechat(folder, frames={ID1: {}}), f"{ID1}.zip", f"(video {ID1})", "frames", "0", "at least one frame", kept=2, pairs=0),
}  # fmt: skip

GOOD = {"id": "a", "title": "甲", "frames": "a.npy"}


def custom(item: dict | bytes, extra: Callable[[Path], object] = lambda folder: None) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        extra(small.custom(folder, [GOOD, item, {"id": "c", "frames": "b.npy"}]))

    return make


CUSTOM = {
    "unknown key": Case(custom({"id": "b", "frames": "b.npy", "titel": "乙"}), "manifest.jsonl", "line 2 (video b)", "titel", "乙", "unknown key", kept=2, pairs=0),
    "no JSON": Case(custom(b'{"id": "b",'), "manifest.jsonl", "line 2", "JSON", '{"id"', "one JSON object", kept=2, pairs=0),
    "not UTF-8": Case(custom(b'{"id": "b", "title": "\xff", "frames": "b.npy"}'), "manifest.jsonl", "line 2", "", "", "UTF-8", kept=2, pairs=0),
    "no frames named": Case(custom({"id": "b"}), "manifest.jsonl", "line 2 (video b)", "frames", "missing", "path", kept=2, pairs=0),
    "no such file": Case(custom({"id": "b", "frames": "z.npy"}), "manifest.jsonl", "line 2 (video b)", "frames", "z.npy", "no such file", kept=2, pairs=0),
    "unreadable mp4": Case(custom({"id": "b", "frames": "b.mp4"}, lambda folder: (folder / "b.mp4").write_bytes(b"no movie" * 50)), "b.mp4 manifest.jsonl", "line 2 (video b)", "frames", "", "encode", kept=2, pairs=0),
    "image that is none": Case(custom({"id": "b", "frames": "b"}, lambda folder: ((folder / "b").mkdir(), (folder / "b" / "1.jpg").write_bytes(b"text"))), "b manifest.jsonl", "line 2 (video b)", "", "", "image", kept=2, pairs=0),
    "pointer of Git LFS for a movie": Case(plain("b.mp4", b"version https://git-lfs.github.com/spec/v1"), "manifest.jsonl", "line 2 (video b)", "frames", "b.mp4", "git lfs pull", kept=2, pairs=0),
    "web page for a movie": Case(plain("b.webm", b"\n<!DOCTYPE html>"), "manifest.jsonl", "line 2 (video b)", "frames", "b.webm", "web page", kept=2, pairs=0),
    "empty movie": Case(plain("b.mov", b""), "manifest.jsonl", "line 2 (video b)", "frames", "b.mov", "empty", kept=2, pairs=0),
    "gzip for an array": Case(plain("c.npy", b"\x1f\x8b" * 50), "manifest.jsonl", "line 2 (video b)", "frames", "c.npy", "gzip", kept=2, pairs=0),
    "web page for a picture": Case(plain("b/1.png", b"<html>"), "manifest.jsonl", "line 2 (video b)", "1.png", "<html>", "web page", kept=2, pairs=0),
    "JPEG cut short": Case(plain("b/1.jpg", small.picture(size=(64, 48))[:-20]), "manifest.jsonl", "line 2 (video b)", "1.jpg", "bytes", "decoded to its end", kept=2, pairs=0),
    "PNG cut short": Case(plain("b/1.png", small.picture(kind="PNG")[:-30]), "manifest.jsonl", "line 2 (video b)", "1.png", "bytes", "decoded to its end", kept=2, pairs=0),
    "PNG with a wrong checksum": Case(plain("b/1.png", flip(45)(small.picture(kind="PNG"))), "manifest.jsonl", "line 2 (video b)", "1.png", "bytes", "decoded to its end", kept=2, pairs=0),
    "pictures of another format": Case(plain("b/2.AVIF", b"ftyp"), "manifest.jsonl", "line 2 (video b)", "frames", "b/2.AVIF", "convert it", kept=2, pairs=0),
    "WebP cut short": Case(plain("b/2.webp", small.picture(kind="WEBP")[:-30]), "manifest.jsonl", "line 2 (video b)", "2.webp", "bytes", "decoded to its end", kept=2, pairs=0),
    "key that comes twice": Case(custom(b'{"id": "b", "frames": "b.npy", "category": "x", "category": "y"}'), "manifest.jsonl", "line 2", "JSON", "category", "'category' comes twice", kept=2, pairs=0),
    "negative tag": Case(custom({"id": "b", "frames": "b.npy", "tags": [1, -1]}), "manifest.jsonl", "line 2 (video b)", "tags", "-1", "non-negative", kept=2, pairs=0),
    "category as a number": Case(custom({"id": "b", "frames": "b.npy", "category": 101}), "manifest.jsonl", "line 2 (video b)", "category", "101", "text", kept=2, pairs=0),
    "title of a lone surrogate": Case(custom(b'{"id": "b", "frames": "b.npy", "title": "\\ud800"}'), "manifest.jsonl", "line 2 (video b)", "title", "ud800", "UTF-8", kept=2, pairs=0),
}  # fmt: skip

CASES = [
    pytest.param(case, id=f"{name}: {what}")
    for name, cases in (("aiac", AIAC), ("wechat", WECHAT), ("custom", CUSTOM))
    for what, case in cases.items()
]


def assert_names(error: dict[str, str], case: Case) -> None:
    assert Path(error["file"]).name in case.file.split()
    for field in ("record", "field", "value", "remedy"):
        assert getattr(case, field) in error[field], f"{field}: {error}"
        assert error[field]


@pytest.mark.parametrize("case", CASES)
def test_stops_and_leaves_nothing(case: Case, tmp_path: Path):
    case.make(tmp_path / "corpus")
    with pytest.raises(BadRecord) as caught:
        import_corpus(tmp_path / "corpus", tmp_path / "store")
    error = caught.value
    assert_names({name: getattr(error, name) for name in ("file", "record", "field", "value", "remedy")}, case)
    for part in (error.file, error.record, error.field, error.value, error.remedy):
        assert part in str(error)
    assert "\n" not in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.mark.parametrize("case", CASES)
def test_quarantine_goes_on(case: Case, tmp_path: Path):
    case.make(tmp_path / "corpus")
    store = import_corpus(tmp_path / "corpus", tmp_path / "store", quarantine=True)
    assert len(store) == case.kept == store.manifest["counts"]["videos"]
    assert len(store.pairs()) == case.pairs
    rejected = pq.read_table(tmp_path / "store" / "rejects.parquet").to_pylist()
    assert len(rejected) == 1 == store.manifest["counts"]["rejected"]
    assert_names(rejected[0], case)
    # the rows that were rejected left nothing in the files of the others
    assert sum(len(store.frames(row)) for row in range(len(store))) == store.manifest["counts"]["frames"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "store"]


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_annotations_cut_short(tmp_path: Path, cut: int):
    file = small.wechat(tmp_path / "corpus") / "annotations" / "labeled.json"
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(BadRecord, match="truncated|cut short|UTF-8") as caught:
        import_corpus(tmp_path / "corpus", tmp_path / "store")
    assert Path(caught.value.file).name == "labeled.json" and caught.value.record.startswith("record ")
    assert not (tmp_path / "store").exists()


def test_feature_archive_damaged(tmp_path: Path):
    file = small.wechat(tmp_path / "corpus") / "zip_feats" / "labeled.zip"
    data = bytearray(file.read_bytes())
    data[1000] ^= 1  # inside the first member
    file.write_bytes(data)
    with pytest.raises(BadRecord, match="copy it again") as caught:
        import_corpus(tmp_path / "corpus", tmp_path / "store")
    assert Path(caught.value.file).name == "labeled.zip"
    assert annotation(0)["id"] in caught.value.record


def test_unknown_layout(tmp_path: Path):
    (tmp_path / "corpus").mkdir()
    with pytest.raises(BadRecord, match="wechat2022"):
        import_corpus(tmp_path / "corpus", tmp_path / "store")
    with pytest.raises(BadRecord, match="missing"):
        import_corpus(tmp_path / "nowhere", tmp_path / "store")


def test_nothing_left_to_import(tmp_path: Path):
    """A corpus whose every record is bad gives no store, quarantine or not."""
    small.custom(tmp_path / "corpus", [{"id": "a"}])
    with pytest.raises(
        StoreError, match="no video could be imported .1 rejected; the first: .*line 1 .video a.: frames"
    ):
        import_corpus(tmp_path / "corpus", tmp_path / "store", quarantine=True)
    small.custom(tmp_path / "corpus", [])
    with pytest.raises(StoreError, match="no video could be imported .0 rejected; the source names none"):
        import_corpus(tmp_path / "corpus", tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_payload_that_is_no_example(tmp_path: Path):
    """Sound checksums around bytes that protobuf cannot read."""
    small.aiac(tmp_path / "corpus")
    payload, length = b"\xff" * 20, struct.pack("<Q", 20)
    good = encode(record("3"))
    parts = b""
    for content, head in ((payload, length), (good, struct.pack("<Q", len(good)))):
        parts += head + struct.pack("<I", masked_crc(head)) + content + struct.pack("<I", masked_crc(content))
    (tmp_path / "corpus" / "pointwise" / "pretrain_0.tfrecords").write_bytes(parts)
    with pytest.raises(BadRecord, match="not a tf.train.Example"):
        import_corpus(tmp_path / "corpus", tmp_path / "store")
    store = import_corpus(tmp_path / "corpus", tmp_path / "store", quarantine=True)
    assert store.column("id").tolist().count("3") == 1


def test_interrupted_store_says_so(tmp_path: Path):
    (tmp_path / "store.partial").mkdir()
    with pytest.raises(StoreError, match="unfinished import"):
        Store.open(tmp_path / "store")
