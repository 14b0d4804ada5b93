"""What every reader has in common: litter, byte-order marks, blank lines, missing values, damaged archives."""

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lab.corpora.importing import import_corpus, left_out
from lab.corpora.reading import json_array, member, open_zip, read_json, text_lines
from lib.data.rejects import BadRecord
from tests.corpora import small
from tests.corpora.small import annotation

BOM = b"\xef\xbb\xbf"


def test_lines_by_the_numbers_of_an_editor(tmp_path: Path):
    (tmp_path / "a").write_bytes(BOM + b"a\r\n\n \t\nb")
    assert list(text_lines(tmp_path / "a")) == [(1, "a"), (4, "b")]


@pytest.mark.parametrize("name", ["manifest.jsonl", "vocabulary.json", "pairs.jsonl", "pairs.tsv"])
def test_byte_order_marks_and_blank_lines_are_no_content(tmp_path: Path, name: str):
    items = [{"id": "a", "frames": "a.npy", "category": "x/y"}, {"id": "b", "frames": "b.npy"}]
    folder = small.custom(tmp_path / "corpus", items)
    pair = {"pairs.jsonl": '{"id1": "a", "id2": "b", "score": 0.5}\n', "pairs.tsv": "a\tb\t0.5\n"}
    (folder / (name if "pairs" in name else "pairs.tsv")).write_text(pair.get(name, pair["pairs.tsv"]))
    (folder / "vocabulary.json").write_text('{"categories": ["x/y"]}')
    before = import_corpus(folder, tmp_path / "before").fingerprint
    (folder / name).write_bytes(BOM + b"\r\n\n" * (name != "vocabulary.json") + (folder / name).read_bytes() + b"\n \n")
    assert import_corpus(folder, tmp_path / "after").fingerprint == before


def test_byte_order_marks_in_official_formats(tmp_path: Path):
    folder = small.aiac(tmp_path / "corpus")
    before = import_corpus(folder, tmp_path / "before").fingerprint
    for name in ("tag_list.txt", "pairwise/label.tsv"):
        (folder / name).write_bytes(BOM + (folder / name).read_bytes() + b"\r\n\r\n")
    assert import_corpus(folder, tmp_path / "after").fingerprint == before
    folder = small.wechat(tmp_path / "wechat")
    before = import_corpus(folder, tmp_path / "before", overwrite=True).fingerprint
    file = folder / "annotations" / "labeled.json"
    file.write_bytes(BOM + b"\n " + file.read_bytes())
    assert import_corpus(folder, tmp_path / "after", overwrite=True).fingerprint == before


def test_null_is_missing_in_lines_as_in_tables(tmp_path: Path):
    full = {"id": "a", "title": "甲", "asr": "说", "ocr": [{"time": 1.0, "text": "字"}], "tags": [1], "part": "test"}
    full |= {"category": "0105", "frames": "a.npy", "pairs": [{"id": "0", "score": 0.5}]}
    items = [dict.fromkeys(full) | {"frames": "a.npy"}, full, full | {"id": "b", "ocr": [{"time": None, "text": "字"}]}]
    lines, table = small.custom(tmp_path / "lines", items), small.custom(tmp_path / "table", [])
    (table / "manifest.jsonl").unlink()
    pq.write_table(pa.Table.from_pylist(items), table / "manifest.parquet")
    stores = [import_corpus(folder, tmp_path / f"store of {folder.name}") for folder in (lines, table)]
    assert stores[0].fingerprint == stores[1].fingerprint
    video = stores[0].video(0)
    assert (video.id, video.title, video.asr, video.ocr, video.part) == ("0", "", "", (), "pairwise")
    assert stores[0].video(2).ocr == ((0.0, "字"),)


def test_null_in_official_annotations_is_missing(tmp_path: Path):
    items = [annotation(0), annotation(1)]
    items[1]["category_id"] = None
    with pytest.raises(BadRecord, match="category_id is 'missing': every record needs it"):
        import_corpus(small.wechat(tmp_path / "corpus", items), tmp_path / "store")


def test_litter_of_other_systems_is_no_data(tmp_path: Path):
    junk = b"\0\5\x16\7"
    folder = small.custom(tmp_path / "corpus", [{"id": "p", "frames": "p"}])
    (folder / "p").mkdir()
    for name in (
        "._1.jpg",
        "Thumbs.db",
        ".DS_Store",
        "ehthumbs.db",
        "Desktop.ini",
        "~$1.jpg",
        "1.jpg:Zone.Identifier",
        "Icon\r",
    ):
        (folder / "p" / name).write_bytes(junk)
    (folder / "p" / "1.jpg").write_bytes(small.picture())
    assert import_corpus(folder, tmp_path / "store").video(0).images == (small.picture(),)
    pictures = {"01.jpg": small.picture(), "__MACOSX/._01.jpg": junk, "Thumbs.db": junk, "$RECYCLE.BIN/02.jpg": junk}
    pictures |= {"@eaDir/01.jpg": junk, "a/.ipynb_checkpoints/01.jpg": junk, "System Volume Information/x": junk}
    folder = small.wechat(tmp_path / "wechat", frames={annotation(0)["id"]: pictures})
    (folder / "annotations" / "._labeled.json").write_bytes(junk)
    store = import_corpus(folder, tmp_path / "store2")
    assert len(store) == 3 and store.video(0).images == (small.picture(),)
    folder = small.aiac(tmp_path / "aiac")
    (folder / "pointwise" / "._pretrain_0.tfrecords").write_bytes(junk)
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "a.tfrecords").write_bytes(junk)
    assert len(import_corpus(folder, tmp_path / "store3")) == 6


