"""run(job): pretrain, finetune or distill, and leave a run folder. The same function for every stage.

``launch(job)`` does so in this process, or in one process per device, each a child that is stopped with its parent. Both
only write the run folder, and the cells of a notebook only read it, so no cell can tell the difference. By hand:
``python -m lib.stages.run RECIPE STAGE [--arm base] [--seed 0] [--scale laptop] [--corpus ...]``.
"""

import argparse
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
import yaml
from accelerate import Accelerator

from lib.data.batch import Batch
from lib.data.items import parts_of_test, rows_of_test
from lib.data.schema import CategoryTree
from lib.data.store import Store
from lib.features.loader import Assembler, EvalLoader, TrainLoader
from lib.models.video_model import States, VideoModel, encode
from lib.objectives.mix import Objective, ObjectiveMix
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import DataSpec, Scale
from lib.runs import machine
from lib.runs.files import write_json, write_text
from lib.runs.folder import RunFolder
from lib.runs.paths import shown
from lib.stages import build, result_files
from lib.stages.inputs import Inputs, require_inputs
from lib.stages.parents import load_parent, load_soup
from lib.stages.problem import ClassProblem, PairProblem, Problem, make_problem
from lib.stages.pseudo import expert_of, make_labels, read_labels
from lib.stages.scoring import EVAL_BATCH, ClassJudge, Judge, LossJudge, PairJudge, TagJudge
from lib.training.seed import seed_everything
from lib.training.trainer import Task, TrainResult


def run(job: Job, *, again: bool = False) -> RunFolder:
    """Train a job unless it is finished and not asked for ``again``; resume it if it was killed. Raises MissingRun: corpus,
    feature set or a parent's run is absent; DivergenceError: the loss ran away more often than the recipe allows."""
    if not again and job.folder.is_done(job.digest):
        return job.folder
    require_inputs(job)
    accelerator = begin(job, again=again)
    started = time.perf_counter()
    inputs = Inputs.open(job)
    parts = build_parts(job, inputs, accelerator)
    result = train(job, parts, accelerator)
    judge_and_save(job, inputs, parts, result, accelerator, started)
    accelerator.wait_for_everyone()
    return job.folder


def begin(job: Job, *, again: bool) -> Accelerator:
    """Set up threads and devices, and the run folder by one of the processes."""
    folder = job.folder
    cuda = torch.cuda.is_available()
    half = build.in_half(job, torch.device("cuda" if cuda else "cpu"))
    # without ``cpu`` several processes on a machine without a GPU would not know of each other, and each train the whole job
    accelerator = Accelerator(cpu=not cuda, mixed_precision="bf16" if half else "no")
    torch.set_num_threads(load(Scale, job.scale).threads)  # after the accelerator, which may set it too
    if accelerator.is_main_process:
        if again:
            folder.metrics.unlink(missing_ok=True)
        folder.begin(job.digest)
        write_text(folder.job, yaml.safe_dump(job.to_dict(), sort_keys=False, allow_unicode=True))
    accelerator.wait_for_everyone()
    return accelerator


@dataclass(frozen=True)
class Parts:
    """What a job trains and how it is judged."""

    problem: Problem
    model: VideoModel
    mix: ObjectiveMix
    judge: Judge
    loader: TrainLoader
    test: np.ndarray  # int64 [T], store rows of test videos, which are predicted too
    soup_seeds: list[int]  # of the runs whose mean weights the stage starts from; empty without a soup


def build_parts(job: Job, inputs: Inputs, accelerator: Accelerator) -> Parts:
    """Model, objectives, data and judge. The order of these lines is part of the results."""
    spec, store = job.stage_spec, inputs.store
    seed_everything(job.seed)  # before anything draws initial weights: the model's come first, then the objectives'
    model = build.build_model(job, inputs.sizes)
    problem = make_problem(job, store)
    class_counts = problem.class_counts if isinstance(problem, ClassProblem) else None
    mix = build.build_mix(job, model, inputs.sizes, class_counts)
    load_parent(job, model, mix)  # weights before freezing: what is frozen is the parent's
    build.freeze(job, model)
    mix.start(model)
    assembler = make_assembler(job, inputs, problem, mix)
    test = np.arange(0)
    if isinstance(problem, PairProblem | ClassProblem):
        test = rows_of_test(store)
    # frozen encoders run once over all videos that the job will see, before a loader asks for batches without their inputs
    rows = np.union1d(problem.train.rows, np.union1d(problem.rows, test).astype(np.int64))
    if precomputed := precompute(job, model, mix, assembler, rows, accelerator):
        model = model.with_precomputed(precomputed)
        assembler = make_assembler(job, inputs, problem, mix, without=tuple(precomputed))
    loader = TrainLoader(
        assembler, problem.train, spec.data.batch_size // job.device.accumulate, seed=job.seed + spec.data.order_seed, bucket=spec.data.bucket,
    )  # fmt: skip
    judge = make_judge(job, problem, assembler, mix, accelerator, store)
    judge.precision = job.device.scoring
    soup_seeds = load_soup(job, model.to(accelerator.device), mix, judge)
    return Parts(problem, model, mix, judge, loader, test, soup_seeds)


