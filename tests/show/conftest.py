"""A world of finished runs that nobody trained: stores of a few made-up videos and run folders written by hand."""

from __future__ import annotations

import os
import re
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lab.corpora import describe
from lab.show.plan import Plan
from lib.data.schema import WECHAT_CATEGORIES, CategoryTree, Video
from lib.data.store import Store
from lib.data.writer import StoreWriter
from lib.evaluation.metrics import mean_f1, spearman
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs.files import write_json, write_text

WORDS = re.findall("..", "家常红烧简单好吃教程宝宝辅食健身瑜伽钓鱼搞笑剧情猫咪日常化妆")
VIDEOS = {"pairs": 160, "classes": 240}
# What a fake run adds to the base score; everything else is noise of the seed.
EFFECTS = {"ema.with": 0.02, "masked_tokens.without": -0.03, "faithful": -0.05, "distill": 0.01}


def rng_of(*names) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


@contextmanager
def living_in(home: Path):
    """Generated things are under ``home`` inside the block; what was read under another one is forgotten."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDLAB_HOME", str(home))
        jobs._load.cache_clear()
        yield
    jobs._load.cache_clear()


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[Path, Plan]:
    """Stores and finished runs of three systems at `laptop`, made once; `tests/mutants.py` keeps them for many sessions."""
    kept = os.environ.get("VIDLAB_MUTANTS_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("home")
    with living_in(home):
        plan = Plan.load("laptop", systems=["aiac_rank1", "aiac_rank17", "wechat_baseline"])
        if (home / "runs").exists():
            return home, plan
        for ref in {job.corpus.store: job.corpus for job in plan.jobs}.values():
            fake_store(ref.store, ref.track)
        for ref in plan.corpora:
            fake_eda(home / "runs" / "laptop" / "corpora" / ref.label, Store.open(ref.store))
        for job in plan.jobs:
            fake_run(job)
    return home, plan


@pytest.fixture(scope="module")
def world(finished):
    """VIDLAB_HOME where everything is finished; returns the plan. For one file at a time: other tests live elsewhere."""
    home, plan = finished
    with living_in(home):
        yield plan


def fake_store(path, track: str) -> None:
    rng = rng_of("store", track)
    count = VIDEOS[track]
    categories = (
        [f"1{index // 8:02d}{index % 8:02d}" for index in range(40)] if track == "pairs" else WECHAT_CATEGORIES[:60]
    )
    with StoreWriter(path, track=track, source="aiac2021" if track == "pairs" else "wechat2022") as writer:
        for number in range(count):
            kind = int(rng.integers(len(categories)))
            title = "".join(rng.choice(WORDS, 5)) if number % 17 else ""
            writer.add(
                Video(
                    id=str(1000 + number),
                    title=title,
                    asr="".join(rng.choice(WORDS, rng.integers(0, 9))),
                    tags=tuple(range(kind, kind + 4)) if track == "pairs" else None,
                    category=categories[kind],
                    part=["pointwise", "pairwise"][number % 2] if track == "pairs" else "labeled",
                    frames=rng.random((int(rng.integers(2, 9)), 8)).astype(np.float16),
                )
            )
        if track == "pairs":
            for _ in range(300):
                first, second = rng.choice(count, 2, replace=False)
                writer.add_pair(str(1000 + first), str(1000 + second), round(float(rng.integers(21)) / 20, 2))
        writer.finish(
            tags=list(range(60)) if track == "pairs" else [],
            categories=list(categories),
            twin={"seed": 7, "oracle": {"spearman": 0.94}},
        )


def fake_eda(folder, store) -> None:
    write_json(folder / "eda.json", describe.facts(store))
    write_text(
        folder / "figures" / "long_tail.svg",
        '<svg xmlns="http://www.w3.org/2000/svg" width="90pt" height="45pt"><rect width="90" height="45"/></svg>',
    )


def fake_run(job: Job) -> None:
    """Everything a finished run leaves behind, with scores computed from the predictions it pretends to have made."""
    run, rng = job.folder, rng_of(job.recipe, job.stage, job.arm, job.seed)
    level = (
        1.0 + sum(effect for name, effect in EFFECTS.items() if name in (job.folder.path.parent.name, job.stage)) * 4
    )
    kind = "tags" if job.stage.startswith("pretrain") else job.corpus.track
    metrics = {"schema": 1, "digest": job.digest, "job": {**job.parameters, "corpus": job.corpus.label}}
    metrics |= {"best_step": 60, "steps": 80, "selected_by": job.stage_spec.evaluation.select, "parameters": 1_234_567}
    metrics |= {"intervals": {}, "oracle": {}, "items": {"train": 200, "validation": 120}}
    metrics |= {"tags": _tags, "pairs": _pairs, "classes": _classes}[kind](run, job, rng, level)
    primary, final = metrics["primary"], metrics["scores"]["validation"][metrics["primary"]]
    for step in range(0, 80, 2):
        terms = {name: round(float(np.exp(-step / 30) + 0.05 * rng.random()), 4) for name in job.stage_spec.objectives}
        about = {"step": step, "epoch": step / 40, "lr": 1e-3 * (1 - step / 80), "grad_norm": 1 + float(rng.random())}
        run.history.append({**about, "loss": sum(terms.values()), "terms": terms})
        if step % 20 == 0:
            run.history.append({"step": step, "epoch": step / 40, "scores": {primary: final * (0.6 + 0.4 * step / 60)}})
    timing = {"seconds": 12.5, "training_seconds": 10.0, "samples_per_second": 640.0, "peak_rss_mb": 512.0}
    write_json(run.timing, timing)
    made_with = dict(commit="abcdef123456", dirty=False, python="3.11.7", platform="Linux x86_64", device="cpu")
    write_json(run.provenance, {**made_with, "packages": {"torch": "2.6.0"}, "digest": job.digest})
    run.finish(metrics)


def _tags(run, job, rng, level):
    rows = np.arange(VIDEOS["pairs"])
    run.write_arrays(
        run.embeddings,
        ids=(1000 + rows).astype(str),
        rows=rows,
        vectors=rng.normal(size=(len(rows), 16)).astype(np.float32),
    )
    return {"primary": "tag_loss", "scores": {"validation": {"tag_loss": 0.2 + 0.01 * rng.random()}}}


def _pairs(run, job, rng, level):
    """Vectors of two clusters a category; pairs scored by a noisy version of their cosine."""
    world = rng_of("world of pairs")
    rows, truth = np.arange(VIDEOS["pairs"]), world.normal(size=(VIDEOS["pairs"], 16))
    pairs = np.stack([world.permutation(len(rows))[:80] for _ in range(2)], axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    unit = truth / np.linalg.norm(truth, axis=1, keepdims=True)
    affinity = (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(1)
    score = np.round((np.argsort(np.argsort(affinity + 0.1 * world.normal(size=len(pairs)))) / len(pairs)) * 20) / 20
    vectors = (truth + (1.3 - level) * 2 * world.normal(size=truth.shape) + 0.05 * rng.normal(size=truth.shape)).astype(
        np.float32
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(1)
    run.write_arrays(run.embeddings, ids=(1000 + rows).astype(str), rows=rows, vectors=vectors)
    about = {"pairs": pairs, "score": score, "target": score, "seen": world.random(len(pairs)) < 0.6}
    run.write_arrays(run.path / "pairs.npz", **about, test=np.zeros(len(pairs), bool))
    value = spearman(cosine, score)
    return {
        "primary": "spearman",
        "scores": {"validation": {"spearman": value, "mse": 0.05}, "unseen": {"spearman": value - 0.02}},
        "intervals": {"spearman": [value - 0.05, value + 0.05]},
        "oracle": {"spearman": spearman(affinity, score)},
    }


def _classes(run, job, rng, level):
    world = rng_of("world of classes")
    rows = np.arange(0, VIDEOS["classes"], 2)
    tree = CategoryTree(WECHAT_CATEGORIES[:60])
    truth = np.minimum(world.geometric(0.06, len(rows)) - 1, 59)
    logits = world.normal(size=(len(rows), 60)) + 0.3 * rng.normal(size=(len(rows), 60))
    logits[np.arange(len(rows)), truth] += 2.4 * level
    scores = mean_f1(truth, logits.argmax(1), tree.level1_of_level2)
    about = {"ids": (1000 + rows).astype(str), "rows": rows, "logits": logits.astype(np.float32), "truth": truth}
    run.write_arrays(run.predictions, **about, test=np.zeros(len(rows), bool))
    return {
        "primary": "mean_f1",
        "scores": {"validation": scores},
        "intervals": {"mean_f1": [scores["mean_f1"] - 0.05, scores["mean_f1"] + 0.05]},
        "oracle": {"mean_f1": 0.876},
    }
