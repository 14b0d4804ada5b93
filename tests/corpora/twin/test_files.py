"""The files, read by readers that are not ours."""

import io
import json
import re
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from tfrecord.reader import tfrecord_loader

from lab.corpora.tfrecords import read_records
from lab.corpora.twin import generate

KEYS = {
    "id": "byte", "title": "byte", "asr_text": "byte", "frame_feature": "byte", "tag_id": "int", "category_id": "int",
}  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def arrow(file: Path) -> pd.DataFrame:
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_pandas()


# ---- same seed, same bytes


@pytest.mark.parametrize(
    "arguments",
    [{"track": "pairs", "videos": 60}, {"track": "classes", "videos": 20, "frames": "both"}],
    ids=["pairs", "classes"],
)
def test_same_arguments_same_bytes(tmp_path, arguments):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate(tmp_path / name, seed=seed, progress=False, **arguments)
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert first == again
    same = {name for name in first if first[name] == other.get(name)}
    assert not same, f"another seed gives the same {same}"


# ---- pairs


def test_tfrecord_package_reads_what_we_wrote(pair_files):
    """The package cuts trailing zero bytes off byte lists, so frames are compared without them."""
    parts = {"pointwise": "pretrain_0", "pairwise": "pairwise", "test_a": "test_a"}
    seen = 0
    for part, name in parts.items():
        file = pair_files / part / f"{name}.tfrecords"
        keys = {key: kind for key, kind in KEYS.items() if part != "test_a" or key not in ("tag_id", "category_id")}
        for theirs, (_, ours) in zip(tfrecord_loader(str(file), None, keys), read_records(file), strict=True):
            assert ("tag_id" in ours) == (part != "test_a")
            assert bytes(theirs["id"]) == ours["id"][0] and bytes(theirs["title"]) == ours["title"][0]
            assert re.fullmatch(r"\d{16,19}", ours["id"][0].decode()) and ours["title"][0].decode()
            frames = np.frombuffer(b"".join(ours["frame_feature"]), "<f2").reshape(-1, 1536)
            assert 5 <= len(frames) <= 32 and np.isfinite(frames).all()
            cut = [[bytes(f).rstrip(b"\0") for f in read["frame_feature"]] for read in (theirs, ours)]
            assert cut[0] == cut[1]
            if part != "test_a":
                assert np.atleast_1d(theirs["tag_id"]).tolist() == ours["tag_id"]
                assert len(set(ours["tag_id"])) == len(ours["tag_id"])
                assert re.fullmatch(r"1\d{4}", str(ours["category_id"][0]))
            seen += 1
    assert seen == 300


def test_label_file(pair_files):
    lines = (pair_files / "pairwise" / "label.tsv").read_text().splitlines()
    assert all(re.fullmatch(r"\d{16,19}\t\d{16,19}\t[01]\.\d[05]", line) for line in lines)
    labels = pd.read_csv(pair_files / "pairwise" / "label.tsv", sep="\t", header=None, dtype={0: str, 1: str})
    written = {example["id"][0].decode() for _, example in read_records(pair_files / "pairwise" / "pairwise.tfrecords")}
    assert set(labels[0]) | set(labels[1]) == written and (labels[0] != labels[1]).all()
    assert labels[2].between(0, 1).all() and not labels.duplicated([0, 1]).any()
    truth = arrow(pair_files / "truth.arrow")
    assert truth[["id1", "id2"]].to_numpy().tolist() == labels[[0, 1]].to_numpy().tolist()
    about = json.loads((pair_files / "twin.json").read_text())
    assert about["oracle"]["spearman"] == pytest.approx(truth["affinity"].corr(labels[2], method="spearman"))
    assert about["pairs"] == len(labels) and sum(about["parts"].values()) == 300 and about["seed"] == 5


def test_tag_list_is_by_frequency(pair_files):
    counts: dict[int, int] = {}
    for file in (pair_files / "pointwise" / "pretrain_0.tfrecords", pair_files / "pairwise" / "pairwise.tfrecords"):
        for _, example in read_records(file):
            for tag in example["tag_id"]:
                counts[tag] = counts.get(tag, 0) + 1
    listed = [int(line) for line in (pair_files / "tag_list.txt").read_text().split()]
    assert set(listed) == set(counts)
    assert [counts[tag] for tag in listed] == sorted(counts.values(), reverse=True)


def test_truth_of_videos_explains_the_affinity(pair_files):
    """Affinity of a pair = dot product of the two embeddings, which is what a perfect model would answer."""
    videos = arrow(pair_files / "truth_videos.arrow").set_index("id")
    pairs = arrow(pair_files / "truth.arrow")
    left, right = (np.stack(videos.loc[pairs[name], "embedding"].to_list()) for name in ("id1", "id2"))
    np.testing.assert_allclose((left * right).sum(axis=1), pairs["affinity"], atol=1e-6)
    about = json.loads((pair_files / "twin.json").read_text())
    for effect, share in about["planted"].items():
        assert videos[effect].mean() == pytest.approx(share)


