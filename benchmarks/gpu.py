"""What only a GPU can show, within eight minutes and without a network: ``benchmarks/gpu.sh [--dry-run] [--out FOLDER]``.

Every step is a process with a limit of its own; its rows are written as they come, one line of JSON each to ``gpu.jsonl`` and
all of them to ``results/gpu-<card>.json``, so that a run that is cut off still counts. The corpora of the last steps are
generated beside the first ones. ``--dry-run`` takes every step on a CPU at smoke scale.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from accelerate import Accelerator
from PIL import Image

from benchmarks import measure, published
from lab.corpora import importing
from lab.flow.engine import NAME
from lib.data.batch import Batch
from lib.data.store import Store
from lib.features.encoders import ImageEncoder
from lib.features.pictures import decode
from lib.recipes.job import Job
from lib.runs import paths
from lib.runs.kinds import scored_on
from lib.runs.machine import cores
from lib.stages.inputs import build_features
from lib.stages.run import run as train
from lib.training.divergence import Rewind

Row = dict[str, Any]
PICTURES = 8  # of a video
JOBS = [("aiac_rank1", "finetune"), ("wechat_rank72", "finetune")]  # one of each track, with the pretraining of each
SHORT = ("wechat_baseline", "finetune")  # trained over and over: killed, in float32
_fork: Any = multiprocessing.get_context("fork")  # before CUDA is touched: children need not import anything again


class Counted:
    """How many tests passed, failed or were skipped, as pytest tells its plugins."""

    def __init__(self) -> None:
        self.row: Row = {"passed": 0, "failed": 0, "skipped": 0, "which": ""}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.row[report.outcome] += 1
        if report.failed:
            self.row["which"] += f"{report.nodeid} "


def tests(dry: bool) -> Iterator[Row]:
    """Tests marked ``gpu``, but for the published job, which is measured below."""
    import pytest

    counted = Counted()
    pytest.main(["-q", "-m", "gpu", "-k", "not published", str(paths.PROJECT / "tests" / "gpu")], plugins=[counted])
    yield counted.row


def steps(dry: bool) -> Iterator[Row]:
    """Training steps of published systems at their published size."""
    small: dict[str, Any] = {"device": "cpu", "scale": "smoke", "steps": 1, "warmup": 1} if dry else {}
    for job in published.JOBS[:: 6 if dry else 1]:
        lengths = ("full", "real") if job == published.JOBS[0] else ("real",)
        yield from published.run(*job, lengths=lengths, **small)


def inference(dry: bool) -> Iterator[Row]:
    """Videos per second of models that only predict."""
    small: dict[str, Any] = {"device": "cpu", "scale": "smoke", "steps": 1} if dry else {}
    for recipe, stage in JOBS[:: 2 if dry else 1]:
        yield published.inference(recipe, stage, **small)


def pictures(dry: bool) -> Iterator[Row]:
    """Videos per second from JPEG to vectors of CLIP ViT-B/16, eight pictures each; floor: 70 on two V100, target 1,000."""
    device = "cpu" if dry else "cuda"
    name, videos, side = ("random-test_vit", 2, 32) if dry else ("random-vit_base_patch16_clip_224", 512, 224)
    encoder = ImageEncoder(name, size=side, precision="float32" if dry else "bfloat16", device=device)
    files = [_jpeg(number) for number in range(16)] * (videos * PICTURES // 16)

    def on_cpu(batch: list[bytes]) -> torch.Tensor:
        return torch.from_numpy(np.stack(list(pool.map(partial(decode, size=side), batch))))

    def on_device(batch: list[bytes]) -> torch.Tensor:
        from torchvision.io import decode_jpeg

        raw = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in batch]
        decoded: Any = decode_jpeg(raw, device=device)
        resized = [F.interpolate(p[None].float(), (side, side), mode="bicubic", antialias=True) for p in decoded]
        return torch.cat(resized).round().clamp(0, 255).to(torch.uint8)

    with ThreadPoolExecutor(cores()) as pool:
        for where, make in (("cpu", on_cpu), ("gpu", on_device)):
            row: Row = {"decode": where, "encoder": name, "cores": cores(), "pictures": PICTURES}
            try:
                _encode(encoder, make, files[:256], pool)
                per_second = 1 / measure.seconds(lambda make=make: _encode(encoder, make, files, pool), device)
                yield row | {"per_second": round(per_second / PICTURES, 1), "why": ""}
            except (ImportError, RuntimeError) as error:  # torchvision is absent, or built without a decoder
                yield row | {"per_second": None, "why": str(error).splitlines()[0]}


def _encode(encoder: ImageEncoder, make: Callable, files: list[bytes], pool: ThreadPoolExecutor) -> int:
    """Decodes one batch while another is encoded; returns how many files."""
    batches = [files[start : start + 256] for start in range(0, len(files), 256)]
    waiting = ThreadPoolExecutor(1)
    for pictures in [waiting.submit(make, batch) for batch in batches]:
        encoder(pictures.result())
    return len(files)


def _jpeg(number: int) -> bytes:
    """A smooth picture of 256 x 256 with some noise, as large a file as a photograph's."""
    random, out = np.random.default_rng(number), io.BytesIO()
    small = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).resize((256, 256))
    noisy = np.asarray(small).astype(int) + random.integers(-8, 9, (256, 256, 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def corpora(dry: bool, recipe: str, stage: str) -> Iterator[Row]:
    """Seconds for the generated corpus and the tokens of one of the jobs below."""
    started, job = time.monotonic(), Job.load(recipe, stage, scale=_scale(dry))
    store = importing.build(job.corpus.name, job.scale)
    for ref in job.feature_sets:
        build_features(store, ref)
    yield {"corpus": job.corpus.name, "videos": len(store), "seconds": round(time.monotonic() - started, 1)}


def jobs(dry: bool) -> Iterator[Row]:
    """A whole job of each track, notebooks and all: its score beside the oracle's."""
    for recipe, stage in JOBS[: 1 if dry else 2]:
        job, started = Job.load(recipe, stage, scale=_scale(dry)), time.monotonic()
        for one in [*job.parents.values(), job]:
            _forked(_notebook, str(paths.PROJECT / one.notebook), one.parameters)
        yield _scored(job) | {"seconds": round(time.monotonic() - started, 1)}


def _notebook(path: str, parameters: Row) -> None:
    import papermill

    papermill.execute_notebook(path, None, parameters, engine_name=NAME, progress_bar=False)


def _forked(work: Callable[..., None], *arguments: Any, kill: Callable[[], bool] = lambda: False) -> None:
    """Call in a process of its own, which ends by SIGKILL as soon as ``kill`` says so. Raises RuntimeError: it failed."""
    child = _fork.Process(target=work, args=arguments)
    child.start()
    while child.is_alive():
        child.join(0.005)
        if kill():
            child.kill()
            return child.join()
    if child.exitcode:
        raise RuntimeError(f"{work.__name__}: the process ended with {child.exitcode}")


def _scored(job: Job) -> Row:
    metrics, timing = job.folder.read_metrics(job.digest, ""), json.loads(job.folder.timing.read_text())
    metric, part = job.kind.metric, scored_on(metrics["scores"])
    return {
        "recipe": job.recipe, "metric": metric, "score": metrics["scores"][part][metric],
        "interval": metrics["intervals"][metric], "oracle": metrics["oracle"].get(metric),
        "per_second": timing["samples_per_second"],
    }  # fmt: skip


def checks(dry: bool) -> Iterator[Row]:
    """A short training whole, killed and resumed, and in float32; and a loss that runs away."""
    scale = _scale(dry)
    whole = _trained(scale)
    low, high = whole["interval"]
    ways: dict[str, Row] = {"killed": {"killed": True}, "float32": {"precision": "float32"}}
    for name, way in ways.items():
        other = _trained(scale, **way)
        row = {"check": name, "score": other["score"], "whole": whole["score"], "resumed": other["resumed"]}
        yield row | {"within": low <= other["score"] <= high}
    yield {"check": "spike"} | spike("cpu" if dry else "cuda")


def _trained(scale: str, killed: bool = False, **device: Any) -> Row:
    """Scores of the short job in a home of its own; ``killed``: by SIGKILL as soon as it has saved, and taken up again."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "runs" / scale).mkdir(parents=True)
        for made in ("data", f"runs/{scale}/features"):
            (Path(home) / made).symlink_to(paths.home() / made)
        rows, saved = _fork.SimpleQueue(), []

        def has_saved() -> bool:
            saved.extend(path.name for path in Path(home).rglob("checkpoint-*"))
            return bool(saved)

        if killed:
            _forked(_train, scale, home, {"save_minutes": 1e-4}, rows, kill=has_saved)
        _forked(_train, scale, home, device, rows)
        return rows.get() | {"resumed": saved[0] if saved else ""}


def _train(scale: str, home: str, device: Row, rows: Any) -> None:
    params = Path(tempfile.mkdtemp(dir=home)) / "params"
    shutil.copytree(paths.params(), params)
    file = params / "scales" / f"{scale}.yaml"
    tree = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(tree | {"device": tree.get("device", {}) | device}))
    os.environ.update(VIDLAB_HOME=home, VIDLAB_PARAMS=str(params))
    job = Job.load(*SHORT, scale=scale)
    store = Store.open(job.corpus.store)
    for ref in job.feature_sets:
        build_features(store, ref)
    train(job)
    rows.put(_scored(job))


def spike(device: str) -> Row:
    """How often a run whose twelfth batch is not a number goes back, and whether its weights stay finite."""

    class Poisoned(published.Videos):
        def __iter__(self) -> Iterator[Batch]:
            for batch in super().__iter__():
                yield batch.replace(frames=batch.frames * float("nan")) if self.step == 12 else batch

    job = Job.load("aiac_rank1", "pretrain", scale="smoke")
    trainer = published.trainer_of(job, Accelerator(cpu=device == "cpu"))
    trainer.rewind = trainer.state.rewind = Rewind(snapshot_every=5)
    trainer.fit(Poisoned(job, 8, real=True), 20)
    finite = all(bool(parameter.isfinite().all()) for parameter in trainer.task.parameters())
    return {"rewinds": trainer.rewind.rewinds, "finite": finite}


def _scale(dry: bool) -> str:
    return "smoke" if dry else "gpu"


STEPS = {tests: 40, steps: 175, inference: 25, pictures: 40, jobs: 110, checks: 90}  # seconds: eight minutes


class Results:
    """Rows as they come: a line of JSON each, and all of them in one file under the card's name."""

    def __init__(self, out: Path, card: str):
        self.lines, self.out, self.card, self.turn = out / "gpu.jsonl", out, card, _fork.Lock()
        out.mkdir(parents=True, exist_ok=True)
        self.lines.unlink(missing_ok=True)

    def add(self, step: str, row: Row) -> None:
        self.turn.acquire(timeout=5)  # whoever has it may have been killed
        print(line := json.dumps({"step": step, **row}), flush=True)
        with self.lines.open("a") as file:
            file.write(line + "\n")
        measure.RESULTS = self.out
        measure.keep("gpu", self.card, [json.loads(one) for one in self.lines.read_text().splitlines()], {})
        self.turn.release()


def take(step: Callable[..., Iterator[Row]], dry: bool, results: Results, *more: str) -> None:
    """A step's rows; what goes wrong is a row too."""
    os.setpgrp()  # a step is ended with all that it started
    torch.set_float32_matmul_precision("high")
    try:
        if torch.cuda._is_in_bad_fork():
            raise RuntimeError("CUDA was touched before the step's process began")
        for row in step(dry, *more):
            results.add(step.__name__, row)
    except Exception as error:
        results.add(step.__name__, {"error": f"{type(error).__name__}: {error}"})


def _ended(process: Any, limit: float | None) -> bool:
    """Whether a process and all that it started came to their end within so many seconds; if not, they are killed."""
    process.join(limit)
    if late := process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
    return not late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="every step on a CPU, at smoke scale")
    parser.add_argument("--out", type=Path, help="results of benchmarks/; of a dry run a folder of its own")
    options = parser.parse_args()
    dry, cards = options.dry_run, _fork.SimpleQueue()
    for library in ("transformers.models.bert.modeling_bert", "timm") if dry else ():  # else by each of ten processes
        import_module(library)
    probe = _fork.Process(target=lambda: cards.put(measure.device_name("cpu" if dry else "cuda")))
    probe.start()
    probe.join()
    if probe.exitcode:
        sys.exit("gpu: no CUDA device here, or a library asked for it when it was imported; try --dry-run --out FOLDER")
    results = Results(options.out or (Path(tempfile.mkdtemp()) if dry else measure.RESULTS), cards.get())
    with tempfile.TemporaryDirectory() as home:
        os.environ["VIDLAB_HOME"] = home
        started = time.monotonic()
        beside = [_fork.Process(target=take, args=(corpora, dry, results, *job)) for job in JOBS]
        for process in beside:
            process.start()
        for step, limit in STEPS.items():
            if step is jobs:
                for process in beside:
                    _ended(process, None if dry else max(1, 300 - time.monotonic() + started))
            child = _fork.Process(target=take, args=(step, dry, results))
            child.start()
            if not _ended(child, None if dry else limit):
                _fork.Process(target=results.add, args=(step.__name__, {"error": f"cut off after {limit} s"})).start()


if __name__ == "__main__":
    main()
