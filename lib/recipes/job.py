"""Job: one stage of one recipe under one arm with one seed, fully resolved. Its digest covers everything its result
depends on, so an arm whose digest equals that of the base, or of an earlier arm of its question, is given that folder.
"""

import shlex
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from lib.recipes.bind import arguments, declared, module_of
from lib.recipes.code_digest import code_digest, digest
from lib.recipes.corpus import CorpusRef, FeatureRef
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.load import file_of, load, names
from lib.recipes.resolve import arms_of_question, resolved
from lib.recipes.specs import STAGE_NOTEBOOKS, Component, DeviceSpec, FeatureSet, Recipe, Scale, StageSpec
from lib.runs import backbones, paths
from lib.runs.folder import RunFolder
from lib.runs.kinds import KINDS, Kind

SEEDS_APART = 100  # of the runs of a soup, so that those of neighbouring seeds share none
# Code that every job runs through, whatever its components.
SPINE = ("lib.stages.run", "lib.stages.build", "lib.training.trainer")


@dataclass(frozen=True)
class Job:
    """What is trained once: made by :meth:`load`, which checks it, and named by ``digest`` and ``folder``. ``arm`` may
    carry a fold (``base@2``); ``seed`` is the stage's own where it fixes one; ``spec`` is the recipe with member, scale
    and arm laid over."""

    recipe: str
    stage: str
    arm: str
    seed: int
    scale: str
    corpus_given: str  # "" = the scale's corpus for the recipe's contest
    spec: Recipe

    @classmethod
    def load(
        cls, recipe: str, stage: str, arm: str = "base", seed: int = 0, scale: str = "laptop", corpus: str = ""
    ) -> "Job":
        """Resolve and check a job. Raises RecipeError: anything that cannot run; names file, key and the nearest valid
        key.

        Args:
            arm: ``base``, a variant of the recipe, or ``<ablation>.<arm>``; ``@2`` behind it is fold 2 of split stages.
            corpus: name or store path; empty for the scale's own.
        """
        return _load(recipe, stage, arm, int(seed), scale, corpus or "")

    @property
    def stage_spec(self) -> StageSpec:
        return self.spec.stages[self.stage]

    @property
    def kind(self) -> Kind:
        """What the stage is judged on: pairs; classes; or, while pretraining, tags or the loss itself."""
        data = self.stage_spec.data
        if data.items == "pairs":
            return KINDS["pairs"]
        if self.spec.track == "classes" and not data.unlabeled:
            return KINDS["classes"]
        return KINDS["loss" if self.stage_spec.evaluation.select == "loss" else "tags"]

    @property
    def device(self) -> DeviceSpec:
        """How the scale's steps run on their device."""
        return load(Scale, self.scale).device

    @cached_property
    def corpus(self) -> CorpusRef:
        contest = self.spec.corpus
        return CorpusRef(self.corpus_given or load(Scale, self.scale).corpora[contest], self.scale)

    @property
    def tokens(self) -> FeatureRef:
        return FeatureRef(self.corpus, self.spec.features.text.set, self.corpus_given)

    @property
    def frames(self) -> FeatureRef | None:
        """The set that frame features, or pictures, come from; None where features come with the corpus."""
        name = self.spec.features.frames.set
        return None if name == "given" else FeatureRef(self.corpus, name, self.corpus_given)

    @property
    def feature_sets(self) -> list[FeatureRef]:
        """Sets that must be built first; a model with an image encoder needs no features of its pictures."""
        encodes = self.spec.model.images is not None
        return [self.tokens] if self.frames is None or encodes else [self.tokens, self.frames]

    @cached_property
    def parents(self) -> dict[str, "Job"]:
        """Role ("init_from", or "init_from_0", ... for a soup; "teacher", or "teacher_0", ... for its folds) -> the job whose
        run this one starts from."""
        spec, stages = self.stage_spec, {}
        if spec.init_from is not None and spec.soup is None:
            stages["init_from"] = (spec.init_from, self.arm)
        if spec.teacher is not None and spec.teacher_folds == "same":
            stages["teacher"] = (spec.teacher, self.arm)
        elif spec.teacher is not None:
            arm = self.arm.split("@")[0]
            stages |= {f"teacher_{fold}": (spec.teacher, f"{arm}@{fold}") for fold in range(spec.data.split.k)}
        if spec.pseudo is not None:
            stages |= {f"labels_{n}": (spec.init_from, arm) for n, arm in enumerate(self._asked(self.stage))}
        if spec.expert is not None:
            stages["expert"] = (spec.expert.stage, self.arm)
        if spec.data.pseudo is not None:
            stages["pseudo"] = (spec.data.pseudo, self._asked(spec.data.pseudo)[0])
        jobs = {
            role: Job.load(self.recipe, stage, arm, self.seed, self.scale, self.corpus_given)
            for role, (stage, arm) in stages.items()
        }
        return jobs | {f"init_from_{number}": job for number, job in enumerate(self.ingredients)}

    def _asked(self, stage: str) -> list[str]:
        """The arms whose models a stage of pseudo labels asks, in this job's fold."""
        pseudo, (_, at, fold) = self.spec.stages[stage].pseudo, self.arm.partition("@")
        return [f"{arm}{at}{fold}" for arm in pseudo.arms] if pseudo is not None and pseudo.arms else [self.arm]

    @property
    def labellers(self) -> list["Job"]:
        """The jobs whose models a stage of pseudo labels asks."""
        return [parent for role, parent in self.parents.items() if role.startswith("labels_")]

    @property
    def batches(self) -> dict[str, Any]:
        """Arguments of ``lib.features.loader.Assembler``: the features', with the stage's numbers of frames."""
        frames, given = self.stage_spec.data.frames, self.spec.features.batches
        return given | ({"frames_length": frames[0]} if len(frames) == 1 else {"train_frames": frames})

    @property
    def most_frames(self) -> int:
        """Of all stages, whose weights one table of positions serves."""
        stages = self.spec.stages.values()
        return max([self.spec.features.frames.length, *(n for stage in stages for n in stage.data.frames)])

    @cached_property
    def ingredients(self) -> list["Job"]:
        """The runs a soup is made of, this job's own seed first."""
        spec = self.stage_spec
        if spec.soup is None or spec.init_from is None:
            return []
        seeds = [self.seed + number * SEEDS_APART for number in range(spec.soup.runs)]
        return [Job.load(self.recipe, spec.init_from, self.arm, s, self.scale, self.corpus_given) for s in seeds]

    @property
    def teachers(self) -> list["Job"]:
        """The one teacher, or those of all folds in order."""
        return [parent for role, parent in self.parents.items() if role.startswith("teacher")]

    def in_folds(self) -> list["Job"]:
        """This job in every fold of its split. Raises RecipeError: the stage is not split into folds."""
        split = self.stage_spec.data.split
        if not split.in_folds:
            raise RecipeError(f"{self.recipe} {self.stage} {self.arm}: not in folds, its split is {split.use}")
        arms = [f"{self.arm.split('@')[0]}@{fold}" for fold in range(split.k)]
        return [Job.load(self.recipe, self.stage, arm, self.seed, self.scale, self.corpus_given) for arm in arms]

    @cached_property
    def digest(self) -> str:
        spec = self.stage_spec.model_dump(mode="json")
        spec["objectives"] = {name: value for name, value in spec["objectives"].items() if value["weight"] > 0}
        scale = load(Scale, self.scale)
        return digest(
            {
                "features": self.spec.features.model_dump(mode="json"),
                "model": self.spec.model.model_dump(mode="json"),
                "stage": spec,
                "submission": self.spec.submission.model_dump(),
                "seed": self.seed,
                "backbone": backbones.identity(self.corpus.backbone),
                "threads": scale.threads,
                **({"device": bits} if (bits := self.device.bits) else {}),
                "corpus": self.corpus.digest,
                "tokens": self.tokens.digest,
                **({} if self.frames is None else {"frames": self.frames.digest}),
                "parents": {role: parent.digest for role, parent in self.parents.items()},
                "code": code_digest(self.modules),
            }
        )

    @property
    def modules(self) -> list[str]:
        """The ``lib`` modules this job's result depends on."""
        used = [module_of(package, component, where) for package, component, where in self.component_list]
        return [*SPINE, *sorted(set(used))]

    @property
    def component_list(self) -> list[tuple[str, Component, str]]:
        """(package, component, dotted path) of every part that takes part in this stage."""
        spec, stage = self.stage_spec, f"stages.{self.stage}"
        parts = [("models", part, f"model.{slot}") for slot, part in self.spec.model.slots().items()]
        parts += [("objectives", o, f"{stage}.objectives.{n}") for n, o in spec.objectives.items() if o.weight > 0]
        parts += [("training", spec.schedule, f"{stage}.schedule")]
        if spec.adversarial is not None:
            parts += [("training", spec.adversarial, f"{stage}.adversarial")]
        if spec.expert is not None:
            parts += [("evaluation", spec.expert, f"{stage}.expert")]
        if spec.pseudo is not None:
            parts += [("evaluation", spec.pseudo, f"{stage}.pseudo")]
        return parts + [("evaluation", step, f"{stage}.evaluation.postprocess") for step in spec.evaluation.postprocess]

    @cached_property
    def folder(self) -> RunFolder:
        """The run folder; that of an earlier arm, of the recipe or of the same question, if it has the same digest."""
        arm = next(arm for arm in self._equal_arms() if arm is not None)
        root = paths.runs(self.scale, self.corpus_given)
        return RunFolder(root / "recipes" / self.recipe / self.stage / arm / f"seed{self.seed}")

    def _equal_arms(self):
        name, at, fold = self.arm.partition("@")
        for arm in ("base", *self.spec.variants, *arms_of_question(name)):
            if arm == name:
                break
            for same in (arm, f"{arm}@{fold}") if at and fold != "0" else (arm,):
                if self._equals(same):
                    yield same
        if at and self._equals(name):
            yield name
        yield self.arm

    def _equals(self, arm: str) -> bool:
        return Job.load(self.recipe, self.stage, arm, self.seed, self.scale, self.corpus_given).digest == self.digest

    @property
    def phase(self) -> str:
        """pretrain, finetune or distill."""
        assert self.stage_spec.phase is not None  # the recipe was checked
        return self.stage_spec.phase

    @property
    def notebook(self) -> str:
        return STAGE_NOTEBOOKS[self.phase]

    @property
    def parameters(self) -> dict[str, Any]:
        """What papermill passes with ``-p``."""
        return {
            "recipe": self.recipe, "stage": self.stage, "arm": self.arm, "seed": self.seed, "scale": self.scale, "corpus": self.corpus_given,
        }  # fmt: skip

    @property
    def command(self) -> str:
        """The make line that runs this job and its parents."""
        extra = f" CORPUS={shlex.quote(self.corpus_given)}" if self.corpus_given else ""
        return f"make run RECIPE={self.recipe} STAGE={self.stage} ARM={self.arm} SEED={self.seed} SCALE={self.scale}{extra}"

    def to_dict(self) -> dict[str, Any]:
        """Everything resolved, defaults included: what ``job.yaml`` holds."""
        resolved = self.spec.model_dump(mode="json")
        return {
            "job": {**self.parameters, "corpus": self.corpus.label, "digest": self.digest},
            "corpus_given": self.corpus_given,
            "parents": {r: {"folder": paths.shown(p.folder.path), "digest": p.digest} for r, p in self.parents.items()},
            "features": resolved["features"],
            "model": resolved["model"],
            "stage": resolved["stages"][self.stage],
        }


