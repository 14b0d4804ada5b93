"""A workflow in miniature: the kinds of steps of the real plan, notebooks of one line, in a folder of its own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat

from lab.flow import reproduce, screen, steps
from lab.flow.tasks import Task
from lib.recipes.digests import digest

QUICK = ("papermill", "ipykernel.kernelapp", "nbclient", "yaml", "psutil")
GUARD = "from lab.flow.guard import check_parameters\n\ncheck_parameters()"
# Like lib.stages.run: finished work with the right digest is read, not done again; a trace says how often it was done.
TRAIN = """import json, pathlib, time
folder = pathlib.Path(out)
done = folder / "metrics.json"
if not done.exists() or json.loads(done.read_text())["digest"] != digest:
    time.sleep(seconds)
    assert value >= 0, "learning rate diverged"
    (folder / "trace").open("a").write("trained\\n")
    done.write_text(json.dumps({"digest": digest, "score": value * 2}))"""
COLLECT = """import json, pathlib
runs = {run: json.loads(pathlib.Path(run).read_text()).get("score") for run in inputs if run.endswith("metrics.json")}
pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(out).write_text(json.dumps(runs))"""


def write_notebook(path: Path, parameters: str, *cells: str, prose: str = "# A title") -> None:
    """A stripped notebook: title, parameters, guard, then the cells."""
    code = [nbformat.v4.new_code_cell(source, id=f"cell{number}") for number, source in enumerate((GUARD, *cells))]
    tagged = nbformat.v4.new_code_cell(parameters, id="params", metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    notebook.cells = [nbformat.v4.new_markdown_cell(prose, id="title"), tagged, *code]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


class Toy:
    """corpus -> pretrain -> finetune a, b -> ablation -> report.

    Args:
        home: an empty folder, also the value of VIDLAB_HOME. values: what each training step "learns"; negative fails.
    """

    def __init__(self, home: Path, **values: float) -> None:
        self.home = home
        self.values = {"base": 1.0, "a": 2.0, "b": 3.0, **values}
        self.seconds = 0.0
        self.collected = "1"
        if not (home / "notebooks").exists():
            self.write_notebooks()
            (home / "source.json").write_text("{}")

    def write_notebooks(self, prose: str = "# A title") -> None:
        write_notebook(
            self.home / "notebooks/train.ipynb",
            'out: str = ""\ndigest: str = ""\nvalue: float = 0.0\nseconds: float = 0.0',
            TRAIN,
            prose=prose,
        )
        write_notebook(self.home / "notebooks/collect.ipynb", 'out: str = ""\ninputs: list = []', COLLECT)

    def steps(self) -> list[steps.Step]:
        manifest = self.home / "data/manifest.json"
        corpus = Task(
            "corpus",
            "twin",
            (),
            (str(manifest),),
            digest("twin"),
            command=("-m", "json.tool", str(self.home / "source.json"), str(manifest)),
            log=str(self.home / "data/build.log"),
        )
        base = self._train("pretrain", "base", [corpus], digest(self.values["base"]))
        arms = [
            self._train("finetune", arm, [corpus, base], digest([self.values[arm], base.digest])) for arm in ("a", "b")
        ]
        ablation = self._collect("ablation", "ablation/table.json", arms, digest([arm.digest for arm in arms]))
        report = self._collect("report", "reports/index.html", [corpus, base, *arms, ablation], digest(self.collected))
        return steps.steps_of([corpus, base, *arms, ablation, report])

    def _train(self, rule: str, name: str, parents: list[Task], content: str) -> Task:
        folder = self.home / "runs" / name
        parameters = {"out": str(folder), "digest": content, "value": self.values[name], "seconds": self.seconds}
        inputs = tuple(parent.outputs[0] for parent in parents)
        return Task(
            rule,
            name,
            inputs,
            (str(folder / "metrics.json"),),
            content,
            str(self.home / "notebooks/train.ipynb"),
            parameters,
            log=str(folder / "notebook.ipynb"),
        )

    def _collect(self, rule: str, out: str, parents: list[Task], content: str) -> Task:
        notebook, inputs = str(self.home / "notebooks/collect.ipynb"), [parent.outputs[0] for parent in parents]
        parameters = {"out": str(self.home / out), "inputs": inputs}
        return Task(
            rule,
            rule,
            (*inputs, notebook),
            (str(self.home / out),),
            content,
            notebook,
            parameters,
            log=str(self.home / f"runs/{rule}/notebook.ipynb"),
        )

    def drive(self, target: str = "report/report", **options: object) -> SimpleNamespace:
        """Make the report (or another step) as ``make reproduce`` does. Returns status, what was shown, and the names of the planned steps."""
        every = self.steps()
        chosen = argparse.Namespace(**{"jobs": 2, "keep_going": False, "dry_run": False, "existing": False, **options})
        with open(os.devnull, "w") as nowhere:
            console = screen.Console(record=True, width=200, file=nowhere)
            (wanted,) = [step.outputs for step in every if step.name == target]
            status = reproduce.drive(every, wanted, self.home / "runs", {}, chosen, console)
        shown = console.export_text()
        return SimpleNamespace(status=status, shown=shown)

    def plan(self) -> set[str]:
        """Names of the steps that would run now."""
        shown = self.drive(dry_run=True).shown
        return {line.split()[0] for line in shown.splitlines() if line.startswith("  ") and "/" in line}

    def trained(self) -> dict[str, int]:
        """How often each training step was really done."""
        traces = {path.parent.name: path.read_text().count("trained") for path in self.home.glob("runs/*/trace")}
        return dict(sorted(traces.items()))

    def metrics(self) -> dict[str, bytes]:
        return {path.parent.name: path.read_bytes() for path in sorted(self.home.glob("runs/*/metrics.json"))}


if __name__ == "__main__":  # a driver that can be killed: python -m tests.flow.toy HOME SECONDS
    toy = Toy(Path(sys.argv[1]))
    toy.seconds = float(sys.argv[2])
    started = time.monotonic()
    with reproduce.only_one(toy.home):
        outcome = toy.drive()
    print(outcome.shown)
    print(json.dumps({"seconds": time.monotonic() - started}))
    sys.exit(outcome.status)
