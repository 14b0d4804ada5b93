"""Steps: the plan's tasks as the Snakefile needs them, frozen in a file.

The plan is read once, by the driver, and written down: every process that evaluates the Snakefile sees the same graph even
if a file is edited meanwhile, and evaluating it costs milliseconds.

A training step's product is its executed notebook. ``metrics.json`` and the weights lie beside it and are looked after by
``lib.runs`` (a run with the right digest is read, never trained again). So an edited sentence or figure of a notebook
re-executes it over the finished run, in a second or two, and so it is with what depends on it: Snakemake cannot know that a
step that ran again gave the same result, and ``ancient`` inputs, which look like the way to tell it, hide changes
(downstream of a step that runs they keep its other triggers from being looked at; 9.27).

The report's product is its executed notebook, too: the pages are committed, so in a fresh clone they are there although
nothing was made, and Snakemake asks for no input of a file that exists.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.flow.tasks import Task, tasks_of
from lib.recipes.code_digest import code_digest
from lib.recipes.specs import STAGE_NOTEBOOKS
from lib.runs import paths
from lib.runs.files import read_json, write_json


@dataclass(frozen=True)
class Step:
    """One rule of the Snakefile."""

    kind: str  # the task's rule: corpus, eda, features, pretrain, ...
    name: str  # unique: kind and name of the task
    inputs: list[str]  # what other steps make, and the notebook
    outputs: list[str]
    log: str
    call: str  # arguments of lab.flow.runner
    digest: str  # of values, data and code behind the result
    page: str  # of the code that only shows the result
    results: list[str]  # made, but not Snakemake's: metrics.json first, its "digest" must be ``digest``; or pages

    def is_made(self) -> bool:
        return all((paths.home() / file).exists() for file in self.outputs)

    def is_trained(self) -> bool:
        """Whether the results are there and made with this digest. True for a step that has none."""
        files = [paths.home() / file for file in self.results]
        if not all(file.exists() for file in files):
            return False
        return self.kind not in STAGE_NOTEBOOKS or read_json(files[0])["digest"] == self.digest


def steps_of(tasks: Iterable[Task]) -> list[Step]:
    """The tasks of a plan as steps, in the same order, with paths relative to the folder that holds ``runs/``."""
    tasks = list(tasks)
    product = {file: task.log for task in tasks if task.rule in STAGE_NOTEBOOKS for file in task.outputs}
    return [_step(task, product) for task in tasks]


def _step(task: Task, product: dict[str, str]) -> Step:
    trains = task.rule in STAGE_NOTEBOOKS
    name = f"{task.rule}/{task.name}"
    inputs = [
        _shown(file) for file in dict.fromkeys(product.get(file, file) for file in task.inputs if file != task.notebook)
    ]
    inputs += [_notebook(task.notebook)] if task.notebook else []
    by_notebook = trains or task.rule == "report"
    outputs = [task.log] if by_notebook else list(task.outputs)
    if task.notebook:
        values = yaml.safe_dump(task.parameters, default_flow_style=True, width=10**9, allow_unicode=True).strip()
        call = ["--task", name, _notebook(task.notebook), _shown(task.log), "-y", values]
    else:
        call = ["--module", name, *task.command[1:]]
    return Step(
        kind=task.rule,
        name=name,
        inputs=inputs,
        outputs=[_shown(file) for file in outputs],
        log=_shown(Path(task.log).with_suffix(".log")),
        call=shlex.join(call),
        digest=task.digest,
        page=code_digest([], source=_code(Path(paths.PROJECT, task.notebook))) if task.notebook else "",
        results=[_shown(file) for file in task.outputs] if by_notebook else [],
    )


def _code(notebook: Path) -> str:
    """Code cells of a notebook as one source; "" while the notebook does not exist."""
    if not notebook.exists():
        return ""
    cells = read_json(notebook)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def _shown(file: str | Path) -> str:
    """Relative to the folder that holds ``runs/``, which is where Snakemake works."""
    path = Path(file)
    return (
        str(path.relative_to(paths.home())) if path.is_absolute() and path.is_relative_to(paths.home()) else str(path)
    )


def _notebook(name: str) -> str:
    return _shown(paths.PROJECT / name)


def behind(every: list[Step], files: Iterable[str]) -> list[Step]:
    """The steps that some files are made by, directly or through their inputs, in the plan's order."""
    maker = {file: step for step in every for file in step.outputs}
    found, waiting = set(), list(files)
    while waiting:
        step = maker.get(waiting.pop())
        if step is not None and step.name not in found:
            found.add(step.name)
            waiting += step.inputs
    return [step for step in every if step.name in found]


def write(steps: list[Step], file: Path) -> None:
    write_json(file, [asdict(step) for step in steps])


def read(config: dict[str, Any]) -> list[Step]:
    """The steps of a Snakefile's configuration: those in the file ``plan``, or those of the plan it describes.

    Args:
        config: ``plan`` (a file written by the driver), or ``scale``, ``corpus``, ``systems`` and ``questions`` (comma-separated),
            ``seeds``.
    """
    if "plan" in config:
        return [Step(**step) for step in read_json(Path(config["plan"]))]
    from lab.show.plan import Plan
    from lib.recipes.load import split_names

    systems, questions = (split_names(str(config.get(name, ""))) for name in ("systems", "questions"))
    plan = Plan.load(config.get("scale", "laptop"), config.get("corpus"), systems, config.get("seeds"), questions)
    return steps_of(tasks_of(plan))
