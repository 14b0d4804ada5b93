"""The command line as a user meets it: exit codes, one line of error, a table that can be read."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lab.cli import main
from lib.data.store import Store
from tests.corpora import small

ROOT = Path(__file__).resolve().parents[2]
GENERATE = ("generate", "--track", "pairs", "--out", "OUT")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return small.aiac(tmp_path / "corpus")


@pytest.fixture
def store(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    assert main(["corpus", "import", str(corpus), "--out", str(tmp_path / "store")]) == 0
    assert "6 videos, 42 frames, 2 pairs" in capsys.readouterr().out  # frames: 2 + 3, 2 + 1 + 32 and 2, as made
    return tmp_path / "store"


def lab(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_check_and_show(store: Path, capsys: pytest.CaptureFixture):
    assert main(["corpus", "check", str(store)]) == 0
    assert capsys.readouterr().out == "ok\n"
    assert main(["corpus", "show", str(store)]) == 0
    shown = capsys.readouterr().out
    for expected in ("pointwise", "pairwise", "test_a", "标题 5", "10802", Store.open(store).fingerprint):
        assert expected in shown


def test_an_import_says_what_it_kept(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = small.custom(tmp_path / "corpus", [{"frames": "p"}])
    (folder / "p").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (folder / "p" / name).write_bytes(small.picture())
    assert main(["corpus", "import", str(folder), "--out", str(tmp_path / "store")]) == 0
    assert capsys.readouterr().out.strip().endswith("1 video, 2 pictures")


def test_an_import_says_what_is_odd(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Pairs that repeat or contradict others, in either order; files that are not read."""
    videos = [{"id": name, "frames": "a.npy"} for name in "abc"]
    lines = "a\tb\t0.5\nb\ta\t0.5\na\tb\t0.9\nb\ta\t0.8\na\tb\t0.5\nc\tc\t1\na\tc\t0.5\n"
    folder = small.custom(tmp_path / "corpus", videos, lines)
    (folder / "pairs.txt").write_text("a,b,0.1")
    assert main(["corpus", "import", str(folder), "--out", str(tmp_path / "store")]) == 0
    shown = capsys.readouterr().out
    for words in (
        "7 pairs",
        "2 pairs repeat",
        "2 pairs contradict",
        "1 pair is of a video",
        "1 file left out",
        "pairs.txt",
    ):
        assert words in shown


def test_a_generated_corpus_and_a_flipped_byte_of_it(tmp_path: Path):
    """In processes of their own: one line of error, nothing left, and with quarantine all but the one record."""
    made = lab("corpus", *GENERATE[:-1], tmp_path / "corpus", "--videos", 60, "--pairs", 15)
    assert made.returncode == 0, made.stderr
    file = tmp_path / "corpus" / "pairwise" / "pairwise.tfrecords"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    command = ("corpus", "import", tmp_path / "corpus", "--out", tmp_path / "store")
    failed = lab(*command)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr + failed.stdout
    (error,) = [line for line in failed.stderr.replace("\r", "\n").splitlines() if "error: " in line]
    assert all(word in error for word in ("pairwise.tfrecords", "checksum", "copy it again"))
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    went_on = lab(*command, "--quarantine")
    assert went_on.returncode == 0 and "59 videos" in went_on.stdout and " rejected, listed in" in went_on.stdout


