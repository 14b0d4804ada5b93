"""What goes into a store comes out of it, whatever the format."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.data import wechat2022
from lib.data.checking import problems
from lib.data.importing import import_corpus
from lib.data.store import Store, StoreError
from lib.data.tfrecords import decode, encode, read_records, write_records
from tests.data.tiny import aiac, annotation, custom, example, frames, wechat

SHARED = Path(os.environ.get("VIDLAB_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
needs_real = pytest.mark.skipif(not SHARED.exists(), reason="the two small real corpora are not beside this checkout")

values = st.one_of(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4))


@given(st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=4))
def test_an_example_survives_its_encoding(features):
    assert decode(encode(features)) == features


def test_frames_that_end_in_zeros_are_not_cut_short(tmp_path):
    """The tfrecord package strips trailing zero bytes from byte lists; ours must not."""
    array = frames()
    array[:, -3:] = 0
    write_records(tmp_path / "a.tfrecords", [example(5, frame_feature=[row.tobytes() for row in array])])
    (_, record), *rest = read_records(tmp_path / "a.tfrecords")
    assert not rest and [len(frame) for frame in record["frame_feature"]] == [16, 16, 16]
    source = aiac(tmp_path / "source", [example(5, frame_feature=[row.tobytes() for row in array]), example(6), example(7)])
    assert np.array_equal(import_corpus(source, tmp_path / "store").frames(0), array)


def test_an_independent_reader_agrees(tmp_path):
    from tfrecord.reader import tfrecord_loader

    write_records(tmp_path / "a.tfrecords", [example(5), example(6, frame_feature=[frames(1)[0].tobytes()])])
    kinds = {"id": "byte", "title": "byte", "tag_id": "int", "frame_feature": "byte"}
    first, single = tfrecord_loader(str(tmp_path / "a.tfrecords"), None, kinds)
    assert bytes(first["id"]) == b"5" and bytes(first["title"]).decode() == "猫和狗" and list(first["tag_id"]) == [11, 12]
    assert len(first["frame_feature"]) == 3 and bytes(single["frame_feature"]) == frames(1)[0].tobytes()


def test_store_of_a_pair_corpus(tmp_path):
    store = import_corpus(aiac(tmp_path / "source", [example(5, tag_id=[11, 99]), example(6, tag_id=[12]), example(7)]), tmp_path / "store")
    assert store.track == "pairs" and store.frame_dim == 8 and len(store) == 3 and store.parts == ["pairwise"]
    indptr, indices, known = store.tags_csr()
    assert store.manifest["tags"] == [11, 12] and known.all()
    assert [indices[a:b].tolist() for a, b in zip(indptr[:-1], indptr[1:], strict=True)] == [[0], [1], [0, 1]]  # 99 is not in the list
    assert store.pairs().to_dict("list") == {"row1": [0, 0], "row2": [1, 2], "score": [0.5, 1.0]}
    assert store.row_of(["7", "5"]).tolist() == [2, 0]
    assert pickle.loads(pickle.dumps(store)).video(1).title == "猫和狗"
    with pytest.raises(StoreError, match="no video '8'"):
        store.row_of(["8"])
    with pytest.raises(StoreError, match="no part 'test'"):
        store.rows("test")
    assert list(problems(store)) == []


def test_store_of_a_class_corpus(tmp_path):
    store = import_corpus(wechat(tmp_path / "source", [annotation(1), annotation(2, category_id="0000"), annotation(3)]), tmp_path / "store")
    assert store.track == "classes" and len(store.manifest["categories"]) == 200
    assert store.categories().tolist() == [10, 0, 10]  # 0101 is the second child of the second group, after nine of the first
    assert store.video(0).ocr == ((1.0, "字"),)


def test_equal_content_has_an_equal_fingerprint_and_a_store_is_not_overwritten(tmp_path):
    a = import_corpus(aiac(tmp_path / "one"), tmp_path / "a")
    b = import_corpus(aiac(tmp_path / "two"), tmp_path / "b")
    c = import_corpus(aiac(tmp_path / "three", labels="5\t6\t0.55\n"), tmp_path / "c")
    assert a.fingerprint == b.fingerprint != c.fingerprint
    with pytest.raises(StoreError, match="--overwrite"):
        import_corpus(tmp_path / "one", tmp_path / "a")


def test_a_damaged_store_is_noticed(tmp_path):
    store = import_corpus(aiac(tmp_path / "source"), tmp_path / "store")
    data = bytearray((store.path / "frames.f16").read_bytes())
    data[5] ^= 1
    (store.path / "frames.f16").write_bytes(data)
    assert any("checksum" in problem for problem in problems(Store.open(store.path)))


def test_custom_corpus_from_arrays_images_and_a_movie(tmp_path):
    import av
    from PIL import Image

    source = tmp_path / "source"
    (source / "pictures").mkdir(parents=True)
    for name, colour in (("1.png", "red"), ("2.png", "blue")):
        Image.new("RGB", (32, 32), colour).save(source / "pictures" / name)
    with av.open(str(source / "clip.mp4"), "w") as movie:
        stream = movie.add_stream("mpeg4", rate=4)
        stream.width = stream.height = 32
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * number, np.uint8), format="rgb24")
            movie.mux(stream.encode(frame))
        movie.mux(stream.encode())
    records = [{"id": "a", "title": "图", "frames": "pictures", "category": "0101"}, {"id": "b", "frames": "clip.mp4", "category": "0102"}]
    store = import_corpus(custom(source, records), tmp_path / "store")
    assert store.track == "classes" and store.frame_dim is None
    assert len(store.images(0)) == 2 and len(store.images(1)) == 3  # three seconds at one frame a second
    with pytest.raises(StoreError, match="no frame features"):
        store.frames(0)


def test_custom_pairs(tmp_path):
    records = [{"id": str(n), "title": "图", "tags": [n], "frames": "a.npy"} for n in (1, 2)]
    store = import_corpus(custom(tmp_path / "source", records, "1\t2\t0.25\n"), tmp_path / "store")
    assert store.track == "pairs" and store.pairs()["score"].tolist() == [0.25] and store.frames(1).shape == (3, 8)


def test_long_annotation_files_are_read_in_blocks(tmp_path, monkeypatch):
    """Every block boundary, also in the middle of a Chinese character."""
    source = wechat(tmp_path / "source", [annotation(n, title="中文标题" * 5) for n in (1, 2, 3)])
    for size in (1, 2, 7, 64):
        monkeypatch.setattr(wechat2022, "BLOCK", size)
        records = list(wechat2022._records(source / "annotations" / "labeled.json"))
        assert [item["title"] for _, item in records] == ["中文标题" * 5] * 3


@needs_real
def test_real_emoji(tmp_path):
    store = import_corpus(SHARED / "emoji", tmp_path / "store")
    assert (len(store), len(store.pairs()), store.frame_dim, store.manifest["counts"]["rejected"]) == (1906, 4800, 1536, 0)


@needs_real
def test_real_stamps(tmp_path):
    store = import_corpus(SHARED / "stamps", tmp_path / "store")
    assert (len(store), store.frame_dim, int((store.categories() >= 0).sum())) == (950, 768, 665)
    assert len(store.images(0)) == store.n_frames[0]
