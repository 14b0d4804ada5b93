"""generate: a twin of either corpus in the competition's own file formats, with its truth beside it."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from lib.data.tfrecords import write_records
from lib.data.twin import text as texts
from lib.data.twin.frames import Camera
from lib.data.twin.random import choice, facts, stream
from lib.data.twin.relations import populate, retrieve
from lib.data.twin.scores import annotate, confusion, observed_classes, true_prior
from lib.data.twin.tags import make_tags
from lib.data.twin.words import Lexicon
from lib.data.twin.world import CLASSES, PAIRS, World

MODEL = 1  # version of the generator; part of twin.json
PER_FILE = 50_000  # records per pointwise file, as in the competition
TAG_LIST = 10_000
EPOCH = (2022, 1, 1, 0, 0, 0)  # of zip members, so that equal content is equal bytes
CLASS_PARTS = {"labeled": 0.4, "unlabeled": 0.4, "test_a": 0.2}


def generate(out: Path | str, *, track: str, videos: int, seed: int = 0, pairs: int | None = None, parts: dict[str, float] | None = None) -> None:
    """Write a twin; the same arguments give the same bytes.

    Args:
        out: an empty or new folder.
        track: "pairs" (AIAC 2021) or "classes" (WeChat 2022).
        videos: of all parts together.
        pairs: labelled pairs; by default 0.4 per video, at most the real number. Not for classes.
        parts: share of each part of a class corpus; by default 0.4 labeled, 0.4 unlabeled, 0.2 test_a.

    Raises:
        ValueError: unknown track, or too few videos for the pairs.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if track == "pairs":
        _pairs(out, videos, seed, min(67_899, round(0.4 * videos)) if pairs is None else pairs)
    elif track == "classes":
        _classes(out, videos, seed, parts or CLASS_PARTS)
    else:
        raise ValueError(f"track is pairs or classes, not {track!r}")


def make_pair_world(videos: int, seed: int, pairs: int) -> tuple[World, np.ndarray, np.ndarray, np.ndarray]:
    """The latent part of a pair corpus: world, rows i and j of each pair, and whether a query asked for it."""
    world = World(seed, videos, facts("aiac2021")["category_counts"]["level2"], PAIRS)
    pool = populate(world, pairs)
    if world.n > videos:
        raise ValueError(f"{pairs} pairs need at least {world.n} videos, got {videos}")
    world.crowd(videos - world.n)
    world.freeze()
    return (world, *retrieve(world, pool))


def _pairs(out: Path, videos: int, seed: int, pairs: int) -> None:
    world, i, j, asked = make_pair_world(videos, seed, pairs)
    affinity = world.affinity(i, j)
    score = annotate(affinity, asked, stream(seed, "annotator"))
    paired = np.zeros(world.n, bool)
    paired[i] = paired[j] = True
    classes, tags = observed_classes(world), make_tags(world, paired)
    rng = stream(seed, "files")
    ids = _ids(rng, world.n)
    single = rng.permutation(np.flatnonzero(~paired))
    held = max(1, round(0.03 * world.n)) if len(single) > 1 else 0
    test, pointwise, pairwise = single[:held], single[held:], rng.permutation(np.flatnonzero(paired))
    numbers = rng.permutation(np.arange(10_000_000, 10_000_000 + 1 + max(int(t.max()) for t in tags)))

    camera, writer = Camera(world, 1536), texts.Writer(world, Lexicon(world), texts.Style())
    titles, speech = texts.title_lengths(stream(seed, "title length"), world.n), texts.asr_lengths(stream(seed, "asr length"), world.n)

    def example(row: int, labelled: bool) -> dict:
        features = {
            "id": [str(ids[row]).encode()],
            "title": [writer.title(row, titles[row]).encode()],
            "asr_text": [writer.speech(row, speech[row]).encode()],
            "frame_feature": [frame.astype("<f2").tobytes() for frame in camera.film(row)],
        }
        return features | {"tag_id": numbers[tags[row]].tolist(), "category_id": [int(world.class_ids[classes[row]])]} if labelled else features

    bar = tqdm(total=world.n, desc="generate videos", unit="video")

    def examples(rows: np.ndarray, labelled: bool = True) -> Iterator[dict]:
        for row in rows:
            yield example(row, labelled)
            bar.update()

    for folder in ("pointwise", "pairwise", "test_a"):
        (out / folder).mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(pointwise), PER_FILE)):
        write_records(out / "pointwise" / f"pretrain_{number}.tfrecords", examples(pointwise[start : start + PER_FILE]))
    write_records(out / "pairwise" / "pairwise.tfrecords", examples(pairwise))
    write_records(out / "test_a" / "test_a.tfrecords", examples(test, labelled=False))
    bar.close()
    used = Counter(int(tag) for row in (*pointwise, *pairwise) for tag in numbers[tags[row]])
    common = sorted(used, key=lambda tag: (-used[tag], tag))[:TAG_LIST]
    (out / "tag_list.txt").write_text("".join(f"{tag}\n" for tag in common), encoding="utf-8")
    order = rng.permutation(len(i))
    lines = [f"{ids[i[k]]}\t{ids[j[k]]}\t{score[k]:.2f}\n" for k in order]
    (out / "pairwise" / "label.tsv").write_text("".join(lines), encoding="utf-8")
    text = ids.astype(str)
    _truth(out, pd.DataFrame({"id1": text[i[order]], "id2": text[j[order]], "affinity": affinity[order]}))
    oracle = {"spearman": float(spearmanr(affinity, score).statistic)}
    planted = {"uninformative titles": float(writer.blank.mean()), "topics": len(world.topic_class), "tags": len(used)}
    _about(out, track="pairs", seed=seed, videos=world.n, pairs=len(i), oracle=oracle, planted=planted)


