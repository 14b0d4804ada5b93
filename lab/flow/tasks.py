"""Tasks: the steps of a plan, each with inputs, outputs and a digest; one rule of the Snakefile each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.flow.notebook import run_module, run_notebook
from lab.show.plan import COMPARISONS, Plan
from lab.show.specs import Claims, Contradictions, Coverage, NoiseTable, ReportSpec
from lib.recipes.bind import module_of
from lib.recipes.code_digest import code_digest, digest
from lib.recipes.corpus import CorpusRef, FeatureRef
from lib.recipes.job import Job
from lib.recipes.load import lineage, load, names
from lib.recipes.specs import STAGE_NOTEBOOKS, Ablation, Recipe, Scale
from lib.runs import paths
from lib.runs.files import read_json, write_json
from lib.runs.folder import RunFolder

TEMPLATES = paths.PROJECT / "lab" / "show" / "templates"  # no modules, so no digest of code covers them


ON_PAGES = ("eda", "ablation", "ensemble", "index", "system", "claims")  # notebooks that become pages
PAGES = ("ablation", "ensemble", "index", "system", "claims", "report")  # kinds of step that only read runs


@dataclass(frozen=True)
class Task:
    """One step of the workflow: a notebook with parameters, or a module with arguments; files in, files out.

    Files are relative to the folder that holds ``runs/`` where they lie in it, so that it can be moved.
    """

    rule: str  # corpus, eda, features, pretrain, finetune, distill, ablation, ensemble, index, system, claims, report
    name: str
    inputs: tuple[str, ...]  # what other steps make, and the notebook
    outputs: tuple[str, ...]  # the executed notebook among them
    digest: str  # of values, data and code behind the result
    notebook: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()  # module and arguments; only when there is no notebook
    executed: str = ""  # where the executed notebook goes
    log: str = ""  # what it printed
    gpus: int = 0  # that it needs for itself
    threads: int = 1  # of all its processes
    minutes: int = 60  # after which a scheduler may end it
    priority: int = 0  # of the steps that could run next, the highest does

    @property
    def step(self) -> str:
        """Name of the step and of its rule, unique in a plan."""
        return f"{self.rule}/{self.name}"

    @property
    def page(self) -> str:
        """Digest of the notebook's code: an edit shows a finished run again."""
        file = paths.home() / self.notebook
        if not self.notebook or not file.exists():
            return ""
        cells = [cell["source"] for cell in read_json(file)["cells"] if cell["cell_type"] == "code"]
        return code_digest([], source="\n".join("".join(source) for source in cells))

    def is_made(self) -> bool:
        return all((paths.home() / file).exists() for file in self.outputs)

    def is_foreign(self) -> bool:
        """Whether a run is there but not as this task would leave it: made with other settings, not whole, or edited since."""
        metrics = paths.home() / self.outputs[0]
        return self.rule in STAGE_NOTEBOOKS and metrics.exists() and not RunFolder(metrics.parent).is_done(self.digest)

    def run(self) -> None:
        """Do it, here and now, in a process of its own.

        Raises:
            RuntimeError: it failed; the end of the log says why.
        """
        if self.notebook:
            status = run_notebook(Path(self.notebook), Path(self.executed), self.parameters, Path(self.log), self.gpus)
        else:
            status = run_module(self.command, Path(self.log))
        if status:
            raise RuntimeError(f"{self.step} failed; its log is {self.log}")


def write(tasks: Iterable[Task], file: Path) -> None:
    """A plan's tasks as JSON, for processes that evaluate the Snakefile."""
    write_json(file, [asdict(task) for task in tasks])


def read(file: Path) -> list[Task]:
    """What :func:`write` wrote."""
    return [Task(**values) for values in read_json(file)]


def needed_by(tasks: Iterable[Task], wanted: Iterable[str]) -> list[Task]:
    """The steps of some names and all that they need, in the plan's order."""
    tasks = list(tasks)
    maker = {file: task for task in tasks for file in task.outputs}
    by_name = {task.step: task for task in tasks}
    found, waiting = set(), [by_name[name] for name in wanted]
    while waiting:
        task = waiting.pop()
        if task.step not in found:
            found.add(task.step)
            waiting += [maker[file] for file in task.inputs if file in maker]
    return [task for task in tasks if task.step in found]


