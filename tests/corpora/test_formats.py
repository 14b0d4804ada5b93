"""Formats in, one schema out: TFRecords, annotations with zips, custom manifests, and the store they become."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.corpora import reading
from lab.corpora.checking import problems
from lab.corpora.importing import import_corpus
from lab.corpora.tfrecords import decode, encode, masked_crc, read_records, write_records
from lib.data.rejects import BadRecord
from lib.data.store import Store, StoreError
from tests.corpora import small
from tests.corpora.small import AIAC_WIDTH, annotation, matrix, record, rows_of

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = st.one_of(
    st.lists(st.binary(max_size=20), max_size=4),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.lists(FLOATS, max_size=4),
)
EXAMPLES = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


# ---- TFRecords


@given(EXAMPLES)
@settings(deadline=None)
def test_example_round_trip(example: dict[str, list]):
    assert decode(encode(example)) == example


@given(examples=st.lists(EXAMPLES, max_size=4))
@settings(max_examples=30, deadline=None)
def test_file_round_trip(tmp_path_factory: pytest.TempPathFactory, examples: list[dict[str, list]]):
    file = tmp_path_factory.mktemp("records") / "a.tfrecords"
    assert write_records(file, examples) == len(examples)
    assert list(read_records(file)) == list(enumerate(examples))


def test_framing_of_a_known_record(tmp_path: Path):
    """Masked CRC-32C as the TFRecord format defines it; CRC-32C of "123456789" is e3069283 (RFC 3720 B.4 polynomial)."""
    rotated = (0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF
    assert masked_crc(b"123456789") == (rotated + 0xA282EAD8) & 0xFFFFFFFF


def test_independent_reader_agrees(tmp_path: Path):
    """The ``tfrecord`` package reads the same ids, titles and tags; it cuts frames that end in zero bytes, ours does not."""
    import tfrecord

    file = tmp_path / "a.tfrecords"
    frames = matrix(2, AIAC_WIDTH)
    frames[:, -3:] = 0
    write_records(file, [record("77", frame_feature=[row.tobytes() for row in frames]), record("78", tag_id=[5])])
    kinds = {"id": "byte", "title": "byte", "tag_id": "int"}
    theirs = list(tfrecord.tfrecord_loader(str(file), None, kinds))
    ours = [example for _, example in read_records(file)]
    for left, right in zip(theirs, ours, strict=True):
        assert isinstance(right, dict)
        assert bytes(left["id"]) == right["id"][0] and bytes(left["title"]) == right["title"][0]
        assert np.ravel(left["tag_id"]).tolist() == right["tag_id"]
    assert ours[0]["frame_feature"] == [row.tobytes() for row in frames]


# ---- AIAC 2021


@pytest.fixture(scope="module")
def pair_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("aiac")
    frames = matrix(3, AIAC_WIDTH)
    frames[:, -4:] = 0
    pointwise = [
        record("1", frame_feature=[row.tobytes() for row in frames]),
        record("2", tag_id=[22, 99, 11], category_id=None),
        record("18446744073709551615", 1, tag_id=[]),
    ]
    small.aiac(folder / "corpus", pointwise)
    return import_corpus(folder / "corpus", folder / "store")


def test_zeros_at_the_end_of_a_frame_survive(pair_store: Store):
    expected = matrix(3, AIAC_WIDTH)
    expected[:, -4:] = 0
    assert (pair_store.frames(rows_of(pair_store, ["1"])[0]) == expected).all()


def test_videos_as_written(pair_store: Store):
    video = pair_store.video(rows_of(pair_store, ["5"])[0])
    assert (video.id, video.title, video.asr, video.tags) == ("5", "标题 5", "你好", (11, 22))
    assert (video.category, video.part, video.images) == ("10802", "pairwise", ())
    test = pair_store.video(rows_of(pair_store, ["90"])[0])
    assert (test.tags, test.category, test.part) == (None, None, "test_a")
    assert pair_store.frame_dim == AIAC_WIDTH and pair_store.track == "pairs"
    assert pair_store.video(0, frames=False).frames is None


def test_single_frame_and_most_frames(pair_store: Store):
    assert pair_store.frames(rows_of(pair_store, ["10"])[0]).shape == (1, AIAC_WIDTH)
    assert pair_store.frames(rows_of(pair_store, ["15"])[0]).shape == (32, AIAC_WIDTH)


def test_rows_and_parts(pair_store: Store):
    parts = pair_store.column("part")
    assert pair_store.rows().tolist() == list(range(7)) == list(range(len(pair_store)))
    expected = [row for row, part in enumerate(parts) if part in ("test_a", "pairwise")]
    assert pair_store.rows("test_a", "pairwise").tolist() == expected
    assert sorted(pair_store.parts) == ["pairwise", "pointwise", "test_a"]
    with pytest.raises(StoreError, match="no part 'test_b'"):
        pair_store.rows("test_b")


def test_pairs(pair_store: Store):
    ids, pairs = pair_store.column("id"), pair_store.pairs()
    assert [(ids[p.row1], ids[p.row2], p.score) for p in pairs.itertuples()] == [("5", "10", 0.25), ("10", "15", 1.0)]
    assert pairs.dtypes.astype(str).tolist() == ["int64", "int64", "float32"]
    assert pair_store.truth() is None


def test_tags_outside_the_list_are_dropped(pair_store: Store):
    indptr, indices, known = pair_store.tags_csr()
    rows = rows_of(pair_store, ["1", "2", "18446744073709551615", "90"])
    tags = [[pair_store.manifest["tags"][k] for k in indices[indptr[row] : indptr[row + 1]]] for row in rows]
    assert tags == [[11, 22], [22, 11], [], []] and known[rows].tolist() == [True, True, True, False]
    assert (indptr.dtype, indices.dtype, len(indptr)) == (np.int64, np.int32, len(pair_store) + 1)
    assert pair_store.video(rows[1]).tags == (22, 99, 11)  # the store keeps what was written


def test_iteration_equals_single_videos(pair_store: Store):
    for row, video in enumerate(pair_store.iter_videos(batch=2)):
        single = pair_store.video(row)
        for name in ("id", "title", "tags", "category", "part"):
            assert getattr(video, name) == getattr(single, name)
        assert (video.frames == single.frames).all()


def test_damaged_store_is_noticed(pair_store: Store, tmp_path: Path):
    assert list(problems(pair_store)) == []
    shutil.copytree(pair_store.path, tmp_path / "store")
    file = tmp_path / "store" / "frames.f16"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    assert any("frames.f16" in problem for problem in problems(Store.open(tmp_path / "store")))
    file.write_bytes(data[:-1000])
    with pytest.raises(StoreError, match="import the corpus again"):
        store = Store.open(tmp_path / "store")
        store.frames(len(store) - 1)


def test_store_of_another_version(pair_store: Store, tmp_path: Path):
    shutil.copytree(pair_store.path, tmp_path / "store")
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text())
    for change, place in dict(counts="counts", checksums="checksums", tags="tags.0", fingerprint="fingerprint").items():
        (tmp_path / "store" / "manifest.json").write_text(json.dumps(manifest | {change: ["x"]}))
        with pytest.raises(StoreError, match=f"manifest.json: {place}: .*; import the corpus again"):
            Store.open(tmp_path / "store")
    (tmp_path / "store" / "manifest.json").write_text(json.dumps(manifest | {"schema": 0}))
    with pytest.raises(StoreError, match="version 0"):
        Store.open(tmp_path / "store")
    with pytest.raises(StoreError, match="no store there"):
        Store.open(tmp_path / "elsewhere")


def test_fingerprint_is_of_the_content(tmp_path: Path):
    prints = []
    for number, pairs in enumerate(("5\t10\t0.25\n", "5\t10\t0.25\n", "5\t10\t0.30\n")):
        small.aiac(tmp_path / f"corpus{number}", pairs=pairs)
        prints.append(import_corpus(tmp_path / f"corpus{number}", tmp_path / f"store{number}").fingerprint)
    assert prints[0] == prints[1] != prints[2]
    small.aiac(tmp_path / "corpus3", [record("1"), record("2", 3, title=["别的".encode()])], pairs="5\t10\t0.25\n")
    assert import_corpus(tmp_path / "corpus3", tmp_path / "store3").fingerprint != prints[0]


def test_workflow_takes_a_stale_manifest_away_first(tmp_path: Path):
    """Snakemake makes the folder of an output beforehand, and removes the output (the manifest) before it is made again."""
    small.aiac(tmp_path / "corpus")
    (tmp_path / "store").mkdir()
    first = import_corpus(tmp_path / "corpus", tmp_path / "store", overwrite=True).fingerprint
    (tmp_path / "store" / "manifest.json").unlink()
    assert import_corpus(tmp_path / "corpus", tmp_path / "store", overwrite=True).fingerprint == first


def test_refuses_to_overwrite(tmp_path: Path):
    small.aiac(tmp_path / "corpus")
    first = import_corpus(tmp_path / "corpus", tmp_path / "store")
    with pytest.raises(StoreError, match="--overwrite"):
        import_corpus(tmp_path / "corpus", tmp_path / "store")
    again = import_corpus(tmp_path / "corpus", tmp_path / "store", overwrite=True)
    assert again.fingerprint == first.fingerprint


# ---- WeChat 2022


def test_features_and_frames(tmp_path: Path):
    pictures = {"02.jpg": small.picture(2), "01.png": small.picture(1, kind="PNG")}
    small.wechat(tmp_path / "corpus", frames={annotation(0)["id"]: pictures})
    store = import_corpus(tmp_path / "corpus", tmp_path / "store")
    video = store.video(rows_of(store, [annotation(0)["id"]])[0])
    assert video.images == (small.picture(1, kind="PNG"), small.picture(2))  # in order of their names
    assert (video.frames == matrix(2, small.WECHAT_WIDTH, 0)).all()
    assert (video.title, video.asr, video.ocr, video.part) == ("第0个视频", "嗯", ((1.0, "字幕"),), "labeled")
    assert [store.manifest["categories"][k] if k >= 0 else None for k in store.categories()] == ["0000", "0104", None]
    assert len(store.manifest["categories"]) == 200  # of the official category map
    assert not len(store.pairs())


def test_frames_alone(tmp_path: Path):
    store = import_corpus(small.wechat(tmp_path / "corpus", frames={}, zip_feats=False), tmp_path / "store")
    assert store.frame_dim == 0 and store.n_frames.tolist() == [2, 2, 2]
    assert store.video(0).images == (small.picture(10), small.picture(200))
    with pytest.raises(StoreError, match="extract"):
        store.frames(0)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_annotations_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int):
    """Blocks end inside Chinese characters, escapes, numbers and between elements; the records are the same."""
    monkeypatch.setattr(reading, "BLOCK", block)
    line = {"time": 1.25, "text": "字，幕"}
    items = [annotation(k, title='标题"\\\n😀[]{},' * k, ocr=[line] * (k % 3)) for k in range(6)]
    file = small.wechat(tmp_path / "corpus", items) / "annotations" / "labeled.json"
    for indent in (None, 1):
        file.write_text(json.dumps(items, ensure_ascii=indent is None, indent=indent), encoding="utf-8")
        store = import_corpus(tmp_path / "corpus", tmp_path / "store", overwrite=True)
        found = [(v.id, v.title, len(v.ocr)) for v in map(store.video, store.rows("labeled"))]
        assert found == [(item["id"], item["title"], len(item["ocr"])) for item in items]


# ---- one's own videos


def test_custom_with_every_kind_of_pairs_and_features(tmp_path: Path):
    items = [
        {"id": "a", "title": "甲", "asr": "说", "ocr": "字", "tags": [3, 1], "category": "0105", "frames": "a.npy"},
        {"id": "b", "ocr": [{"time": 2, "text": "x"}], "frames": "b.npy", "part": "test"},
    ]
    store = import_corpus(small.custom(tmp_path / "corpus", items, pairs="a\tb\t0.5\n"), tmp_path / "store")
    a, b = store.video(0), store.video(1)
    assert (a.title, a.asr, a.ocr, a.tags) == ("甲", "说", ((0.0, "字"),), (3, 1))
    assert (a.category, a.part) == ("0105", "pairwise")
    assert (b.ocr, b.tags, b.category, b.part) == (((2.0, "x"),), None, None, "test")
    assert (a.frames == matrix(2, 6)).all() and (b.frames == matrix(3, 6)).all()
    assert store.track == "pairs" and store.pairs()["score"].tolist() == [0.5]
    assert store.manifest["tags"] == [1, 3] and store.manifest["categories"] == ["0105"]


def test_custom_pictures_and_movies(tmp_path: Path):
    """Five frames at two a second: at 0, 1 and 2 seconds one is kept. Forty pictures: 32, evenly spread."""
    folder = small.custom(tmp_path / "corpus", [{"id": "m", "frames": "m.mp4"}, {"id": "p", "frames": "p"}])
    small.movie(folder / "m.mp4")
    (folder / "p").mkdir()
    shades = [small.picture(k, size=(16 + k, 16)) for k in range(40)]
    for k, data in enumerate(shades):
        (folder / "p" / f"{k:03d}.jpg").write_bytes(data)
    store = import_corpus(folder, tmp_path / "store")
    assert store.track == "classes" and store.frame_dim == 0
    assert store.n_frames.tolist() == [3, 32]
    assert all(image.startswith(b"\xff\xd8\xff") for image in store.video(0).images)
    places = [shades.index(image) for image in store.video(1).images]
    assert places == sorted(places) and len(set(places)) == 32 and max(np.diff(places)) == 2


# ---- the two corpora of real files


@pytest.mark.parametrize(("name", "videos", "pairs"), [("emoji", 1906, 4800), ("stamps", 950, 0)])
def test_corpora_of_real_files(tmp_path: Path, name: str, videos: int, pairs: int):
    """Sizes as their own files count them."""
    folder = Path(os.environ.get("VIDLAB_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / name
    if not folder.is_dir():
        pytest.skip(f"no corpus {name}: set VIDLAB_SHARED to the folder that holds data/{name}")
    store = import_corpus(folder, tmp_path / "store")
    assert (len(store), len(store.pairs()), list(problems(store))) == (videos, pairs, [])
    labelled = {"emoji": "pairwise", "stamps": "labeled"}[name]
    assert (store.categories()[store.rows(labelled)] >= 0).all()


def test_bad_record_reads_as_one_line():
    error = BadRecord("a.tsv", "line 3", "score", "x" * 500, "a number")
    assert str(error).startswith("a.tsv: line 3: score is 'xxx") and len(str(error)) < 130
