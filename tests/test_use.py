"""A trained model on new videos: the same numbers as in training, whatever was left out or killed, and away from its corpus."""

import json
import os
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

import lib
from lab.corpora import demo
from lab.corpora.importing import import_corpus
from lib import export, use
from lib.data import pixels
from lib.data.store import Store
from lib.features.loader import Assembler, EvalLoader
from lib.models.text_encoders import NgramBag
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs.files import DamagedFile
from lib.runs.folder import MissingRun
from lib.stages.build import build_model
from lib.stages.inputs import Inputs, build_features
from lib.stages.run import run
from tests import small


def finished(recipe: str, arm: str, store: Store):
    job = Job.load(recipe, "finetune", arm, 0, "smoke", str(store.path))
    for ref in job.feature_sets:
        build_features(store, ref)
    return run(job)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Drawn videos, and a run on them: ``videos``, ``pairs`` (the same with scores), each imported to a store of that name."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("VIDLAB_HOME", str(folder))
        jobs._load.cache_clear()
        files = demo.write(folder / "videos", 20, seconds=3)
        shutil.copytree(folder / "videos", folder / "pairs")
        names = [file.relative_to(folder / "videos").as_posix() for file in files]
        alike = [
            (a, b, 1 - 0.1 * (n % 3) if a[:4] == b[:4] else 0.1 * (n % 3))
            for n, (a, b) in enumerate(combinations(names, 2))
        ]
        pairs = [f"{a}\t{b}\t{score:.1f}" for a, b, score in alike]
        (folder / "pairs" / "pairs.tsv").write_text("\n".join(pairs))
        for name in ("videos", "pairs"):
            import_corpus(folder / name, folder / "stores" / name)
        yield folder
    jobs._load.cache_clear()


@pytest.fixture(scope="module")
def classes(home):
    return finished("wechat_baseline", "base", Store.open(home / "stores" / "videos"))


@pytest.fixture(scope="module")
def pairs(home):
    return finished("aiac_rank1", "pretraining.without", Store.open(home / "stores" / "pairs"))


@pytest.fixture(scope="module")
def exported(home, classes):
    export.save(lib.load(classes.path), home / "exported")
    return home / "exported"


def test_a_validation_video_has_the_probabilities_it_had_in_training(home, classes):
    model = lib.load(classes.path)
    found = model.classify(home / "videos", top=5)
    saved = classes.read_arrays(classes.predictions)
    shares = torch.from_numpy(saved["logits"]).softmax(dim=1).numpy()
    assert len(found) == 20 and len(shares) >= 5
    names = Store.open(home / "stores" / "videos").manifest["categories"]
    for name, expected in zip(saved["ids"], shares, strict=True):
        row = found.set_index("id").loc[str(home / "videos" / name)]
        told = {row[f"category{end}"]: row[f"probability{end}"] for end in ("", "_2", "_3", "_4", "_5")}
        assert [told[category] for category in names] == pytest.approx(expected.tolist(), abs=1e-5)
        assert row["probability"] == max(told.values())
    assert model.info["score"] == classes.read_metrics()["scores"]["validation"]["mean_f1"]


def test_a_validation_video_has_the_vector_it_had_in_training(home, pairs):
    saved = pairs.read_arrays(pairs.embeddings)
    for videos, prefix in ((home / "pairs", f"{home / 'pairs'}/"), (home / "stores" / "pairs", "")):
        found = lib.load(str(pairs.path)).embed(videos).set_index("id")["vector"]
        expected = dict(zip(saved["ids"], saved["vectors"], strict=True))
        assert len(expected) == 20 and found.index.is_unique
        worst = max(np.abs(found[prefix + name] - vector).max() for name, vector in expected.items())
        assert worst < 1e-5 < np.std(list(found), axis=0).max()


