"""Corpora of three videos in every format, to break one thing at a time."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from lib.data.tfrecords import write_records


def frames(n: int = 3, width: int = 8, fill: float = 0.5) -> np.ndarray:
    return (np.arange(n * width).reshape(n, width) / 64 + fill).astype("<f2")


def example(number: int, **changes) -> dict:
    """An AIAC record; a change of None removes the key."""
    record = {
        "id": [str(number).encode()], "title": ["猫和狗".encode()], "asr_text": [b""], "tag_id": [11, 12], "category_id": [10101],
        "frame_feature": [row.tobytes() for row in frames()],
    }  # fmt: skip
    return {key: value for key, value in (record | changes).items() if value is not None}


def aiac(folder: Path, records: list[dict] | None = None, labels: str = "5\t6\t0.50\n5\t7\t1.00\n") -> Path:
    """A pair corpus of videos 5, 6 and 7."""
    for part in ("pointwise", "pairwise"):
        (folder / part).mkdir(parents=True)
    write_records(folder / "pairwise" / "pairwise.tfrecords", records or [example(n) for n in (5, 6, 7)])
    (folder / "pairwise" / "label.tsv").write_text(labels, encoding="utf-8")
    (folder / "tag_list.txt").write_text("12\n11\n", encoding="utf-8")
    return folder


def annotation(number: int, **changes) -> dict:
    record = {"id": f"{number:020d}", "title": "标题", "asr": "", "ocr": [{"time": 1, "text": "字"}], "category_id": "0105"[:2] + "01"}
    return {key: value for key, value in (record | changes).items() if value is not None}


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def wechat(folder: Path, records: list[dict] | None = None, members: dict[str, bytes] | None = None) -> Path:
    """A class corpus of videos 1, 2 and 3 with features."""
    records = records or [annotation(n) for n in (1, 2, 3)]
    (folder / "annotations").mkdir(parents=True)
    (folder / "zip_feats").mkdir()
    (folder / "annotations" / "labeled.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    members = members if members is not None else {f"{record['id']}.npy": npy(frames()) for record in records if "id" in record}
    with zipfile.ZipFile(folder / "zip_feats" / "labeled.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return folder


def custom(folder: Path, records: list[dict], pairs: str | None = None) -> Path:
    """A manifest beside a.npy; records say the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "a.npy", frames())
    (folder / "manifest.jsonl").write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    if pairs is not None:
        (folder / "pairs.tsv").write_text(pairs, encoding="utf-8")
    return folder
