"""What a finished job leaves: weights, predictions, and what it hands in: ``result.zip`` (AIAC 2021) or ``result.csv``
(WeChat 2022) of the test videos.

The zip holds embeddings, in one JSON file that is called and rounded as the recipe's team did. The csv has a line per
test video, ``id,category_id``, no header; where the corpus was generated, ``truth.csv`` beside it holds the categories
that the generator meant, so that ``vidlab score result.csv truth.csv`` prints the official numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from lib.stages.scoring import ClassJudge, Judge


@dataclass(frozen=True)
class Answer:
    """Predictions for one set of test videos."""

    name: str  # "result", or "result_test_a" where there are several sets
    ids: Sequence[str]
    categories: Sequence[str]
    truth: Sequence[str] | None  # generated corpora only; it has no noise, unlike the labels that are trained on

    def write(self, folder: Path) -> None:
        write_classes(folder / f"{self.name}.csv", self.ids, self.categories)
        if self.truth is not None:
            write_classes(folder / f"{self.name.replace('result', 'truth')}.csv", self.ids, self.truth)


def answers(judge: Judge, model: nn.Module, store: Store, used: Sequence[str] = ()) -> list[Answer]:
    """Predict every set of test videos; called on all processes. Empty for a corpus without test videos or
    categories.

    Args:
        used: parts that the job has learned from.
    """
    if not isinstance(judge, ClassJudge):
        return []
    parts = parts_of_test(store, used)
    names = np.array(store.manifest["categories"])
    ids, truth, found = store.column("id"), store.truth(), []
    for part in parts:
        rows, logits = judge.predict(model, store.rows(part))
        found.append(
            Answer(
                name="result" if len(parts) == 1 else f"result_{part}",
                ids=ids[rows].astype(str).tolist(),
                categories=names[logits.argmax(axis=1)].tolist(),
                truth=None if truth is None else names[truth["true_category"].to_numpy()[rows]].tolist(),
            )
        )
    return found


def save(
    folder: RunFolder,
    model: nn.Module,
    mix: nn.Module,
    problem: Problem,
    store: Store,
    rows: np.ndarray,
    values: np.ndarray,
) -> None:
    """Weights apart for the model and for the objectives' heads, and predictions by video.

    Args:
        rows: int64 [N], store rows, ascending; values: float32 [N, E], what the model says of each.
    """
    for path, module in ((folder.weights, model), (folder.objective_weights, mix)):
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
        write_atomically(path, lambda temporary, state=state: save_file(state, temporary))
    ids = store.column("id")[rows].astype(str)
    if isinstance(problem, ClassProblem):
        truth = problem.truth[problem.rows.argsort()]
        folder.write_arrays(folder.predictions, ids=ids, rows=rows, logits=values, truth=truth)
        return
    folder.write_arrays(folder.embeddings, ids=ids, rows=rows, vectors=values)
    if isinstance(problem, PairProblem):
        arrays = {name: getattr(problem, name) for name in ("pairs", "score", "target", "seen")}
        folder.write_arrays(folder.path / "pairs.npz", **arrays)


def hand_in(
    folder: RunFolder, store: Store, rows: np.ndarray, vectors: np.ndarray, test: np.ndarray, spec: SubmissionSpec
) -> None:
    """``result.zip`` of the test videos. All teams of the pair track scaled a model's vectors to length one before they
    rounded them."""
    chosen = np.isin(rows, test)
    if chosen.any():
        ids = store.column("id")[rows][chosen].astype(str).tolist()
        write_embeddings(folder.path / "result.zip", ids, unit(vectors[chosen]), **spec.model_dump())
