"""What a finished run predicted for the part it is scored on, read back from its folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.evaluation.vectors import pair_cosines, unit
from lib.runs.folder import MissingRun, RunFolder
from lib.runs.paths import shown


@dataclass(frozen=True)
class PairPredictions:
    """What one run says of P pairs, beside what is true."""

    pairs: np.ndarray  # int64 [P, 2] store rows
    cosine: np.ndarray  # float64 [P]
    score: np.ndarray  # float64 [P], as the corpus has it
    target: np.ndarray  # float64 [P], as the loss saw it
    seen: np.ndarray  # bool [P], shares a video with a training pair


@dataclass(frozen=True)
class ClassPredictions:
    """What one run says of V videos, beside what is true."""

    rows: np.ndarray  # int64 [V] store rows
    logits: np.ndarray  # float32 [V, C]
    truth: np.ndarray  # int64 [V] class

    @property
    def predicted(self) -> np.ndarray:
        return self.logits.argmax(axis=1)


def of_pairs(run: RunFolder, part: str = "") -> PairPredictions:
    """Cosines of the pairs that the run is scored on, or of ``part`` validation.

    Raises:
        MissingRun: the run left no embeddings.
    """
    embeddings, pairs = _arrays(run, "embeddings.npz"), _scored(_arrays(run, "pairs.npz"), part)
    positions(embeddings["rows"], pairs["pairs"])
    cosine = pair_cosines(embeddings["rows"], embeddings["vectors"], pairs["pairs"])
    return PairPredictions(pairs["pairs"], cosine, pairs["score"], pairs["target"], pairs["seen"].astype(bool))


def of_classes(run: RunFolder, part: str = "") -> ClassPredictions:
    """Of a run of a class system, as :func:`of_pairs`.

    Raises:
        MissingRun, DamagedFile: its predictions are absent or not as the run wrote them.
    """
    arrays = _scored(_arrays(run, "predictions.npz"), part)
    return ClassPredictions(arrays["rows"], arrays["logits"], arrays["truth"])


def _scored(arrays: dict[str, np.ndarray], part: str = "") -> dict[str, np.ndarray]:
    """The items of the test part where there are some, else those of validation (``lib.runs.kinds.scored_on``)."""
    test = arrays["test"]
    kept = test if test.any() and part != "validation" else ~test
    return {name: array[kept] for name, array in arrays.items()}


def vectors(run: RunFolder) -> tuple[np.ndarray, np.ndarray]:
    """Store rows int64 [N] and unit vectors [N, E]: embeddings, or centred logits where there are no embeddings."""
    if run.embeddings.exists():
        arrays = _arrays(run, "embeddings.npz")
        return arrays["rows"], unit(arrays["vectors"].astype(np.float64))
    arrays = _arrays(run, "predictions.npz")
    logits = arrays["logits"].astype(np.float64)
    return arrays["rows"], unit(logits - logits.mean(axis=1, keepdims=True))


def positions(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of ``wanted`` stands in the ascending ``rows``.

    Raises:
        KeyError: one is not there.
    """
    found = np.searchsorted(rows, wanted).clip(max=len(rows) - 1)
    if (rows[found] != wanted).any():
        raise KeyError(f"store row {int(wanted[rows[found] != wanted][0])} was not predicted by this run")
    return found


def _arrays(run: RunFolder, name: str) -> dict[str, np.ndarray]:
    path = run.path / name
    if not path.exists():
        raise MissingRun(
            f"{shown(run.path)}: no {name}; the run is unfinished, or its stage predicts nothing of the kind"
        )
    return run.read_arrays(path)
