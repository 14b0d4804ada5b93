"""Tasks: the steps of a plan, each with inputs, outputs and a digest. The Snakefile asks; nothing else decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.show.plan import Plan
from lib.recipes.bind import module_of
from lib.recipes.code_digest import code_digest
from lib.recipes.corpus import CorpusRef, FeatureRef
from lib.recipes.digests import digest
from lib.recipes.job import Job
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation, Claims, Contradictions, Recipe, ReportSpec
from lib.runs import paths

TEMPLATES = paths.PROJECT / "lab" / "show" / "templates"  # no modules, so no digest of code covers them


@dataclass(frozen=True)
class Task:
    """One step of the workflow: a notebook with parameters, or a command; files in, files out."""

    rule: str  # corpus, eda, features, pretrain, finetune, distill, ablation, ensemble, report
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    digest: str
    notebook: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()  # after the python executable; only when there is no notebook
    log: str = ""  # where the executed notebook goes


def tasks_of(plan: Plan) -> list[Task]:
    """Every step that a report needs: what others read comes first."""
    feature_sets = {ref.folder: ref for job in plan.jobs for ref in job.feature_sets}
    tasks = [_corpus_task(plan, ref) for ref in plan.corpora if not ref.is_path]
    tasks += [_eda_task(plan, ref) for ref in plan.corpora]
    tasks += [feature_task(plan, ref) for ref in feature_sets.values()]
    tasks += [job_task(job) for job in plan.jobs]
    tasks += [_ablation_task(plan, name) for name in plan.ablations]
    tasks += [_ensemble_task(plan, name) for name in plan.ensembles]
    return [*tasks, _report_task(plan, tasks)]


def _corpus_task(plan: Plan, ref: CorpusRef) -> Task:
    command = ("-m", "lab.corpora.build", ref.name, "--scale", plan.scale)
    return Task(
        "corpus",
        ref.label,
        (),
        (str(ref.manifest),),
        ref.digest,
        command=command,
        log=str(plan.runs_folder / "corpora" / ref.label / "build.log"),
    )


def _eda_task(plan: Plan, ref: CorpusRef) -> Task:
    folder = plan.runs_folder / "corpora" / ref.label
    parameters = {"corpus": ref.name, "scale": plan.scale, "out": str(folder)}
    return _notebook_task(
        "eda",
        ref.label,
        "notebooks/00_data_eda.ipynb",
        folder,
        (str(ref.manifest),),
        ("eda.json",),
        parameters,
        ref.digest,
    )


def feature_task(plan: Plan, ref: FeatureRef) -> Task:
    parameters = {
        "corpus": ref.world or ref.corpus.name,
        "features": ref.name,
        "scale": plan.scale,
        "world": ref.world,
    }
    inputs = (str(ref.corpus.manifest),)
    return _notebook_task(
        "features",
        f"{ref.corpus.label}-{ref.name}",
        "notebooks/01_features.ipynb",
        ref.folder,
        inputs,
        ("features.json",),
        parameters,
        ref.digest,
    )


def job_task(job: Job) -> Task:
    inputs = [str(job.corpus.manifest), *(str(ref.folder / "features.json") for ref in job.feature_sets)]
    inputs += [str(file) for parent in job.parents.values() for file in (parent.folder.metrics, parent.folder.weights)]
    return Task(
        rule=job.stage.split("_")[0],
        name=f"{job.recipe}-{job.stage}-{job.folder.path.parent.name}-seed{job.seed}",
        inputs=tuple(inputs),
        outputs=(str(job.folder.metrics), str(job.folder.weights)),
        digest=job.digest,
        notebook=job.notebook,
        parameters=job.parameters,
        log=str(job.folder.notebook),
    )


def _ablation_task(plan: Plan, name: str) -> Task:
    jobs = [job for group in plan.ablation_jobs(name).values() for job in group]
    inputs = tuple(dict.fromkeys(str(job.folder.metrics) for job in jobs))
    parameters = {"ablation": name, **_of_plan(plan)}
    # A discussion is shown by the report alone: written or not, the numbers are the same.
    asked = plan.ablations[name].model_copy(update={"discussion": "", "discussion_digest": ""})
    content = digest([asked.model_dump(mode="json"), [job.digest for job in jobs]])
    folder = plan.runs_folder / "ablations" / name
    return _notebook_task(
        "ablation",
        name,
        "notebooks/05_ablation.ipynb",
        folder,
        inputs,
        ("comparison.json", "table.csv"),
        parameters,
        content,
    )


def _ensemble_task(plan: Plan, name: str) -> Task:
    jobs, spec = plan.ensemble_jobs(name), plan.ensembles[name]
    ways = {module_of("evaluation", way, name) for way in (spec.combine, *spec.also)}
    inputs = tuple(dict.fromkeys(str(job.folder.metrics) for job in jobs))
    parameters = {"ensemble": name, **_of_plan(plan)}
    content = digest(
        [
            spec.model_dump(mode="json"),
            [job.digest for job in jobs],
            code_digest(["lab.show.ensembles", *ways]),
        ]
    )
    folder = plan.runs_folder / "ensembles" / name
    return _notebook_task(
        "ensemble",
        name,
        "notebooks/06_ensemble.ipynb",
        folder,
        inputs,
        ("metrics.json", "members.csv", "kinds.csv"),
        parameters,
        content,
    )


def _report_task(plan: Plan, tasks: list[Task]) -> Task:
    inputs = tuple(dict.fromkeys(task.outputs[0] for task in tasks))
    content = digest(
        [
            load(ReportSpec, "report").model_dump(mode="json"),
            load(Claims, "claims").model_dump(mode="json"),
            load(Contradictions, "contradictions").model_dump(mode="json"),
            [load(Ablation, name).model_dump(mode="json")["claimed"] for name in names(Ablation)],
            [[name, asked.discussion, asked.discussion_digest] for name, asked in plan.ablations.items()],
            code_digest(["lab.show.pages"]),
            [file.read_text(encoding="utf-8") for file in sorted(TEMPLATES.iterdir()) if file.is_file()],
            [load(Recipe, name).model_dump(mode="json") for name in plan.systems],
        ]
    )
    outputs = (str(plan.report_folder / "index.html"), str(plan.report_folder / "tables" / "leaderboard.csv"))
    log = str(plan.runs_folder / "report" / "notebook.ipynb")
    return Task(
        "report",
        "report",
        (*inputs, "notebooks/07_leaderboard.ipynb"),
        outputs,
        content,
        "notebooks/07_leaderboard.ipynb",
        {**_of_plan(plan), "questions": ",".join(plan.questions)},
        log=log,
    )


def _of_plan(plan: Plan) -> dict[str, Any]:
    """Parameters of the notebooks that read a plan."""
    seeds = len(plan.seeds) if plan.seeds_given else 0
    return {"scale": plan.scale, "corpus": plan.corpus, "systems": ",".join(plan.systems), "seeds": seeds}


def _notebook_task(
    rule: str,
    name: str,
    notebook: str,
    folder: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    parameters: dict[str, Any],
    content: str,
) -> Task:
    files = tuple(str(folder / file) for file in outputs)
    return Task(
        rule, name, (*inputs, notebook), files, content, notebook, parameters, log=str(folder / "notebook.ipynb")
    )
