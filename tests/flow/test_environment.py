"""pyproject.toml, the lock, the conda door and the Makefile say the same; no network is needed to see it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib import metadata

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
    return [Requirement(text) for text in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])]


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform["sys_platform"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_meets_every_direct_requirement(platform, python):
    pins = locked({**platform, "python_version": python, "python_full_version": f"{python}.0"})
    wrong = [
        str(r)
        for r in direct()
        if canonicalize_name(r.name) not in pins or pins[canonicalize_name(r.name)] not in r.specifier
    ]
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
    ["reproduce", "SYSTEMS=a b", "QUESTIONS=c d", "CORPUS=some/store", "KEEP_GOING=1", "JOBS=3", "SEEDS=2", "SCALE=smoke"], ["quick"], ["test"], ["test-slow"],
    ["test-gpu"], ["plan"], ["run", "RECIPE=a"], ["ablation", "NAME=ema"], ["ensemble", "NAME=x"], ["report"], ["lab"], ["bench"],
    ["check"], ["format"], ["setup"], ["lock"], ["clean"], ["help"],
)  # fmt: skip


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestMake:
    def make(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["make", "-n", "--no-print-directory", *words], cwd=PROJECT, capture_output=True, text=True, check=False
        )

    @pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
    def test_every_verb_parses(self, words):
        done = self.make(*words)
        assert done.returncode == 0, done.stderr

    def test_options_reach_the_driver(self):
        line = self.make(*VERBS[0]).stdout.splitlines()[-1]
        assert line.split("lab.flow.reproduce ")[1].split() == (
            [
                "--scale",
                "smoke",
                "--corpus",
                "some/store",
                "--systems",
                "a,b",
                "--questions",
                "c,d",
                "--seeds",
                "2",
                "--jobs",
                "3",
                "--keep-going",
            ]
        )

    def test_a_missing_word_is_named(self):
        assert "RECIPE is missing: make run RECIPE=..." in self.make("run").stderr
        assert "NAME is missing: make ablation NAME=..." in self.make("ablation").stderr

    def test_no_python_is_told_with_the_remedy(self, tmp_path):
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(PROJECT / name, tmp_path)
        done = subprocess.run(["make", "setup", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "apt install python3-venv" in done.stdout

    def test_every_verb_is_explained(self):
        text = (PROJECT / "Makefile").read_text(encoding="utf-8")
        phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
        assert phony
        explained = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
        assert set(phony.group(1).split()) == explained
        assert {words[0] for words in VERBS} == explained
