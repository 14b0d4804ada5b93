"""A page per question."""

from __future__ import annotations

import json

import pandas as pd
from matplotlib.figure import Figure

from lab.show import figures_compare, figures_training, formats, reading, tables
from lab.show.answers import Answer, folder
from lab.show.plan import Plan
from lab.show.rows import named
from lab.show.site import Site
from lab.show.table import Column, Table
from lib.recipes.specs import Ablation

SIZES = ["corpus", "train_items", "steps", "validation_items"]  # of a run; where arms differ in them, each is told
FOREST = "Line: 95 % interval of the paired difference."


def forest_rows(answer: Answer, named: bool = False) -> pd.DataFrame:
    """Rows of ``figures_compare.forest``; ``named`` puts the question into the label where many are drawn at once."""
    rows = answer.comparisons
    labels = rows["arm"] + (" · " + rows["recipe"] if rows["recipe"].nunique() > 1 else "")
    labels = formats.trick(answer.name) + ": " + labels if named else labels
    return rows[["difference", "low", "high", "verdict", "claimed"]].assign(label=labels)


def other(answer: Answer) -> str:
    """What the arms of a question are compared with, as the axis of a forest plot names it."""
    return "the arm before" if answer.spec.against else "the reference arm"


def diamond(frame: pd.DataFrame) -> str:
    """What the diamond of a forest plot is, where there is one; rows of ``forest_rows``."""
    return " Diamond: what was claimed." if frame["claimed"].notna().any() else ""


def forest_alt(frame: pd.DataFrame, metric: str) -> str:
    told = [f"{row.label}: {formats.difference(row.difference)}, {row.verdict}" for row in named(frame)]
    return f"Paired differences in {formats.metric(metric)} with intervals. " + "; ".join(told)


def ablation(site: Site, plan: Plan, answer: Answer, notebooks: dict[str, str]) -> None:
    """Write ``ablation_<name>``."""
    spec, name, metrics = answer.spec, answer.name, answer.comparisons["metric"].unique()
    metric = metrics[0] if len(metrics) == 1 else "score"
    forest = forest_rows(answer)
    where = str(folder(plan, name))
    site.page(
        f"ablation_{name}",
        "ablation.md.j2",
        spec.question,
        eyebrow=f"{spec.family} · {', '.join(answer.recipes)}",
        headline=reading.headline(answer),
        forest=site.picture(
            f"forest_{name}",
            figures_compare.forest(forest, metric, other(answer)),
            forest_alt(forest, metric),
            FOREST + diamond(forest),
        ),
        claims=spec.claimed,
        about=spec.about.strip(),
        method=method(plan, answer),
        arms=arms(answer.spec),
        table=site.table(f"ablation_{name}", tables.question(answer)),
        curves=site.picture(
            f"curves_{name}",
            curves(answer),
            f"Validation scores over steps for the arms {', '.join(spec.arms)}",
            "Validation score over steps. Thin lines are seeds, thick lines their mean, dashed is the reference."
            + _points(answer)
            + _held(answer),
        ),
        sentences=reading.sentences(answer),
        discussion=spec.discussion.strip(),
        discussion_is_old=answer.discussion_is_old,
        discussion_digest=spec.discussion_digest,
        digest=answer.digest,
        command=f"make ablation NAME={name} SCALE={plan.scale}"
        + (f" CORPUS={plan.corpus}" if plan.corpus else "")
        + (f" SEEDS={len(plan.seeds)}" if plan.seeds_given else ""),
        links=[("Executed notebook", notebooks[where])] if where in notebooks else [],
    )


def method(plan: Plan, answer: Answer) -> list[str]:
    """Sizes, cost and seeds of a question's runs, a sentence each."""
    runs = answer.runs
    lines = []
    for (recipe, stage, *_), group in runs.groupby(["recipe", "stage", *SIZES], sort=False, dropna=False):
        row, arms = group.iloc[0], [f"`{arm}`" for arm in group["arm"].unique()]
        alike = runs.loc[(runs["recipe"] == recipe) & (runs["stage"] == stage), "arm"].nunique() == len(arms)
        whose = "" if alike else f" (arm{'s' if len(arms) > 1 else ''} {formats.listed(arms)})"
        lines.append(
            f"{recipe}, stage {stage}{whose}: {formats.count(row['train_items'])} training items of {row['corpus']}, "
            f"{formats.count(row['steps'])} steps, {formats.count(row['validation_items'])} validation items, "
            f"{formats.seconds(group['seconds'].mean())} a run."
        )
    seeds = plan.seeds_of(answer.name)
    others = " Arms with other luck have other seeds." if answer.spec.other_seeds else ""
    lines.append(f"{formats.plural(len(seeds), 'seed')} an arm: {', '.join(map(str, seeds))}.{others}")
    shared = {
        f"{job.recipe} {parent.stage}"
        for jobs in answer.jobs.values()
        for job in jobs
        for parent in job.parents.values()
        if parent.stage_spec.seed is not None
    }
    if shared:
        lines.append(
            f"One pretraining feeds all seeds ({', '.join(sorted(shared))}): "
            "the interval covers the noise of the later stages only."
        )
    return lines


def _points(answer: Answer) -> str:
    """Arms that are scored once, such as those that join finished runs, have a point in place of a curve."""
    curves = [answer.curves(recipe) for recipe in answer.recipes]
    once = [arm for arm in answer.spec.arms if all(len(seed) <= 1 for found in curves for seed in found.get(arm, ()))]
    return f" Points: {formats.listed(f'`{arm}`' for arm in once)}, scored once." if once else ""


def _held(answer: Answer) -> str:
    """Where curves and table are scored on other pairs: a sentence that says so."""
    held = [job.recipe for jobs in answer.jobs.values() for job in jobs if job.stage_spec.data.hold is not None]
    systems = formats.listed(dict.fromkeys(held)) if held else ""
    return (
        f" Curves of {systems} are over the pairs of the fold that a checkpoint is chosen by, not over the held-out pairs of "
        "the table."
        if held
        else ""
    )


def arms(spec: Ablation) -> Table:
    """What each arm switches, the reference first."""

    def switched(arm: str) -> str:
        changes = [f"{path}: {json.dumps(value, ensure_ascii=False)}" for path, value in spec.arms[arm].items()]
        return "\n".join(changes) or "nothing, the recipe as it is"

    order = [spec.reference, *(arm for arm in spec.arms if arm != spec.reference)]
    frame = pd.DataFrame({"arm": order, "changes": [switched(arm) for arm in order]})
    columns = (
        Column("arm", lambda r: f"`{r['arm']}`" + (" (reference)" if r["arm"] == spec.reference else "")),
        Column("what is switched in the recipe", "changes", "code"),
    )
    return Table(frame, columns, emphasis=lambda r: "reference" if r["arm"] == spec.reference else "")


def curves(answer: Answer) -> Figure:
    """Validation scores over steps by arm, one panel a system."""
    metrics = answer.frame.groupby("recipe")["metric"].first()
    panels = {recipe: (metrics[recipe], answer.curves(recipe)) for recipe in answer.recipes}
    return figures_training.curves_by_arm(panels, answer.spec.reference)
