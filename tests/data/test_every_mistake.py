"""Bad input stops an import with one error naming file, record, field, value and remedy; in quarantine it is listed."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from lib.data.importing import import_corpus
from lib.data.rejects import BadRecord
from tests.data.tiny import aiac, annotation, custom, example, frames, npy, wechat


def raw(array):
    return [row.tobytes() for row in array]


def broken_file(change):
    def make(folder):
        file = aiac(folder) / "pairwise" / "pairwise.tfrecords"
        file.write_bytes(change(file.read_bytes()))
        return folder

    return make


def flip(data: bytes) -> bytes:
    """One byte inside the payload of the second record."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def second(**changes):
    return lambda folder: aiac(folder, [example(5), example(6, **changes), example(7)])


def labels(text):
    return lambda folder: aiac(folder, labels=text)


def nan():
    array = frames()
    array[1, 2] = np.nan
    return array


def wechat_second(**changes):
    return lambda folder: wechat(folder, [annotation(1), annotation(2, **changes), annotation(3)])


def member_missing(folder):
    return wechat(folder, members={f"{n:020d}.npy": npy(frames()) for n in (1, 3)})


def not_an_image(folder):
    import zipfile

    wechat(folder)
    (folder / "zip_feats" / "labeled.zip").unlink()
    for n in (1, 2, 3):
        name = f"{n:020d}"
        target = folder / "zip_frames" / "labeled" / name[-3:]
        target.mkdir(parents=True)
        with zipfile.ZipFile(target / f"{name}.zip", "w") as archive:
            archive.writestr("1.jpg", b"no image" if n == 2 else b"\xff\xd8\xff\xe0 pixels")
    return folder


def unreadable_mp4(folder):
    custom(folder, [{"id": "1", "frames": "a.npy"}, {"id": "2", "frames": "b.mp4"}])
    (folder / "b.mp4").write_bytes(b"not a movie")
    return folder


CASES = {
    "crc": (broken_file(flip), "pairwise.tfrecords", "record 1", "checksum"),
    "truncated": (broken_file(lambda data: data[:-10]), "pairwise.tfrecords", "record 2", "truncated"),
    "width": (second(frame_feature=raw(frames(width=6))), "pairwise.tfrecords", "record 1 (video 6)", "frame_feature is 6"),
    "nan": (second(frame_feature=raw(nan())), "pairwise.tfrecords", "record 1 (video 6)", "nan in frame 1"),
    "no frames": (second(frame_feature=[]), "pairwise.tfrecords", "record 1 (video 6)", "at least one frame"),
    "too many frames": (second(frame_feature=raw(frames(33))), "pairwise.tfrecords", "record 1 (video 6)", "frame_feature is 33"),
    "missing key": (second(title=None), "pairwise.tfrecords", "record 1 (video 6)", "title is 'missing'"),
    "utf-8": (second(title=[b"\xff\xfe"]), "pairwise.tfrecords", "record 1 (video 6)", "UTF-8"),
    "duplicate": (second(id=[b"5"]), "pairwise.tfrecords", "video 5", "the same id came before"),
    "tag": (second(tag_id=[11, -3]), "pairwise.tfrecords", "record 1 (video 6)", "tag_id is -3"),
    "unknown video": (labels("5\t99\t0.5\n5\t6\t0.5\n"), "label.tsv", "line 1", "id2 is '99'"),
    "score range": (labels("5\t6\t1.5\n5\t7\t0.5\n"), "label.tsv", "line 1", "score is 1.5"),
    "score text": (labels("5\t6\thigh\n5\t7\t0.5\n"), "label.tsv", "line 1", "score is 'high'"),
    "category": (wechat_second(category_id="9901"), "labeled.json", "record 1", "category_id is '9901'"),
    "annotation key": (wechat_second(asr=None), "labeled.json", "record 1", "asr is 'missing'"),
    "member": (member_missing, "labeled.zip", f"video {2:020d}", "missing from the archive"),
    "image": (not_an_image, f"{2:020d}.zip", f"video {2:020d}", "not a JPEG or PNG"),
    "mp4": (unreadable_mp4, "b.mp4", "line 2 (video 2)", "not a readable video"),
    "custom key": (lambda f: custom(f, [{"id": "1", "frames": "a.npy"}, {"id": "2", "frames": "a.npy", "titel": "x"}]), "manifest.jsonl", "line 2", "unknown key"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_import_stops_and_leaves_nothing(name, tmp_path):
    make, file, record, says = CASES[name]
    source = make(tmp_path / "source")
    with pytest.raises(BadRecord) as error:
        import_corpus(source, tmp_path / "store")
    text = str(error.value)
    assert file in text and record in text and says in text, text
    assert error.value.remedy and error.value.field
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("name", CASES)
def test_quarantine_goes_on_and_lists_it(name, tmp_path):
    make, file, record, _ = CASES[name]
    store = import_corpus(make(tmp_path / "source"), tmp_path / "store", quarantine=True)
    table = pq.read_table(tmp_path / "store" / "rejects.parquet").to_pylist()
    assert store.manifest["counts"]["rejected"] == len(table) >= 1
    assert any(file in row["file"] and record in row["record"] for row in table), table
    assert len(store) >= 1
