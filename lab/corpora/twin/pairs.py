"""The twin of AIAC 2021 track 1: TFRecords of videos, and scored pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from lab.corpora.tfrecords import write_records
from lab.corpora.twin import text as texts
from lab.corpora.twin.files import TruthFile, chunks, make_ids
from lab.corpora.twin.frames import Camera
from lab.corpora.twin.labels import Annotators, Tagger, annotate
from lab.corpora.twin.random import facts, stream
from lab.corpora.twin.relations import populate, retrieve
from lab.corpora.twin.words import Lexicon
from lab.corpora.twin.world import World
from lab.corpora.twin.worlds import world_spec
from lib.data.writer import write_arrow

DIM = 1536
PER_FILE = 50_000  # records per pointwise file, as in the competition
TAG_LIST = 10_000
TEST = "test_b"  # graded test part
TEST_SHARE = 0.03  # of the videos, in test_a, the one without labels; real: 31,514 beside 1,063,613


@dataclass(frozen=True)
class Graded:
    """Pairs of one part as annotators graded them."""

    i: np.ndarray  # int64 [P], rows
    j: np.ndarray
    by_query: np.ndarray  # bool [P]: it belongs to a query, else to a star
    affinity: np.ndarray  # float64 [P]
    score: np.ndarray  # float64 [P]


class PairTwin:
    """Everything about the corpus but its files.

    Args:
        pairs: labelled pairs, about; small numbers of stars and queries are rounded.
        test_pairs: the same for the part ``test_b``, which shares neither a video nor a story with the others.
        world, world_seed: language of the corpus; corpora of one language differ in their videos.

    Attributes:
        world, tagger, annotators, writer, camera: answer for any rows.
        graded: part -> its pairs; i, j, by_query, affinity and score are those of ``pairwise``.
        ids: int64 [N]; paired: bool [N].

    Raises ValueError: the pairs need more videos.
    """

    def __init__(
        self, videos: int, seed: int, pairs: int, *, test_pairs: int = 0, world: str = "calibrated", world_seed: int = 0
    ):
        self.seed = seed
        spec = world_spec(world, "pairs")
        counts = facts("aiac2021")["category_counts"]["level2"]
        kept = sorted(counts, key=lambda name: -counts[name])[: spec.classes]
        classes = {name: count for name, count in counts.items() if name in kept}
        self.world = made = World(spec, seed, videos, classes, world_seed)
        pools = {"pairwise": populate(made, pairs)}
        if test_pairs:
            pools[TEST] = populate(made, test_pairs, TEST, pools["pairwise"].hot)
        if made.n > videos:
            raise ValueError(f"{pairs + test_pairs} pairs need at least {made.n} videos, got {videos}")
        made.crowd(videos - made.n)
        made.close()
        self.graded: dict[str, Graded] = {}
        for part, pool in pools.items():
            name = "" if part == "pairwise" else part
            i, j, by_query = retrieve(made, pool, name)
            affinity = made.affinity(i, j)
            score = annotate(spec, affinity, by_query, stream(seed, f"annotator{name}"))
            self.graded[part] = Graded(i, j, by_query, affinity, score)
        ours = self.graded["pairwise"]
        self.i, self.j, self.by_query = ours.i, ours.j, ours.by_query
        self.affinity, self.score = ours.affinity, ours.score
        self.paired = np.zeros(made.n, bool)
        for part in self.graded.values():
            self.paired[part.i] = self.paired[part.j] = True
        self.ids = make_ids(stream(seed, "ids"), made.n)
        self.tagger, self.annotators = Tagger(made, self.paired), Annotators(made)
        self.writer = texts.Writer(made, Lexicon(made))
        self.camera = Camera(made, DIM)

    def annotation(self, name: str) -> np.ndarray:
        """Scores of another round of annotators."""
        return annotate(self.world.spec, self.affinity, self.by_query, stream(self.seed, name))

    def texts(self, rows: np.ndarray) -> dict[str, list[str]]:
        """Title and transcript of each video."""
        told = self.writer.told(rows)
        titles = self.writer.titles(told, texts.title_lengths(self.seed, rows))
        return {"title": titles, "asr": self.writer.speech(told, texts.asr_lengths(self.seed, rows))}

    def parts(self) -> dict[str, np.ndarray]:
        """Rows of each part, shuffled."""
        rng = stream(self.seed, "parts")
        single = rng.permutation(np.flatnonzero(~self.paired).astype(np.int32))
        held = max(1, round(TEST_SHARE * self.world.n)) if len(single) > 1 else 0
        graded = {part: np.union1d(pairs.i, pairs.j).astype(np.int32) for part, pairs in self.graded.items()}
        of = {part: rng.permutation(rows) for part, rows in graded.items()}
        return {"pointwise": single[held:], "pairwise": of.pop("pairwise"), "test_a": single[:held], **of}

    def effects(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """bool [n] per planted effect."""
        world = self.world
        return {
            "uninformative_title": self.writer.blank(rows), "careless_tags": self.tagger.careless(rows),
            "wrong_category": self.annotators.classes(rows) != world.cls[rows], "reupload": world.source[world.footage[rows]] != rows,
            "speech_missing": texts.asr_lengths(self.seed, rows) == 0,
        }  # fmt: skip


def write(out: Path, twin: PairTwin, *, progress: bool) -> dict[str, Any]:
    """Write a corpus into an empty folder; returns what twin.json says of it."""
    world, seed, parts = twin.world, twin.seed, twin.parts()
    number = stream(twin.world.world_seed, "tag numbers").permutation(twin.tagger.count) + 10_000_000
    used = np.zeros(twin.tagger.count, np.int64)
    with (
        tqdm(total=world.n, desc="generate videos", unit="video", disable=not progress) as bar,
        TruthFile(out / "truth_videos.arrow", world, list(twin.effects(twin.i[:1]))) as truth,
    ):

        def examples(part: str, rows: np.ndarray) -> Iterator[dict]:
            for some in chunks(rows):
                truth.add(some, twin.ids[some].astype(str).tolist(), part, twin.effects(some))
                yield from _examples(twin, some, not part.startswith("test"), number, used)
                bar.update(len(some))

        for part, rows in parts.items():
            (out / part).mkdir()
            for k, start in enumerate(range(0, len(rows), PER_FILE) if part == "pointwise" else [0]):
                name = f"pretrain_{k}" if part == "pointwise" else part
                chosen = rows[start : start + PER_FILE] if part == "pointwise" else rows
                write_records(out / part / f"{name}.tfrecords", examples(part, chosen))
        planted = truth.planted()
    common = np.lexsort((number, -used))[: min(TAG_LIST, int((used > 0).sum()))]
    (out / "tag_list.txt").write_text("".join(f"{tag}\n" for tag in number[common]), encoding="utf-8")
    tables, scores = [], []
    for part, pairs in twin.graded.items():
        order = stream(seed, "label file", *([] if part == "pairwise" else [part])).permutation(len(pairs.i))
        first, second = (twin.ids[rows[order]].astype(str).tolist() for rows in (pairs.i, pairs.j))
        scores.append(pairs.score[order])
        lines = [f"{a}\t{b}\t{value:.2f}\n" for a, b, value in zip(first, second, scores[-1], strict=True)]
        (out / part / "label.tsv").write_text("".join(lines), encoding="utf-8")
        tables.append(pa.table({"id1": first, "id2": second, "affinity": pairs.affinity[order]}))
    truth_of_pairs = pa.concat_tables(tables).combine_chunks()
    write_arrow(out / "truth.arrow", truth_of_pairs)
    affinity = truth_of_pairs["affinity"].to_numpy()
    oracle = {"spearman": float(cast(Any, spearmanr(affinity, np.concatenate(scores))).statistic)}
    sizes = {"videos": world.n, "pairs": len(affinity), "topics": len(world.topic_class), "tags": int((used > 0).sum())}
    return {**sizes, "parts": {part: len(rows) for part, rows in parts.items()}, "oracle": oracle, "planted": planted}


def _examples(twin: PairTwin, rows: np.ndarray, labelled: bool, number: np.ndarray, used: np.ndarray) -> Iterator[dict]:
    """Records of the official format; counts the tags of labelled ones in ``used``."""
    world, said = twin.world, twin.texts(rows)
    films, tags, classes = twin.camera.film(rows), twin.tagger.tags(rows), twin.annotators.classes(rows)
    for k, row in enumerate(rows):
        features: dict[str, list] = {
            "id": [str(twin.ids[row]).encode()],
            "title": [said["title"][k].encode()],
            "asr_text": [said["asr"][k].encode()],
            "frame_feature": [frame.tobytes() for frame in films[k].astype("<f2", copy=False)],
        }
        if labelled:
            used[tags[k]] += 1
            features |= {"tag_id": number[tags[k]].tolist(), "category_id": [int(world.class_ids[classes[k]])]}
        yield features
