"""Plan: every task a report needs, in order, each with inputs, outputs and a digest. The Snakefile asks; nothing else decides."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lib.recipes import components
from lib.recipes.code_digest import code_digest
from lib.recipes.corpus import CorpusRef, FeatureRef
from lib.recipes.digests import digest
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.job import Job
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation, Claims, Contradictions, EnsembleSpec, Recipe, ReportSpec, Scale
from lib.runs import paths

TEMPLATES = paths.PROJECT / "lib" / "reporting" / "templates"  # no modules, so no digest of code covers them


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


@dataclass(frozen=True)
class Plan:
    scale: str
    corpus: str = ""
    systems: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    more: tuple[str, ...] = ()  # questions beside those of the report

    @classmethod
    def load(
        cls,
        scale: str = "laptop",
        corpus: str | None = None,
        systems: list[str] | None = None,
        seeds: int | None = None,
    ) -> Plan:
        """The plan of ``params/report.yaml``, narrowed to some systems or another corpus.

        Args:
            seeds: how many seeds; None for the scale's.

        Raises:
            RecipeError: an unknown name, or a system that cannot use the corpus.
        """
        report = load(ReportSpec, "report")
        for name in systems or ():
            if name not in names(Recipe):
                raise RecipeError(f"SYSTEMS: no recipe {name!r}; {nearest(name, names(Recipe))}")
        chosen = tuple(systems or report.recipes)
        if corpus:
            track = CorpusRef(corpus, scale).track
            fitting = tuple(name for name in chosen if load(Recipe, name).track == track)
            if systems and fitting != chosen:
                raise RecipeError(
                    f"SYSTEMS: {', '.join(set(chosen) - set(fitting))}: not for a corpus of {track} like {corpus}"
                )
            chosen = fitting
        return cls(scale, corpus or "", chosen, tuple(range(seeds)) if seeds else load(Scale, scale).seeds)

    # ---- what is in the report

    @cached_property
    def ablations(self) -> dict[str, Ablation]:
        """Questions of the report, the checks of the scale, and more; those about none of the systems are left out."""
        more = (name for name in self.more if name in names(Ablation))
        chosen = (*load(ReportSpec, "report").ablations, *self._checks, *more)
        return {name: asked for name in chosen if (asked := self._about(name)) is not None}

    def _about(self, name: str) -> Ablation | None:
        asked = load(Ablation, name)
        return asked if set(asked.recipes) & set(self.systems) else None

    def asked(self, name: str) -> Ablation:
        """A question, of the report or not.

        Raises:
            KeyError: there is none of that name, or it is about none of the plan's systems.
        """
        found = self._about(name) if name in names(Ablation) else None
        if found is None:
            raise KeyError(f"no ablation {name!r} in this plan; it has: {', '.join(self.ablations) or 'none'}")
        return found

    @cached_property
    def ensembles(self) -> dict[str, EnsembleSpec]:
        chosen = {name: load(EnsembleSpec, name) for name in load(ReportSpec, "report").ensembles}
        return {
            name: spec
            for name, spec in chosen.items()
            if {spec.recipe, *(member.recipe for member in spec.members)} <= set(self.systems)
        }

    @property
    def _checks(self) -> tuple[str, ...]:
        """Their answers are known on the scale's own corpora only."""
        return () if self.corpus else load(Scale, self.scale).checks

    def job(self, recipe: str, stage: str, arm: str = "base", seed: int = 0) -> Job:
        return Job.load(recipe, stage, arm, seed, self.scale, self.corpus)

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """Seeds of a question: more for a headline, unless the user chose how many."""
        scale = load(Scale, self.scale)
        more = scale.headline_seeds if name in load(ReportSpec, "report").headline else ()
        return more if more and self.seeds == scale.seeds else self.seeds

    def ablation_jobs(self, name: str) -> dict[tuple[str, str], list[Job]]:
        """(recipe, arm) -> its jobs, one a seed; those at one place of two arms are compared."""
        ablation = self.asked(name)
        return {
            (recipe, arm): [
                self.job(
                    recipe,
                    ablation.stages.get(arm, ablation.stage),
                    f"{name}.{arm}",
                    seed + ablation.other_seeds.get(arm, 0),
                )
                for seed in self.seeds_of(name)
            ]
            for recipe in ablation.recipes
            if recipe in self.systems
            for arm in ablation.arms
        }

    def ensemble_members(self, name: str) -> dict[str, list[Job]]:
        """Label -> the jobs behind one member: one, or one a fold."""
        spec, members = self.ensembles[name], {}
        for member in spec.members:
            job = self.job(member.recipe, member.stage, member.arm, self.seeds[0])
            members[member.label] = job.in_folds() if member.folds else [job]
        if not spec.members:
            for arm in spec.arms:
                for seed in self.seeds:
                    label = f"seed{seed}" if len(spec.arms) == 1 else f"{arm} seed{seed}"
                    members[label] = [self.job(spec.recipe, spec.stage, arm, seed)]
        return members

    def ensemble_jobs(self, name: str) -> list[Job]:
        return [job for jobs in self.ensemble_members(name).values() for job in jobs]

    def member_jobs(self, recipe: str, stage: str) -> dict[str, list[Job]]:
        """Arm -> its jobs, one a seed: the recipe as it is, then the further models of the system."""
        few = self.seeds[: load(Scale, self.scale).member_seeds]
        jobs = {"base": [self.job(recipe, stage, "base", seed) for seed in self.seeds]}
        return jobs | {
            arm: [self.job(recipe, stage, arm, seed) for seed in few] for arm in load(Recipe, recipe).members
        }

    @cached_property
    def jobs(self) -> list[Job]:
        """Every training job once, parents before children."""
        wanted = [
            job
            for recipe in self.systems
            for stage in load(Recipe, recipe).main_stages
            for jobs in self.member_jobs(recipe, stage).values()
            for job in jobs
        ]
        wanted += [job for name in self.ablations for jobs in self.ablation_jobs(name).values() for job in jobs]
        wanted += [job for name in self.ensembles for job in self.ensemble_jobs(name)]
        unique: dict[Path, Job] = {}

        def add(job: Job) -> None:
            for parent in job.parents.values():
                add(parent)
            unique.setdefault(job.folder.path, job)

        for job in wanted:
            add(job)
        return list(unique.values())

    @cached_property
    def corpora(self) -> list[CorpusRef]:
        return list({job.corpus.name: job.corpus for job in self.jobs}.values())

    @property
    def report_folder(self) -> Path:
        return paths.reports(self.scale, self.corpus)

    # ---- as tasks

    @cached_property
    def tasks(self) -> list[Task]:
        feature_sets = {ref.folder: ref for job in self.jobs for ref in job.feature_sets}
        tasks = [self._corpus_task(ref) for ref in self.corpora if not ref.is_path]
        tasks += [self._eda_task(ref) for ref in self.corpora]
        tasks += [self._feature_task(ref) for ref in feature_sets.values()]
        tasks += [self._job_task(job) for job in self.jobs]
        tasks += [self._ablation_task(name) for name in self.ablations]
        tasks += [self._ensemble_task(name) for name in self.ensembles]
        return [*tasks, self._report_task(tasks)]

    def to_json(self) -> str:
        """Frozen, for cluster jobs that must not evaluate the plan again."""
        return json.dumps([task.__dict__ for task in self.tasks], indent=1)

    def _corpus_task(self, ref: CorpusRef) -> Task:
        command = ("-m", "lib.stages.corpus", ref.name, "--scale", self.scale)
        return Task(
            "corpus",
            ref.label,
            (),
            (str(ref.manifest),),
            ref.digest,
            command=command,
            log=str(self._world / "corpora" / ref.label / "build.log"),
        )

    def _eda_task(self, ref: CorpusRef) -> Task:
        folder = self._world / "corpora" / ref.label
        parameters = {"corpus": ref.name, "scale": self.scale, "out": str(folder)}
        return self._notebook_task(
            "eda",
            ref.label,
            "notebooks/00_data_eda.ipynb",
            folder,
            (str(ref.manifest),),
            ("eda.json",),
            parameters,
            ref.digest,
        )

    def _feature_task(self, ref: FeatureRef) -> Task:
        parameters = {
            "corpus": ref.world or ref.corpus.name,
            "features": ref.name,
            "scale": self.scale,
            "world": ref.world,
        }
        inputs = (str(ref.corpus.manifest),)
        return self._notebook_task(
            "features",
            f"{ref.corpus.label}-{ref.name}",
            "notebooks/01_features.ipynb",
            ref.folder,
            inputs,
            ("features.json",),
            parameters,
            ref.digest,
        )

    def _job_task(self, job: Job) -> Task:
        inputs = [str(job.corpus.manifest), *(str(ref.folder / "features.json") for ref in job.feature_sets)]
        inputs += [
            str(file) for parent in job.parents.values() for file in (parent.folder.metrics, parent.folder.weights)
        ]
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

    def _ablation_task(self, name: str) -> Task:
        jobs = [job for group in self.ablation_jobs(name).values() for job in group]
        inputs = tuple(dict.fromkeys(str(job.folder.metrics) for job in jobs))
        parameters = {
            "ablation": name,
            "scale": self.scale,
            "corpus": self.corpus,
            "systems": ",".join(self.systems),
            "seeds": len(self.seeds),
        }
        # A discussion is shown by the report alone: written or not, the numbers are the same.
        asked = self.ablations[name].model_copy(update={"discussion": "", "discussion_digest": ""})
        content = digest([asked.model_dump(mode="json"), [job.digest for job in jobs]])
        folder = self._world / "ablations" / name
        return self._notebook_task(
            "ablation",
            name,
            "notebooks/05_ablation.ipynb",
            folder,
            inputs,
            ("comparison.json", "table.csv"),
            parameters,
            content,
        )

    def _ensemble_task(self, name: str) -> Task:
        jobs, spec = self.ensemble_jobs(name), self.ensembles[name]
        ways = {components.module_of("evaluation", way, name) for way in (spec.combine, *spec.also)}
        inputs = tuple(dict.fromkeys(str(job.folder.metrics) for job in jobs))
        parameters = {
            "ensemble": name,
            "scale": self.scale,
            "corpus": self.corpus,
            "systems": ",".join(self.systems),
            "seeds": len(self.seeds),
        }
        content = digest(
            [
                spec.model_dump(mode="json"),
                [job.digest for job in jobs],
                code_digest(["lib.reporting.ensembles", *ways]),
            ]
        )
        folder = self._world / "ensembles" / name
        return self._notebook_task(
            "ensemble",
            name,
            "notebooks/06_ensemble.ipynb",
            folder,
            inputs,
            ("metrics.json", "members.csv", "kinds.csv"),
            parameters,
            content,
        )

    def _report_task(self, tasks: list[Task]) -> Task:
        inputs = tuple(dict.fromkeys(task.outputs[0] for task in tasks))
        parameters = {
            "scale": self.scale,
            "corpus": self.corpus,
            "systems": ",".join(self.systems),
            "seeds": len(self.seeds),
        }
        content = digest(
            [
                load(ReportSpec, "report").model_dump(mode="json"),
                load(Claims, "claims").model_dump(mode="json"),
                load(Contradictions, "contradictions").model_dump(mode="json"),
                [load(Ablation, name).model_dump(mode="json")["claimed"] for name in names(Ablation)],
                [[asked.discussion, asked.discussion_digest] for asked in self.ablations.values()],
                code_digest(["lib.reporting.pages"]),
                [file.read_text(encoding="utf-8") for file in sorted(TEMPLATES.iterdir()) if file.is_file()],
                [load(Recipe, name).model_dump(mode="json") for name in self.systems],
            ]
        )
        outputs = (str(self.report_folder / "index.html"), str(self.report_folder / "tables" / "leaderboard.csv"))
        log = str(self._world / "report" / "notebook.ipynb")
        return Task(
            "report",
            "report",
            (*inputs, "notebooks/07_leaderboard.ipynb"),
            outputs,
            content,
            "notebooks/07_leaderboard.ipynb",
            parameters,
            log=log,
        )

    def _notebook_task(
        self,
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

    @property
    def _world(self) -> Path:
        return paths.runs(self.scale, self.corpus)