def _check_objectives(job: Job, where: str) -> None:
    """The stage has the teacher that its objectives learn from, and the terms and metric that it selects by. Raises
    RecipeError: it has not."""
    spec, kind = job.stage_spec, job.kind
    active = {name: term for name, term in spec.objectives.items() if term.weight > 0}

    def says(what: str) -> dict[str, Any]:
        return {t.use: declared("objectives", t, what, f"{where}.objectives.{name}") for name, t in active.items()}

    learning = [use for use, needs in says("needs_teacher").items() if needs]
    if learning and spec.teacher is None and spec.data.pseudo is None:
        raise RecipeError(f"{where}.objectives: {learning[0]} learns from a teacher; name one with `teacher: <stage>`")
    if spec.evaluation.select not in kind.selects:
        raise RecipeError(
            f"{where}.evaluation.select: {spec.evaluation.select!r} does not judge {kind.name}; "
            f"{nearest(spec.evaluation.select, kind.selects)}"
        )
    if kind.name == "tags" and "tags" not in says("judged").values():
        raise RecipeError(
            f"{where}.evaluation.select: tag_loss needs an objective on tags, such as TagBCE; the stage has "
            f"{', '.join(term.use for term in active.values())}"
        )


def main_stages(recipe: str, scale: str, corpus: str = "") -> list[str]:
    """Stages that a system is made of at a scale; of a given corpus those that it has something for."""
    return resolved(recipe, "base", scale, **(CorpusRef(corpus, scale).allows if corpus else {}))[0].main_stages


