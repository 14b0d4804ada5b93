"""The weights a stage starts from: those of its parent stage, or a soup of several of that stage's runs: the mean of
weights that differ in their seed (Wortsman et al. 2022, "Model soups") but come from one initialisation."""

from collections.abc import Mapping

from safetensors.torch import load_file
from torch import Tensor, nn

from lib.models.bert import load_state
from lib.recipes.job import Job
from lib.runs.folder import RunFolder
from lib.runs.kinds import HIGHER_IS_BETTER
from lib.stages.scoring import Judge
from lib.training.averaging import greedy_soup, soup
from lib.training.trainer import Task


def load_parent(job: Job, model: nn.Module, mix: nn.Module) -> None:
    """Weights of the stage that this one starts from; a second phase with the same objectives goes on with their heads."""
    if (parent := job.parents.get("init_from")) is None:
        return
    load_state(model, load_file(parent.folder.checked(parent.folder.weights)))
    if parent.stage_spec.objectives.keys() == job.stage_spec.objectives.keys():
        load_state(mix, load_file(parent.folder.checked(parent.folder.objective_weights)))


def load_soup(job: Job, model: nn.Module, mix: nn.Module, judge: Judge) -> list[int]:
    """Load the soup of the job's parents into the model and the objectives. ``judge``: scores a greedy soup on the
    validation part, as the stage itself will be. Returns the seeds of the runs in it; none where the stage starts from
    no soup. Raises MissingRun: a parent is not finished."""
    if job.stage_spec.soup is None:
        return []
    parents, select, task = job.ingredients, job.stage_spec.evaluation.select, Task(model, mix)
    members = [_weights(parent.folder) for parent in parents]

    def score(weights: Mapping[str, Tensor]) -> float:
        load_state(task, weights)
        return judge(model)[select]

    if job.stage_spec.soup.kind == "greedy":
        scores = [score(member) for member in members]
        mixed, kept = greedy_soup(members, scores, score, higher_is_better=HIGHER_IS_BETTER[select])
    else:
        mixed, kept = soup(members), list(range(len(members)))
    load_state(task, mixed)
    return [parents[number].seed for number in kept]


def _weights(folder: RunFolder) -> dict[str, Tensor]:
    """Of a run's model and objectives, by their names in a ``Task``."""
    files = {"model": folder.weights, "mix": folder.objective_weights}
    return {f"{part}.{name}": v for part, f in files.items() for name, v in load_file(folder.checked(f)).items()}