def test_copied_titles_share_words_with_their_source(pair_files):
    videos = arrow(pair_files / "truth_videos.arrow")
    titles = {
        example["id"][0].decode(): example["title"][0].decode()
        for file in pair_files.glob("*/*.tfrecords")
        for _, example in read_records(file)
    }
    groups = [group["id"].tolist() for _, group in videos.groupby("footage") if len(group) > 1]

    def alike(a: str, b: str) -> float:
        return len({*titles[a]} & {*titles[b]}) / len({*titles[a]} | {*titles[b]})

    shared = [alike(a, b) for a, b, *_ in groups]
    apart = [alike(a[0], b[0]) for a, b in pairwise(groups)]
    assert len(groups) > 5 and np.mean(shared) > 2 * np.mean(apart)


# ---- classes


def test_zip_and_numpy_read_features(class_files):
    for part in ("labeled", "unlabeled", "test_a"):
        records = json.loads((class_files / "annotations" / f"{part}.json").read_text(encoding="utf-8"))
        with zipfile.ZipFile(class_files / "zip_feats" / f"{part}.zip") as archive:
            assert archive.testzip() is None
            assert [info.compress_type for info in archive.infolist()] == [zipfile.ZIP_STORED] * len(records)
            assert archive.namelist() == [f"{record['id']}.npy" for record in records]
            for record in records:
                assert ("category_id" in record) == (part == "labeled") and re.fullmatch(r"\d{20}", record["id"])
                assert all(line["text"] and line["time"] == 1 + 5 * k for k, line in enumerate(record["ocr"]))
                frames = np.load(io.BytesIO(archive.read(f"{record['id']}.npy")))
                assert frames.dtype == np.float16 and frames.shape[1] == 768 and 5 <= len(frames) <= 32


def test_pillow_opens_frames_in_the_official_layout(class_files):
    for part, folder in (("labeled", "labeled"), ("unlabeled", "unlabeled"), ("test_a", "test")):
        for record in json.loads((class_files / "annotations" / f"{part}.json").read_text(encoding="utf-8")):
            file = class_files / "zip_frames" / folder / record["id"][-3:] / f"{record['id']}.zip"
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                assert names == sorted(names) and 5 <= len(names) <= 8
                with Image.open(io.BytesIO(archive.read(names[0]))) as image:
                    assert image.format == "JPEG" and image.size == (224, 224)
                    image.load()
    same = [(class_files / "annotations" / f"{name}.json").read_bytes() for name in ("test", "test_a")]
    assert same[0] == same[1]


def test_truth_of_classes(class_files):
    truth = arrow(class_files / "truth.arrow").set_index("id")
    records = {
        record["id"]: record
        for part in ("labeled", "unlabeled", "test_a")
        for record in json.loads((class_files / "annotations" / f"{part}.json").read_text(encoding="utf-8"))
    }
    assert set(truth.index) == set(records)
    assert truth["part"].value_counts().to_dict() == {"labeled": 24, "unlabeled": 24, "test_a": 12}
    for name, row in truth.iterrows():
        record = records[name]
        assert (record["title"] == "") == row["title_missing"] and (record["asr"] == "") == row["speech_missing"]
        assert (set(record["asr"]) == {"嗯"}) == row["filler_speech"]
        assert (record["ocr"] == []) == row["screen_text_missing"]
        if "category_id" in record:
            assert (record["category_id"] != row["true_category"]) == row["wrong_category"]


# ---- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"track": "pairs", "videos": 50, "parts": {"test_a": 1.0}}, "follow from its pairs"),
        ({"track": "triples", "videos": 50}, "track: pairs or classes, not 'triples'"),
        ({"track": "pairs", "videos": 50, "frames": "jpeg"}, "pictures need track classes"),
        ({"track": "classes", "videos": 50, "pairs": 3}, "the class corpus has none"),
        ({"track": "classes", "videos": 50, "frames": "png"}, "features, jpeg, both"),
        ({"track": "classes", "videos": 50, "parts": {"train": 1.0}}, "positive shares of labeled"),
        ({"track": "pairs", "videos": 39}, "at least 40"),
        ({"track": "pairs", "videos": 50, "pairs": 100}, "100 pairs need at least"),
        ({"track": "pairs", "videos": 100, "pairs": 40, "test_pairs": 400}, "pairs need at least"),
        ({"track": "pairs", "videos": 100, "test_pairs": -1}, "test_pairs: at least 0, not -1"),
        ({"track": "classes", "videos": 100, "test_pairs": 5}, "test_pairs: the class corpus has none"),
        ({"track": "pairs", "videos": 60, "world": "real"}, "world: calibrated or clear, not 'real'"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        generate(tmp_path / "out", progress=False, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="choose another folder"):
        generate(tmp_path, track="classes", videos=10, progress=False)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}


@pytest.mark.parametrize("seed", range(3))
def test_the_least_corpus_is_sound(tmp_path, seed):
    """Forty videos: the default number of pairs fits, and twin.json is JSON although some statistics cannot be taken."""
    generate(tmp_path / "twin", track="pairs", videos=40, seed=seed, progress=False)
    assert json.loads((tmp_path / "twin" / "twin.json").read_text())["pairs"] >= 1
