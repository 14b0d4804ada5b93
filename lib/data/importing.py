"""import_corpus: any supported folder into a store; the format is told from the layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lib.data import aiac2021, custom, wechat2022
from lib.data.rejects import BadRecord, Rejects
from lib.data.schema import MAX_FRAMES
from lib.data.store import Store
from lib.data.writer import StoreWriter
from lib.runs.files import read_json
from lib.runs.paths import shown

FORMATS = {"aiac2021": aiac2021, "wechat2022": wechat2022, "custom": custom}


def import_corpus(src: Path | str, out: Path | str, format: str | None = None, *, quarantine: bool = False, overwrite: bool = False, max_frames: int = MAX_FRAMES) -> Store:
    """Import a corpus in constant memory; nothing half-written stays behind.

    Args:
        format: "aiac2021", "wechat2022" or "custom"; told from the files if None.
        quarantine: go on past bad records and list them in ``rejects.parquet`` of the store.

    Raises:
        BadRecord: the first bad record; names file, record, field, value and remedy.
        StoreError: ``out`` exists and ``overwrite`` is False, or not one video could be imported.
    """
    src = Path(src)
    if not src.exists():
        raise BadRecord(src, "folder", "path", "missing", "give the folder that holds the corpus")
    reader = FORMATS[format] if format else next((module for module in FORMATS.values() if module.recognise(src)), None)
    if reader is None:
        raise BadRecord(src, "folder", "layout", "unknown", "expected */*.tfrecords (aiac2021), annotations/*.json (wechat2022) or manifest.jsonl / .parquet (custom); name it with --format")
    rejects = Rejects(quarantine)
    track = reader.track(src) if hasattr(reader, "track") else reader.TRACK
    with StoreWriter(Path(out), track=track, source=reader.__name__.rsplit(".", 1)[-1], max_frames=max_frames, overwrite=overwrite, rejects=rejects) as writer:
        about = reader.read(src, writer, rejects, max_frames=max_frames)
        twin = read_json(src / "twin.json") if (src / "twin.json").exists() else None
        truth = _truth(src / "truth.arrow", writer, about["categories"])
        store = writer.finish(tags=about["tags"], categories=about["categories"], twin=twin, truth=truth)
    if rejects.errors:
        print(f"{len(rejects.errors)} records rejected, listed in {shown(store.path / 'rejects.parquet')}")
    return store


def _truth(file: Path, writer: StoreWriter, categories: list[str] | None) -> pd.DataFrame | None:
    """A twin's truth in store order: ``oracle`` (affinity) per pair, or ``true_category`` (index) per video."""
    if not file.exists():
        return None
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_pandas()
    if writer.track == "pairs":
        known = {(writer.row_of(a), writer.row_of(b)): value for a, b, value in zip(table["id1"], table["id2"], table["affinity"], strict=True)}
        return pd.DataFrame({"oracle": [known[pair[:2]] for pair in writer.pairs]})
    index = {name: number for number, name in enumerate(categories or ())}
    true = np.full(writer.count, -1, np.int64)
    for name, category in zip(table["id"], table["true_category"], strict=True):
        row = writer.row_of(name)
        if row is not None:  # rejected videos have no row
            true[row] = index[category]
    return pd.DataFrame({"true_category": true})
