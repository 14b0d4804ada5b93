"""import_corpus: any supported folder into a store; the format is told from the layout. build: a corpus of ``params`` by name."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lab.corpora.inside import Inside
from lab.corpora.reading import arrow_batches, read_json
from lib.data.pixels import is_litter
from lib.data.rejects import BadRecord, Rejects
from lib.data.schema import MAX_FRAMES
from lib.data.store import Store, StoreError
from lib.data.writer import StoreWriter
from lib.recipes.corpus import CorpusRef
from lib.recipes.errors import RecipeError
from lib.runs import paths
from lib.runs.files import disk_for
from lib.runs.paths import shown

PAIR_TRUTH, CLASS_TRUTH = ("id1", "id2", "affinity"), ("id", "true_category")  # columns of truth.arrow
FORMATS = ("aiac2021", "wechat2022", "custom")  # imported by name: a generated corpus depends on its own format alone


def import_corpus(
    src: Path | str,
    out: Path | str,
    format: str | None = None,
    *,
    quarantine: bool = False,
    overwrite: bool = False,
    max_frames: int = MAX_FRAMES,
    frame_dim: int | None = None,
    track: str | None = None,
    inside: Inside | None = None,
) -> Store:
    """Import a corpus in constant memory; nothing half-written stays behind.

    Args:
        format: "aiac2021", "wechat2022" or "custom"; told from the files if None.
        quarantine: go on past bad records and list them in ``rejects.parquet`` of the store.
        max_frames: most frames of a video; more are an error (custom images and videos are sampled).
        frame_dim: numbers per frame; by default those of the format (1536, 768) or, for custom, of the first video.
        track: "pairs" or "classes", for a custom corpus with both; told from the files if None.
        inside: looks for text in the files of a custom corpus; the store's manifest says so.

    Raises BadRecord: the first bad record; names file, record, field, value and remedy; StoreError: ``out`` exists and
    ``overwrite`` is False, or not one video could be imported.
    """
    src, out = Path(src), Path(out)
    reader = _reader(src, format)
    if inside is not None and reader.FRAME_DIM is not None:
        raise BadRecord(src, "folder", "--ocr or --asr", reader.__name__, "only for videos of one's own")
    if src.resolve().is_relative_to(out.resolve()):
        raise StoreError(f"{shown(out)}: the corpus lies inside the store to be written; choose another --out")
    with (
        disk_for(out),
        StoreWriter(
            out,
            track=track or reader.track(src),
            source=reader.__name__.rsplit(".", 1)[-1],
            max_frames=max_frames,
            frame_dim=frame_dim or reader.FRAME_DIM,
            overwrite=overwrite,
            rejects=Rejects(quarantine),
        ) as writer,
    ):
        texts = {} if inside is None else {"inside": inside}
        about = reader.read(src, writer, writer.rejects, **texts)
        twin = read_json(src / "twin.json") if (src / "twin.json").exists() else None
        truth = _truth(src / "truth.arrow", writer, about["categories"])
        return writer.finish(
            tags=about["tags"], categories=about["categories"], twin=twin, truth=truth, inside=inside and vars(inside)
        )


def build(name: str, scale: str) -> Store:
    """Make the store of a corpus of ``params/corpora``: its official files are generated first, or lie where it says.
    ``name``: as in ``CorpusRef``; ``twin_pairs@3`` has the videos of seed 3. Raises RecipeError: unknown corpus or
    scale, or the official files are not where the corpus file says."""
    from lab.corpora.twin import generate

    ref = CorpusRef(name, scale)
    spec = ref.spec
    if spec.source is not None:
        source = paths.home() / spec.source
        if not source.exists():
            where = f"no files in {spec.source}. {spec.about}"
            raise RecipeError(f"corpus {name}: {where}. Or choose another corpus with CORPUS=<store>")
        return import_corpus(source, ref.store, spec.format, overwrite=True)
    source = paths.raw(scale, name)
    shutil.rmtree(source, ignore_errors=True)
    generate(source, track=spec.track, **ref.arguments)
    store = import_corpus(source, ref.store, overwrite=True)
    shutil.rmtree(source)  # the store holds everything; the official files are one command away
    return store


def _reader(src: Path, format: str | None):
    if not src.exists():
        raise BadRecord(src, "folder", "path", "missing", "give the folder that holds the corpus")
    if format is not None and format not in FORMATS:
        raise BadRecord(src, "folder", "format", format, f"must be one of {', '.join(FORMATS)}")
    readers = (import_module(f"lab.corpora.{name}") for name in ([format] if format else FORMATS))
    reader = next((module for module in readers if module.recognise(src)), None)
    if reader is None:
        layouts = (
            "*/*.tfrecords (aiac2021), annotations/*.json (wechat2022), manifest.jsonl / .parquet, or folders of videos "
            "(custom; a folder of pictures is one video, so give the folder above it)"
        )
        raise BadRecord(src, "folder", "layout", format or "unknown", f"expected {layouts}")
    return reader


def left_out(src: Path, format: str) -> list[str]:
    """Files of a corpus that its format does not know, by their path in it; litter of other systems is none."""
    known = import_module(f"lab.corpora.{format}").FILES
    inner = (file.relative_to(src).as_posix() for file in sorted(src.rglob("*")) if file.is_file())
    own = {"truth.arrow", "twin.json"}
    return [name for name in inner if not known.fullmatch(name) and not is_litter(name) and name not in own]


def _truth(file: Path, writer: StoreWriter, categories: list[str] | None) -> pd.DataFrame | None:
    """A twin's truth in store order: ``oracle`` (affinity) per pair, or ``true_category`` (index) per video. Videos and
    pairs that were rejected have no row in the store and drop out here too."""
    if not file.exists():
        return None
    try:
        return _pair_truth(file, writer) if writer.track == "pairs" else _class_truth(file, writer, categories or [])
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise BadRecord(file, "file", "content", str(error), "generate the corpus again") from None


def _pair_truth(file: Path, writer: StoreWriter) -> pd.DataFrame:
    known = {
        (writer.row_of(id1), writer.row_of(id2)): affinity
        for batch in arrow_batches(file)
        for id1, id2, affinity in zip(*(batch.column(name).to_pylist() for name in PAIR_TRUTH), strict=True)
    }
    try:
        return pd.DataFrame({"oracle": np.array([known[pair] for pair in map(tuple, writer.pairs.tolist())], float)})
    except KeyError:
        raise KeyError("it lacks some of the labelled pairs") from None


def _class_truth(file: Path, writer: StoreWriter, categories: list[str]) -> pd.DataFrame:
    index = {name: number for number, name in enumerate(categories)}
    true = np.full(writer.count, -1, np.int64)
    for batch in arrow_batches(file):
        for name, category in zip(*(batch.column(name).to_pylist() for name in CLASS_TRUTH), strict=True):
            row = writer.row_of(name)
            if row is not None:
                true[row] = index[category]
    return pd.DataFrame({"true_category": true})
