"""A page per question."""

from __future__ import annotations

import json

import pandas as pd
from matplotlib.figure import Figure

from lib.recipes.plan import Plan
from lib.recipes.specs import Ablation
from lib.reporting import figures_compare, figures_training, formats, reading, tables
from lib.reporting.answers import Answer, folder
from lib.reporting.rows import named
from lib.reporting.site import Site
from lib.reporting.table import Column, Table

FOREST = "Line: 95 % interval of the paired difference."


def forest_rows(answer: Answer, named: bool = False) -> pd.DataFrame:
    """Rows of ``figures_compare.forest``; ``named`` puts the question into the label where many are drawn at once."""
    rows = answer.comparisons
    labels = rows["arm"] + (" · " + rows["recipe"] if rows["recipe"].nunique() > 1 else "")
    labels = answer.name.replace("_", " ") + ": " + labels if named else labels
    return rows[["difference", "low", "high", "verdict", "claimed"]].assign(label=labels)


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
            figures_compare.forest(forest, metric),
            forest_alt(forest, metric),
            FOREST + (" Diamond: what was claimed." if forest["claimed"].notna().any() else ""),
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
            "Validation score over steps. Thin lines are seeds, thick lines their mean, dashed is the reference.",
        ),
        sentences=reading.sentences(answer),
        discussion=spec.discussion.strip(),
        discussion_is_old=answer.discussion_is_old,
        discussion_digest=spec.discussion_digest,
        digest=answer.digest,
        command=f"make ablation NAME={name} SCALE={plan.scale}" + (f" CORPUS={plan.corpus}" if plan.corpus else ""),
        links=[("Executed notebook", notebooks[where])] if where in notebooks else [],
    )


def method(plan: Plan, answer: Answer) -> list[str]:
    """Sizes, cost and seeds of a question's runs, a sentence each."""
    runs = answer.runs
    lines = []
    for (recipe, stage), group in runs.groupby(["recipe", "stage"], sort=False):
        row = group.iloc[0]
        lines.append(
            f"{recipe}, stage {stage}: {formats.count(row['train_items'])} training items of {row['corpus']}, "
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