@pytest.mark.parametrize("spoil", ["frames.f16", "videos.arrow", "pairs.arrow", "removed pairs.arrow", "nan"])
def test_check_finds_what_changed(store: Path, capsys: pytest.CaptureFixture, spoil: str):
    if spoil == "removed pairs.arrow":
        (store / "pairs.arrow").unlink()
    elif spoil == "nan":
        values = np.fromfile(store / "frames.f16", "<f2")
        values[-5] = np.nan  # in the last video
        values.tofile(store / "frames.f16")
    else:
        data = bytearray((store / spoil).read_bytes())
        data[len(data) // 2] ^= 1
        (store / spoil).write_bytes(data)
    assert main(["corpus", "check", str(store)]) == 1
    out = capsys.readouterr().out
    assert spoil.removeprefix("removed ").replace("nan", "NaN or Inf") in out
    if spoil == "nan":
        opened = Store.open(store)
        assert f"video {opened.video(len(opened) - 1, frames=False).id}:" in out


def test_check_looks_at_every_picture(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder, picture = (
        small.custom(tmp_path / "corpus", [{"id": "a", "frames": "p"}, {"id": "b", "frames": "p"}]),
        small.picture(),
    )
    (folder / "p").mkdir()
    (folder / "p" / "1.jpg").write_bytes(picture)
    assert main(["corpus", "import", str(folder), "--out", str(tmp_path / "store")]) == 0
    images = tmp_path / "store" / "images.bin"
    images.write_bytes(picture + bytes(len(picture)))
    assert main(["corpus", "check", str(tmp_path / "store")]) == 1
    assert "video b: picture 1 of 1 is" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize("change", [{"counts": None}, {"checksums": 3}, {"frame_dim": "x"}, {"tags": 7}, None])
def test_a_manifest_that_was_edited(store: Path, capsys: pytest.CaptureFixture, command: str, change: dict | None):
    file = store / "manifest.json"
    file.write_text("[]" if change is None else json.dumps(json.loads(file.read_text()) | change))
    status, said = main(["corpus", command, str(store)]), capsys.readouterr()
    assert (
        "fault" not in said.err
        and "Traceback" not in said.err
        and (status == 0 or "import the corpus again" in said.err + said.out)
    )


def test_a_fault_of_ours_is_one_line_too(store: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    def broken(store):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    monkeypatch.setattr("lab.corpora.checking.problems", broken)
    assert main(["corpus", "check", str(store)]) == 1
    said = capsys.readouterr().err
    assert (
        "error: ZeroDivisionError: by nothing (a fault of vidlab; the traceback is in" in said and said.count("\n") == 1
    )
    assert "in broken" in (tmp_path / "runs" / "error.txt").read_text()


def test_names_of_folders_in_a_terminal_that_knows_no_chinese(corpus: Path, tmp_path: Path):
    (tmp_path / "视频").mkdir()
    environment = os.environ | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}
    for words in (("import", corpus, "--out", tmp_path / "视频" / "s"), ("show", tmp_path / "视频" / "s")):
        command = [sys.executable, "-m", "lab", "corpus", *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr
    assert "\\u6807\\u9898" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_service_without_output(store: Path, closed: str):
    command = f"exec {sys.executable} -m lab corpus check {store} {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr


def test_check_of_a_cut_table(store: Path, capsys: pytest.CaptureFixture):
    data = (store / "videos.arrow").read_bytes()
    (store / "videos.arrow").write_bytes(data[: len(data) // 2])
    assert main(["corpus", "check", str(store)]) == 1
    assert "import the corpus again" in capsys.readouterr().err
    shutil.rmtree(store)
    assert main(["corpus", "show", str(store)]) == 1
    assert "vidlab corpus import" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "OUT"), "no store there"),
        (("show", "OUT"), "no store there"),
        (("import", "OUT", "--out", "OUT/store"), "missing"),
        (("import", "CORPUS", "--out", "CORPUS"), "another --out"),
        ((*GENERATE, "--videos", "100", "--frames", "jpeg"), "--frames"),
        ((*GENERATE, "--videos", "50", "--pairs", "5000"), "5000 pairs need"),
    ],
)
def test_mistakes_are_one_line(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments, words: str):
    places = {"OUT": str(tmp_path / "out"), "OUT/store": str(tmp_path / "out/store"), "CORPUS": str(corpus)}
    assert main(["corpus", *(places.get(word, word) for word in arguments)]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and words in error and len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [corpus]


def test_help_is_quick():
    """No torch, no pandas: asking for help must not cost seconds of imports."""
    code = "import sys; from lab.cli import _parser; _parser().format_help(); print(sorted({'torch', 'pandas', 'pyarrow', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
