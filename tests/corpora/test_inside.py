"""Text that videos carry: read for real where RapidOCR is installed; heard by a stand-in, as no weights come with a package."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from lab.corpora import inside
from lab.corpora.importing import import_corpus
from lab.corpora.inside import Inside
from lib.data.rejects import BadRecord
from tests.corpora import small


@pytest.fixture(autouse=True)
def forget():
    real = inside._reader, inside._listener
    for loaded in real:
        loaded.cache_clear()
    yield
    for loaded in real:
        loaded.cache_clear()


def written(text: str) -> np.ndarray:
    """uint8 [H, W], black on white."""
    picture = Image.new("L", (320, 96), 255)
    ImageDraw.Draw(picture).text((20, 24), text, fill=0, font=ImageFont.load_default(40))
    return np.asarray(picture)


def films(folder: Path) -> Path:
    """A film with a line in its second second, the same in its third, and one without; a manifest that knows better of one."""
    shown, blank = written("HELLO 2021"), np.full((96, 320), 255)
    for name, shades in {"a": (blank, shown, shown), "b": (blank, blank, blank), "c": (shown, shown, shown)}.items():
        folder.mkdir(exist_ok=True)
        small.movie(folder / f"{name}.mp4", shades, rate=1)
    items = [{"id": name, "frames": f"{name}.mp4"} for name in "ab"] + [{"id": "c", "frames": "c.mp4", "ocr": "given", "asr": "too"}]  # fmt: skip
    return small.custom(folder, items)


def test_text_in_pictures_is_read_once_and_does_not_replace_what_is_given(tmp_path: Path):
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    store = import_corpus(films(tmp_path / "in"), tmp_path / "store", inside=Inside(ocr=True))
    a, b, c = store
    assert a.ocr == ((1.0, "HELLO"), (1.0, "2021"))
    assert b.ocr == () and c.ocr == ((0.0, "given"),) and a.asr == ""
    assert store.manifest["inside"] == {"ocr": True, "asr": ""}


def test_speech_is_what_the_segments_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A track of sound is looked for first; a folder of pictures has none."""
    asked = []

    class WhisperModel:
        def __init__(self, folder: str, **options):
            asked.append((folder, options))

        def transcribe(self, file: str):
            asked.append(file)
            return iter([SimpleNamespace(text=" good"), SimpleNamespace(text=" day ")]), None

    module = ModuleType("faster_whisper")
    module.WhisperModel = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / name).touch()
    (tmp_path / "p").mkdir()
    small.movie(tmp_path / "silent.mp4")
    sound(tmp_path / "a.mp4")
    listens = Inside(asr=str(tmp_path))
    assert listens(tmp_path / "a.mp4", ()) == {"asr": "good day"}
    assert [listens(tmp_path / name, ())["asr"] for name in ("silent.mp4", "p")] == ["", ""]
    assert asked == [(str(tmp_path), {"local_files_only": True}), str(tmp_path / "a.mp4")]


def sound(file: Path) -> None:
    import av

    with av.open(str(file), "w") as target:
        stream = target.add_stream("aac", rate=16_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        target.mux(stream.encode(frame))
        target.mux(stream.encode())


@pytest.mark.parametrize(("package", "option"), [("rapidocr", {"ocr": True}), ("faster_whisper", {"asr": "HERE"})])
def test_what_is_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, option: dict):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / name).touch()
    given = {name: str(tmp_path) if value == "HERE" else value for name, value in option.items()}
    with pytest.raises(ValueError, match=rf"--(ocr|asr): .*{package}.*; install it with: pip install -e '.\[\1\]'"):
        Inside(**given)
    with pytest.raises(ValueError, match="no model.bin there; give the folder of a Whisper model"):
        Inside(asr=str(tmp_path / "nowhere"))
    assert Inside()(tmp_path, ()) == {}


def test_official_corpora_are_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inside, "_reader", lambda: None)
    with pytest.raises(BadRecord, match="only for videos of one's own"):
        import_corpus(small.aiac(tmp_path / "in"), tmp_path / "store", inside=Inside(ocr=True))
