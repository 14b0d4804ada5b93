"""Judge a model on a problem: the scores of a job, with what was predicted."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from lib.data.batch import Batch
from lib.evaluation.intervals import interval, mean_f1_interval, spearman_draws
from lib.evaluation.metrics import mean_f1, spearman
from lib.evaluation.predict import Precision, autocast, predict
from lib.evaluation.vectors import pair_cosines
from lib.features.loader import Assembler, EvalLoader
from lib.objectives.mix import ObjectiveMix
from lib.runs.kinds import scored_on
from lib.stages.problem import ClassProblem, PairProblem, Problem

EVAL_BATCH = 256  # videos at a time; no gradients are kept, so memory is no concern
FEWEST = 10  # pairs that a rank correlation is computed of


@dataclass
class Judge(ABC):
    """Knows the problem; given a model it says how good it is. There is one for each kind of problem."""

    predicts: ClassVar[Literal["embedding", "logits", "pooled"]] = "embedding"
    problem: Problem
    assembler: Assembler
    accelerator: Accelerator
    precision: Precision = field(default="trained", kw_only=True)

    def predict(self, model: nn.Module, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Store rows int64 [N], ascending, and what the model says of each, float32 [N, E]; the validation videos by default."""
        loader = EvalLoader(self.assembler, self.problem.rows if rows is None else rows, EVAL_BATCH)
        return predict(model, loader, self.accelerator, self.predicts, self.precision)

    @abstractmethod
    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Scores that select a checkpoint; what the trainer calls every so often."""

    def report(self, model: nn.Module, rows: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        """What ``metrics.json`` says of the final model and its predictions: scores by part, and of the part that the run is
        scored on (``lib.runs.kinds.scored_on``) 95 % intervals over items and oracle."""
        items = {"train": len(self.problem.train), "validation": len(rows)}
        return {"scores": {"validation": self(model)}, "intervals": {}, "oracle": {}, "items": items}


@dataclass
class PairJudge(Judge):
    """By the rank correlation of cosines with the scores that people gave."""

    problem: PairProblem

    def __call__(self, model: nn.Module) -> dict[str, float]:
        pairs, score, target = self.problem.select
        return self._scores(pair_cosines(*self.predict(model, np.unique(pairs)), pairs), score, target)

    @staticmethod
    def _scores(cosine: np.ndarray, score: np.ndarray, target: np.ndarray) -> dict[str, float]:
        return {"spearman": spearman(cosine, score), "mse": float(np.mean((cosine - target) ** 2))}

    def report(self, model: nn.Module, rows: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        parts = self.problem.parts
        cosines = {name: pair_cosines(rows, values, part.pairs) for name, part in parts.items()}
        scores = {name: self._scores(cosines[name], part.score, part.target) for name, part in parts.items()}
        held = parts["validation"]
        for name, mask in (("seen", held.seen), ("unseen", ~held.seen)):
            if mask.sum() >= FEWEST:
                scores[name] = {"spearman": spearman(cosines["validation"][mask], held.score[mask])}
        judged = parts[scored_on(scores)]
        draws = spearman_draws(cosines[scored_on(scores)], judged.score, judged.pairs)
        return {
            "scores": scores,
            # none where the model says the same of every video
            "intervals": {} if np.isnan(draws).all() else {"spearman": list(interval(draws))},
            "oracle": {} if judged.oracle is None else {"spearman": spearman(judged.oracle, judged.score)},
            "items": {
                "train": len(self.problem.train),
                **{name: len(part) for name, part in parts.items()},
                "seen_share": float(held.seen.mean()),
            },
        }


@dataclass
class ClassJudge(Judge):
    """By the mean F1 of the categories; ``postprocess`` is what is done to logits before they are judged, in order."""

    predicts = "logits"
    problem: ClassProblem
    level1_of_level2: np.ndarray  # int [C]
    postprocess: Sequence[Callable[[np.ndarray], np.ndarray]]
    expert: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None  # joins in before that

    def predict(self, model: nn.Module, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        found, values = super().predict(model, rows)
        values = values if self.expert is None else self.expert(found, values)
        for step in self.postprocess:
            values = step(values)
        return found, values

    def __call__(self, model: nn.Module) -> dict[str, float]:
        return self._scores("validation", *self.predict(model))

    def _scores(self, name: str, rows: np.ndarray, values: np.ndarray) -> dict[str, float]:
        return mean_f1(self.problem.parts[name].truth, self._classes(name, rows, values), self.level1_of_level2)

    def _classes(self, name: str, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        return values.argmax(axis=1)[np.searchsorted(rows, self.problem.parts[name].rows)]

    def report(self, model: nn.Module, rows: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        parts, tree = self.problem.parts, self.level1_of_level2
        scores = {name: self._scores(name, rows, values) for name in parts}
        judged, predicted = parts[scored_on(scores)], self._classes(scored_on(scores), rows, values)
        oracle = judged.oracle
        return {
            "scores": scores,
            "intervals": {"mean_f1": list(mean_f1_interval(predicted, judged.truth, tree))},
            "oracle": {} if oracle is None else {"mean_f1": mean_f1(judged.truth, oracle, tree)["mean_f1"]},
            "items": {"train": len(self.problem.train), **{name: len(part) for name, part in parts.items()}},
        }


@dataclass
class TagJudge(Judge):
    """By the tag loss per video on uncorrupted input; of several objectives on tags by their sum, unweighted."""

    objectives: Sequence[nn.Module]

    def __call__(self, model: nn.Module) -> dict[str, float]:
        def loss(batch: Batch) -> float:
            batch = batch.to(self.accelerator.device)
            with autocast(self.accelerator, self.precision):
                outputs = model(batch)
                return sum(float(objective(outputs, batch)) for objective in self.objectives)

        return {"tag_loss": mean_loss(self, [model, *self.objectives], loss)}


@dataclass
class LossJudge(Judge):
    """By all objectives' losses per video, unweighted; what is hidden is the same at every call."""

    predicts = "pooled"
    mix: ObjectiveMix

    def __call__(self, model: nn.Module) -> dict[str, float]:
        mix, generator = self.mix, torch.Generator().manual_seed(2022)

        def loss(batch: Batch) -> float:
            batch = mix.corrupt(batch, generator).to(self.accelerator.device)
            with autocast(self.accelerator, self.precision):
                _, terms = mix(model, batch)
            return sum(float(value) for value in terms.values())

        return {"loss": mean_loss(self, [model, mix], loss)}


@torch.inference_mode()
def mean_loss(judge: Judge, modules: Sequence[nn.Module], loss: Callable[[Batch], float]) -> float:
    """Mean of a loss over the validation videos, with the modules in evaluation mode for the time of the call."""
    modes, total, count = [module.training for module in modules], 0.0, 0
    for module in modules:
        module.eval()
    for batch in EvalLoader(judge.assembler, judge.problem.rows, EVAL_BATCH):
        total += loss(batch) * len(batch)
        count += len(batch)
    for module, mode in zip(modules, modes, strict=True):
        module.train(mode)
    return total / max(count, 1)
