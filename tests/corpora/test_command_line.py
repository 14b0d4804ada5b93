"""The command line as people use it: other processes, exit codes, one line of error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.data.store import Store

ROOT = Path(__file__).resolve().parents[2]


def lab(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A generated corpus and its store, both made by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    size = ("--track", "pairs", "--videos", 120, "--seed", 3, "--pairs", 30)
    made = lab("corpus", "generate", *size, "--out", folder / "pairs")
    assert made.returncode == 0, made.stderr
    brought = lab("corpus", "import", folder / "pairs", "--out", folder / "store")
    assert brought.returncode == 0 and "120 videos" in brought.stdout, brought.stderr
    return {name: folder / name for name in ("pairs", "store")}


def test_check_and_show(corpora: dict[str, Path]):
    checked = lab("corpus", "check", corpora["store"])
    assert (checked.returncode, checked.stdout.strip().splitlines()[-1]) == (0, "ok")
    shown, store = lab("corpus", "show", corpora["store"]), Store.open(corpora["store"])
    assert shown.returncode == 0, shown.stderr
    for expected in (store.fingerprint, store.column("id")[0], *store.parts):
        assert expected in shown.stdout


def test_flipped_byte_is_one_line(corpora: dict[str, Path], tmp_path: Path):
    shutil.copytree(corpora["pairs"], tmp_path / "corpus")
    file = tmp_path / "corpus" / "pairwise" / "pairwise.tfrecords"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    failed = lab("corpus", "import", tmp_path / "corpus", "--out", tmp_path / "store")
    assert failed.returncode == 1
    errors = [line for line in failed.stderr.replace("\r", "\n").splitlines() if "error: " in line]
    assert (
        len(errors) == 1
        and "pairwise.tfrecords" in errors[0]
        and "checksum" in errors[0]
        and "copy it again" in errors[0]
    )
    assert "Traceback" not in failed.stderr + failed.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("check", "nowhere"), "no store there"),
        (("show", "nowhere"), "no store there"),
        (("import", "nowhere", "--out", "store"), "missing"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, ...], words: str):
    absolute = [str(tmp_path / word) if word in ("nowhere", "store") else word for word in arguments]
    failed = lab("corpus", *absolute)
    assert failed.returncode == 1
    assert (
        failed.stderr.startswith("error: ") and words in failed.stderr and len(failed.stderr.strip().splitlines()) == 1
    )


def test_import_refuses_to_overwrite(corpora: dict[str, Path]):
    failed = lab("corpus", "import", corpora["pairs"], "--out", corpora["store"])
    assert failed.returncode == 1 and "--overwrite" in failed.stderr and "Traceback" not in failed.stderr


def test_impossible_corpus(tmp_path: Path):
    """More pairs than the videos can make: one line, and nothing is left."""
    failed = lab(
        "corpus", "generate", "--track", "pairs", "--videos", 50, "--pairs", 5000, "--out", tmp_path / "corpus"
    )
    assert failed.returncode == 1
    assert "5000 pairs need" in failed.stderr and "Traceback" not in failed.stderr
    assert list(tmp_path.iterdir()) == []