def _classes(out: Path, videos: int, seed: int, parts: dict[str, float]) -> None:
    known = facts("wechat2022")
    names = list(known["class_counts"])
    frequency = np.array(list(known["class_counts"].values()), float)
    frequency /= frequency.sum()
    level1 = np.array([int(name[:2]) for name in names])
    matrix = confusion(seed, frequency, level1, CLASSES.x)
    world = World(seed, videos * 4, dict(zip(names, true_prior(matrix, frequency), strict=True)), CLASSES)
    world.crowd(videos)
    world.freeze()
    rng = stream(seed, "labels")
    label = (rng.random((videos, 1)) > np.cumsum(matrix, axis=1)[world.cls]).sum(1).clip(max=len(names) - 1)
    missing, mean = known["missing_shares"], known["text_lengths"]
    writer = texts.Writer(world, Lexicon(world), texts.Style(uninformative=0.35, filler=0.82))
    title = texts.lognormal_lengths(rng, 1.065 * mean["title_mean"], 0.75, missing["title_empty"], videos, 400)
    asr = texts.lognormal_lengths(rng, 1.05 * mean["asr_mean"], 0.9, missing["asr_empty"], videos, 1500)
    ocr = texts.lognormal_lengths(rng, 1.05 * mean["ocr_mean"], 0.95, missing["ocr_empty"], videos, 1500)
    hum = rng.random(videos) < missing["asr_garbage_given_present"]
    camera = Camera(world, 768, noise_y=0.55, noise_x=1.4, leak=0.3, blank=missing["frames_uninformative"])
    ids = np.array([f"1{number:019d}" for number in _ids(rng, videos)])  # 20 digits, as the real ones
    order = rng.permutation(videos)
    edges = np.round(np.cumsum([0, *parts.values()]) / sum(parts.values()) * videos).astype(int)
    (out / "annotations").mkdir(exist_ok=True)
    (out / "zip_feats").mkdir(exist_ok=True)
    bar = tqdm(total=videos, desc="generate videos", unit="video")

    def annotation(row: int, part: str) -> dict:
        speech = "嗯" * asr[row] if hum[row] else writer.speech(row, asr[row])
        item = {"id": ids[row], "title": writer.title(row, title[row]), "asr": speech, "ocr": _fragments(writer.speech(row, ocr[row], "ocr"), stream(seed, "ocr cut", int(row)))}
        return item | {"category_id": names[label[row]]} if part == "labeled" else item

    for part, start, end in zip(parts, edges[:-1], edges[1:], strict=True):
        rows = order[start:end]
        _write_array(out / "annotations" / f"{part}.json", (annotation(row, part) for row in rows))
        with zipfile.ZipFile(out / "zip_feats" / f"{part}.zip", "w", zipfile.ZIP_STORED) as archive:
            for row in rows:
                buffer = io.BytesIO()
                np.save(buffer, camera.film(row))
                archive.writestr(zipfile.ZipInfo(f"{ids[row]}.npy", EPOCH), buffer.getvalue())
                bar.update()
    bar.close()
    _truth(out, pd.DataFrame({"id": ids, "true_category": np.array(names)[world.cls]}))
    planted = {"uninformative titles": float(writer.blank.mean()), "uninformative frames": float(camera.blank.mean()), "noisy labels": float((label != world.cls).mean())}
    _about(out, track="classes", seed=seed, videos=videos, pairs=0, oracle={"accuracy": float((label == world.cls).mean())}, planted=planted)


def _fragments(line: str, rng: np.random.Generator) -> list[dict]:
    """Text on screen as it is sampled: a fragment every five seconds."""
    result, start = [], 0
    while start < len(line):
        size = int(rng.integers(6, 21))
        result.append({"time": 1 + 5 * len(result), "text": line[start : start + size]})
        start += size
    return result


def _write_array(path: Path, items: Iterator[dict]) -> None:
    """A JSON array, an object at a time."""
    with path.open("w", encoding="utf-8") as file:
        for number, item in enumerate(items):
            file.write(("[" if number == 0 else ",\n") + json.dumps(item, ensure_ascii=False))
        file.write("]\n")


def _ids(rng: np.random.Generator, n: int) -> np.ndarray:
    """Distinct 63-bit ids, even over the residues mod 5, with the low bits of real ids."""
    ids = np.zeros(0, np.int64)
    while len(ids) < n:
        high = rng.integers(3 * 10**15, 9 * 10**18, n) >> 4
        more = (high << 4) + np.array([10, 14, 11, 6])[choice(rng, np.array([0.367, 0.619, 0.013, 0.001]), n)]
        ids = np.unique(np.concatenate([ids, more]))
    return rng.permutation(ids)[:n]


def _truth(out: Path, table: pd.DataFrame) -> None:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with pa.OSFile(str(out / "truth.arrow"), "wb") as sink, pa.ipc.new_file(sink, arrow.schema) as writer:
        writer.write_table(arrow)


def _about(out: Path, **about: object) -> None:
    (out / "twin.json").write_text(json.dumps({"model": MODEL, **about}, indent=1) + "\n", encoding="utf-8")