def make_assembler(
    job: Job, inputs: Inputs, problem: Problem, mix: ObjectiveMix, without: tuple[str, ...] = ()
) -> Assembler:
    """Batches of a job's videos; ``without`` are slots whose inputs are left out, as their encoders have run already."""
    known = any(term.needs_known for _, term in mix.active())
    return Assembler(
        inputs.store,
        inputs.tokens,
        **job.batches,
        tags=inputs.store.track == "pairs" and job.stage_spec.data.items == "videos",
        seed=job.seed,
        visual=inputs.visual,
        known=problem.known_pairs() if isinstance(problem, PairProblem) and known else None,
        without=without,
        pseudo=read_labels(job, inputs.store),
    )


def precompute(
    job: Job, model: VideoModel, mix: ObjectiveMix, assembler: Assembler, rows: np.ndarray, accelerator: Accelerator
) -> dict[str, Callable[[Batch], States]]:
    """Slot -> what its encoder says of ``rows``, for encoders that the stage freezes: seconds an epoch instead of
    minutes. Only where that changes nothing: the whole encoder is frozen in eval mode, the fusion looks at pooled
    vectors only, no objective hides or exchanges parts of the input, and frames are not picked anew each epoch."""
    spec, frames = job.stage_spec, job.spec.features.frames
    slots = [slot for slot in ("text", "frames") if slot in spec.freeze and (slot != "frames" or model.images is None)]
    own = [getattr(type(term), name) for _, term in mix.active() for name in ("corrupt", "views")]
    same_input = all(method in (Objective.corrupt, Objective.views) for method in own)
    same_frames = len(spec.data.frames) < 2 and frames.train_sample == "same"
    pooled_only = getattr(model.fusion, "pooled_only", False)
    if not slots or spec.freeze_mode != "eval" or not (same_input and same_frames and pooled_only):
        return {}
    model.to(accelerator.device).eval()
    with accelerator.autocast():
        return {
            slot: encode(getattr(model, slot), EvalLoader(assembler, rows, EVAL_BATCH), accelerator.device)
            for slot in slots
        }


def make_judge(
    job: Job, problem: Problem, assembler: Assembler, mix: ObjectiveMix, accelerator: Accelerator, store: Store
) -> Judge:
    """The judge of the job's kind of problem."""
    if isinstance(problem, PairProblem):
        return PairJudge(problem, assembler, accelerator)
    if isinstance(problem, ClassProblem):
        tree = CategoryTree(store.manifest["categories"])
        postprocess = build.build_postprocess(job, problem.class_counts)
        expert = expert_of(job, problem.class_counts, accelerator, EVAL_BATCH)
        return ClassJudge(problem, assembler, accelerator, tree.level1_of_level2, postprocess, expert)
    if job.kind.name == "loss":
        return LossJudge(problem, assembler, accelerator, mix)
    tags = [term for _, term in mix.active() if term.judged == "tags"]
    return TagJudge(problem, assembler, accelerator, tags)


def updates(data: DataSpec, per_epoch: int, repeats: float) -> int:
    """How many updates a stage makes; ``repeats`` is how often an epoch is as long as one over each video once."""
    longer, shorter = (repeats, 1.0) if data.resample_steps == "more" else (1.0, repeats)
    return max(round(data.min_steps * longer), round(data.epochs * per_epoch / shorter), 1 if data.epochs else 0)


def repeats(data: DataSpec, problem: Problem) -> float:
    """How often an epoch is as long as one over each video once; pseudo-labelled ones count where repeats come on top."""
    if data.pseudo and data.resample_steps == "same" and isinstance(problem, ClassProblem):
        return len(problem.train) / problem.class_counts.sum()
    return len(problem.train) / len(np.unique(problem.train.rows)) if data.resample or data.fill else 1.0


