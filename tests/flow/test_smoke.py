"""The commands of the README as a user types them, on generated corpora of a few hundred videos: every stage, every notebook.

One home for all tests of this file: the first makes everything, the others look at it or ask for a little more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.pagecheck import problems

ROOT = Path(__file__).parents[2]
SYSTEMS = "aiac_rank1,wechat_baseline"  # every kind of step; the other systems' parts have tests of their own


# A question of each kind: of pretraining, of a later stage, across systems, of splits, of quirks, of logits, of pictures.
QUESTIONS = [
    "focal_tags",
    "distill_soft",
    "ema",
    "strict_split",
    "faithful",
    "rescaling",
    "frame_encoder",
    "quirks_aiac_rank1",
]
MEMBERS = ["job3", "job4"]  # other layouts, a term without weight, another pooling, a second phase of pretraining


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home, and params that ask for less of each kind: all of it binds in ``make check``, here each kind is run."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "params", folder / "params")
    change(folder, "report", lambda report: report | {"ablations": QUESTIONS})
    change(folder, "recipes/aiac_rank1", lambda recipe: recipe | {"members": chosen(recipe["members"], MEMBERS)})
    joined = [{"recipe": "aiac_rank1", "arm": arm} for arm in ("base", *MEMBERS)]
    change(folder, "ensembles/aiac_rank1_jobs", lambda spec: spec | {"members": joined})
    change(folder, "ablations/focal_tags", lambda asked: asked | {"arms": chosen(asked["arms"], ["without", "with"])})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDLAB_PARAMS", str(folder / "params"))
        yield folder


def change(folder: Path, name: str, edited: Callable[[dict], dict]) -> None:
    file = folder / "params" / f"{name}.yaml"
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(edited(tree), allow_unicode=True, sort_keys=False), encoding="utf-8")


def chosen(mapping: dict, names: list[str]) -> dict:
    return {name: mapping[name] for name in names}


def typed(home: Path, *words: object, folder: Path = ROOT) -> subprocess.CompletedProcess:
    environment = {**os.environ, "VIDLAB_HOME": str(home), "COLUMNS": "160"}
    for name in ("MAKEFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    command = [str(word) for word in words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )


def reproduce(home: Path, *words: object) -> subprocess.CompletedProcess:
    """What the Make verbs call; make itself would set up a second environment where the tests run in another one."""
    return typed(
        home,
        sys.executable,
        "-m",
        "lab",
        "reproduce",
        "--scale",
        "smoke",
        "--seeds",
        "1",
        "--systems",
        SYSTEMS,
        *words,
    )


def test_reproduce_makes_everything_then_nothing(home):
    first = reproduce(home, "--jobs", "2")
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert "Report: " in first.stdout and "Scores" in first.stdout
    report = home / "reports" / "smoke"
    assert (report / "index.html").stat().st_size > 10_000 and len(list(report.glob("*.html"))) <= 40
    assert problems(report) == []
    runs = list((home / "runs/smoke/recipes").rglob("metrics.json"))
    assert len(runs) > 10
    for metrics in runs:
        assert (metrics.parent / "notebook.ipynb").exists() and (metrics.parent / "provenance.json").exists()
    again = reproduce(home)
    assert again.returncode == 0 and "Nothing to do" in again.stdout


def test_number_of_jobs_changes_no_number(home, tmp_path):
    """One model again from its corpus on, one job at a time: the same bytes as side by side."""
    alone = reproduce(tmp_path, "--systems", "aiac_rank1", "--jobs", "1", "--job", "aiac_rank1", "distill", "base", "0")
    assert alone.returncode == 0, alone.stdout[-3000:] + alone.stderr[-3000:]
    names = [file.relative_to(tmp_path) for file in (tmp_path / "runs/smoke/recipes").rglob("metrics.json")]
    assert {name.parts[4] for name in names} == {"pretrain", "finetune", "distill"}
    for name in names:
        assert (tmp_path / name).read_bytes() == (home / name).read_bytes(), name


@pytest.mark.parametrize("notebook", ["02_pretrain", "03_finetune", "04_distill"])
def test_papermill_runs_a_stage(home, tmp_path, notebook):
    out = tmp_path / "out.ipynb"
    papermill = Path(sys.executable).with_name("papermill")
    done = typed(
        home, papermill, f"notebooks/{notebook}.ipynb", out, "-p", "recipe", "aiac_rank1", "-p", "scale", "smoke"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    errors = [
        o
        for cell in json.loads(out.read_text())["cells"]
        for o in cell.get("outputs", ())
        if o["output_type"] == "error"
    ]
    assert not errors


def test_report_from_existing_runs_trains_nothing(home):
    before = {file: file.stat().st_mtime_ns for file in (home / "runs/smoke/recipes").rglob("metrics.json")}
    (home / "reports/smoke/index.html").unlink()
    done = reproduce(home, "--existing")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (home / "reports/smoke/index.html").exists()
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in before.items())
