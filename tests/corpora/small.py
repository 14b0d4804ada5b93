"""Corpora of a few videos in every format, correct unless a test spoils them."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lab.corpora.tfrecords import write_records
from lib.data.store import Store

AIAC_WIDTH, WECHAT_WIDTH = 1536, 768  # of the official features
CLASSES = ("0000", "0104", "2223")


def rows_of(store: Store, ids: Sequence[str]) -> list[int]:
    """Store rows of videos."""
    return [store.column("id").tolist().index(name) for name in ids]


def matrix(n: int, width: int, seed: int = 0) -> np.ndarray:
    """float16 [n, width]."""
    return np.random.default_rng([seed, n, width]).standard_normal((n, width)).astype("<f2")


def record(name: str | bytes, n: int = 2, *, seed: int | None = None, **changes: Any) -> dict[str, list]:
    """A record of the AIAC format; ``changes`` replace keys, None removes one."""
    raw = name.encode() if isinstance(name, str) else name
    example: dict[str, Any] = {
        "id": [raw], "title": ["标题 ".encode() + raw], "asr_text": ["你好".encode()], "tag_id": [11, 22], "category_id": [10802],
        "frame_feature": [row.tobytes() for row in matrix(n, AIAC_WIDTH, seed if seed is not None else len(raw))],
    }  # fmt: skip
    return {key: value for key, value in (example | changes).items() if value is not None}


def aiac(
    folder: Path,
    pointwise: Sequence[Mapping] | None = None,
    pairs: str = "5\t10\t0.25\n10\t15\t1.00\n",
    tags: str = "11\n22\n",
) -> Path:
    """Videos 1 and 2 without pairs, 5, 10 and 15 with; 90 is the test set."""
    for part in ("pointwise", "pairwise", "test_a"):
        (folder / part).mkdir(parents=True)
    pointwise = [record("1"), record("2", 3)] if pointwise is None else pointwise
    write_records(folder / "pointwise" / "pretrain_0.tfrecords", pointwise)
    write_records(folder / "pairwise" / "pairwise.tfrecords", [record("5"), record("10", 1), record("15", 32)])
    write_records(folder / "test_a" / "test_a.tfrecords", [record("90", tag_id=None, category_id=None)])
    (folder / "pairwise" / "label.tsv").write_text(pairs, encoding="utf-8")
    (folder / "tag_list.txt").write_text(tags, encoding="utf-8")
    return folder


def annotation(number: int, **changes: Any) -> dict[str, Any]:
    """Record of the WeChat format for video ``number``; its id has 20 digits, as the real ones."""
    item = {
        "id": f"1{number:019d}",
        "title": f"第{number}个视频",
        "asr": "嗯",
        "ocr": [{"time": 1.0, "text": "字幕"}],
        "category_id": CLASSES[number % 3],
    }
    return {key: value for key, value in (item | changes).items() if value is not None}


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def picture(shade: int = 90, size: tuple[int, int] = (16, 12), kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 255 - shade, 40)).save(buffer, kind)
    return buffer.getvalue()


def archive(file: Path, members: Mapping[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as target:
        for name, content in members.items():
            target.writestr(zipfile.ZipInfo(name, (2022, 1, 1, 0, 0, 0)), content)


def wechat(
    folder: Path,
    items: Sequence[Mapping] | None = None,
    features: Mapping[str, np.ndarray | bytes | None] | None = None,
    frames: Mapping[str, Mapping[str, bytes]] | None = None,
    *,
    zip_feats: bool = True,
) -> Path:
    """Two labelled videos and one of the test set.

    Args:
        items: annotations of the labelled set.
        features: changes to the features by id; None leaves one out.
        frames: id -> members of its zip of pictures.
    """
    (folder / "annotations").mkdir(parents=True)
    labelled = [annotation(0), annotation(1)] if items is None else list(items)
    sets = {"labeled": labelled, "test_a": [annotation(7, category_id=None)]}
    for part, records in sets.items():
        (folder / "annotations" / f"{part}.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
        names = [item["id"] for item in records if "id" in item]
        if zip_feats:
            content = {name: matrix(2, WECHAT_WIDTH, number) for number, name in enumerate(names)}
            content |= features or {} if part == "labeled" else {}
            kept = {f"{name}.npy": value for name, value in content.items() if value is not None}
            members = {name: value if isinstance(value, bytes) else npy(value) for name, value in kept.items()}
            archive(folder / "zip_feats" / f"{part}.zip", members)
        for name in names if frames is not None else ():
            images = frames.get(name, {"01.jpg": picture(10), "02.jpg": picture(200)})
            archive(folder / "zip_frames" / part / name[-3:] / f"{name}.zip", images)
    return folder


def custom(folder: Path, items: Sequence[Mapping | bytes], pairs: str | None = None) -> Path:
    """A manifest of these lines; features a.npy (2 frames) and b.npy (3) of width 6 lie beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "a.npy", matrix(2, 6))
    np.save(folder / "b.npy", matrix(3, 6))
    lines = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
    (folder / "manifest.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    if pairs is not None:
        (folder / "pairs.tsv").write_text(pairs, encoding="utf-8")
    return folder


def movie(file: Path, shades: Sequence[Any] = (0, 40, 80, 120, 160), rate: int | Fraction = 2, start: int = 0) -> None:
    """A real video, mpeg4, ``rate`` frames a second from second ``start`` on, each of another shade or picture."""
    import av

    with av.open(str(file), "w") as target:
        stream = target.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = np.shape(shades[0]) or (32, 32)
        stream.pix_fmt = "yuv420p"
        for number, shade in enumerate(shades):
            pixels = np.broadcast_to(np.asarray(shade, np.uint8), (stream.height, stream.width))
            frame = av.VideoFrame.from_ndarray(np.stack([pixels] * 3, axis=-1), format="rgb24")
            frame.pts, frame.time_base = round(start * rate) + number, 1 / Fraction(rate)
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
