"""Pseudo labels: a stage that trains nothing, but asks trained models about videos without category; and who may learn them.

The stage's run folder has ``labels.npz``: ``rows``, ``ids``, ``category``, ``confidence``, and with soft labels
``probabilities`` in half precision. No labelled video and none of a test part is ever in it, and a stage that learns from
it refuses files in which one is; whoever learns from models that were chosen on another held-out split is refused too.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from accelerate import Accelerator
from safetensors.torch import load_file

from lib.data.items import rows_of_test
from lib.data.store import Store
from lib.evaluation.predict import predict
from lib.evaluation.pseudo import Said
from lib.evaluation.vectors import unit
from lib.features.loader import Assembler, EvalLoader, PseudoLabels
from lib.models.bert import load_state
from lib.recipes.bind import bind
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.stages import build
from lib.stages.inputs import Inputs


def make_labels(
    job: Job, train: np.ndarray, class_counts: np.ndarray, accelerator: Accelerator, batch_size: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays of ``labels.npz``, and what ``metrics.json`` says of them: how many, and how many are what was meant where a
    generated corpus knows it. ``train``: store rows of the labelled training videos."""
    from scipy.special import softmax

    spec = job.stage_spec.pseudo
    assert spec is not None
    rule = bind("evaluation", spec, {"class_counts": class_counts}, f"stages.{job.stage}.pseudo")
    store = Inputs.open(job).store
    rows = unlabelled(store)
    known = np.unique(train) if getattr(rule, "needs_vectors", False) else np.arange(0)
    asked = np.union1d(rows, known)
    place, logits, vectors = np.searchsorted(asked, rows), [], []
    for labeller in job.labellers:
        model, assembler = _model_of(labeller, accelerator)
        logits.append(predict(model, EvalLoader(assembler, rows, batch_size), accelerator, "logits")[1])
        if len(known):
            vectors.append(predict(model, EvalLoader(assembler, asked, batch_size), accelerator, "pooled")[1])
    mean = np.mean([softmax(each.astype(np.float64), axis=1) for each in logits], axis=0).astype(np.float32)
    said = Said(mean)
    if len(known):
        both = np.concatenate([unit(each) for each in vectors], axis=1)
        own = np.searchsorted(asked, known)
        said = Said(mean, both[place], both[own], store.categories()[known].astype(np.int64))
    given = rule(said)
    kept = given.category >= 0
    arrays = {"rows": rows, "ids": store.column("id").astype(str)[rows], **given._asdict()}
    arrays = {name: values[kept] for name, values in arrays.items()}
    if getattr(rule, "soft", False):
        arrays["probabilities"] = mean[kept].astype(np.float16)
    about: dict[str, Any] = {"asked": len(rows), "given": int(kept.sum()), "models": len(job.labellers)}
    if (truth := store.truth()) is not None and kept.any():
        meant = truth["true_category"].to_numpy()[arrays["rows"]]
        about["right"] = float(np.mean(arrays["category"] == meant))
    return arrays, about


def unlabelled(store: Store) -> np.ndarray:
    """int64 store rows of videos without category outside the test parts."""
    return np.setdiff1d(np.flatnonzero(store.categories() < 0), rows_of_test(store))


def read_labels(job: Job, store: Store) -> PseudoLabels | None:
    """What the job's ``data.pseudo`` gives, None where it names none. Raises RecipeError: a labelled or test video is among
    the labels, or models behind them were chosen on another split."""
    if not job.stage_spec.data.unlabeled:
        _same_split(job)
    if (parent := job.parents.get("pseudo")) is None:
        return None
    parent.folder.read_metrics(parent.digest, f"Make it with: {parent.command}")
    arrays = parent.folder.read_arrays(parent.folder.labels)
    where = f"pseudo labels of {parent.recipe} {parent.stage}; make them again: {parent.command}"
    refuse_held_out(store, arrays["rows"], where)
    return PseudoLabels(arrays["rows"], arrays["category"], arrays.get("probabilities"))


def refuse_held_out(store: Store, rows: np.ndarray, where: str) -> None:
    """Raises RecipeError: among the rows is a labelled video (it may be of validation) or one of a test part, or one with
    the id of such a video."""
    ids = store.column("id")
    held = np.union1d(np.flatnonzero(store.categories() >= 0), rows_of_test(store)).astype(np.int64)
    wrong = rows[np.isin(ids[rows], ids[held])]
    if len(wrong):
        raise RecipeError(f"{len(wrong)} labelled or test videos, the first {ids[wrong[0]]}, are among the {where}")


def _same_split(job: Job) -> None:
    """Raises RecipeError: the job descends from labels of models that did not hold out what it holds out."""
    own, expert = job.stage_spec.data, job.parents.get("expert")
    for parent in _before(job):
        data, answers = parent.stage_spec.data, parent.stage_spec.pseudo is not None or parent is expert
        if answers and (data.split, data.parts) != (own.split, own.parts):
            raise RecipeError(
                f"{job.recipe} {job.stage}: data.split and data.parts must be those of {parent.stage}, on whose answers it builds: "
                "what it holds out would have been seen; one split goes through all rounds"
            )


def _before(job: Job) -> Iterator[Job]:
    for parent in job.parents.values():
        yield parent
        yield from _before(parent)


def expert_of(job: Job, class_counts: np.ndarray, accelerator: Accelerator, batch_size: int) -> Callable | None:
    """From store rows [N] and a model's logits [N, C] to those with the stage's expert joined in; None without an expert."""
    spec = job.stage_spec.expert
    if spec is None:
        return None
    step = bind("evaluation", spec, {"class_counts": class_counts}, f"stages.{job.stage}.expert")
    model, assembler = _model_of(job.parents["expert"], accelerator)
    said: dict[bytes, np.ndarray] = {}  # the same videos are asked about at every evaluation

    def joined(rows: np.ndarray, logits: np.ndarray) -> np.ndarray:
        if (key := rows.tobytes()) not in said:
            said[key] = predict(model, EvalLoader(assembler, rows, batch_size), accelerator, "logits")[1]
        return step(logits, said[key])

    return joined


def _model_of(job: Job, accelerator: Accelerator) -> tuple[Any, Assembler]:
    """A finished job's model, and the batches that it reads."""
    inputs = Inputs.open(job)
    model = build.build_model(job, inputs.sizes)
    load_state(model, load_file(job.folder.checked(job.folder.weights)))
    assembler = Assembler(inputs.store, inputs.tokens, **job.batches, seed=job.seed, visual=inputs.visual)
    return model.to(accelerator.device), assembler