def train(job: Job, parts: Parts, accelerator: Accelerator) -> TrainResult:
    """Leaves the chosen weights in the parts' model and objectives."""
    data, per_epoch = job.stage_spec.data, max(1, parts.loader.steps_per_epoch // job.device.accumulate)
    steps = updates(data, per_epoch, repeats(data, parts.problem))
    trainer = build.build_trainer(
        job.stage_spec,
        Task(parts.model, parts.mix),
        accelerator,
        steps=steps,
        steps_per_epoch=per_epoch,
        seed=job.seed,
        folder=job.folder,
        score=parts.judge,
        device=job.device,
    )
    return trainer.fit(parts.loader, steps)


def judge_and_save(
    job: Job, inputs: Inputs, parts: Parts, result: TrainResult, accelerator: Accelerator, started: float
) -> None:
    """Predict on all processes; one writes the files of the run folder, ``metrics.json`` last."""
    problem, model, judge, folder = parts.problem, parts.model, parts.judge, job.folder
    everything = np.union1d(problem.rows, parts.test).astype(np.int64) if isinstance(problem, PairProblem) else None
    rows, values = judge.predict(model, everything)
    handed_in, store = {}, inputs.store
    if isinstance(judge, ClassJudge):
        handed_in = {part: judge.predict(model, store.rows(part)) for part in parts_of_test(store)}
        rows, values = (np.concatenate(arrays) for arrays in zip((rows, values), *handed_in.values(), strict=True))
        order = rows.argsort()
        rows, values = rows[order], values[order]
    metrics: dict[str, Any] = {
        "schema": 1,
        "job": {**job.parameters, "corpus": job.corpus.label},
        "digest": job.digest,
        "primary": job.kind.metric,
        "best_step": result.best_step,
        "steps": result.steps,
        "selected_by": job.stage_spec.evaluation.select,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    if parts.soup_seeds:
        metrics["soup_of_seeds"] = parts.soup_seeds
    metrics |= judge.report(model, rows, values)
    labels = None
    if job.stage_spec.pseudo is not None and isinstance(problem, ClassProblem):
        labels, metrics["pseudo"] = make_labels(job, problem.train.rows, problem.class_counts, accelerator, EVAL_BATCH)
    if not accelerator.is_main_process:
        return
    if labels is not None:
        folder.write_arrays(folder.labels, **labels)
    result_files.save_weights(folder, model, parts.mix)
    result_files.save_predictions(folder, problem, store, rows, values)
    if isinstance(problem, PairProblem):
        result_files.hand_in_embeddings(folder, store, rows, values, parts.test, job.spec.submission)
    result_files.hand_in_classes(folder, handed_in, store)
    write_timing(folder, result, time.perf_counter() - started)
    write_provenance(job, store, accelerator)
    folder.finish(metrics)


def write_timing(folder: RunFolder, result: TrainResult, seconds: float) -> None:
    """``timing.json``: seconds in all and of training, samples a second, peak memory in MB."""
    timing = {
        "seconds": round(seconds, 2),
        "training_seconds": round(result.seconds, 2),
        "samples_per_second": round(result.samples / max(result.seconds, 1e-9), 1),
        "peak_rss_mb": machine.peak_rss_mb(),
    }
    write_json(folder.timing, timing)


def write_provenance(job: Job, store: Store, accelerator: Accelerator) -> None:
    """``provenance.json``: commit, versions and machine, and the digests of what the run was made from."""
    facts = machine.collect(
        digest=job.digest,
        parents={role: {"folder": shown(p.folder.path), "digest": p.digest} for role, p in job.parents.items()},
        corpus={"name": job.corpus.label, "fingerprint": store.fingerprint},
        device=str(accelerator.device.type),
        processes=accelerator.num_processes,
        threads=torch.get_num_threads(),
    )
    write_json(job.folder.provenance, facts)


def launch(job: Job, *, processes: int = 1, again: bool = False) -> RunFolder:
    """Run a job unless it is finished; wait where another process runs it. ``processes``: 1 trains here; more start
    ``torch.distributed.run`` on this machine, each with its share of every batch. Raises RuntimeError: a child failed;
    the message is the command that repeats it."""
    with job.folder.alone():
        if processes == 1 or (job.folder.is_done(job.digest) and not again):
            return run(job, again=again)
        require_inputs(job)
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
            "-m", "lib.stages.run", job.recipe, job.stage, "--arm", job.arm, "--seed", str(job.seed), "--scale", job.scale,
            "--corpus", job.corpus_given, *(["--again"] if again else []),
        ]  # fmt: skip
        own = ["--launcher", str(os.getpid())]
        with subprocess.Popen([*command, *own], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
            try:
                for line in child.stdout or ():
                    print(line, end="", flush=True)
            except KeyboardInterrupt:
                child.terminate()
                raise
        if child.returncode:
            raise RuntimeError(f"training failed (exit {child.returncode}); by hand: {shlex.join(command)}")
    return job.folder


def _leave_with(launcher: psutil.Process) -> None:
    """End this process, and so all that train the job, when the one that launched them is gone, however it ended."""
    while launcher.is_running() and launcher.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.5)
    os._exit(130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("stage")
    parser.add_argument("--arm", default="base")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--corpus", default="")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--launcher", type=int, help=argparse.SUPPRESS)
    arguments = vars(parser.parse_args())
    again, launcher = arguments.pop("again"), arguments.pop("launcher")
    if launcher:
        threading.Thread(target=_leave_with, args=(psutil.Process(launcher),), daemon=True).start()
    one = run if "RANK" in os.environ else launch  # of several, those who launched them look after the folder
    folder = one(Job.load(**arguments), again=again)
    print(shown(folder.path))


if __name__ == "__main__":
    main()