def test_shards_under_the_names_tensorflow_gives_them(tmp_path: Path):
    folder = small.aiac(tmp_path / "corpus")
    file = folder / "pointwise" / "pretrain_0.tfrecords"
    file.rename(file.with_name("pretrain_0.tfrecord-00000-of-00001"))
    assert len(import_corpus(folder, tmp_path / "store")) == 6


def test_nothing_but_an_array_of_objects(tmp_path: Path):
    for content in ("", "{}", '"text"'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(BadRecord, match="one JSON array of objects"):
            list(json_array(tmp_path / "a.json"))
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(BadRecord, match="record 0: JSON"):
        list(json_array(tmp_path / "a.json"))


@pytest.mark.parametrize("rest", ['[{"id": "c"}]', "x", "\0", ', {"id": "c"}'])
def test_nothing_may_stand_behind_an_array(tmp_path: Path, rest: str):
    """Half of what was concatenated would be lost without a word."""
    (tmp_path / "a.json").write_text('[{"id": "a"}, {"id": "b"}]\n' + rest)
    with pytest.raises(BadRecord, match="record 2: JSON is .*something after the end of the array"):
        list(json_array(tmp_path / "a.json"))


def test_a_damaged_table_is_named(tmp_path: Path):
    """In its pages, which are read after the end of the file that describes them was found to be sound."""
    folder = small.custom(tmp_path / "corpus", [])
    (folder / "manifest.jsonl").unlink()
    pq.write_table(pa.table({"id": ["a", "b"], "frames": ["a.npy", "b.npy"]}), folder / "manifest.parquet")
    data = (folder / "manifest.parquet").read_bytes()
    for place in (10, 20, 60):
        (folder / "manifest.parquet").write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        with pytest.raises(BadRecord, match="manifest.parquet: row 0 or after it: content is .*damaged"):
            import_corpus(folder, tmp_path / "store")


def test_a_name_that_comes_twice_is_refused_wherever_it_may(tmp_path: Path):
    folder = small.custom(tmp_path / "corpus", [])
    (folder / "manifest.jsonl").unlink()
    table = pa.table([pa.array([name]) for name in ("a", "a.npy", "b.npy")], names=["id", "frames", "frames"])
    pq.write_table(table, folder / "manifest.parquet")
    with pytest.raises(BadRecord, match="the column 'frames' comes twice"):
        import_corpus(folder, tmp_path / "store")
    (folder / "manifest.parquet").unlink()
    (folder / "manifest.csv").write_text("id,frames,frames\na,a.npy,b.npy\n")
    with pytest.raises(BadRecord, match="manifest.csv: line 1: .*each once"):
        import_corpus(folder, tmp_path / "store")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for content in ("1", "2"):
            archive.writestr("1.jpg", content)
    with pytest.raises(zipfile.BadZipFile, match="the member '1.jpg' comes twice"):
        open_zip(tmp_path / "a.zip")


@pytest.mark.parametrize(("content", "says"), [(b"<html>", "web page"), (b"", "empty"), (gzip.compress(b"x", mtime=0), "gzip"),
    (b"version https://git-lfs", "git lfs pull"), (b"PK\3\4 and no more", "not a zip file")])  # fmt: skip
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes, says: str):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match=says):
        open_zip(tmp_path / "a.zip")


def test_names_that_are_no_text_are_told(tmp_path: Path):
    """A file whose name is bytes of another encoding, and such an id in a manifest: rejected as any other, and listed."""
    (tmp_path / "videos").mkdir()
    small.movie(tmp_path / "videos" / "a.mp4")
    shutil.copy(tmp_path / "videos" / "a.mp4", os.fsencode(tmp_path / "videos") + b"/\xd6\xd0.mp4")
    manifest = small.custom(tmp_path / "corpus", [b'{"id": "\xd6\xd0", "frames": "a.npy"}', {"frames": "a.npy"}])
    for folder in (tmp_path / "videos", manifest):
        with pytest.raises(BadRecord, match="not valid UTF-8"):
            import_corpus(folder, tmp_path / "store", overwrite=True)
        store = import_corpus(folder, tmp_path / "store", quarantine=True, overwrite=True)
        (row,) = pq.read_table(store.path / "rejects.parquet").to_pylist()
        assert len(store) == 1 and "\\udcd6\\udcd0" in row["record"]


