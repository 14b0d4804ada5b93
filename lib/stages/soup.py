"""Model soup: a stage that starts from the mean weights of several runs of its parent stage, which differ in their seed.

Source: Wortsman et al. 2022, "Model soups". The runs must come from one initialisation, so the stages before the parent have
a fixed ``seed``. A stage that is nothing but a soup has ``data.epochs: 0``.
"""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import load_file
from torch import Tensor, nn

from lib.models.bert import load_state
from lib.recipes.job import Job
from lib.runs.kinds import HIGHER_IS_BETTER
from lib.stages.scoring import Judge
from lib.training.averaging import greedy_soup, soup

MIX = "objectives."  # before the names of the objectives' heads, which are averaged with the model


def load_soup(job: Job, model: nn.Module, mix: nn.Module, judge: Judge) -> list[int]:
    """Load the soup of the job's parents into the model and the objectives.

    Args:
        judge: scores a greedy soup on the validation part, as the stage itself will be.

    Returns:
        the seeds of the runs in it.

    Raises:
        MissingRun: a parent is not finished.
    """
    parents, select = job.ingredients, job.stage_spec.evaluation.select
    better = HIGHER_IS_BETTER[select]
    members = [_weights(parent) for parent in parents]

    def load(weights: Mapping[str, Tensor]) -> None:
        load_state(model, {name: value for name, value in weights.items() if not name.startswith(MIX)})
        load_state(mix, {name.removeprefix(MIX): value for name, value in weights.items() if name.startswith(MIX)})

    def score(weights: Mapping[str, Tensor]) -> float:
        load(weights)
        model.eval()
        return judge(model)[select]

    if job.stage_spec.soup is not None and job.stage_spec.soup.kind == "greedy":
        mixed, kept = greedy_soup(members, [score(m) for m in members], score, higher_is_better=better)
    else:
        mixed, kept = soup(members), list(range(len(members)))
    load(mixed)
    return [parents[number].seed for number in kept]


def _weights(parent: Job) -> dict[str, Tensor]:
    heads = {
        MIX + name: value for name, value in load_file(parent.folder.checked(parent.folder.objective_weights)).items()
    }
    return {**load_file(parent.folder.checked(parent.folder.weights)), **heads}
