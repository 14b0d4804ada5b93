"""pyproject.toml, the lock, the conda door and the Makefile say the same; no network is needed to see it."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lib.runs.paths import PROJECT

PLATFORMS = (
    {"sys_platform": "linux", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_machine": "arm64"},
)
TEXT = (PROJECT / "requirements.lock").read_text(encoding="utf-8")


def locked(environment: dict[str, str]) -> dict[str, Version]:
    pins = {}
    for line in re.findall(r"^[A-Za-z0-9][^\\\n]*", TEXT, re.MULTILINE):
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pins[canonicalize_name(requirement.name)] = Version(next(iter(requirement.specifier)).version)
    return pins


def direct() -> list[Requirement]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["project"]["dependencies"], project["dependency-groups"]["dev"]
    extras = project["project"]["optional-dependencies"].values()
    return [Requirement(text) for group in (*groups, *extras) for text in group]


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform["sys_platform"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_meets_every_direct_requirement(platform, python):
    pins = locked({**platform, "python_version": python, "python_full_version": f"{python}.0"})
    pinned = [(r, pins.get(canonicalize_name(r.name))) for r in direct()]
    wrong = [str(requirement) for requirement, pin in pinned if pin is None or pin not in requirement.specifier]
    assert len(direct()) > 40
    assert not wrong, f"not in requirements.lock: {wrong}; run `make lock`"


def test_the_lock_names_versions_and_hashes_but_no_addresses():
    assert "://" not in TEXT and "/" not in re.sub(r"--hash=\S+", "", TEXT)
    assert not re.search(r"^\s*--(index|extra|find|trusted)", TEXT, re.MULTILINE)
    entries = re.split(r"^(?=[A-Za-z0-9])", TEXT, flags=re.MULTILINE)[1:]
    assert len(entries) > 150
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9, -]+\])?==\S+", entry) and "--hash=sha256:" in entry, entry[:80]


def test_the_lock_is_whole_for_pip_which_looks_nothing_up_beside_it():
    """With hashes, pip refuses a requirement that no line pins; and a line must carry the extras that others ask for."""
    lines = [Requirement(line.strip()) for line in re.findall(r"^[A-Za-z0-9][^\\\n]*", TEXT, re.MULTILINE)]
    here = {canonicalize_name(r.name): r for r in lines if r.marker is None or r.marker.evaluate()}
    missing, looked_at = [], 0
    for name, pinned in here.items():
        for text in metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in ("", *pinned.extras)):
                continue
            looked_at += 1
            found = here.get(canonicalize_name(wanted.name))
            if found is None or not wanted.extras <= found.extras:
                missing.append(f"{name} asks for {wanted}")
    assert looked_at > 300
    assert not missing, missing


def test_no_grammar_is_compiled_at_every_start():
    """jsonschema from 4.25 on imports rfc3987-syntax where it is installed: 1.6 s before a notebook starts."""
    assert "rfc3987-syntax" not in TEXT


def test_the_conda_door_repeats_nothing():
    door = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = door["dependencies"]
    assert conda == ["python=3.11", "pip", "make"]
    assert pip == {"pip": ["-r requirements.lock"]}
    requires = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert Requirement(f"python{requires}").specifier.contains("3.11")


VERBS = (
    ["reproduce", "SYSTEMS=a b", "QUESTIONS=c d", "CORPUS=some/store", "KEEP_GOING=1", "JOBS=3", "PROFILE=slurm", "SEEDS=2", "SCALE=smoke", "DEPTH=all"], ["test"], ["test-slow"],
    ["test-gpu"], ["plan"], ["run", "RECIPE=a"], ["ablation", "NAME=ema"], ["ensemble", "NAME=x"], ["real"], ["report"], ["lab"], ["bench"],
    ["check"], ["format"], ["setup"], ["lock"], ["clean"], ["help"],
)  # fmt: skip


NASTY = ["stores/a b", "stores/$(touch x)", "stores/$(shell touch x)", "stores/`touch x`", "stores/${HOME}", "stores/$HOME", "stores/a;touch x",
    "stores/a#b", "stores/a%b", "stores/it's", 'stores/"quoted"', "stores/我的 视频 (1)", "stores/a&b|c", "stores/a\\b", "stores/{x}", "stores/*?[a]!"]  # fmt: skip
LOCKED = ("pyproject.toml", "requirements.lock")


def project(folder: Path) -> Path:
    """A folder with the Makefile and a stand-in for the interpreter that writes down, line by line, what it is called with."""
    (folder / ".venv/bin").mkdir(parents=True)
    for name in LOCKED:
        (folder / name).write_text("")
    shutil.copy(PROJECT / "Makefile", folder)
    python = folder / ".venv/bin/python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> seen\n')
    python.chmod(0o755)
    (folder / ".venv/.done").touch()
    return python


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CONDA"))}
    return subprocess.run(
        ["make", *words], cwd=folder, env={**usual, **environment}, capture_output=True, text=True, check=False
    )


def driven(folder: Path, *words: str, **environment: str) -> list[str]:
    """What a verb calls the driver with."""
    if not (folder / "Makefile").exists():
        project(folder)
    (folder / "seen").unlink(missing_ok=True)
    done = make(folder, *words, **environment)
    assert done.returncode == 0, done.stderr
    called = (folder / "seen").read_text().splitlines()
    assert called[:2] == ["-m", "lab"]
    return called[2:]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestMake:
    @pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
    def test_every_verb_parses(self, words):
        done = make(PROJECT, "-n", *words)
        assert done.returncode == 0, done.stderr

    def test_options_reach_the_driver(self, tmp_path):
        seen = driven(tmp_path, *VERBS[0])
        assert seen == [
            "reproduce", "--scale=smoke", "--corpus=some/store", "--systems=a b", "--questions=c d", "--depth=all", "--seeds=2", "--jobs=3", "--profile=slurm", "--keep-going",
        ]  # fmt: skip
        assert driven(tmp_path, "run", "RECIPE=a", "ARM=x y")[-5:] == ["--job", "a", "finetune", "x y", "0"]
        assert driven(tmp_path, "ablation", "NAME=ema")[-1] == "ablation/ema"

    @pytest.mark.parametrize("name", NASTY)
    @pytest.mark.parametrize("where", ["typed", "environment"])
    def test_a_name_arrives_as_it_was_typed_and_nothing_in_it_is_executed(self, tmp_path, name, where):
        typed = {"typed": ([f"CORPUS={name}"], {}), "environment": ([], {"CORPUS": name})}
        words, environment = typed[where]
        assert f"--corpus={name}" in driven(tmp_path, "plan", *words, **environment)
        assert not (tmp_path / "x").exists()

    @pytest.mark.parametrize("folder", NASTY)
    def test_the_folder_of_the_project_may_have_any_name(self, tmp_path, folder):
        home = tmp_path / folder.replace("/", "-")
        home.mkdir()
        assert "--corpus=a b" in driven(home, "plan", "CORPUS=a b")

    def test_an_unfinished_environment_is_made_from_nothing(self, tmp_path):
        """As a kill leaves it: an interpreter, half a package, no mark that it is whole."""
        python = project(tmp_path)
        (tmp_path / ".venv/.done").unlink()
        half = tmp_path / ".venv/half"
        half.touch()
        made = make(tmp_path, "setup", f"PYTHON={python}")
        assert "-m venv --clear .venv" in (tmp_path / "seen").read_text().replace("\n", " "), made.stderr

    def test_an_environment_is_unfinished_while_it_is_changed(self, tmp_path):
        python = project(tmp_path)
        (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
        os.utime(tmp_path / "requirements.lock")
        os.utime(tmp_path / ".venv/.done", (0, 0))
        assert make(tmp_path, "setup", f"PYTHON={python}").returncode
        assert not (tmp_path / ".venv/.done").exists()

    def test_a_linked_environment_is_left_alone(self, tmp_path):
        project(tmp_path / "whole")
        clone = tmp_path / "clone"
        clone.mkdir()
        for name in LOCKED:
            (clone / name).write_text("")
        shutil.copy(PROJECT / "Makefile", clone)
        (clone / ".venv").symlink_to(tmp_path / "whole/.venv")
        os.utime(tmp_path / "whole/.venv/.done", (0, 0))
        done = make(clone, "plan")
        assert done.returncode == 2 and ".venv is a link to" in done.stdout
        assert not (tmp_path / "whole/seen").exists()

    def test_a_missing_word_is_named(self):
        assert "RECIPE is missing: make run RECIPE=..." in make(PROJECT, "-n", "run").stderr
        assert "NAME is missing: make ablation NAME=..." in make(PROJECT, "-n", "ablation").stderr

    def test_no_python_is_told_with_the_remedy(self, tmp_path):
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(PROJECT / name, tmp_path)
        done = make(tmp_path, "setup", "PYTHON=")
        assert done.returncode == 2
        assert "apt install python3-venv" in done.stdout

    def test_every_verb_is_explained(self):
        text = (PROJECT / "Makefile").read_text(encoding="utf-8")
        phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
        assert phony
        explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
        assert set(phony.group(1).split()) == explained
        assert {words[0] for words in VERBS} == explained