def tasks_of(plan: Plan) -> list[Task]:
    """Every step that a report needs: what others read comes first."""
    feature_sets = {ref.folder: ref for job in plan.jobs for ref in job.feature_sets}
    corpora = {job.corpus.name: job.corpus for job in plan.jobs}
    tasks = [_corpus_task(plan, ref) for ref in corpora.values() if not ref.is_path]
    tasks += [_eda_task(plan, ref) for ref in plan.corpora]
    tasks += [feature_task(plan, ref) for ref in feature_sets.values()]
    tasks += [replace(job_task(job), priority=-place) for place, job in enumerate(plan.jobs)]
    tasks += [_ablation_task(plan, name) for name in plan.ablations]
    tasks += [_ensemble_task(plan, name) for name in plan.ensembles]
    return [*tasks, *_report_tasks(plan, tasks)]


def _corpus_task(plan: Plan, ref: CorpusRef) -> Task:
    log = _here(plan.runs_folder / "corpora" / ref.label / "build.log")
    command = ("lab", "corpus", "build", ref.name, "--scale", plan.scale)
    return Task("corpus", ref.label, (), (_here(ref.manifest),), ref.digest, command=command, log=log)


def _eda_task(plan: Plan, ref: CorpusRef) -> Task:
    folder = plan.runs_folder / "corpora" / ref.label
    parameters = {"corpus": ref.name, "scale": plan.scale, "out": str(folder)}
    recipes = [load(Recipe, name).model_dump(mode="json") for name in load(ReportSpec, "report").at("all")]
    sizes = [load(Scale, name).model_dump(mode="json") for name in lineage(plan.scale)]  # how they split the corpus
    content = digest([ref.digest, code_digest(["lab.show.corpus", "lab.show.floors"]), [recipes, *sizes]])
    return notebook_task(
        folder, "eda", ref.label, "00_data_eda", [ref.manifest], ["eda.json", "floors.csv"], parameters, content
    )


def feature_task(plan: Plan, ref: FeatureRef) -> Task:
    """Build one feature set by ``01_features``."""
    name, inputs = f"{ref.corpus.label}-{ref.name}", [ref.corpus.manifest]
    parameters = {"corpus": ref.world or ref.corpus.name, "features": ref.name, "scale": plan.scale, "world": ref.world}
    outputs = ["features.json"]
    made = notebook_task(ref.folder, "features", name, "01_features", inputs, outputs, parameters, ref.digest)
    return replace(made, gpus=1)


def job_task(job: Job) -> Task:
    """Train one job by the notebook of its phase; what it reads are its corpus, its feature sets and its parents' weights."""
    name = f"{job.recipe}-{job.stage}-{job.folder.path.parent.name}-seed{job.seed}"
    name += "".join(job.corpus.name.partition("@")[1:])  # a base is trained on several corpora of a world
    inputs = [job.corpus.manifest, *(ref.folder / "features.json" for ref in job.feature_sets)]
    inputs += [file for parent in job.parents.values() for file in (parent.folder.metrics, parent.folder.weights)]
    outputs, parameters = [job.folder.metrics, job.folder.weights], {**job.parameters, "missing": "error"}
    gpus, threads = job.device.gpus, load(Scale, job.scale).threads
    if gpus > 1:
        parameters["processes"] = gpus
    made = notebook_task(
        job.folder.path, job.phase, name, Path(job.notebook).stem, inputs, outputs, parameters, job.digest
    )
    return replace(made, gpus=gpus, threads=gpus * threads)


def _ablation_task(plan: Plan, name: str) -> Task:
    jobs = [job for group in plan.ablation_jobs(name).values() for job in group]
    seeds, recipes = len(plan.seeds_of(name)), plan.recipes_of(name)
    parameters = {"ablation": name, **_of_plan(plan, recipes, seeds), "missing": "error"}
    question = plan.ablations[name].model_dump(mode="json")
    known = load(NoiseTable, "noise").model_dump(mode="json")
    code = code_digest(["lab.show.comparisons", "lab.show.floors", "lab.show.questions"])
    content = digest([question, [job.digest for job in jobs], known, code])
    folder, inputs = plan.runs_folder / "ablations" / name, [job.folder.metrics for job in jobs]
    return notebook_task(folder, "ablation", name, "05_ablation", inputs, [COMPARISONS], parameters, content)


