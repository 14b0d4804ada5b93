"""The commands of the README as a user types them, on generated corpora of a few hundred videos: every stage, every
notebook. One home for all tests of this file: the first makes everything, the others look at it or ask for a little
more."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.pagecheck import problems

ROOT = Path(__file__).parents[2]
SYSTEMS = "aiac_rank1,wechat_baseline"  # every kind of step; the other systems' parts have tests of their own


QUESTIONS = ["distill_soft", "rescaling"]  # a later stage, and logits; all of them bind in ``make check``


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home, and params that ask for little of each kind of step."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "params", folder / "params")
    joined = [{"recipe": "aiac_rank1", "stage": "distill", "arm": arm} for arm in ("base", "distill_soft.without")]
    change(folder, "report", ablations=QUESTIONS, headline=[])
    change(folder, "recipes/aiac_rank1", members={})
    change(folder, "ensembles/aiac_rank1_jobs", members=joined)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDLAB_PARAMS", str(folder / "params"))
        yield folder


def change(folder: Path, name: str, **values: object) -> None:
    file = folder / "params" / f"{name}.yaml"
    tree = yaml.safe_load(file.read_text(encoding="utf-8")) | values
    file.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")


def typed(home: Path, *words: object, folder: Path = ROOT) -> subprocess.CompletedProcess:
    environment = {**os.environ, "VIDLAB_HOME": str(home), "COLUMNS": "160"}
    for name in ("MAKEFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    options = {"capture_output": True, "text": True, "timeout": 1200, "check": False}
    return subprocess.run(list(map(str, words)), cwd=folder, env=environment, **options)


def reproduce(home: Path, *words: object) -> subprocess.CompletedProcess:
    """What the Make verbs call; make itself would set up a second environment where the tests run in another one."""
    options = ("--scale", "smoke", "--seeds", "1", "--systems", SYSTEMS)
    return typed(home, sys.executable, "-m", "lab", "reproduce", *options, *words)


def test_reproduce_makes_everything_then_nothing(home):
    first = reproduce(home, "--jobs", "2")
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert "Report: " in first.stdout and "Scores" in first.stdout
    report = home / "reports" / "smoke"
    assert (report / "index.html").stat().st_size > 10_000 and len(list(report.glob("*.html"))) <= 40
    assert problems(report) == []
    runs = list((home / "runs/smoke/recipes").rglob("metrics.json"))
    assert len(runs) == 6
    for metrics in runs:
        assert (metrics.parent / "notebook.ipynb").exists() and (metrics.parent / "provenance.json").exists()
    again = reproduce(home)
    assert again.returncode == 0 and "Nothing to do" in again.stdout


def test_papermill_makes_what_is_missing_and_the_number_of_jobs_changes_no_number(home, tmp_path):
    """One model again, from its corpus on and one step after the other: the same bytes as side by side."""
    out, papermill = tmp_path / "out.ipynb", Path(sys.executable).with_name("papermill")
    words = (papermill, "notebooks/04_distill.ipynb", out, "-p", "recipe", "aiac_rank1", "-p", "scale", "smoke")
    refused = typed(tmp_path, *words, "-p", "missing", "error")
    assert refused.returncode and "vidlab corpus build twin_pairs --scale smoke" in refused.stderr
    done = typed(tmp_path, *words)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads(out.read_text())["cells"]
    told = "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ()))
    assert "Missing: " in told and "Made all of it." in told and "corpus/twin_pairs" in told
    names = [file.relative_to(tmp_path) for file in (tmp_path / "runs/smoke/recipes").rglob("metrics.json")]
    assert {name.parts[4] for name in names} == {"pretrain", "finetune", "distill"}
    for name in names:
        assert (tmp_path / name).read_bytes() == (home / name).read_bytes(), name


def test_a_report_of_what_is_there_says_what_is_still_coming_and_the_next_call_makes_it(home):
    """As after a kill in the middle: one arm of a question is not there, so neither is its page. Nothing is trained for it."""
    arm = home / "runs/smoke/recipes/aiac_rank1/distill/distill_soft.without"
    shutil.move(arm, home / "away")
    before = {file: file.stat().st_mtime_ns for file in (home / "runs/smoke/recipes").rglob("metrics.json")}
    report = home / "reports/smoke"
    (report / "index.html").unlink()
    done = reproduce(home, "--existing")
    assert done.returncode == 0, done.stdout[-3000:]
    front = (report / "index.md").read_text(encoding="utf-8")
    assert "**Still coming**: distill soft" in front and "rescaling" not in front.split("**Still coming**")[1][:80]
    pages = {page.stem for page in report.glob("questions_*.html")}
    assert pages == {"questions_imbalance"} and problems(report) == []
    assert before == {file: file.stat().st_mtime_ns for file in (home / "runs/smoke/recipes").rglob("metrics.json")}
    shutil.move(home / "away", arm)
    again = reproduce(home)
    assert again.returncode == 0, again.stdout[-3000:]
    assert "] finetune/" not in again.stdout and "] distill/" not in again.stdout, "nothing is trained again"
    assert "Still coming" not in (report / "index.md").read_text(encoding="utf-8")
    assert (report / "questions_distillation.html").exists() and problems(report) == []
