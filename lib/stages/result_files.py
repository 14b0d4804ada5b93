"""What a finished job leaves: weights, predictions, and what it hands in: ``result.zip`` (AIAC 2021) or ``result.csv``
(WeChat 2022) of the test videos.

The zip holds embeddings, in one JSON file that is called and rounded as the recipe's team did. The csv has a line per
test video, ``id,category_id``, no header; where the corpus was generated, ``truth.csv`` beside it holds the categories
that the generator meant, so that ``vidlab score result.csv truth.csv`` prints the official numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from safetensors.torch import save_file
from torch import nn

from lib.data.items import parts_of_test
from lib.data.store import Store
from lib.evaluation.submission import write_classes, write_embeddings
from lib.evaluation.vectors import unit
from lib.recipes.specs import SubmissionSpec
from lib.runs.files import write_atomically
from lib.runs.folder import RunFolder
from lib.stages.problem import ClassProblem, PairProblem, Problem
from lib.stages.scoring import ClassJudge


def save_weights(folder: RunFolder, model: nn.Module, mix: nn.Module) -> None:
    """In two files, one for the model and one for the objectives' heads."""
    for path, module in ((folder.weights, model), (folder.objective_weights, mix)):
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
        write_atomically(path, lambda temporary, state=state: save_file(state, temporary))


def save_predictions(folder: RunFolder, problem: Problem, store: Store, rows: np.ndarray, values: np.ndarray) -> None:
    """By video, and of pairs what they are judged by.

    Args:
        rows: int64 [N], store rows, ascending; values: float32 [N, E], what the model says of each.
    """
    ids = store.column("id")[rows].astype(str)
    if isinstance(problem, ClassProblem):
        truth = problem.truth[problem.rows.argsort()]
        folder.write_arrays(folder.predictions, ids=ids, rows=rows, logits=values, truth=truth)
        return
    folder.write_arrays(folder.embeddings, ids=ids, rows=rows, vectors=values)
    if isinstance(problem, PairProblem):
        arrays = {name: getattr(problem, name) for name in ("pairs", "score", "target", "seen")}
        folder.write_arrays(folder.path / "pairs.npz", **arrays)


def hand_in_embeddings(
    folder: RunFolder, store: Store, rows: np.ndarray, vectors: np.ndarray, test: np.ndarray, spec: SubmissionSpec
) -> None:
    """``result.zip`` of the test videos. All teams of the pair track scaled a model's vectors to length one before they
    rounded them."""
    chosen = np.isin(rows, test)
    if chosen.any():
        ids = store.column("id")[rows][chosen].astype(str).tolist()
        write_embeddings(folder.path / "result.zip", ids, unit(vectors[chosen]), **spec.model_dump())


def hand_in_classes(
    folder: RunFolder, judge: ClassJudge, model: nn.Module, store: Store, used: Sequence[str], *, writes: bool
) -> None:
    """Predict every set of test videos (on all processes) and write a file for each: ``result.csv``, or ``result_test_a.csv``
    where there are several. A generated corpus' truth has no noise, unlike the labels that are trained on.

    Args:
        used: parts that the job has learned from.
        writes: False on all processes but one.
    """
    parts, names = parts_of_test(store, used), np.array(store.manifest["categories"])
    ids, truth = store.column("id").astype(str), store.truth()
    for part in parts:
        rows, logits = judge.predict(model, store.rows(part))
        said = {"result": logits.argmax(axis=1)}
        if truth is not None:
            said["truth"] = truth["true_category"].to_numpy()[rows]
        for name, classes in said.items() if writes else ():
            file = f"{name}.csv" if len(parts) == 1 else f"{name}_{part}.csv"
            write_classes(folder.path / file, ids[rows], names[classes])