def _ensemble_task(plan: Plan, name: str) -> Task:
    jobs, spec = plan.ensemble_jobs(name), plan.ensembles[name]
    code = code_digest(["lab.show.ensembles", *{module_of("evaluation", w, name) for w in (spec.combine, *spec.also)}])
    recipes = {spec.recipe, *(member.recipe for member in spec.members)}
    parameters = {"ensemble": name, **_of_plan(plan, recipes, len(plan.seeds_for(spec.recipe))), "missing": "error"}
    content = digest([spec.model_dump(mode="json"), [job.digest for job in jobs], code])
    folder, inputs = plan.runs_folder / "ensembles" / name, [job.folder.metrics for job in jobs]
    outputs = ["metrics.json", "members.csv", "kinds.csv"]
    return notebook_task(folder, "ensemble", name, "06_ensemble", inputs, outputs, parameters, content)


def _report_tasks(plan: Plan, tasks: list[Task]) -> list[Task]:
    """The notebooks about the whole plan and about each system, which only show what there is, and the pages of all."""
    files = [(ReportSpec, "report"), (Claims, "claims"), (Contradictions, "contradictions"), (Coverage, "coverage")]
    told = [load(kind, name).model_dump(mode="json") for kind, name in files]
    told += [load(Ablation, name).model_dump(mode="json")["claimed"] for name in names(Ablation)]
    told += [load(Recipe, name).model_dump(mode="json") for name in plan.systems]
    others = plan.other_reports().values()  # beside which this one is shown
    told += [file.read_text(encoding="utf-8") for file in others]
    shown = code_digest(["lab.show.checks", "lab.show.claims", "lab.show.front", "lab.show.systems"])
    content = digest([told, shown])
    runs, given = plan.runs_folder, {**_of_plan(plan), "questions": ",".join(plan.questions), "depth": plan.depth}
    read = [task.outputs[0] for task in tasks if task.rule in (*STAGE_NOTEBOOKS, "corpus", "ablation", "ensemble")]
    made = [notebook_task(runs / "report", "index", "index", "07_leaderboard", read, [], given, content)]
    for name in plan.systems:
        told = {**given, "recipe": name}
        made.append(notebook_task(runs / "systems" / name, "system", name, "08_system", read, [], told, content))
    made += [notebook_task(runs / "claims", "claims", "claims", "09_claims", read, [], given, content)]
    templates = [file.read_text(encoding="utf-8") for file in sorted(TEMPLATES.rglob("[!.]*")) if file.is_file()]
    inputs = tuple(task.executed for task in (*tasks, *made) if task.rule in ON_PAGES)
    outputs = tuple(_here(plan.report_folder / name) for name in ("index.html", "summary.txt"))
    whole = digest([content, code_digest(["lab.show.page"]), templates])
    command = ("lab.show.page", *(f"--{key}={value}" for key, value in given.items()))
    log = _here(runs / "report" / "pages.log")
    return [*made, Task("report", "report", inputs, outputs, whole, command=command, log=log)]


def _of_plan(plan: Plan, recipes: Iterable[str] | None = None, seeds: int | None = None) -> dict[str, Any]:
    """Parameters of the notebooks that read a plan; of one question or ensemble only what it is about, so that it is shown
    again only when that changes."""
    plan = plan.whole or plan
    systems = [name for name in plan.systems if recipes is None or name in recipes]
    seeds = (len(plan.seeds) if plan.seeds_given else 0) if seeds is None else seeds
    return {"scale": plan.scale, "corpus": plan.corpus, "systems": ",".join(systems), "seeds": seeds}


def notebook_task(
    folder: Path, rule: str, name: str, notebook: str,
    inputs: Iterable[str | Path], outputs: Iterable[str | Path], parameters: dict[str, Any], content: str,
) -> Task:  # fmt: skip
    """A task that executes ``notebooks/<notebook>.ipynb``; it, its log and relative ``outputs`` go to ``folder``."""
    executed, source = folder / "notebook.ipynb", _here(paths.notebooks() / f"{notebook}.ipynb")
    files = tuple(_here(folder / file) for file in (*outputs, executed))
    read = (*dict.fromkeys(_here(file) for file in inputs), source)
    log = _here(executed.with_suffix(".log"))
    return Task(rule, name, read, files, content, source, parameters, executed=_here(executed), log=log)


def _here(file: str | Path) -> str:
    """Relative to the folder that holds ``runs/``, which is where the workflow works."""
    path = Path(file)
    home = paths.home()
    return str(path.relative_to(home) if path.is_absolute() and path.is_relative_to(home) else path)
