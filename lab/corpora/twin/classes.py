"""The twin of the WeChat Big Data Challenge 2022: annotations, zipped features and zipped frames."""

import shutil
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from lab.corpora.twin import pixels
from lab.corpora.twin import text as texts
from lab.corpora.twin.files import JsonArray, TruthFile, add_member, chunks, make_ids, npy
from lab.corpora.twin.frames import Camera
from lab.corpora.twin.labels import confusion, noisy_labels, true_prior
from lab.corpora.twin.random import facts, normals, stream, uniform, unit
from lab.corpora.twin.words import Lexicon
from lab.corpora.twin.world import World
from lab.corpora.twin.worlds import world_spec
from lib.evaluation.metrics import mean_f1

DIM = 768
PARTS = {"labeled": 0.4, "unlabeled": 0.4, "test_a": 0.2}
LABELLED = ("labeled", "test_b")
IMAGES = 8  # pictures of a video at most, as most teams used


class ClassTwin:
    """Everything about the corpus but its files. ``names``: the 200 official class ids; labels(rows): index of the
    noisy label, ``world.cls`` of the true class. ``ids``: strings of 20 digits, [N]."""

    def __init__(self, videos: int, seed: int, *, world: str = "calibrated", world_seed: int = 0):
        self.seed, spec, known = seed, world_spec(world, "classes"), facts("wechat2022")
        self.names = list(known["class_counts"])
        frequency = np.array(list(known["class_counts"].values()), float)
        frequency /= frequency.sum()
        similar = World(spec, seed, 1, known["class_counts"], world_seed)  # no frequency touches its class vectors
        self.matrix = confusion(frequency, similar.level1, unit(similar.class_x))
        prior = true_prior(self.matrix, frequency)
        # four times the topics: the real corpus draws its labelled part from a much larger one
        self.world = World(spec, seed, 4 * videos, dict(zip(self.names, prior, strict=True)), world_seed)
        self.world.crowd(videos)
        self.world.close()
        self.numbers = make_ids(stream(seed, "ids"), videos)
        self.writer = texts.Writer(self.world, Lexicon(self.world))
        self.camera = Camera(self.world, DIM, blank=known["missing_shares"]["frames_uninformative"])

    def ids(self, rows: np.ndarray) -> list[str]:
        return [f"1{number:019d}" for number in self.numbers[rows].tolist()]

    def labels(self, rows: np.ndarray) -> np.ndarray:
        return noisy_labels(self.world, self.matrix, rows)

    def lengths(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Characters of title, asr and ocr; only the means are public, so the spread is an assumption."""
        missing, mean = facts("wechat2022")["missing_shares"], facts("wechat2022")["text_lengths"]
        # a title holds at most 40 words, which shortens the longest: its mean is raised to come out right
        plan = {"title": (1.08, 0.75, 400), "asr": (1.0, 0.90, 1500), "ocr": (1.0, 0.95, 1500)}
        return {
            name: texts.lognormal_lengths(
                normals(self.seed, f"{name} length", rows, 1)[:, 0], uniform(self.seed, f"{name} missing", rows),
                mean=factor * mean[f"{name}_mean"], sigma=sigma, empty=missing[f"{name}_empty"], most=most,
            )
            for name, (factor, sigma, most) in plan.items()
        }  # fmt: skip

    def texts(self, rows: np.ndarray) -> dict[str, list[str]]:
        """Strings of each kind; the parts of a video's text that are missing are empty."""
        told, lengths = self.writer.told(rows), self.lengths(rows)
        asr = self.writer.speech(told, lengths["asr"])
        hum = self._hums(rows)
        return {
            "title": self.writer.titles(told, lengths["title"]),
            "asr": ["嗯" * len(line) if hums else line for line, hums in zip(asr, hum, strict=True)],
            "ocr": self.writer.speech(told, lengths["ocr"], "text on screen"),
        }

    def effects(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """bool [n] per planted effect."""
        world, lengths = self.world, self.lengths(rows)
        return {
            "uninformative_title": self.writer.blank(rows), "uninformative_frames": self.camera.blank(rows),
            "filler_speech": self._hums(rows) & (lengths["asr"] > 0), "title_missing": lengths["title"] == 0,
            "speech_missing": lengths["asr"] == 0, "screen_text_missing": lengths["ocr"] == 0,
            "wrong_category": self.labels(rows) != world.cls[rows], "reupload": world.source[world.footage[rows]] != rows,
        }  # fmt: skip

    def _hums(self, rows: np.ndarray) -> np.ndarray:
        return uniform(self.seed, "hums", rows) < facts("wechat2022")["missing_shares"]["asr_garbage_given_present"]


def write(out: Path, twin: ClassTwin, *, parts: dict[str, float], frames: str, progress: bool) -> dict[str, Any]:
    """Write a corpus into an empty folder; returns what twin.json says of it."""
    world, videos = twin.world, twin.world.n
    order = stream(twin.seed, "parts").permutation(videos)
    edges = np.round(np.cumsum([0, *parts.values()]) / sum(parts.values()) * videos).astype(int)
    (out / "annotations").mkdir()
    with (
        tqdm(total=videos, desc="generate videos", unit="video", disable=not progress) as bar,
        TruthFile(out / "truth.arrow", world, list(twin.effects(order[:1]))) as truth,
    ):
        for part, start, end in zip(parts, edges[:-1], edges[1:], strict=True):
            _write_part(out, part, twin, order[start:end], frames, truth, bar)
        planted = truth.planted()
    if frames != "features" and "test_a" in parts:  # the semi-final's name of the same set
        shutil.copyfile(out / "annotations" / "test_a.json", out / "annotations" / "test.json")
    rows = np.arange(videos)
    labels = twin.labels(rows)
    f1, accuracy = mean_f1(labels, world.cls, world.level1)["mean_f1"], float((labels == world.cls).mean())
    sizes = {"videos": videos, "pairs": 0, "topics": len(world.topic_class)}
    sizes |= {"parts": dict(zip(parts, np.diff(edges).tolist(), strict=True))}
    return {**sizes, "oracle": {"mean_f1": f1, "accuracy": accuracy}, "planted": planted}


def _write_part(
    out: Path, part: str, twin: ClassTwin, order: np.ndarray, frames: str, truth: TruthFile, bar: tqdm
) -> None:
    with ExitStack() as stack:
        annotations = JsonArray(out / "annotations" / f"{part}.json")
        stack.callback(annotations.close)
        features = None
        if frames != "jpeg":
            (out / "zip_feats").mkdir(exist_ok=True)
            features = stack.enter_context(zipfile.ZipFile(out / "zip_feats" / f"{part}.zip", "w", zipfile.ZIP_STORED))
        for rows in chunks(order):
            ids, labels, words = twin.ids(rows), twin.labels(rows), twin.texts(rows)
            truth.add(rows, ids, part, twin.effects(rows))
            screen = texts.fragments(twin.seed, rows, words["ocr"])
            for k, name in enumerate(ids):
                item = {"id": name, "title": words["title"][k], "asr": words["asr"][k], "ocr": screen[k]}
                annotations.add(item | {"category_id": twin.names[labels[k]]} if part in LABELLED else item)
            if features is not None:
                for name, film in zip(ids, twin.camera.film(rows), strict=True):
                    add_member(features, f"{name}.npy", npy(film))
            if frames == "features":
                bar.update(len(rows))
                continue
            blank, count = twin.camera.blank(rows), np.minimum(twin.camera.count(rows), IMAGES)
            for k, name in enumerate(ids):
                file = out / "zip_frames" / {"test_a": "test"}.get(part, part) / name[-3:] / f"{name}.zip"
                file.parent.mkdir(parents=True, exist_ok=True)
                true, of = (
                    twin.names[twin.world.cls[rows[k]]],
                    {"world": twin.world.world_seed, "blank": bool(blank[k])},
                )
                images = pixels.render(twin.seed, int(rows[k]), true, int(count[k]), **of)
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    for position, image in enumerate(images, start=1):
                        add_member(archive, f"{position:02d}.jpg", image)
                bar.update()