def test_every_flipped_byte_of_an_archive_is_noticed(tmp_path: Path):
    """Content changed anywhere gives the same content, no such member, or BadZipFile: never other content or error."""
    members = {"a.npy": bytes(range(40)), "b.npy": b"hello world" * 3}
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    good, same = (tmp_path / "a.zip").read_bytes(), 0
    for place in range(len(good)):
        (tmp_path / "b.zip").write_bytes(good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :])
        for name, content in members.items():
            try:
                with open_zip(tmp_path / "b.zip") as archive:
                    assert member(archive, name) == content, place
                    same += 1
            except (KeyError, zipfile.BadZipFile):
                continue
    assert 0 < same < 2 * len(good)


def test_one_bad_byte_costs_one_annotation(tmp_path: Path):
    folder = small.wechat(tmp_path / "corpus", [annotation(0), annotation(1, title="REPLACED"), annotation(2)])
    file = folder / "annotations" / "labeled.json"
    file.write_bytes(file.read_bytes().replace(b"REPLACED", b"a\xffb"))
    with pytest.raises(BadRecord, match=r"labeled.json: record 1 .*title is .*ff.*UTF-8"):
        import_corpus(folder, tmp_path / "store")
    store = import_corpus(folder, tmp_path / "store", quarantine=True)
    assert len(store) == 3 and store.manifest["counts"]["rejected"] == 1
    assert json.loads(file.read_text(errors="replace"))[1]["id"] not in store.column("id")


@pytest.mark.parametrize(("megabytes", "noise"), [(65, False), (1, False), (70, True)])
def test_a_bomb_is_refused_by_the_sizes_it_declares(tmp_path: Path, megabytes: int, noise: bool):
    data = os.urandom(megabytes << 20) if noise else bytes(megabytes << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.npy", data)
    with open_zip(tmp_path / "a.zip") as archive:
        if megabytes == 65:
            with pytest.raises(zipfile.BadZipFile, match="would unpack to 68,157,440"):
                member(archive, "a.npy")
        else:
            assert member(archive, "a.npy") == data


def test_a_key_that_comes_twice_is_refused_wherever_json_is_read(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"tags": [1], "tags": [2]}')
    with pytest.raises(BadRecord, match="'tags' comes twice"):
        read_json(tmp_path / "a.json")
    (tmp_path / "b.json").write_text('[{"id": "a"}, {"id": "b", "id": "c"}]')
    with pytest.raises(BadRecord, match="record 1: .*'id' comes twice"):
        list(json_array(tmp_path / "b.json"))


def test_files_that_a_format_does_not_know_are_named(tmp_path: Path):
    folder = small.aiac(tmp_path / "aiac")
    for name in ("pointwise/a.tfrecords.gz", "a.tfrecords", ".DS_Store", "twin.json"):
        (folder / name).write_bytes(b"")
    assert left_out(folder, "aiac2021") == ["a.tfrecords", "pointwise/a.tfrecords.gz"]
    folder = small.wechat(tmp_path / "wechat", frames={})
    (folder / "annotations" / "test_b.jsonl").write_bytes(b"")
    assert left_out(folder, "wechat2022") == ["annotations/test_b.jsonl"]
    folder = small.custom(tmp_path / "custom", [], "a\tb\t1\n")
    for name in ("pairs.txt", "A.JPG", "b.webp", "c.psd", "Thumbs.db"):
        (folder / name).write_bytes(b"")
    assert left_out(folder, "custom") == ["c.psd", "pairs.txt"]


def recoded(encoding: str):
    return lambda data: data.decode("gbk").encode(encoding)


UNPACK, SAVE = "unpack it first", "save it as UTF-8"
PACKED = {
    "gzip": (gzip.compress, f"packed with gzip; {UNPACK}"), "bzip2": (bz2.compress, f"packed with bzip2; {UNPACK}"),
    "xz": (lzma.compress, f"packed with xz; {UNPACK}"), "zlib": (zlib.compress, f"packed with zlib; {UNPACK}"),
    "zip": (lambda data: zipped(data), f"a zip archive; {UNPACK}"), "page": (lambda data: b"<!DOCTYPE html>" + data, "web page"),
    "UTF-16": (recoded("utf-16"), SAVE), "big UTF-16": (recoded("utf-16-be"), SAVE), "UTF-32": (recoded("utf-32"), SAVE),
    "pointer": (lambda data: b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
}  # fmt: skip


def zipped(data: bytes) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("a", data)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize(
    "name", ["manifest.jsonl", "manifest.csv", "vocabulary.json", "pairs.tsv", "pairs.csv", "pairs.jsonl"]
)
def test_packed_text_is_named(tmp_path: Path, name: str, pack: str):
    """Or text of another kind; also where what is inside is GBK: no value of it is shown as if it had been read."""
    folder = small.custom(tmp_path / "corpus", [{"id": "a", "frames": "a.npy"}])
    if name == "manifest.csv":
        (folder / "manifest.jsonl").unlink()
    make, says = PACKED[pack]
    (folder / name).write_bytes(make("id,视频,标题".encode("gbk")))
    with pytest.raises(BadRecord, match=f"{name}: file: content is .*{says}"):
        import_corpus(folder, tmp_path / "store", quarantine=True)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
