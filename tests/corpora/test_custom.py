"""One's own corpora: every way to write a manifest, and what is wrong with those that cannot be read."""

import csv
import io
import json
import string
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lab.corpora import custom
from lab.corpora.importing import import_corpus
from lib.data import pixels
from lib.data.rejects import BadRecord
from lib.data.store import Store, StoreError
from lib.features.pictures import decode
from tests.corpora import small

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
LINE = st.fixed_dictionaries({"time": st.floats(0, 1e6, allow_nan=False), "text": TEXT})
ITEM = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXT, "asr": TEXT, "ocr": st.lists(LINE, max_size=3), "tags": st.lists(st.integers(0, 2**63 - 1), max_size=4),
        "category": st.sampled_from(["0105", "animals/cat", "狗"]), "part": st.text(string.ascii_lowercase, min_size=1, max_size=5),
    },
)  # fmt: skip


def test_folders_of_videos_need_no_manifest(tmp_path: Path):
    """Folders are categories, file names titles; what is no video is named, and pictures beside movies are no videos."""
    folder = tmp_path / "my videos"
    for name in ("pets/cats", "pets/a photo story", "cars"):
        (folder / name).mkdir(parents=True)
    small.movie(folder / "pets" / "cats" / "two_cats.mp4")
    small.movie(folder / "cars" / "red car.mp4")
    (folder / "cars" / "cover.jpg").write_bytes(small.picture())
    (folder / "pets" / "a photo story" / "1.jpg").write_bytes(small.picture(7))
    (folder / "notes.txt").write_text("mine")
    videos = {video.id: video for video in import_corpus(folder, tmp_path / "store")}
    assert {name: (video.title, video.category) for name, video in videos.items()} == {
        "cars/red car.mp4": ("red car", "cars"), "pets/a photo story": ("a photo story", "pets"), "pets/cats/two_cats.mp4": ("two cats", "pets/cats"),
    }  # fmt: skip
    assert len(videos["cars/red car.mp4"].images) == 3 and videos["pets/a photo story"].images == (small.picture(7),)
    says = custom.told(folder)
    assert "3 videos, file names as titles, 3 folders as categories" in says
    assert "2 files that are no videos left aside (notes.txt, cars/cover.jpg)" in says


def test_scored_pairs_of_videos_without_manifest(tmp_path: Path):
    (tmp_path / "in").mkdir()
    small.movie(tmp_path / "in" / "a.mp4")
    small.movie(tmp_path / "in" / "b.mp4")
    (tmp_path / "in" / "pairs.tsv").write_text("a.mp4\tb.mp4\t0.5\n")
    store = import_corpus(tmp_path / "in", tmp_path / "store")
    assert store.track == "pairs" and store.pairs()["score"].tolist() == [0.5] and store.manifest["categories"] is None


