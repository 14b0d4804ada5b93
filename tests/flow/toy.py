"""A workflow in miniature: the kinds of steps of the real plan, notebooks of one line, in a folder of its own."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat

from lab.flow import processes, reproduce, screen
from lab.flow.tasks import Task, notebook_task
from lib.recipes.code_digest import digest

# what notebooks here import
processes.PRELOAD = "papermill", "IPython.core.magics", "matplotlib_inline.backend_inline", "pandas", "psutil"
GUARD = "from lab.flow.guard import check_parameters\n\ncheck_parameters()"
# Like lib.stages.run: finished work with the right digest is read, not done again; a trace says how often it was done.
TRAIN = """import pathlib, time
from lib.runs.folder import RunFolder
run = RunFolder(pathlib.Path(out))
if not run.is_done(digest):
    time.sleep(seconds)
    assert value >= 0, "learning rate diverged"
    (run.path / "trace").open("a").write("trained\\n")
    run.finish({"digest": digest, "score": value * 2})"""
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
    """corpus -> pretrain -> finetune a, b -> ablation -> report. ``home``: an empty folder, also the value of
    VIDLAB_HOME. name: of the step ``a``. values: what each training step "learns"; negative fails."""

    def __init__(self, home: Path, name: str = "a", **values: float):
        self.home, self.name = home, name
        self.values = {"base": 1.0, name: 2.0, "b": 3.0, **values}
        self.seconds = 0.0
        self.collected = "1"
        self.first: tuple[str, ...] = ()  # trainings that tell most
        if not (home / "notebooks").exists():
            self.write_notebooks()
            (home / "source.json").write_text("{}")

    def write_notebooks(self, prose: str = "# A title") -> None:
        asked = 'out: str = ""\ndigest: str = ""\nvalue: float = 0.0\nseconds: float = 0.0'
        write_notebook(self.home / "notebooks/train.ipynb", asked, TRAIN, prose=prose)
        write_notebook(self.home / "notebooks/collect.ipynb", 'out: str = ""\ninputs: list = []', COLLECT)

    def tasks(self) -> list[Task]:
        source = str(self.home / "source.json")
        corpus = Task(
            "corpus", "twin", (), ("data/manifest.json",), digest("twin"),
            command=("json.tool", source, "data/manifest.json"), log="data/build.log",
        )  # fmt: skip
        base = self._train("pretrain", "base", [corpus], digest(self.values["base"]))
        arms = [
            self._train("finetune", arm, [corpus, base], digest([self.values[arm], base.digest]))
            for arm in (self.name, "b")
        ]
        ablation = self._collect("ablation", "ablation/table.json", arms, digest([arm.digest for arm in arms]))
        report = self._collect("report", "reports/index.html", [corpus, base, *arms, ablation], digest(self.collected))
        return [corpus, base, *arms, ablation, report]

    def _train(self, rule: str, name: str, parents: list[Task], content: str) -> Task:
        folder = self.home / "runs" / name
        parameters = {"out": f"runs/{name}", "digest": content, "value": self.values[name], "seconds": self.seconds}
        inputs = [self.home / parent.outputs[0] for parent in parents]
        notebook = str(self.home / "notebooks/train")
        task = notebook_task(folder, rule, name, notebook, inputs, ["metrics.json"], parameters, content)
        return replace(task, priority=int(name in self.first))

    def _collect(self, rule: str, out: str, parents: list[Task], content: str) -> Task:
        inputs = [parent.outputs[0] for parent in parents]
        notebook, folder = str(self.home / "notebooks/collect"), self.home / "runs" / rule
        parameters = {"out": out, "inputs": inputs}
        return notebook_task(folder, rule, rule, notebook, inputs, [self.home / out], parameters, content)

    def drive(self, target: str = "report/report", until: float = float("inf"), **options: object) -> SimpleNamespace:
        """Make the report (or another step) as ``make reproduce`` does. Returns status, what was shown, and the names of the planned steps."""
        chosen = reproduce.parser().parse_args([])
        chosen.__dict__.update({"jobs": 2, **options})
        with open(os.devnull, "w") as nowhere:
            console = screen.Console(record=True, width=200, file=nowhere)
            try:
                status = reproduce.make(self.tasks(), [target], self.home / "runs", {}, chosen, console, until)
            except reproduce.UsageError as error:
                console.print(str(error), markup=False)
                status = 2
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
