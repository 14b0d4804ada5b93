"""The command line as a user meets it: exit codes, one line of error, a table that can be read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lab.cli import main
from lib.data.store import Store
from tests.corpora import small
from tests.corpora.small import record


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return small.aiac(tmp_path / "corpus")


def test_import_check_show(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    store = tmp_path / "store"
    assert main(["corpus", "import", str(corpus), "--out", str(store)]) == 0
    assert (
        "6 videos, 42 frames, 2 pairs" in capsys.readouterr().out
    )  # 2 + 3, 2 + 1 + 32 and 2 frames, as small.aiac writes them
    assert main(["corpus", "check", str(store)]) == 0
    assert capsys.readouterr().out == "ok\n"
    assert main(["corpus", "show", str(store)]) == 0
    shown = capsys.readouterr().out
    for expected in ("pointwise", "test_a", "标题 5", "10802"):
        assert expected in shown


def test_an_import_says_what_it_kept(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = small.custom(tmp_path / "corpus", [{"frames": "p"}])
    (folder / "p").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (folder / "p" / name).write_bytes(small.picture())
    assert main(["corpus", "import", str(folder), "--out", str(tmp_path / "store")]) == 0
    assert capsys.readouterr().out.strip().endswith("1 videos, 2 pictures")


def test_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    small.aiac(tmp_path / "corpus", [record("1"), record("1")])
    assert main(["corpus", "import", str(tmp_path / "corpus"), "--out", str(tmp_path / "store")]) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert (
        len(error) == 1 and "pretrain_0.tfrecords: record 1 (video 1): id is '1': the same id came before" in error[0]
    )
    assert main(["corpus", "import", str(tmp_path / "corpus"), "--out", str(tmp_path / "store"), "--quarantine"]) == 0
    assert "1 records rejected" in capsys.readouterr().out


@pytest.mark.parametrize("spoil", ["frames.f16", "videos.arrow", "pairs.arrow", "removed pairs.arrow", "nan"])
def test_check_finds_what_changed(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture, spoil: str):
    store = tmp_path / "store"
    main(["corpus", "import", str(corpus), "--out", str(store)])
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
    capsys.readouterr()
    assert main(["corpus", "check", str(store)]) == 1
    out = capsys.readouterr().out
    assert spoil.removeprefix("removed ").replace("nan", "NaN or Inf") in out
    if spoil == "nan":
        opened = Store.open(store)
        assert f"video {opened.video(len(opened) - 1, frames=False).id}:" in out


def test_check_of_a_cut_table(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    store = tmp_path / "store"
    main(["corpus", "import", str(corpus), "--out", str(store)])
    data = (store / "videos.arrow").read_bytes()
    (store / "videos.arrow").write_bytes(data[: len(data) // 2])
    assert main(["corpus", "check", str(store)]) == 1
    assert "import the corpus again" in capsys.readouterr().err
    shutil.rmtree(store)
    assert main(["corpus", "show", str(store)]) == 1
    assert "vidlab corpus import" in capsys.readouterr().err


def test_generate_says_which_argument(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert (
        main(
            [
                "corpus",
                "generate",
                "--track",
                "pairs",
                "--videos",
                "100",
                "--frames",
                "jpeg",
                "--out",
                str(tmp_path / "twin"),
            ]
        )
        == 1
    )
    assert "--frames" in capsys.readouterr().err
    assert not (tmp_path / "twin").exists()


def test_help_is_quick():
    """No torch, no pandas: asking for help must not cost seconds of imports."""
    code = "import sys; from lab.cli import _parser; _parser().format_help(); print(sorted({'torch', 'pandas', 'pyarrow', 'numpy'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
