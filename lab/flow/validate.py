"""Check every recipe under every arm at every scale without training: ``python -m lab.flow.validate``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lab.show.claims import check_claims, contradictions
from lab.show.specs import ReportSpec
from lib.recipes.bind import arguments
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import file_of, load, names
from lib.recipes.resolve import check_overrides
from lib.recipes.specs import Ablation, CorpusSpec, EnsembleSpec, FeatureSet, Recipe, Scale
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


def main() -> int:
    try:
        for name in names(Scale):
            check_overrides(name)
        for kind in (CorpusSpec, EnsembleSpec, FeatureSet):
            for name in names(kind):
                load(kind, name)
        load(ReportSpec, "report")
        check_claims()
        contradictions()
        for name in names(EnsembleSpec):
            spec, where = load(EnsembleSpec, name), shown(file_of(EnsembleSpec, name))
            for key, way in (("combine", spec.combine), *((f"also[{n}]", way) for n, way in enumerate(spec.also))):
                arguments("evaluation", way, f"{where}: {key}")
        checked = {job.digest: check(job) for job in all_jobs()}
    except (RecipeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"params: {len(checked)} different jobs bind ({min(checked.values()):,} to {max(checked.values()):,} parameters)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
