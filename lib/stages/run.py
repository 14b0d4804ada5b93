"""run(job): pretrain, finetune or distill, and leave a run folder. The same function for every stage.

``python -m lib.stages.run RECIPE STAGE [--arm base] [--seed 0] [--scale laptop] [--corpus ...]``; the same module runs
under ``torch.distributed.run`` on several devices.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
import yaml
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from lib.data.store import Store
from lib.data.test_parts import rows_of_test
from lib.data.vocabulary import CategoryTree
from lib.evaluation.submission import write_embeddings
from lib.evaluation.vectors import unit
from lib.features.loader import Assembler, TrainLoader
from lib.features.pictures import Pictures
from lib.features.sets import Frames, TokenSet, choose
from lib.models.pretrained import load_state
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Scale, SubmissionSpec
from lib.runs import provenance
from lib.runs.files import write_atomically, write_json, write_text
from lib.runs.folder import MissingRun, RunFolder
from lib.runs.kinds import HIGHER_IS_BETTER, KINDS
from lib.runs.paths import shown
from lib.stages import build, frozen, result_files, soup
from lib.stages.problem import pose
from lib.stages.scoring import Judge
from lib.training import loop_from
from lib.training.seed import seed_everything


def run(job: Job, *, again: bool = False) -> RunFolder:
    """Train a job unless it is finished; resume it if it was killed.

    Args:
        again: train even if the run folder is finished.

    Returns:
        The run folder, finished.

    Raises:
        MissingRun: corpus, feature set or a parent's run is absent; the message names the command that makes it.
        DivergenceError: the loss ran away more often than the recipe allows.
    """
    folder = job.folder
    if folder.is_done(job.digest) and not again:
        return folder
    require_inputs(job)
    if again:
        folder.metrics.unlink(missing_ok=True)
    torch.set_num_threads(load(Scale, job.scale).threads)
    accelerator = Accelerator(
        mixed_precision="bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
    )
    if accelerator.is_main_process:
        folder.begin(job.digest)
        write_text(folder.job, yaml.safe_dump(job.to_dict(), sort_keys=False, allow_unicode=True))
    accelerator.wait_for_everyone()
    seed_everything(job.seed)
    started = time.perf_counter()

    spec = job.stage_spec
    store, tokens = Store.open(job.corpus.store).verified(), TokenSet(job.tokens.folder)
    visual = frames_of(job, store)
    sizes = build.Sizes.of(store, tokens, visual)
    model = build.build_model(job, sizes)
    problem = pose(job, store)
    mix = build.build_mix(job, model, sizes, problem.class_counts)
    if "init_from" in job.parents:
        parent = job.parents["init_from"]
        load_state(model, load_file(parent.folder.checked(parent.folder.weights)))
        if (
            parent.stage_spec.objectives.keys() == spec.objectives.keys()
        ):  # a second phase goes on with the heads of the first
            load_state(mix, load_file(parent.folder.checked(parent.folder.objective_weights)))
    build.freeze(job, model)
    on_tags = store.track == "pairs" and spec.data.items == "videos"
    features = job.spec.features
    known = problem.known_pairs() if mix.needs_known else None
    assembler = Assembler(store, tokens, **features.batches, tags=on_tags, seed=job.seed, visual=visual, known=known)
    test = (
        rows_of_test(store, spec.data.parts) if problem.truth is not None or problem.pairs is not None else np.arange(0)
    )
    predicted = np.union1d(problem.rows, test).astype(np.int64)
    frozen.remember(job, model, mix, assembler, np.union1d(problem.train.rows, predicted), accelerator)
    loader = TrainLoader(
        assembler, problem.train, spec.data.batch_size, seed=job.seed, bucket=spec.data.bucket,
        rank=accelerator.process_index, world_size=accelerator.num_processes,
    )  # fmt: skip
    tree = CategoryTree(store.manifest["categories"]) if store.track == "classes" else None
    tag_terms = [term for _, term in mix.active() if term.judged == "tags"]
    without_labels = mix if spec.evaluation.select == "loss" else None
    postprocess = build.build_postprocess(job, problem.class_counts)
    judge = Judge(problem, assembler, accelerator, tree, tag_terms, postprocess, without_labels)
    better = HIGHER_IS_BETTER[spec.evaluation.select]
    soup_of = soup.stir(job, model.to(accelerator.device), mix, judge, higher_is_better=better) if spec.soup else []
    steps = max(spec.data.min_steps, round(spec.data.epochs * loader.steps_per_epoch), 1 if spec.data.epochs else 0)

    trainer = loop_from(
        spec, model=model, mix=mix, accelerator=accelerator, loader=loader, steps=steps, seed=job.seed, state=folder.state,
        history=folder.history, score=judge, higher_is_better=better,
    )  # fmt: skip
    result = trainer.fit(loader, steps)
    model, mix = trainer.unwrapped()

    rows, values = judge.predict(model, predicted if judge.kind == "pairs" else None)
    answers = result_files.answers(judge, model, store, spec.data.parts) if judge.kind == "classes" else []
    metrics: dict[str, Any] = {
        "schema": 1, "job": {**job.parameters, "corpus": job.corpus.label}, "digest": job.digest,
        "primary": KINDS[judge.kind].metric,
        "best_step": result.best_step, "steps": result.steps, "selected_by": spec.evaluation.select,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    } | ({"soup_of_seeds": soup_of} if soup_of else {})  # fmt: skip
    metrics |= (
        judge.report(rows, values)
        if judge.kind not in ("tags", "loss")
        else {
            "scores": {"validation": judge(model)},
            "intervals": {},
            "oracle": {},
            "items": {"train": len(problem.train), "validation": len(rows)},
        }
    )
    if accelerator.is_main_process:
        save(folder, model, mix, judge, store, rows, values, test, job.spec.submission)
        for answer in answers:
            answer.write(folder.path)
        seconds = time.perf_counter() - started
        timing = {
            "seconds": round(seconds, 2),
            "training_seconds": round(result.seconds, 2),
            "samples_per_second": round(result.samples / max(result.seconds, 1e-9), 1),
            "peak_rss_mb": provenance.peak_rss_mb(),
        }
        write_json(folder.timing, timing)
        parents = {
            role: {"folder": shown(parent.folder.path), "digest": parent.digest} for role, parent in job.parents.items()
        }
        facts = provenance.collect(
            digest=job.digest,
            parents=parents,
            corpus={"name": job.corpus.label, "fingerprint": store.fingerprint},
            device=str(accelerator.device.type),
            processes=accelerator.num_processes,
            threads=torch.get_num_threads(),
        )
        write_json(folder.provenance, facts)
        folder.finish(metrics)
    accelerator.wait_for_everyone()
    return folder


def save(
    folder: RunFolder,
    model,
    mix,
    judge: Judge,
    store: Store,
    rows,
    values,
    test: np.ndarray,
    submission: SubmissionSpec,
) -> None:
    """Weights apart for the model and for the objectives' heads; predictions by video id; embeddings of the rows in
    ``test`` as they are handed in."""
    for path, module in ((folder.weights, model), (folder.objective_weights, mix)):
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
        write_atomically(path, lambda temporary, state=state: save_file(state, temporary))
    ids = store.column("id")[rows].astype(str)
    if judge.kind == "classes":
        folder.write_arrays(
            folder.predictions,
            ids=ids,
            rows=rows,
            logits=values,
            truth=judge.problem.truth[judge.problem.rows.argsort()],
        )
    else:
        folder.write_arrays(folder.embeddings, ids=ids, rows=rows, vectors=values)
    if judge.kind == "pairs":
        problem, test = judge.problem, np.isin(rows, test)
        if test.any():
            # all teams of the pair track scaled a model's vectors to length one before they rounded them
            write_embeddings(folder.path / "result.zip", ids[test].tolist(), unit(values[test]), submission)
        folder.write_arrays(
            folder.path / "pairs.npz",
            pairs=problem.pairs,
            score=problem.score,
            target=problem.target,
            seen=problem.seen,
        )


def frames_of(job: Job, store: Store) -> Frames | Pictures:
    """Where the job's frames come from: the corpus, a set of features, or pictures for the model to encode.

    Raises:
        ValueError: the corpus has nothing of that kind, or the set is another corpus'.
    """
    if job.spec.model.images is not None and job.frames is not None:
        return Pictures(store, **job.frames.spec.images.pictures)
    return choose(store, None if job.frames is None else job.frames.folder)


def require_inputs(job: Job) -> None:
    """Raises MissingRun naming the first missing input and the command that makes it."""
    corpus = job.corpus
    if not corpus.manifest.exists():
        raise MissingRun(
            f"corpus {corpus.label}: no store at {shown(corpus.store)}. Make it with: python -m lab.corpora.build {corpus.name} --scale {job.scale}"
        )
    for ref in job.feature_sets:
        if not (ref.folder / "features.json").exists():
            given = f" -p world {job.corpus_given}" if job.corpus_given else ""
            raise MissingRun(
                f"feature set {ref.name} of {corpus.label} is missing. Make it with: papermill notebooks/01_features.ipynb out.ipynb -p corpus {corpus.name} -p features {ref.name} -p scale {job.scale}{given}"
            )
    for role, parent in job.parents.items():
        parent.folder.read_metrics(
            parent.digest, f"It is the {role} of {job.recipe} {job.stage}. Make it with: {parent.command}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("stage")
    parser.add_argument("--arm", default="base")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--corpus", default="")
    parser.add_argument("--again", action="store_true")
    arguments = vars(parser.parse_args())
    again = arguments.pop("again")
    folder = run(Job.load(**arguments), again=again)
    print(shown(folder.path))


if __name__ == "__main__":
    main()
