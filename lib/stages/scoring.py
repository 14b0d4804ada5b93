"""Judge a model on a problem: the scores of a job, with what was predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from scipy.stats import spearmanr

from lib.data.vocabulary import CategoryTree
from lib.evaluation.intervals import interval_of_mean_f1, interval_of_spearman
from lib.evaluation.metrics import mean_f1, spearman
from lib.evaluation.predict import predict
from lib.evaluation.vectors import pair_cosines
from lib.features.loader import Assembler, EvalLoader
from lib.objectives.mix import ObjectiveMix
from lib.stages.problem import Problem

EVAL_BATCH = 256  # videos at a time; no gradients are kept, so memory is no concern


@dataclass
class Judge:
    """Knows the problem; given a model it says how good it is."""

    problem: Problem
    assembler: Assembler
    accelerator: Accelerator
    tree: CategoryTree | None = None  # classes only
    tag_objectives: Sequence[torch.nn.Module] = ()  # pretraining on tags: the losses it is judged by, as a plain sum
    postprocess: Sequence[Callable[[np.ndarray], np.ndarray]] = ()  # classes only: what is done to logits, in order
    objectives: ObjectiveMix | None = None  # pretraining without labels: all losses, as a plain sum

    @property
    def kind(self) -> str:
        if self.problem.pairs is not None:
            return "pairs"
        if self.problem.truth is not None:
            return "classes"
        return "tags" if self.objectives is None else "loss"

    def predict(self, model: torch.nn.Module, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        loader = EvalLoader(self.assembler, self.problem.rows if rows is None else rows, EVAL_BATCH)
        what = {"classes": "logits", "loss": "pooled"}.get(self.kind, "embedding")
        found, values = predict(model, loader, self.accelerator, what)
        for step in self.postprocess:
            values = step(values)
        return found, values

    def __call__(self, model: torch.nn.Module) -> dict[str, float]:
        """Scores on the validation part; what the trainer calls every so often."""
        if self.kind == "tags":
            return {"tag_loss": self._tag_loss(model)}
        if self.kind == "loss":
            return {"loss": self._loss(model)}
        if self.kind == "classes":
            return self.scores(*self.predict(model))
        select = self.problem.select or (self.problem.pairs, self.problem.score, self.problem.target)
        return self._pair_scores(*self.predict(model, np.unique(select[0])), *select)

    def scores(self, rows: np.ndarray, values: np.ndarray) -> dict[str, float]:
        if self.kind == "pairs":
            return self._pair_scores(rows, values, self.problem.pairs, self.problem.score, self.problem.target)
        predicted = values.argmax(axis=1)[np.searchsorted(rows, self.problem.rows)]
        return mean_f1(self.problem.truth, predicted, self.tree.level1_of_level2)

    @staticmethod
    def _pair_scores(rows, values, pairs, score, target) -> dict[str, float]:
        cosine = pair_cosines(rows, values, pairs)
        return {"spearman": spearman(cosine, score), "mse": float(np.mean((cosine - target) ** 2))}

    def report(self, rows: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        """Everything ``metrics.json`` says of the final predictions: scores, 95 % intervals over items, oracle, leak."""
        problem, result = (
            self.problem,
            {"scores": {"validation": self.scores(rows, values)}, "intervals": {}, "oracle": {}, "items": {}},
        )
        if self.kind == "pairs":
            cosine = pair_cosines(rows, values, problem.pairs)
            result["items"] = {
                "train": len(problem.train),
                "validation": len(problem.pairs),
                "seen_share": float(problem.seen.mean()),
            }
            result["intervals"]["spearman"] = list(interval_of_spearman(cosine, problem.score, problem.pairs))
            for name, mask in (("seen", problem.seen), ("unseen", ~problem.seen)):
                if mask.sum() >= 10:
                    result["scores"][name] = {"spearman": spearman(cosine[mask], problem.score[mask])}
            if problem.oracle is not None:
                result["oracle"]["spearman"] = float(spearmanr(problem.oracle, problem.score).statistic)
        else:
            predicted = values.argmax(axis=1)[np.searchsorted(rows, problem.rows)]
            result["items"] = {"train": len(problem.train), "validation": len(problem.truth)}
            result["intervals"]["mean_f1"] = list(
                interval_of_mean_f1(problem.truth, predicted, self.tree.level1_of_level2)
            )
            if problem.oracle is not None:
                result["oracle"]["mean_f1"] = mean_f1(problem.truth, problem.oracle, self.tree.level1_of_level2)[
                    "mean_f1"
                ]
        return result

    @torch.inference_mode()
    def _loss(self, model: torch.nn.Module) -> float:
        """Mean over the videos of all objectives' losses, unweighted; what is hidden is the same at every call."""
        mix = self.objectives
        assert mix is not None
        training, mixed, total, count = model.training, mix.training, 0.0, 0
        model.eval()
        mix.eval()
        generator = torch.Generator().manual_seed(2022)
        for batch in EvalLoader(self.assembler, self.problem.rows, EVAL_BATCH):
            batch = mix.corrupt(batch, generator).to(self.accelerator.device)
            with self.accelerator.autocast():
                _, terms = mix(model, batch)
            total += sum(float(value) for value in terms.values()) * len(batch)
            count += len(batch)
        model.train(training)
        mix.train(mixed)
        return total / max(count, 1)

    @torch.inference_mode()
    def _tag_loss(self, model: torch.nn.Module) -> float:
        """Mean tag loss per video, on uncorrupted input; of several tag objectives their sum.

        Raises:
            ValueError: the stage has none.
        """
        if not self.tag_objectives:
            raise ValueError(
                "select: tag_loss needs an objective on tags; name one tags, or several tags_text, tags_frames, ..."
            )
        training, total, count = model.training, 0.0, 0
        model.eval()
        for objective in self.tag_objectives:
            objective.eval()
        for batch in EvalLoader(self.assembler, self.problem.rows, EVAL_BATCH):
            batch = batch.to(self.accelerator.device)
            with self.accelerator.autocast():
                outputs = model(batch)
                total += sum(float(objective(outputs, batch)) for objective in self.tag_objectives) * len(batch)
            count += len(batch)
        model.train(training)
        for objective in self.tag_objectives:
            objective.train(training)
        return total / max(count, 1)