@pytest.mark.parametrize("name", ["1.jpg", "1.webp", "1.tif"])
def test_a_folder_of_loose_pictures_is_not_taken_for_a_corpus(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(small.picture())
    with pytest.raises(BadRecord, match="a folder of pictures is one video, so give the folder above it"):
        import_corpus(tmp_path, tmp_path.parent / "store")


def test_webp_pictures_are_read_and_others_named(tmp_path: Path):
    """Each in a folder of its own, so that the folder is a video, whatever its pictures are."""
    for name, data in {
        "a/1.webp": small.picture(90, kind="WEBP"),
        "b/1.jpg": small.picture(),
        "c/1.bmp": b"BM",
    }.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_bytes(data)
    with pytest.raises(BadRecord, match=r"frames is 'c/1.bmp': only .jpg, .jpeg, .png, .webp are read; convert it"):
        import_corpus(tmp_path / "in", tmp_path / "store")
    store = import_corpus(tmp_path / "in", tmp_path / "store", quarantine=True)
    assert store.column("id").tolist() == ["a", "b"] and abs(decode(store.images(0)[0])[0].mean() - 90) < 4


@pytest.mark.parametrize("name", ["~/clips/a.mp4", "clips\\a.mp4", "./clips//a.mp4", "HERE/clips/a.mp4"])
def test_paths_of_a_manifest_as_people_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    """From home, as Windows writes them, doubled, from the root."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = small.custom(tmp_path, [{"id": "a", "frames": name.replace("HERE", str(tmp_path))}])
    (tmp_path / "clips").mkdir()
    small.movie(tmp_path / "clips" / "a.mp4")
    assert len(import_corpus(folder / "manifest.jsonl", tmp_path / "store").images(0)) == 3


@pytest.mark.parametrize("name", ["~/none.mp4", "~nobody/a.mp4", "C:\\clips\\a.mp4"])
def test_a_path_that_leads_nowhere_is_named(tmp_path: Path, name: str):
    with pytest.raises(BadRecord, match="no such file or folder beside the manifest"):
        load(tmp_path, [{"id": "a", "frames": name}])


def load(folder: Path, items: list[dict], **options) -> Store:
    return import_corpus(small.custom(folder / "corpus", items), folder / "store", overwrite=True, **options)


@given(items=st.lists(ITEM, min_size=1, max_size=5), table=st.booleans())
@settings(max_examples=40, deadline=None)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, items: list[dict], table: bool):
    """What a manifest says is what the store says, as lines and as a table."""
    folder = tmp_path_factory.mktemp("custom")
    items = [item | {"frames": "a.npy"} for item in items]
    small.custom(folder / "corpus", items)
    if table:
        (folder / "corpus" / "manifest.jsonl").unlink()
        lists = {"ocr": pa.struct({"time": pa.float64(), "text": pa.string()}), "tags": pa.int64()}
        schema = dict.fromkeys(("title", "asr", "category", "part", "frames"), pa.string())
        schema |= {name: pa.list_(kind) for name, kind in lists.items()}
        table = pa.Table.from_pylist(items, schema=pa.schema(schema))
        pq.write_table(table, folder / "corpus" / "manifest.parquet")
    store = import_corpus(folder / "corpus", folder / "store")
    for number, (item, video) in enumerate(zip(items, store, strict=True)):
        assert video.id == str(number)
        assert (video.title, video.asr) == (item.get("title", ""), item.get("asr", ""))
        assert video.ocr == tuple((line["time"], line["text"]) for line in item.get("ocr", ()))
        assert video.tags == (tuple(item["tags"]) if "tags" in item else None)
        assert video.category == item.get("category") and video.part == item.get("part", "labeled")
        assert (video.frames == small.matrix(2, 6)).all()
    known = sorted({item["category"] for item in items if "category" in item})
    assert (store.manifest["categories"] or []) == known
    expected = [known.index(item["category"]) if "category" in item else -1 for item in items]
    assert store.categories().tolist() == expected


VIDEOS = [{"id": "a", "frames": "a.npy"}, {"id": "b", "frames": "b.npy"}, {"id": "c", "frames": "b.npy"}]


def test_labels_and_pairs_of_a_test_part_are_kept(tmp_path: Path):
    """What systems are scored on: videos of any part have a category, pairs belong to the part of their videos."""
    parts = ("pairwise", "test", "test")
    items = [item | {"part": part, "category": "dog"} for item, part in zip(VIDEOS, parts, strict=True)]
    store = import_corpus(small.custom(tmp_path / "corpus", items, "b\tc\t0.5\n"), tmp_path / "store")
    assert store.rows("test").tolist() == [1, 2] and store.categories().tolist() == [0, 0, 0]
    assert store.pairs()[["row1", "row2", "score"]].to_numpy().tolist() == [[1, 2, 0.5]]


def test_pairs_in_every_form(tmp_path: Path):
    """Inside the manifest (also towards videos that come later), as lines, as objects, as a table: the same store."""
    prints = set()
    inside = {"inside": {"pairs": [["c", 0.25], ["b", 1]]}}
    inside["objects"] = {"pairs": [{"id": "c", "score": 0.25}, {"id": "b", "score": 1}]}
    for form in (*inside, "tsv", "jsonl", "parquet"):
        folder = small.custom(tmp_path / form, [VIDEOS[0] | inside.get(form, {}), *VIDEOS[1:]])
        pairs = [{"id1": "a", "id2": "c", "score": 0.25}, {"id1": "a", "id2": "b", "score": 1.0}]
        if form == "tsv":
            (folder / "pairs.tsv").write_text("a\tc\t0.25\r\na\tb\t1\n\n")
        elif form == "jsonl":
            (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
        elif form == "parquet":
            pq.write_table(pa.Table.from_pylist(pairs), folder / "pairs.parquet")
        store = import_corpus(folder, tmp_path / f"store {form}")
        assert store.track == "pairs" and store.pairs().to_numpy().tolist() == [[0, 2, 0.25], [0, 1, 1]]
        prints.add(store.fingerprint)
    assert len(prints) == 1


@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_tables_of_a_spreadsheet(tmp_path: Path, comma: str):
    """A byte-order mark, quotes, line breaks in cells, empty cells and lines of them, speech of an hour, and commas in numbers
    where semicolons part cells."""
    rows = [
        ("id", "title", "asr", "tags", "category", "frames"),
        ("a", 'a "b", c;\td\nd', "言" * 200_000, "3 14", "x/y", "a.npy"),
        ("", "", "", "", "", ""),
        ("b", "", "", "", "", "b.npy"),
    ]
    pairs = [("id1", "id2", "score"), ("a", "b", "0,5" if comma == ";" else "0.5"), ("", "", ""), ("b", "a", "0")]
    folder = small.custom(tmp_path / "corpus", [])
    (folder / "manifest.jsonl").unlink()
    for name, content in (("manifest.csv", rows), ("pairs.csv", pairs)):
        with (folder / name).open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter=comma).writerows(content)
    store = import_corpus(folder, tmp_path / "store")
    assert store.track == "pairs" and store.pairs().to_numpy().tolist() == [[0, 1, 0.5], [1, 0, 0]]
    first, second = store
    assert (first.title.replace("\r", ""), first.tags, first.category) == ('a "b", c;\td\nd', (3, 14), "x/y")
    assert len(first.asr) == 200_000
    assert (second.title, second.tags, second.category) == ("", None, None)
    (folder / "manifest.jsonl").write_text("")
    with pytest.raises(BadRecord, match="keep one of them"):
        import_corpus(folder, tmp_path / "again")


@pytest.mark.parametrize(
    ("manifest", "pairs", "record", "field", "remedy"),
    [
        ("id,frames\na,a.npy,x\n", "", "line 2", "line", "as many values"), ('id,frames\n"a,a.npy\n', "", "line 2", "line", "as many values"),
        ("id,tags,frames\na,3 x,a.npy\n", "", "line 2 (video a)", "tags", "non-negative"), ("id,video\na,a.npy\n", "", "line 2 (video a)", "video", "'frames'"),
        ("id,Label,frames\na,x,a.npy\n", "", "line 2 (video a)", "Label", "'category'"), ("id,frames\na,b\n", "", "line 2 (video a)", "frames", "readable"),
        ("id,frames\na,a.npy\n", "id1,id2,score\na,a,high\n", "line 2", "score", "[0, 1]"), ("id,frames\na,a.npy\n", "id1,id2\na,a\n", "line 1", "line", "id1, id2, score"),
        ("id,frames\na,a.npy\n", "a,a,0.5\n", "line 1", "line", "id1, id2, score"), ("ID,frames\na,a.npy\n", "", "line 2", "ID", "'id'"),
        ("id,frames\n1.40112E+19,a.npy\n", "", "line 2", "id", "spreadsheet"), ("id,frames\na,a.npy\n", "id1,id2,score\na,a,0_1\n", "line 2", "score", "[0, 1]"),
    ],
)  # fmt: skip
def test_wrong_tables(tmp_path: Path, manifest: str, pairs: str, record: str, field: str, remedy: str):
    folder = small.custom(tmp_path / "corpus", [], None)
    (folder / "manifest.jsonl").unlink()
    (folder / "b").mkdir()
    (folder / "b" / "1.jpg").symlink_to("nowhere")
    (folder / "manifest.csv").write_text(manifest)
    if pairs:
        (folder / "pairs.csv").write_text(pairs)
    with pytest.raises(BadRecord) as caught:
        import_corpus(folder, tmp_path / "store")
    assert (caught.value.record, caught.value.field) == (record, field) and remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "record", "field", "remedy"),
    [
        ('{"id1": "a", "id2": "z", "score": 0.5}', "line 1", "id2", "no video of that id"),
        ('{"id1": "a", "id2": "b", "score": 1.5}', "line 1", "score", "[0, 1]"),
        ('{"id1": "a", "id2": "b", "score": "0.5"}', "line 1", "score", "[0, 1]"),
        ('{"id1": "a", "id2": "b", "score": NaN}', "line 1", "score", "[0, 1]"),
        ('{"id1": "a", "id2": "b"}', "line 1", "score", "id1, id2 and score"),
        ('["a", "b", 0.5]', "line 1", "record", "one JSON object"),
        ('{"id1": ', "line 1", "JSON", "one JSON object"),
    ],
)
def test_wrong_pairs(tmp_path: Path, content: str, record: str, field: str, remedy: str):
    folder = small.custom(tmp_path / "corpus", VIDEOS)
    (folder / "pairs.jsonl").write_text(content + "\n")
    with pytest.raises(BadRecord) as caught:
        import_corpus(folder, tmp_path / "store")
    error = caught.value
    assert (Path(error.file).name, error.record, error.field) == ("pairs.jsonl", record, field)
    assert remedy in error.remedy
    assert import_corpus(folder, tmp_path / "store", quarantine=True).manifest["counts"]["rejected"] == 1


@pytest.mark.parametrize("pair", [["z", 0.5], ["b", 2], ["b", None], ["b"], "b"])
def test_wrong_pairs_inside_the_manifest(tmp_path: Path, pair):
    items = [VIDEOS[0] | {"pairs": [pair]}, *VIDEOS[1:]]
    with pytest.raises(BadRecord) as caught:
        load(tmp_path, items)
    assert Path(caught.value.file).name == "manifest.jsonl" and "line 1 (video a)" in caught.value.record
    store = load(tmp_path, items, quarantine=True)
    assert len(store) == 3 and store.manifest["counts"]["rejected"] == 1


def test_declared_vocabulary(tmp_path: Path):
    """What ``vocabulary.json`` lists is the vocabulary, used or not; anything else is unknown."""
    labels = {"tags": [7], "category": "animals/cat"}, {"tags": [9]}, {"category": "animals/cta"}
    items = [video | label for video, label in zip(VIDEOS, labels, strict=True)]
    folder = small.custom(tmp_path / "corpus", items)
    (folder / "vocabulary.json").write_text(json.dumps({"tags": [8, 7], "categories": ["plants/oak", "animals/cat"]}))
    with pytest.raises(BadRecord, match="unknown tag") as caught:
        import_corpus(folder, tmp_path / "store")
    assert (caught.value.record, caught.value.field, caught.value.value) == ("line 2 (video b)", "tags", "9")
    store = import_corpus(folder, tmp_path / "store", quarantine=True)
    assert store.manifest["tags"] == [7, 8] and store.manifest["categories"] == ["animals/cat", "plants/oak"]
    rejected = pq.read_table(tmp_path / "store" / "rejects.parquet").to_pylist()
    found = [(row["record"], row["field"]) for row in rejected]
    assert found == [("line 2 (video b)", "tags"), ("line 3 (video c)", "category")]
    assert "did you mean 'animals/cat'?" in rejected[1]["remedy"]


@pytest.mark.parametrize(
    ("change", "field", "remedy"),
    [
        ({"id": 1.5}, "id", "text or a whole number"), ({"title": "\ud800"}, "title", "UTF-8"),
        ({"title": 3}, "title", "must be text"), ({"ocr": [{"time": "now", "text": "x"}]}, "ocr", "number of seconds"),
        ({"ocr": [{"time": 1}]}, "ocr", "must be text"), ({"tags": "1 2"}, "tags", "list"),
        ({"tags": [True]}, "tags", "unknown tag"), ({"tags": [1 << 63]}, "tags", "unknown tag"),
        ({"category": ""}, "category", "unknown category"), ({"titel": "x"}, "titel", "did you mean 'title'?"),
        ({"frames": "manifest.jsonl"}, "frames", ".npy, a folder of images or a video"),
        ({"frames": ["a.npy"]}, "frames", "give the path"), ({"frames": "big.npy"}, "frames", "finite half-precision"),
        ({"frames": "text.npy"}, "frames", "matrix of numbers"), ({"frames": "pickle.npy"}, "frames", "numpy.save"),
        ({"frames": "long.npy"}, "frames", "--max-frames"), ({"frames": "empty"}, "frames", "at least one frame"),
        ({"frames": "pictures"}, "frames", "features, or none"),
    ],
)  # fmt: skip
def test_wrong_fields(tmp_path: Path, change: dict, field: str, remedy: str):
    folder = small.custom(tmp_path / "corpus", [VIDEOS[0], {"id": "x", "frames": "b.npy"} | change])
    np.save(folder / "big.npy", np.full((1, 6), 70_000.0))  # above the largest half-precision number, 65,504
    np.save(folder / "text.npy", np.array([["a"] * 6]))
    np.save(folder / "pickle.npy", np.array([[None] * 6]), allow_pickle=True)
    np.save(folder / "long.npy", small.matrix(33, 6))
    for name in ("empty", "pictures"):
        (folder / name).mkdir()
    (folder / "pictures" / "1.jpg").write_bytes(small.picture())
    with pytest.raises(BadRecord) as caught:
        import_corpus(folder, tmp_path / "store")
    error = caught.value
    assert error.record.startswith("line 2") and error.field == field and remedy in error.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    store = import_corpus(folder, tmp_path / "store", quarantine=True)
    assert len(store) == 1


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = small.custom(tmp_path / "corpus", [{"id": "1", "frames": "one.npy"}])
    np.save(folder / "one.npy", np.ones((1, 6), "<f2"))

    def full(*_args, **_more):
        raise OSError(28, "Error writing bytes to file")

    monkeypatch.setattr("lib.data.writer.StoreWriter.add", full)
    with pytest.raises(OSError, match="store: the disk is full; free some space and give the same command again"):
        import_corpus(folder, tmp_path / "store")


@pytest.mark.parametrize("cover", ["", "a track of its own", "attached"])
def test_movie_without_pictures(tmp_path: Path, cover: str):
    """Sound alone, or with a cover as mp4 and as mkv hold it."""
    import av

    name = "a.mkv" if cover == "attached" else "a.mp4"
    folder = small.custom(tmp_path / "corpus", [{"id": "a", "frames": name}])
    with av.open(str(folder / name), "w") as target:
        stream = target.add_stream("aac", rate=16_000)
        if cover == "attached":
            target.add_attachment("cover.jpg", "image/jpeg", small.picture())
        elif cover:
            drawn = target.add_stream("mjpeg", width=32, height=32, pix_fmt="yuvj420p")
            drawn.disposition = av.stream.Disposition.attached_pic
            target.mux(drawn.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16_000
        target.mux(stream.encode(sound))
        target.mux(stream.encode())
    with pytest.raises(BadRecord, match="no picture track"):
        import_corpus(folder, tmp_path / "store")


def shade(data: bytes) -> int:
    return Image.open(io.BytesIO(data)).convert("RGB").getpixel((16, 16))[0]


def test_long_movie_is_sampled_evenly(tmp_path: Path):
    """80 seconds at two frames a second, of which 8 are kept: the middles of eight bins of ten seconds, 5, 15, ... 75."""
    small.movie(tmp_path / "a.mp4", [number // 2 * 3 for number in range(160)])
    shades = [shade(data) for data in pixels.from_movie(tmp_path / "a.mp4", 8)]
    assert shades == pytest.approx([3 * second for second in range(5, 80, 10)], abs=4)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize(
    ("rate", "start", "kept"), [(Fraction(1, 10), 0, [0, 1, 2, 3]), (2, 3600, [0, 2]), (25, 7, [0])]
)
def test_a_movie_is_sampled_at_the_seconds_that_have_a_picture(tmp_path: Path, name: str, rate, start: int, kept):
    """One every ten seconds; a clock that starts late; shorter than a second."""
    small.movie(tmp_path / name, [0, 60, 120, 180], rate=rate, start=0 if name == "a.avi" else start)
    shades = [shade(data) for data in pixels.from_movie(tmp_path / name, 32)]
    assert shades == pytest.approx([60 * number for number in kept], abs=8)


def test_the_next_frame_stands_for_one_that_was_lost():
    frames = [SimpleNamespace(pts=pts, time_base=1) for pts in (0, 1, 6, 7)]
    track = SimpleNamespace(time_base=1, average_rate=1)
    assert [frame.pts for frame in pixels._chosen(frames, track, [0, 3, 5, 7])] == [0, 6, 7]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize(("first", "last", "least"), [(0.5, 0.6, 19), (0.7, 1.0, 5)])
def test_what_can_be_read_of_a_damaged_movie_is_kept(tmp_path: Path, capsys, name: str, first, last, least: int):
    """Twenty seconds of noise around twenty shades: what was overwritten is lost, the seconds beside it are not."""
    random = np.random.default_rng(0)
    shades = [np.clip(random.normal(12 * (n // 5), 20, (64, 64)), 0, 255).astype(np.uint8) for n in range(100)]
    small.movie(tmp_path / name, shades, rate=5)
    whole = pixels.from_movie(tmp_path / name, 32)
    assert len(whole) == 20 and "damaged" not in capsys.readouterr().err
    data = bytearray((tmp_path / name).read_bytes())
    content = data.find(b"moov") if name == "a.mp4" else len(data)
    start, end = int(content * first), int(content * last) - 8
    data[start:end] = bytes(end - start)
    (tmp_path / name).write_bytes(data)
    kept = pixels.from_movie(tmp_path / name, 32)
    assert least <= len(kept) <= (20 if least == 19 else 8) and kept[:3] == whole[:3]
    told = f"a.mp4: damaged; {len(kept)} of 20 pictures could be read and are kept"
    assert name != "a.mp4" or told in capsys.readouterr().err  # which alone knows how much there should be


def test_a_link_that_leads_in_a_circle_ends(tmp_path: Path):
    (tmp_path / "in" / "pets").mkdir(parents=True)
    small.movie(tmp_path / "in" / "pets" / "a.mp4")
    (tmp_path / "in" / "pets" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "other").symlink_to(tmp_path / "in" / "pets")
    found, _ = pixels.clips(tmp_path / "in")
    assert [str(file.relative_to(tmp_path / "in")) for file in found] == ["other/a.mp4", "pets/a.mp4"]


# Corners of what is seen, from the top left clockwise, for the matrix of a file whose own are 1 2 3 4 (ISO 14496-12).
@pytest.mark.parametrize(
    ("matrix", "corners"),
    [((0, 1, -1, 0), "4123"), ((-1, 0, 0, -1), "3412"), ((0, -1, 1, 0), "2341"), ((-1, 0, 0, 1), "2143"), ((1, 0, 0, -1), "4321"), ((0, 1, 1, 0), "1432")],
)  # fmt: skip
def test_movies_are_upright(tmp_path: Path, matrix, corners: str):
    quarters = np.repeat(np.repeat([[60, 120], [240, 180]], 32, 0), 16, 1).astype(np.uint8)
    small.movie(tmp_path / "a.mp4", [quarters])
    data = (tmp_path / "a.mp4").read_bytes()
    (a, b, c, d), place = (value * 65536 for value in matrix), data.index(b"tkhd") + 44
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(data[:place] + turned + data[place + 36 :])
    picture = Image.open(io.BytesIO(pixels.from_movie(tmp_path / "a.mp4", 1)[0])).convert("L")
    w, h = picture.size
    assert (w > h) == (matrix[0] == 0)
    seen = [round(picture.getpixel((x, y)) / 60) for x, y in ((4, 4), (w - 5, 4), (w - 5, h - 5), (4, h - 5))]
    assert "".join(map(str, seen)) == corners


def test_pictures_in_natural_order(tmp_path: Path):
    for number in (10, 2, 1):
        (tmp_path / f"{number}.png").write_bytes(small.picture(number, kind="PNG"))
    (tmp_path / "notes.txt").write_text("not a picture")
    assert pixels.from_folder(tmp_path, 32) == tuple(small.picture(number, kind="PNG") for number in (1, 2, 10))


def test_manifest_itself_as_source(tmp_path: Path):
    folder = small.custom(tmp_path / "corpus", VIDEOS)
    (folder / "manifest.jsonl").rename(folder / "mine.jsonl")
    store = import_corpus(folder / "mine.jsonl", tmp_path / "store")
    assert len(store) == 3 and store.track == "classes"
    assert import_corpus(folder / "mine.jsonl", tmp_path / "pairs", track="pairs").track == "pairs"


def test_never_overwrites_what_is_no_store(tmp_path: Path):
    folder = small.custom(tmp_path / "corpus", VIDEOS)
    with pytest.raises(StoreError, match="lies inside"):
        import_corpus(folder, tmp_path, overwrite=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(small.picture())
    with pytest.raises(StoreError, match="not a store"):
        import_corpus(folder, tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "1.jpg").exists() and (folder / "manifest.jsonl").exists()


@pytest.mark.parametrize("megabytes", [0.01, 1])
def test_a_full_disk_leaves_nothing(tmp_path: Path, megabytes: float):
    """In a process that may write no longer files: in the first video, and somewhere on the way."""
    folder = small.custom(tmp_path / "corpus", [{"id": str(n), "frames": "big.npy"} for n in range(40)])
    np.save(folder / "big.npy", np.ones((32, 2000), "<f2"))  # 128 kB
    code = "import resource, signal, sys; from lab.cli import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({int(megabytes * 1e6)},) * 2); sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "corpus", "import", str(folder), "--out", str(tmp_path / "store")]
    done = subprocess.run(words, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "error: " in last and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
