"""Text that videos carry: what can be read in their pictures, and what is said. With libraries that nothing else needs:
``pip install -e '.[ocr]'`` (RapidOCR with its weights), ``'.[asr]'`` (faster-whisper; weights by path)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

ENGINE = {"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": 1}  # videos share the cores


@dataclass(frozen=True)
class Inside:
    """The texts of a video from its file. Raises ValueError: the library is missing, or ``asr`` holds no model.

    Args:
        ocr: read the pictures.
        asr: folder of a Whisper model as faster-whisper reads it; "": nobody listens.
    """

    ocr: bool = False
    asr: str = ""

    def __post_init__(self) -> None:
        for asked, load in ((self.ocr, _reader), (self.asr, lambda: _listener(self.asr))):
            if asked:
                load()

    def __call__(self, path: Path, images: Sequence[bytes]) -> dict[str, Any]:
        """``ocr`` and ``asr`` of a ``Video``, those that were asked for. A line that stays on screen is there once, its time
        the number of the first picture that shows it."""
        found: dict[str, Any] = {}
        if self.ocr:
            lines: dict[str, float] = {}
            for number, image in enumerate(images):
                for line in _reader()(image).txts or ():
                    lines.setdefault(line, float(number))
            found["ocr"] = tuple((time, line) for line, time in lines.items())
        if self.asr:
            found["asr"] = _said(path, self.asr)
        return found


def _said(path: Path, model: str) -> str:
    import av

    if path.is_dir():
        return ""
    with av.open(str(path)) as movie:
        if not movie.streams.audio:
            return ""
    segments, _ = _listener(model).transcribe(str(path))
    return " ".join(segment.text.strip() for segment in segments)


def _needed(package: str, extra: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ValueError(f"--{extra}: {error}; install it with: pip install -e '.[{extra}]'") from None


@cache
def _reader() -> Any:
    return _needed("rapidocr", "ocr").RapidOCR(params=ENGINE)


@cache
def _listener(folder: str) -> Any:
    if lacks := [name for name in ("model.bin", "tokenizer.json") if not (Path(folder) / name).is_file()]:
        raise ValueError(f"--asr {folder}: no {lacks[0]} there; give the folder of a Whisper model for faster-whisper")
    try:
        return _needed("faster_whisper", "asr").WhisperModel(folder, local_files_only=True)
    except RuntimeError as error:
        raise ValueError(f"--asr {folder}: {error}; copy the model again from its source") from None