def test_what_cannot_be_read_is_listed_and_the_rest_goes_on(home, classes, tmp_path):
    model, good = lib.load(classes.path), sorted((home / "videos" / "ring").iterdir())
    (tmp_path / "cut.mp4").write_bytes(good[0].read_bytes()[:300])
    (tmp_path / "page.mp4").write_text("<html>")
    (tmp_path / "notes.txt").write_text("mine")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xd6\xd0.mp4")).write_bytes(good[0].read_bytes())  # as GBK has it
    out = tmp_path / "v.parquet"
    found = model.embed([tmp_path, *good[:2], good[0]], out=out)
    assert found["id"].tolist() == [str(file) for file in good[:2]] and found["title"][0] == good[0].stem.replace(
        "_", " "
    )
    assert found.attrs["others"] == [str(tmp_path / "notes.txt")]
    assert sorted(Path(file).name for file in found.attrs["rejects"]["file"]) == [
        "\\udcd6\\udcd0.mp4",
        "cut.mp4",
        "page.mp4",
    ]
    assert pd.read_parquet(use.rejected_of(out))["remedy"].str.contains("encode|web page|rename").all()
    assert np.array_equal(np.stack(list(use.read_table(out)["vector"])), np.stack(list(found["vector"])))
    with pytest.raises(ValueError, match="none of 3 videos could be read; the first: .*cut.mp4"):
        model.embed(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        model.embed(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no video there"):
        model.embed(tmp_path / "empty")


def test_texts_found_inside_are_read_as_those_of_a_store(home, classes, tmp_path):
    model, file = lib.load(classes.path), sorted((home / "videos" / "ring").iterdir())[0]
    finds = replace(model, inside=lambda path, images: {"ocr": ((0.0, f"{path.suffix} {len(images)} 红色"),)})
    plain, found = (one.embed(file)["vector"][0] for one in (model, finds))
    item = {"title": pixels.title_of(file), "ocr": ".mp4 3 红色", "frames": str(file)}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(item))
    expected = model.embed(import_corpus(tmp_path, tmp_path / "store"))["vector"][0]
    assert np.abs(found - expected).max() < 1e-5 < np.abs(found - plain).max()


def test_a_killed_call_goes_on_where_it_was(home, classes, tmp_path, monkeypatch):
    model, videos, out, read = lib.load(classes.path), home / "videos", tmp_path / "v.parquet", []
    whole = model.embed(videos)
    monkeypatch.setattr(use, "CHUNK", 6)
    real, fails = pixels.frames_of, 15

    def frames_of(path: Path, most: int):
        read.append(path)
        if len(read) == fails:
            raise KeyboardInterrupt
        return real(path, most)

    monkeypatch.setattr(pixels, "frames_of", frames_of)
    with pytest.raises(KeyboardInterrupt):
        model.embed(videos, out=out)
    assert not out.exists() and len(list((tmp_path / "v.parquet.partial").glob("*/rejects.parquet"))) == 2
    again = len(read)
    found = model.embed(videos, out=out)
    assert len(set(read[again:])) == len(read[again:]) == 20 - 12 and [*tmp_path.iterdir()] == [out]
    assert found["id"].tolist() == sorted(whole["id"])
    expected = whole.set_index("id").loc[found["id"], "vector"]
    assert np.stack(list(found["vector"])) == pytest.approx(np.stack(list(expected)), abs=2e-3)  # half precision


def test_nearest_videos_without_the_query_itself(home, classes, tmp_path):
    model = lib.load(classes.path)
    table = model.embed(home / "videos", out=tmp_path / "v.parquet")
    query = table["id"][3]
    found = model.search(table.iloc[[3]], tmp_path / "v.parquet", k=4)
    vectors = np.stack(list(table["vector"]))
    cosine = vectors @ vectors[3] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[3])
    expected = [place for place in np.argsort(-cosine) if place != 3][:4]
    assert found["id"].tolist() == [table["id"][place] for place in expected] and found["rank"].tolist() == [1, 2, 3, 4]
    assert found["score"].tolist() == pytest.approx(cosine[expected].tolist(), abs=1e-5) and set(found["query"]) == {
        query
    }
    other = table.assign(vector=[vector[:5] for vector in table["vector"]])
    with pytest.raises(ValueError, match="vectors of 5 numbers"):
        model.search(query, other)
    with pytest.raises(ValueError, match="no table of vectors"):
        model.search(query, home / "videos" / "nothing.parquet")


NONE = "video b has no vector of finite numbers"


@pytest.mark.parametrize(
    ("ids", "vectors", "says"),
    [
        ([], [], "holds no video"), (["a", "b", "a"], [[1.0, 2.0]] * 3, "video a comes twice"), (["a", "b"], [[1.0, 2.0], [1.0, np.nan]], NONE),
        (["a", "b"], [[1.0, 2.0], [1.0, -np.inf]], NONE), (["a", "b"], [[1.0, 2.0], [1.0]], NONE), (["a", "b"], [[1.0, 2.0], None], NONE),
        (["b"], ["1 2"], NONE), (["b"], [1.0], NONE), (["b"], [["1", "2"]], NONE), (["b"], [[[1.0, 2.0]]], NONE),
    ],
)  # fmt: skip
def test_a_table_that_was_changed_is_refused_and_its_row_named(tmp_path, ids, vectors, says):
    pd.DataFrame({"id": ids, "title": "t", "vector": vectors}).to_parquet(tmp_path / "v.parquet")
    with pytest.raises(ValueError, match=f"v.parquet: {says}"):
        use.read_table(tmp_path / "v.parquet")


