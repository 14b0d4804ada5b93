"""What a finished job hands in: ``result.zip`` (AIAC 2021) or ``result.csv`` (WeChat 2022) of the test videos.

The zip holds embeddings, in one JSON file that is called and rounded as the recipe's team did. The csv has a line per
test video, ``id,category_id``, no header; where the corpus was generated, ``truth.csv`` beside it holds the categories
that the generator meant, so that ``python -m lab score result.csv truth.csv`` prints the official numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from lib.data.store import Store
from lib.data.test_parts import parts_of_test
from lib.evaluation.submission import write_classes
from lib.stages.scoring import Judge


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
    """Predict every set of test videos; called on all processes. Empty for a corpus without test videos.

    Args:
        used: parts that the job has learned from.
    """
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