def sees(recipe: str, corpus: CorpusRef) -> bool:
    """Whether a corpus has the pictures that a system learns from, if it does."""
    return corpus.has_pictures or load(Recipe, recipe).model.images is None


def for_track(track: str) -> list[str]:
    """Names of the recipes for corpora of pairs or of classes."""
    return [name for name in names(Recipe) if load(Recipe, name).track == track]


@cache
def _load(recipe: str, stage: str, arm: str, seed: int, scale: str, corpus: str) -> Job:
    spec, where = resolved(recipe, arm, scale, **(CorpusRef(corpus, scale).allows if corpus else {}))
    if stage not in spec.stages:
        raise RecipeError(f"{paths.shown(file_of(Recipe, recipe))}: no stage {stage!r}; {nearest(stage, spec.stages)}")
    fixed = spec.stages[stage].seed
    seed = seed if fixed is None else fixed
    if load(Scale, scale).folds == "per_seed" and "@" not in arm:
        spec = _with_fold(spec, seed)
    job = Job(recipe, stage, arm, seed, scale, corpus, spec)
    for package, component, path in job.component_list:
        arguments(package, component, f"{where}: {path}")
    _check_objectives(job, f"{where}: stages.{stage}")
    if spec.stages[stage].data.batch_size % job.device.accumulate:
        raise RecipeError(
            f"{paths.shown(file_of(Scale, scale))}: device.accumulate: {job.device.accumulate} equal parts cannot be cut "
            f"from {recipe} stages.{stage}.data.batch_size, {spec.stages[stage].data.batch_size}; choose a divisor"
        )
    for slot, ref, kinds in (
        ("text", job.tokens, ("Tokens", "Words")),
        ("frames", job.frames, ("Images", "Projected")),
    ):
        if ref is not None and (found := load(FeatureSet, ref.name).use) not in kinds:
            raise RecipeError(
                f"{where}: features.{slot}.set: {ref.name} is a set of {found}, needed is one of {' or '.join(kinds)}"
            )
    if spec.model.images is not None and job.frames is None:
        if not job.corpus.has_pictures:
            raise RecipeError(
                f"recipe {recipe} learns from pictures, of which corpus {job.corpus.name} has none; "
                "leave it out, or import the pictures too"
            )
        raise RecipeError(
            f"{where}: model.images: {spec.model.images.use} encodes pictures, but "
            "features.frames.set is given; name a set of images of params/features, which says how they are decoded"
        )
    if job.corpus.track != spec.track:
        raise RecipeError(
            f"recipe {recipe} needs a corpus of {spec.track}, but {job.corpus.name} is a corpus of {job.corpus.track}; "
            f"recipes for it: {', '.join(for_track(job.corpus.track))}"
        )
    if (lacks := job.corpus.lacks) and job.kind.contest:
        raise RecipeError(
            f"recipe {recipe}: corpus {job.corpus.name} {lacks}, so nothing can be learnt from its labels"
        )
    return job


def _with_fold(spec: Recipe, seed: int) -> Recipe:
    """The recipe with every split that has folds at fold ``seed`` of them."""
    stages = {}
    for name, stage in spec.stages.items():
        split = stage.data.split.model_copy(update={"fold": seed % max(1, stage.data.split.k)})
        stages[name] = stage.model_copy(update={"data": stage.data.model_copy(update={"split": split})})
    return spec.model_copy(update={"stages": stages})
