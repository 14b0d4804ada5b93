"""A recipe whose frames come from pictures: plan, missing set, notebook, training, and what its digest depends on."""

import json
import shutil

import nbformat
import pytest
import yaml

from lab.corpora import importing as corpus
from lab.flow.tasks import feature_task, job_task
from lab.show.plan import Plan
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.runs import paths
from lib.runs.folder import MissingRun
from lib.stages.run import run
from tests.forget import forget

RECIPE = "wechat_baseline"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project of its own whose baseline has two arms: frames from pictures, and a set of text by mistake."""
    shutil.copytree(paths.params(), tmp_path / "params")
    file = tmp_path / "params" / "recipes" / f"{RECIPE}.yaml"
    recipe = yaml.safe_load(file.read_text(encoding="utf-8"))
    recipe["variants"]["pixels"] = {"features.frames.set": "pixels_small"}
    recipe["variants"]["wrong"] = {"features.frames.set": "tokens"}
    file.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    file = tmp_path / "params" / "corpora" / "twin_pixels.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("videos: 120", "videos: 90"), encoding="utf-8")
    monkeypatch.setenv("VIDLAB_PARAMS", str(tmp_path / "params"))
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path / "home"))
    forget()
    yield tmp_path
    forget()


def job(arm: str) -> Job:
    return Job.load(RECIPE, "finetune", arm, 0, "smoke", "twin_pixels")


def features(name: str) -> dict:
    """Notebook 01, cell by cell."""
    notebook = nbformat.read(paths.notebooks() / "01_features.ipynb", as_version=4)
    scope: dict = {"__name__": "__main__"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"01_features:{cell.id}", "exec"), scope)
            if "parameters" in cell.metadata.get("tags", []):
                scope |= {"corpus": "twin_pixels", "features": name, "scale": "smoke", "world": "twin_pixels"}
    return scope


def test_from_pictures_to_scores(home):
    wanted = job("pixels")
    corpus.build("twin_pixels", "smoke")
    features("tokens")
    with pytest.raises(MissingRun, match="feature set pixels_small .* -p features pixels_small -p scale smoke"):
        run(wanted)
    built = features("pixels_small")["built"]
    assert built.folder == wanted.frames.folder and built.about["digest"] == wanted.frames.digest
    folder = run(wanted)
    metrics = json.loads(folder.metrics.read_text(encoding="utf-8"))
    assert 0 <= metrics["scores"]["validation"]["mean_f1"] <= 1
    assert metrics["parameters"] < json.loads(run(job("base")).metrics.read_text(encoding="utf-8"))["parameters"]


def test_the_plan_builds_the_set_before_the_job(home):
    plan, wanted = Plan("smoke", "twin_pixels", (RECIPE,), (0,)), job("pixels")
    task = job_task(wanted)
    assert [ref.name for ref in wanted.feature_sets] == ["tokens", "pixels_small"]
    for ref in wanted.feature_sets:
        assert set(feature_task(plan, ref).outputs) & set(task.inputs), ref.name
    assert [ref.name for ref in job("base").feature_sets] == ["tokens"]


def test_the_digest_follows_the_set_and_only_where_it_is_used(home):
    before = {arm: job(arm).digest for arm in ("base", "pixels")}
    assert before["base"] != before["pixels"]
    file = home / "params" / "features" / "pixels_small.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("size: 96", "size: 64"), encoding="utf-8")
    forget()
    assert job("base").digest == before["base"] and job("pixels").digest != before["pixels"]


def test_a_scale_replaces_the_encoder(home):
    assert job("pixels").frames.tokenizer == "random-test_vit"
    file = home / "params" / "recipes" / f"{RECIPE}.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("pixels_small", "swin_tiny"), encoding="utf-8")
    forget()
    assert job("pixels").frames.tokenizer == "random-test_vit"
    full = Job.load(RECIPE, "finetune", "pixels", 0, "full")
    assert full.frames is not None and full.frames.tokenizer == "swin_tiny_patch4_window7_224"


def test_a_set_of_text_is_no_set_of_frames(home):
    with pytest.raises(RecipeError, match="features.frames.set: tokens is a set of Tokens, needed is one of Images"):
        job("wrong")