def test_a_video_is_not_overwritten_by_a_table(home, classes, tmp_path):
    """As a slip of the hand on the command line does it."""
    video = shutil.copy(next((home / "videos" / "ring").iterdir()), tmp_path / "a.mp4")
    before, model = Path(video).read_bytes(), lib.load(classes.path)
    with pytest.raises(FileExistsError, match="a.mp4: a file of another kind is there and stays"):
        model.embed(video, out=video)
    assert Path(video).read_bytes() == before and [*tmp_path.iterdir()] == [Path(video)]
    out = tmp_path / "v.parquet"
    for _ in range(2):
        assert len(model.embed(video, out=out)) == 1


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "cpu:x"])
def test_a_device_that_is_not_there_is_named(classes, device):
    with pytest.raises(ValueError, match=f"device {device}: "):
        lib.load(classes.path, device=device)


def test_pairs_have_no_categories_and_a_changed_recipe_is_noticed(pairs, tmp_path):
    with pytest.raises(ValueError, match="learnt no categories"):
        lib.load(pairs.path).classify(tmp_path)
    with pytest.raises(MissingRun, match="no finished run"):
        lib.load(tmp_path)
    other = tmp_path / "run"
    shutil.copytree(pairs.path, other)
    text = (other / "job.yaml").read_text().replace("use: MeanPool", "use: AttentionPool")
    (other / "job.yaml").write_text(text)
    listed = json.loads((other / "files.json").read_text())
    listed["job.yaml"] = {"bytes": len(text), "sha256": use.checksum(other / "job.yaml")}
    (other / "files.json").write_text(json.dumps(listed))
    with pytest.raises(
        MissingRun, match="model has changed in its recipe since; make the run again: make run RECIPE=aiac_rank1"
    ):
        lib.load(other)


def test_an_exported_model_needs_neither_corpus_nor_run(home, classes, tmp_path, monkeypatch):
    before = lib.load(classes.path)
    export.save(before, tmp_path / "model")
    expected = before.classify(home / "videos")
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path / "elsewhere"))
    shutil.copytree(home / "videos", tmp_path / "videos")
    found = lib.load(tmp_path / "model").classify(tmp_path / "videos")
    assert found.drop(columns="id").equals(expected.drop(columns="id"))
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"{before.info['score']:.3f} [" in card and "| naive Bayes on title" in card and "**Licence.**" in card
    assert "text BertText, frames NextVladFrames" in card and "on which its checkpoint was chosen too" in card
    pictures = json.loads((tmp_path / "model" / "config.json").read_text())["preprocessing"]["frames"]["pictures"]
    assert pictures["size"] == 96
    with pytest.raises(FileExistsError):
        export.save(before, tmp_path / "model")


@pytest.mark.parametrize("name", ["model.safetensors", "tokens/tokenizer.json", "tokens/offsets.npy", "config.json"])
@pytest.mark.parametrize("content", [b"", b"null", b"{}", b"version https://git-lfs", None])
def test_a_file_of_an_exported_model_that_was_spoiled_is_named(exported, tmp_path, name, content):
    """Also the folder of another program's model, which has a config.json too."""
    shutil.copytree(exported, tmp_path / "model")
    (tmp_path / "model" / name).unlink() if content is None else (tmp_path / "model" / name).write_bytes(content)
    with pytest.raises(
        (MissingRun, DamagedFile), match=f"{name}.*; export the run again" if name != "config.json" else "model"
    ):
        lib.load(tmp_path / "model")


def test_onnxruntime_says_the_same(home, pairs, tmp_path):
    """Of real videos of several lengths, in batches of 7 and 6. A bag of n-grams, which is written in other operations there."""
    import onnxruntime

    store, trained = Store.open(home / "stores" / "pairs"), lib.load(pairs.path, device="cpu")
    job = Job.load("aiac_rank17", "finetune", "few", 0, "smoke", str(store.path))
    model = replace(trained, job=job, weights=tmp_path / "random.safetensors")
    save_file(build_model(job, Inputs.open(job).sizes).state_dict(), model.weights)
    differences = export.save(model, tmp_path / "onnx", to="onnx")
    assert set(differences) == {"model.onnx", "encoder.onnx"} and max(differences.values()) <= 1e-4
    vectors, seen = model.embed(store)["vector"], model.assembler(store, tmp_path / "work")
    padded = model.job.batches | {"pad_text": True, "pad_frames": True}
    full = Assembler(store, seen.tokens, **padded, visual=seen.visual)
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"))
    for batch in EvalLoader(full, store.rows(), 7):
        given = {name: getattr(batch, name).numpy() for name in export.NAMES}
        (said,) = session.run(None, {i.name: given[i.name] for i in session.get_inputs()})
        assert np.abs(said - np.stack(list(vectors[batch.rows.tolist()]))).max() < 1e-4 < np.abs(said).max()


def test_plain_ngrams_are_those_of_the_bag():
    """Also where products leave 64 bits."""
    bag, seen = NgramBag(8, orders=(1, 2, 3), buckets=97).eval(), small.batch([3, 1, 9], [1, 2, 1])
    seen.input_ids *= 10**11
    assert torch.allclose(export.PlainNgrams(bag)(seen).pooled, bag(seen).pooled, atol=1e-6)
