"""The files of a generated corpus: the same bytes every time, in the official formats, with the truth aligned."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from lab.corpora.importing import import_corpus
from lab.corpora.twin import generate

SIZES = {"pairs": {"videos": 150, "pairs": 40}, "classes": {"videos": 120}}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("twins")
    for track, size in SIZES.items():
        generate(folder / track, track=track, seed=5, progress=False, **size)
    return {track: folder / track for track in SIZES}


@pytest.mark.parametrize("track", SIZES)
def test_same_seed_same_bytes(twins: dict[str, Path], track: str, tmp_path: Path):
    generate(tmp_path / "again", track=track, seed=5, progress=False, **SIZES[track])
    first, again = contents(twins[track]), contents(tmp_path / "again")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


@pytest.mark.parametrize("track", SIZES)
def test_other_seed_other_content(twins: dict[str, Path], track: str, tmp_path: Path):
    generate(tmp_path / "other", track=track, seed=6, progress=False, **SIZES[track])
    first, other = contents(twins[track]), contents(tmp_path / "other")
    assert all(first[name] != other[name] for name in first.keys() & other.keys() if not name.endswith("twin.json"))
    assert json.loads(other["twin.json"])["seed"] == 6


def test_tfrecords_by_an_independent_reader(twins: dict[str, Path]):
    """The ``tfrecord`` package finds official keys, 63-bit ids as text, frames 1536 wide and tags of the list."""
    import tfrecord

    seen: set[str] = set()
    listed = {int(line) for line in (twins["pairs"] / "tag_list.txt").read_text().split()}
    for file in sorted(twins["pairs"].glob("*/*.tfrecords")):
        for example in tfrecord.tfrecord_loader(str(file), None):
            labelled = "test_a" not in file.name
            assert set(example) == {"id", "title", "asr_text", "frame_feature"} | (
                {"tag_id", "category_id"} if labelled else set()
            )
            name = bytes(example["id"]).decode()
            assert name not in seen and 0 < int(name) < 2**63
            seen.add(name)
            bytes(example["title"]).decode("utf-8")
            frames = np.atleast_1d(example["frame_feature"])
            # the package cuts zero bytes at the end of a frame, so a frame may seem a little shorter
            assert 5 <= len(frames) <= 32 and all(2 * 1536 - 4 <= len(bytes(frame)) <= 2 * 1536 for frame in frames)
            if labelled:
                assert set(np.ravel(example["tag_id"]).tolist()) & listed
                assert len(str(int(np.ravel(example["category_id"])[0]))) == 5
    assert len(seen) == 150
    lines = [line.split("\t") for line in (twins["pairs"] / "pairwise" / "label.tsv").read_text().splitlines()]
    assert all(
        len(line) == 3 and {line[0], line[1]} <= seen and round(float(line[2]) * 20) == float(line[2]) * 20
        for line in lines
    )
    assert 20 <= len(lines) <= 60


def test_annotations_and_features_by_independent_readers(twins: dict[str, Path]):
    from lib.data.vocabulary import WECHAT_CATEGORIES

    sizes = {}
    for part in ("labeled", "unlabeled", "test_a"):
        items = json.loads((twins["classes"] / "annotations" / f"{part}.json").read_text(encoding="utf-8"))
        sizes[part] = len(items)
        with zipfile.ZipFile(twins["classes"] / "zip_feats" / f"{part}.zip") as archive:
            assert archive.testzip() is None
            assert sorted(archive.namelist()) == sorted(f"{item['id']}.npy" for item in items)
            for name in archive.namelist()[:10]:
                frames = np.load(io.BytesIO(archive.read(name)))
                assert (
                    frames.dtype == np.float16
                    and frames.shape[1] == 768
                    and 1 <= len(frames) <= 32
                    and np.isfinite(frames).all()
                )
        for item in items:
            assert set(item) == {"id", "title", "asr", "ocr"} | ({"category_id"} if part == "labeled" else set())
            assert len(item["id"]) == 20 and item.get("category_id", "0000") in WECHAT_CATEGORIES
            assert all(set(line) == {"time", "text"} and line["text"] for line in item["ocr"])
    assert sizes == {"labeled": 48, "unlabeled": 48, "test_a": 24}


def test_pairs_import_with_their_truth(twins: dict[str, Path], tmp_path: Path):
    store = import_corpus(twins["pairs"], tmp_path / "store")
    pairs, truth, ids = store.pairs(), store.truth(), store.column("id")
    with pa.OSFile(str(twins["pairs"] / "truth.arrow")) as source:
        table = pa.ipc.open_file(source).read_pandas()
    known = {(a, b): value for a, b, value in zip(table["id1"], table["id2"], table["affinity"], strict=True)}
    assert len(truth) == len(pairs) == len(known)
    assert truth["oracle"].tolist() == [
        known[ids[a], ids[b]] for a, b in zip(pairs["row1"], pairs["row2"], strict=True)
    ]
    oracle = store.manifest["twin"]["oracle"]["spearman"]
    assert spearmanr(truth["oracle"], pairs["score"]).statistic == pytest.approx(oracle, abs=1e-6)
    assert oracle > 0.8  # 40 pairs; the tolerance of a large corpus is held elsewhere


def test_classes_import_with_their_truth(twins: dict[str, Path], tmp_path: Path):
    store = import_corpus(twins["classes"], tmp_path / "store")
    with pa.OSFile(str(twins["classes"] / "truth.arrow")) as source:
        table = pa.ipc.open_file(source).read_pandas()
    known = dict(zip(table["id"], table["true_category"], strict=True))
    true = [store.manifest["categories"][k] for k in store.truth()["true_category"]]
    assert true == [known[name] for name in store.column("id")]
    rows = store.rows("labeled")
    agree = np.mean(store.categories()[rows] == store.truth()["true_category"].to_numpy()[rows])
    assert 0.65 < agree < 1  # 85 % of the labels are right: 48 of them, within four standard errors


def test_pictures_in_the_official_layout(tmp_path: Path):
    """zip_frames/<set>/<last 3 digits>/<id>.zip of at most 8 JPEG pictures of 224 x 224."""
    from PIL import Image

    generate(tmp_path / "twin", track="classes", videos=12, seed=1, frames="jpeg", progress=False)
    files = sorted((tmp_path / "twin" / "zip_frames").rglob("*.zip"))
    assert len(files) == 12 and all(file.parent.name == file.stem[-3:] for file in files)
    with zipfile.ZipFile(files[0]) as archive:
        assert 1 <= len(archive.namelist()) <= 8
        for name in archive.namelist():
            with Image.open(io.BytesIO(archive.read(name))) as image:
                assert (image.format, image.size) == ("JPEG", (224, 224))
    store = import_corpus(tmp_path / "twin", tmp_path / "store")
    assert len(store) == 12 and store.frame_dim is None and store.manifest["images"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"track": "both", "videos": 50}, "pairs or classes"),
        ({"track": "pairs", "videos": 50, "frames": "jpeg"}, "features only"),
        ({"track": "classes", "videos": 50, "pairs": 5}, "the class corpus has none"),
        ({"track": "pairs", "videos": 5}, "at least"),
        ({"track": "pairs", "videos": 50, "pairs": 5000}, "need at least"),
    ],
)
def test_impossible_wishes(tmp_path: Path, options: dict, words: str):
    with pytest.raises(ValueError, match=words):
        generate(tmp_path / "twin", progress=False, **options)
    assert list(tmp_path.iterdir()) == []


def test_never_replaces_what_is_no_twin(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="no twin"):
        generate(tmp_path, track="classes", videos=10, progress=False)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
