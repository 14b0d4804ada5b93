"""Check every recipe under every arm at every scale without training: ``python -m lab.validate``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from lab.show.claims import check_claims, check_coverage, contradictions
from lab.show.specs import ReportSpec
from lib.recipes.bind import arguments
from lib.recipes.errors import RecipeError, require
from lib.recipes.job import Job
from lib.recipes.load import file_of, load, names
from lib.recipes.resolve import arm_changes, check_assumed, check_overrides
from lib.recipes.specs import Ablation, CorpusSpec, EnsembleSpec, FeatureSet, Member, Recipe, Scale, Spec
from lib.runs.paths import shown
from lib.stages.build import check


def all_jobs(scales: list[str] | None = None) -> Iterator[Job]:
    """Every stage of every recipe under base, each variant and each ablation arm."""
    for scale in scales or names(Scale):
        for recipe in names(Recipe):
            asked = [(name, load(Ablation, name)) for name in names(Ablation)]
            arms = ["base", *load(Recipe, recipe).variants]
            arms += [f"{name}.{arm}" for name, question in asked if recipe in question.recipes for arm in question.arms]
            for arm in arms:
                for stage in load(Recipe, recipe).stages:
                    yield Job.load(recipe, stage, arm, 0, scale)


def check_names() -> None:
    """Raises RecipeError: a question, an ensemble, a scale or the report names something that is not there."""
    for name in names(Ablation):
        asked, where = load(Ablation, name), shown(file_of(Ablation, name))
        for key, arms in (("stages", asked.stages), ("members", asked.members)):
            for arm in arms:
                require(arm, asked.arms, f"{where}: {key}")
        for recipe in asked.recipes:
            require(recipe, names(Recipe), f"{where}: recipes")
            for key, member in (("member", asked.member), *((f"members.{a}", m) for a, m in asked.members.items())):
                require(member, ("base", *load(Recipe, recipe).members), f"{where}: {key}: {recipe}")
            for key, stage in {"stage": asked.stage, **{f"stages.{a}": s for a, s in asked.stages.items()}}.items():
                require(stage, load(Recipe, recipe).stages, f"{where}: {key}: {recipe} has no stage")
    for name in names(EnsembleSpec):
        spec, where = load(EnsembleSpec, name), shown(file_of(EnsembleSpec, name))
        members = spec.members or [Member(recipe=spec.recipe, stage=spec.stage, arm=arm) for arm in spec.arms]
        for member in members:
            require(member.recipe, names(Recipe), f"{where}: recipe")
            require(member.stage, load(Recipe, member.recipe).stages, f"{where}: stage: {member.recipe} has no stage")
            arm_changes(member.recipe, member.arm)
        for key, way in (("combine", spec.combine), *((f"also[{n}]", way) for n, way in enumerate(spec.also))):
            arguments("evaluation", way, f"{where}: {key}")
    checks: list[str] = []
    for name in names(Scale):
        scale, where = load(Scale, name), shown(file_of(Scale, name))
        checks += scale.checks
        _require_all(scale.checks, Ablation, f"{where}: checks")
        _require_all(scale.more_seeds, Ablation, f"{where}: more_seeds")
        _require_all(scale.corpora.values(), CorpusSpec, f"{where}: corpora")
        require(scale.pictures, names(FeatureSet), f"{where}: pictures")
    report, where = load(ReportSpec, "report"), shown(file_of(ReportSpec, "report"))
    _require_all(report.at("all"), Recipe, f"{where}: recipes")
    _require_all(report.ablations, Ablation, f"{where}: ablations")
    _require_all(report.ensembles, EnsembleSpec, f"{where}: ensembles")
    for name in report.headline:
        require(name, (*report.ablations, *checks), f"{where}: headline")


def _require_all(given: Iterable[str], kind: type[Spec], where: str) -> None:
    for name in given:
        require(name, names(kind), where)


def main() -> int:
    """Check everything in ``params/``; prints the first mistake as one line and returns 1, or how many jobs bind."""
    try:
        for name in names(Scale):
            check_overrides(name)
        for name in names(Recipe):
            check_assumed(name)
        for kind in (CorpusSpec, EnsembleSpec, FeatureSet):
            for name in names(kind):
                load(kind, name)
        check_names()
        check_claims()
        check_coverage()
        contradictions()
        jobs = {job.digest: job for job in all_jobs()}  # arms of later stages share what comes before
        checked = [check(job) for job in jobs.values()]
    except (RecipeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"params: {len(checked)} different jobs bind ({min(checked):,} to {max(checked):,} parameters)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
