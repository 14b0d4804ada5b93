"""Plan: what a report asks for, as training jobs: systems, questions, ensembles, and every job once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, islice, takewhile
from pathlib import Path
from typing import NamedTuple

from lab.show.specs import ReportSpec
from lib.recipes.corpus import CorpusRef
from lib.recipes.errors import RecipeError, require
from lib.recipes.job import Job, for_track, main_stages, sees
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation, EnsembleSpec, FeatureSet, Recipe, Scale
from lib.runs import paths
from lib.runs.folder import MissingRun

DEPTHS = ("first", "default", "all")
SMOKE = "smoke"  # the scale whose numbers mean nothing
COMPARISONS = "comparisons.csv"  # of a question, and of a whole report


class Coming(NamedTuple):
    """What a report wants and does not have yet: of a system, question or ensemble, how many runs are there and wanted."""

    kind: str  # system, question or ensemble
    name: str
    there: int
    wanted: int


@dataclass(frozen=True)
class Plan:
    """
    Args:
        corpus: name or path of a corpus in place of the scale's own; empty for those.
        more: questions beside those of the report.
        questions: these in place of those of the report, and of each system only the model asked about.
        seeds_given: by the user: so many for every question.
        depth: ``first``: all but the later systems, every model once, and the headline questions; ``default``: also the questions
            that a claim was made about; ``all``: every question, with as many seeds as it asks for.
        whole: the plan that this one is a part of (:meth:`so_far`).
    """

    scale: str
    corpus: str = ""
    systems: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    more: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    seeds_given: bool = False
    depth: str = "all"
    whole: Plan | None = None

    @classmethod
    def load(
        cls, scale: str = "laptop", corpus: str | None = None, systems: Sequence[str] = (), seeds: int | None = None,
        questions: Sequence[str] = (), depth: str = "all",
    ) -> Plan:  # fmt: skip
        """The plan of ``params/report.yaml``, narrowed to some systems or questions or to another corpus.

        Args:
            seeds: how many seeds; None for the scale's.
            questions: of ``params/ablations/``, in the report or not; none for the report's and the scale's checks.

        Raises:
            RecipeError: an unknown name, a system that cannot use the corpus, or a question about none of the systems.
        """
        require(depth, DEPTHS, "DEPTH")
        for given, kind, where in ((systems, Recipe, "SYSTEMS"), (questions, Ablation, "QUESTIONS")):
            for name in given:
                require(name, names(kind), where)
        chosen = tuple(systems or load(ReportSpec, "report").at(depth))
        if corpus:
            ref = CorpusRef(corpus, scale)
            track = ref.track
            fitting = tuple(name for name in chosen if load(Recipe, name).track == track)
            if systems and fitting != chosen:
                raise RecipeError(
                    f"SYSTEMS: {', '.join(set(chosen) - set(fitting))}: not for a corpus of {track} like {corpus}; "
                    f"these are: {', '.join(for_track(track))}"
                )
            chosen = fitting if systems else tuple(name for name in fitting if sees(name, ref))
        for name in questions:
            about = load(Ablation, name).recipes
            if not set(about) & set(chosen):
                raise RecipeError(
                    f"QUESTIONS: {name} is about {', '.join(about)}, the report about {', '.join(chosen)}"
                )
            if not _shows(load(Ablation, name), corpus, scale):
                raise RecipeError(f"QUESTIONS: {name} is about pictures, of which corpus {corpus} has none")
        drawn = _seeds(scale, seeds) if seeds else load(Scale, scale).seeds[: 1 if depth == "first" else None]
        return cls(scale, corpus or "", chosen, drawn, (), tuple(questions), bool(seeds), depth)

    def at(self, depth: str) -> Plan:
        """The same plan, less deep: what is made on the way to it."""
        usual = load(ReportSpec, "report").at(depth)
        systems = tuple(name for name in self.systems if name in usual) or self.systems
        return replace(self, depth=depth, systems=systems, seeds=self.seeds[: 1 if depth == "first" else None])

    def other_reports(self, folder: Path | None = None) -> dict[str, Path]:
        """Every other report -> the file of its comparisons, those of scale smoke only beside each other.

        Args:
            folder: of all reports; None for where the plan's own lies.
        """
        files = (folder or self.report_folder.parent).glob(f"*/tables/{COMPARISONS}")
        found = {file.parent.parent.name: file for file in files}
        others = sorted(found.keys() - {self.report_folder.name})
        return {name: found[name] for name in others if (name.split("-")[0] == SMOKE) == (self.scale == SMOKE)}

    def so_far(self) -> Plan:
        """The part of this plan whose runs are there: a report of it is true at any moment.

        Systems and seeds of them of which every main stage is there; further models, questions seed by seed, and ensembles.

        Raises:
            MissingRun: not one system is there; names the command that makes them.
        """
        whole = self.whole or self
        first = replace(whole, whole=whole)
        systems = tuple(name for name in whole.systems if first.seeds_for(name))
        if not systems:
            where = paths.shown(whole.runs_folder)
            raise MissingRun(f"{where}: no system has all of its runs yet; `make reproduce` makes them.")
        return replace(first, systems=systems, seeds=whole.seeds[: max(len(first.seeds_for(name)) for name in systems)])

    def _are_there(self, jobs: Iterable[Job]) -> bool:
        """Whether jobs, and all that they were trained from, have finished runs; of a whole plan nobody asks."""
        return self.whole is None or all(self._is_there(job) for job in jobs)

    def _is_there(self, job: Job) -> bool:
        known, folder = self._known, job.folder
        if folder.path not in known:
            known[folder.path] = folder.is_done(job.digest) and self._are_there(job.parents.values())
        return known[folder.path]

    @cached_property
    def _known(self) -> dict[Path, bool]:
        return {}

    def coming(self) -> list[Coming]:
        """What the whole plan has and this part of it has not, in the order of the report."""
        whole = self.whole or self
        there = {(kind, name): runs for kind, name, runs in self._parts()}
        found = [Coming(kind, name, there.get((kind, name), 0), runs) for kind, name, runs in whole._parts()]
        return [entry for entry in found if entry.there < entry.wanted]

    def _parts(self) -> Iterator[tuple[str, str, int]]:
        for name in self.systems:
            stages = self.stages(name)
            yield "system", name, sum(len(j) for stage in stages for j in self.member_jobs(name, stage).values())
        for name in self.ablations:
            yield "question", name, sum(map(len, self.ablation_jobs(name).values()))
        for name in self.ensembles:
            yield "ensemble", name, len(self.ensemble_jobs(name))

    @cached_property
    def ablations(self) -> dict[str, Ablation]:
        """Questions of the report and the checks of the scale that belong to the depth, or those asked for instead, and more;
        those about none of the systems are left out."""
        more = (name for name in self.more if name in names(Ablation))
        # The answers of checks are known on the scale's own corpora only.
        scale = load(Scale, self.scale)
        checks = () if self.corpus else scale.checks
        asked = [name for name in load(ReportSpec, "report").ablations if name in (scale.questions or (name,))]
        usual = (name for name in (*asked, *checks) if self._is_asked(name))
        chosen = {name: self._about(name) for name in (*(self.questions or usual), *more)}
        return {n: asked for n, asked in chosen.items() if asked and (self.whole is None or self.seeds_of(n))}

    def _is_asked(self, name: str) -> bool:
        """Headline questions are asked first, then those with a claim, then all others; or as the question says itself."""
        asked = load(Ablation, name)
        usual = "default" if asked.claimed else "all"
        depth = "first" if name in load(ReportSpec, "report").headline else asked.depth or usual
        return DEPTHS.index(depth) <= DEPTHS.index(self.depth)

    def _about(self, name: str) -> Ablation | None:
        asked = load(Ablation, name)
        return asked if set(asked.recipes) & set(self.systems) and _shows(asked, self.corpus, self.scale) else None

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
        """Those of the report with two members or more, all in the plan; the first report has those that need no run of their own."""
        chosen = {name: load(EnsembleSpec, name) for name in load(ReportSpec, "report").ensembles}
        own = {job.folder.path for job in self.system_jobs}
        return {
            name: spec
            for name, spec in chosen.items()
            if {spec.recipe, *(member.recipe for member in spec.members)} <= set(self.systems)
            and not (spec.members and self.questions)
            and len(jobs := self._members_of(spec)) > 1  # one model is no ensemble
            and self._are_there(jobs)
            and (self.depth != "first" or {job.folder.path for job in jobs} <= own)
        }

    def seeds_for(self, recipe: str) -> tuple[int, ...]:
        """Those of ``seeds`` that a system is trained with: one where the report says so and neither depth nor user wants all.

        Of a part of a plan, the first ones, of which every main stage is there.
        """
        one = not self.seeds_given and self.depth != "all" and recipe in load(ReportSpec, "report").later
        return tuple(takewhile(lambda seed: self._is_whole(recipe, seed), self.seeds[: 1 if one else None]))

    def _is_whole(self, recipe: str, seed: int) -> bool:
        return self._are_there(self.job(recipe, stage, "base", seed) for stage in self.stages(recipe))

    def stages(self, recipe: str) -> list[str]:
        """The main stages of a system that the corpus has something for."""
        return main_stages(recipe, self.scale, self.corpus)

    def job(self, recipe: str, stage: str, arm: str = "base", seed: int = 0, corpus: str = "") -> Job:
        return Job.load(recipe, stage, arm, seed, self.scale, corpus or self.corpus)

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """Seeds of a question: as many as it asks for, within what depth and scale allow, unless the user chose how many.

        Of a part of a plan, the first ones, of which the runs of all arms are there.
        """
        wanted, recipes = self._wanted_seeds(name), self.recipes_of(name)
        if self.whole is None or not recipes:
            return wanted if recipes else ()
        groups = self._arms(name, wanted, recipes)
        return tuple(takewhile(lambda s: self._are_there(g[wanted.index(s)] for g in groups.values()), wanted))

    def _wanted_seeds(self, name: str) -> tuple[int, ...]:
        asked, scale = load(Ablation, name), load(Scale, self.scale)
        if self.seeds_given:
            return (self.whole or self).seeds
        own, first = len(scale.seeds), load(ReportSpec, "report").first_seeds
        limit = {"first": first, "default": own}.get(self.depth, scale.most_seeds)
        wanted = scale.more_seeds.get(name) or asked.seeds or own
        return _seeds(self.scale, min(wanted, limit, scale.most_seeds))

    def ablation_jobs(self, name: str) -> dict[tuple[str, str], list[Job]]:
        """(recipe, arm) -> its jobs, one a seed; those at one place of two arms are compared."""
        return self._arms(name, self.seeds_of(name), self.recipes_of(name))

    def recipes_of(self, name: str) -> tuple[str, ...]:
        """The systems that a question is asked of: for the first report one of each track; of a part of a plan those of which
        the first seed is there."""
        recipes = [recipe for recipe in self.question(name).recipes if recipe in self.systems]
        if self.depth == "first":
            recipes = list({load(Recipe, recipe).track: recipe for recipe in reversed(recipes)}.values())[::-1]
        first = self._wanted_seeds(name)[:1]
        return tuple(r for r in recipes if self._are_there(job for (job,) in self._arms(name, first, [r]).values()))

    def _arms(self, name: str, seeds: Sequence[int], recipes: Sequence[str]) -> dict[tuple[str, str], list[Job]]:
        asked = self.question(name)

        def job(recipe: str, arm: str, seed: int) -> Job:
            stage = asked.stages.get(arm, asked.stage)
            return self.job(recipe, stage, f"{name}.{arm}", seed, self._replica(asked, recipe, seed))

        return {(recipe, arm): [job(recipe, arm, seed) for seed in seeds] for recipe in recipes for arm in asked.arms}

    def _replica(self, asked: Ablation, recipe: str, seed: int) -> str:
        """The corpus of a seed, where a question is asked of others than the usual one; empty for that one."""
        if asked.corpora == "one" or asked.corpora == "per_seed" and seed == self.seeds[0] or self.corpus:
            return ""
        videos = seed if asked.corpora == "per_seed" else asked.corpora
        return f"{load(Scale, self.scale).corpora[load(Recipe, recipe).corpus]}@{videos}"

    def ensemble_members(self, name: str) -> dict[str, list[Job]]:
        """Label -> the jobs behind one member: one, or one a fold. Raises KeyError: the plan has no such ensemble."""
        if name not in self.ensembles:
            raise KeyError(f"no ensemble {name!r} in this plan; it has: {', '.join(self.ensembles) or 'none'}")
        return dict(self._members(self.ensembles[name]))

    def ensemble_jobs(self, name: str) -> list[Job]:
        return self._members_of(self.ensembles[name])

    def _members_of(self, spec: EnsembleSpec) -> list[Job]:
        return [job for _, jobs in self._members(spec) for job in jobs]

    def _members(self, spec: EnsembleSpec) -> Iterator[tuple[str, list[Job]]]:
        # Seeds with a fold of their own share no validation items, and members must.
        own_folds = load(Scale, self.scale).folds == "per_seed"
        seeds = self.seeds_for(spec.recipe)[: 1 if own_folds else None]
        for member in spec.members:
            job = self.job(member.recipe, member.stage, member.arm, seeds[0])
            yield member.label, job.in_folds() if member.folds else [job]
        for arm in () if spec.members else spec.arms:
            for seed in seeds:
                label = f"seed{seed}" if len(spec.arms) == 1 else f"{arm} seed{seed}"
                yield label, [self.job(spec.recipe, spec.stage, arm, seed)]

    def member_jobs(self, recipe: str, stage: str) -> dict[str, list[Job]]:
        """Arm -> its jobs, one a seed: the recipe as it is, then the further models of the system.

        With every seed only where everything is asked for; the first report leaves out their stages with teachers, of which
        each model needs its own.
        """
        spec, every = load(Recipe, recipe), self.seeds_for(recipe)
        few = every if self.depth == "all" else every[:1]
        waits = self.depth == "first" and spec.stages[stage].teacher is not None
        jobs = {"base": [self.job(recipe, stage, "base", seed) for seed in every]}
        for arm in () if self.questions or waits else spec.members:
            jobs[arm] = [self.job(recipe, stage, arm, seed) for seed in few]
        there = {arm: [job for job in group if self._are_there([job])] for arm, group in jobs.items()}
        return {arm: group for arm, group in there.items() if group}

    @cached_property
    def jobs(self) -> list[Job]:
        """Every training job once, parents before children, what tells most first: those of the reports on the way, then of
        every system and question the first seed, then the second."""
        return _with_parents(self._in_order())

    @cached_property
    def system_jobs(self) -> list[Job]:
        """Those of them that the systems themselves need."""
        return _with_parents(job for at in range(len(self.seeds)) for job in self._of_systems(at))

    def _in_order(self) -> Iterator[Job]:
        if shallower := DEPTHS[: DEPTHS.index(self.depth)]:
            yield from self.at(shallower[-1])._in_order()
        asked = {name: self.ablation_jobs(name) for name in self.ablations}
        waits = self.depth == "first"  # further models, for its headline questions
        for at in range(max([len(self.seeds), *(len(self.seeds_of(name)) for name in asked)])):
            yield from self._of_systems(at, models=not waits)
            for groups in asked.values():
                yield from (job for group in groups.values() for job in group[at : at + 1])
        yield from self.system_jobs if waits else ()
        for name in self.ensembles:
            yield from self.ensemble_jobs(name)

    def _of_systems(self, at: int, models: bool = True) -> Iterator[Job]:
        """Jobs of the systems themselves, of one seed: the systems as they are, then their further models."""
        stages = [(recipe, stage) for recipe in self.systems for stage in self.stages(recipe)]
        groups = [self.member_jobs(*stage) for stage in stages]
        for jobs in groups:
            yield from jobs.get("base", [])[at : at + 1]
        for jobs in groups if models else ():
            yield from (job for arm, group in jobs.items() if arm != "base" for job in group[at : at + 1])

    @cached_property
    def corpora(self) -> list[CorpusRef]:
        """Those that have a page: without the further ones that a question is asked of."""
        return list({job.corpus.name: job.corpus for job in self.jobs if job.corpus_given == self.corpus}.values())

    @property
    def report_folder(self) -> Path:
        return paths.reports(self.scale, self.corpus)

    @property
    def runs_folder(self) -> Path:
        return paths.runs(self.scale, self.corpus)


def _shows(asked: Ablation, corpus: str | None, scale: str) -> bool:
    """Whether a corpus, if one is given, has the pictures that an arm of a question encodes, if one does."""
    sets = {arm.get("features.frames.set", "given") for arm in asked.arms.values()} - {"given"}
    encodes = any(load(FeatureSet, name).images is not None for name in sets)
    return not (corpus and encodes) or CorpusRef(corpus, scale).has_pictures


def _seeds(scale: str, many: int) -> tuple[int, ...]:
    """The scale's own, and those that follow."""
    own = load(Scale, scale).seeds
    return tuple(islice((*own, *islice(count(max(own) + 1), many)), many))


def _with_parents(jobs: Iterable[Job]) -> list[Job]:
    """Each once, after those that it is trained from."""
    unique: dict[Path, Job] = {}

    def add(job: Job) -> None:
        for parent in job.parents.values():
            add(parent)
        unique.setdefault(job.folder.path, job)

    for job in jobs:
        add(job)
    return list(unique.values())


def lineage(job: Job) -> list[Job]:
    """A job and everything it was trained from, ancestors first, each once."""
    chain: dict = {}
    for parent in job.parents.values():
        chain |= {ancestor.folder.path: ancestor for ancestor in lineage(parent)}
    return list((chain | {job.folder.path: job}).values())
