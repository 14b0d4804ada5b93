"""Plan: what a report asks for, as training jobs: systems, questions, ensembles, and every job once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.show.specs import ReportSpec
from lib.recipes.corpus import CorpusRef
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.job import Job, for_track
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation, EnsembleSpec, Recipe, Scale
from lib.runs import paths


@dataclass(frozen=True)
class Plan:
    """
    Args:
        corpus: name or path of a corpus in place of the scale's own; empty for those.
        more: questions beside those of the report.
        questions: these in place of those of the report, and of each system only the model asked about.
        seeds_given: by the user: so many for every question.
    """

    scale: str
    corpus: str = ""
    systems: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    more: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    seeds_given: bool = False

    @classmethod
    def load(
        cls,
        scale: str = "laptop",
        corpus: str | None = None,
        systems: Sequence[str] = (),
        seeds: int | None = None,
        questions: Sequence[str] = (),
    ) -> Plan:
        """The plan of ``params/report.yaml``, narrowed to some systems or questions or to another corpus.

        Args:
            seeds: how many seeds; None for the scale's.
            questions: of ``params/ablations/``, in the report or not; none for the report's and the scale's checks.

        Raises:
            RecipeError: an unknown name, a system that cannot use the corpus, or a question about none of the systems.
        """
        report = load(ReportSpec, "report")
        for name in systems:
            if name not in names(Recipe):
                raise RecipeError(f"SYSTEMS: no recipe {name!r}; {nearest(name, names(Recipe))}")
        chosen = tuple(systems or report.recipes)
        if corpus:
            track = CorpusRef(corpus, scale).track
            fitting = tuple(name for name in chosen if load(Recipe, name).track == track)
            if systems and fitting != chosen:
                raise RecipeError(
                    f"SYSTEMS: {', '.join(set(chosen) - set(fitting))}: not for a corpus of {track} like {corpus}; "
                    f"these are: {', '.join(for_track(track))}"
                )
            chosen = fitting
        for name in questions:
            if name not in names(Ablation):
                raise RecipeError(f"QUESTIONS: no question {name!r}; {nearest(name, names(Ablation))}")
            about = load(Ablation, name).recipes
            if not set(about) & set(chosen):
                raise RecipeError(
                    f"QUESTIONS: {name} is about {', '.join(about)}, the report about {', '.join(chosen)}"
                )
        drawn = tuple(range(seeds)) if seeds else load(Scale, scale).seeds
        return cls(scale, corpus or "", chosen, drawn, questions=tuple(questions), seeds_given=bool(seeds))

    # ---- what is in the report

    @cached_property
    def ablations(self) -> dict[str, Ablation]:
        """Questions of the report and the checks of the scale, or those asked for instead, and more; those about none of the
        systems are left out."""
        more = (name for name in self.more if name in names(Ablation))
        checks = (
            () if self.corpus else load(Scale, self.scale).checks
        )  # their answers are known on its own corpora only
        chosen = (*(self.questions or (*load(ReportSpec, "report").ablations, *checks)), *more)
        return {name: asked for name in chosen if (asked := self._about(name)) is not None}

    def _about(self, name: str) -> Ablation | None:
        asked = load(Ablation, name)
        return asked if set(asked.recipes) & set(self.systems) else None

    def question(self, name: str) -> Ablation:
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
        """Those of the report whose members are in the plan."""
        chosen = {name: load(EnsembleSpec, name) for name in load(ReportSpec, "report").ensembles}
        return {
            name: spec
            for name, spec in chosen.items()
            if {spec.recipe, *(member.recipe for member in spec.members)} <= set(self.systems)
            and not (spec.members and self.questions)
        }

    def job(self, recipe: str, stage: str, arm: str = "base", seed: int = 0) -> Job:
        return Job.load(recipe, stage, arm, seed, self.scale, self.corpus)

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """Seeds of a question: more for a headline, unless the user chose how many."""
        if self.seeds_given or name not in load(ReportSpec, "report").headline:
            return self.seeds
        return load(Scale, self.scale).headline_seeds or self.seeds

    def ablation_jobs(self, name: str) -> dict[tuple[str, str], list[Job]]:
        """(recipe, arm) -> its jobs, one a seed; those at one place of two arms are compared."""
        ablation = self.question(name)
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
        members = () if self.questions else load(Recipe, recipe).members
        jobs = {"base": [self.job(recipe, stage, "base", seed) for seed in self.seeds]}
        return jobs | {arm: [self.job(recipe, stage, arm, seed) for seed in few] for arm in members}

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

    @property
    def runs_folder(self) -> Path:
        return paths.runs(self.scale, self.corpus)
