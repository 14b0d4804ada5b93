"""What a finished job leaves: weights, predictions, and what it hands in: ``result.zip`` (AIAC 2021) or ``result.csv``
(WeChat 2022: ``id,category_id`` lines) of the test videos. Of a generated corpus ``truth.csv`` holds what was meant."""

import csv
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from torch import nn

from lib.data.store import Store
from lib.evaluation.vectors import unit
from lib.recipes.specs import SubmissionSpec
from lib.runs.files import write_atomically
from lib.runs.folder import RunFolder
from lib.stages.problem import ClassProblem, PairProblem, Problem


def save_weights(folder: RunFolder, model: nn.Module, mix: nn.Module) -> None:
    """In two files, one for the model and one for the objectives' heads."""
    for path, module in ((folder.weights, model), (folder.objective_weights, mix)):
        state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
        write_atomically(path, lambda temporary, state=state: save_file(state, temporary))


def save_predictions(folder: RunFolder, problem: Problem, store: Store, rows: np.ndarray, values: np.ndarray) -> None:
    """By video, and of pairs what they are judged by; ``test`` tells items of the labelled test part from validation.
    ``rows``: int64 [N], store rows, ascending; values: float32 [N, E], what the model says of each."""
    ids = store.column("id").astype(str)
    if isinstance(problem, ClassProblem):
        judged = _judged(problem, "rows", "truth")
        order = judged["rows"].argsort()
        arrays = {name: array[order] for name, array in judged.items()}
        found = arrays["rows"]
        logits = values[np.searchsorted(rows, found)]
        folder.write_arrays(folder.predictions, ids=ids[found], logits=logits, **arrays)
        return
    folder.write_arrays(folder.embeddings, ids=ids[rows], rows=rows, vectors=values)
    if isinstance(problem, PairProblem):
        folder.write_arrays(folder.path / "pairs.npz", **_judged(problem, "pairs", "score", "target", "seen"))


def _judged(problem: PairProblem | ClassProblem, *fields: str) -> dict[str, np.ndarray]:
    """Fields of the items that are judged, all parts end to end, and which of them are of the test part."""
    parts = problem.parts
    arrays = {field: np.concatenate([getattr(part, field) for part in parts.values()]) for field in fields}
    return arrays | {"test": np.repeat([name == "test" for name in parts], [len(part) for part in parts.values()])}


def hand_in_embeddings(
    folder: RunFolder, store: Store, rows: np.ndarray, vectors: np.ndarray, test: np.ndarray, spec: SubmissionSpec
) -> None:
    """``result.zip`` of the test videos. All teams of the pair track scaled a model's vectors to length one before they
    rounded them."""
    chosen = np.isin(rows, test)
    if chosen.any():
        ids = store.column("id")[rows][chosen].astype(str).tolist()
        write_embeddings(folder.path / "result.zip", ids, unit(vectors[chosen]), **spec.model_dump())


def hand_in_classes(folder: RunFolder, predicted: Mapping[str, tuple[np.ndarray, np.ndarray]], store: Store) -> None:
    """A file for every test part: ``result.csv``, or ``result_test_a.csv`` where there are several. A generated corpus'
    truth has no noise, unlike the labels that are trained on. ``predicted``: part -> store rows int64 [N] and logits
    float32 [N, C]."""
    names, ids, truth = np.array(store.manifest["categories"]), store.column("id").astype(str), store.truth()
    for part, (rows, logits) in predicted.items():
        said = {"result": logits.argmax(axis=1)}
        if truth is not None:
            said["truth"] = truth["true_category"].to_numpy()[rows]
        for name, classes in said.items():
            file = f"{name}.csv" if len(predicted) == 1 else f"{name}_{part}.csv"
            write_classes(folder.path / file, ids[rows], names[classes])


def write_embeddings(
    path: Path, ids: Sequence[str], vectors: np.ndarray, *, member: str = "result.json", precision: str = "float16"
) -> None:
    """``{"<id>": [numbers]}`` in a deflated zip, which appears whole or not at all (AIAC 2021, specification 0.5).
    Raises ValueError: a number that is not finite, or too large for the precision. ``member``, ``precision``: name of
    the file in the zip and type of its numbers, as the team wrote them."""
    with np.errstate(over="ignore"):  # what overflows is refused
        rounded = vectors.astype(precision)
    if not np.isfinite(rounded).all():
        raise ValueError(f"embeddings hold NaN, Inf or numbers beyond {rounded.dtype}; nothing was written")
    content = json.dumps({str(name): [float(value) for value in row] for name, row in zip(ids, rounded, strict=True)})

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo(member, (2021, 11, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)

    write_atomically(path, write)


def write_classes(path: Path, ids: Iterable[str], categories: Iterable[str]) -> None:
    """``id,category_id`` a line, no header, quoted where that is needed: result.csv of WeChat 2022."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(zip(ids, categories, strict=True))

    write_atomically(path, write)
