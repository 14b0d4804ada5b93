"""A page per ensemble."""

from __future__ import annotations

from lab.show import ensembles, formats, reading_ensembles, show_ensembles, tables
from lab.show.pages_questions import forest_alt
from lab.show.plan import Plan
from lab.show.site import Site


def ensemble(site: Site, plan: Plan, name: str, notebooks: dict[str, str]) -> dict:
    """Write ``ensemble_<name>``; returns its row of the index table."""
    spec = plan.ensembles[name]
    result = ensembles.read(plan, name)
    row = ensembles.summary(name, spec, result)
    where = str(ensembles.folder(plan, name))
    oracle = "no oracle is known" if row["oracle"] is None else f"the oracle is {formats.score(row['oracle'])}"
    site.page(
        f"ensemble_{name}",
        "ensemble.md.j2",
        spec.title,
        eyebrow=f"ensemble · {spec.recipe} · {spec.combine.use}",
        sentence=(
            f"{formats.plural(len(result.members), 'member')} together reach {formats.score(row['score'], 4)} "
            f"{formats.metric(row['metric'])}, {formats.difference(row['difference'])} to the best of them; {oracle}."
        ),
        sentences=reading_ensembles.sentences(result),
        about=spec.about.strip(),
        kinds=site.table(f"kinds_{name}", show_ensembles.kinds(result)) if spec.also else None,
        forest=site.picture(
            f"kinds_{name}",
            show_ensembles.kinds_forest(result),
            forest_alt(show_ensembles.forest_rows(result), row["metric"]),
            "Difference from the best member. Line: 95 % interval over validation items.",
        ),
        members=site.table(f"members_{name}", show_ensembles.members(result)),
        growth=site.table(f"growth_{name}", show_ensembles.growth_table(result)),
        grown=site.picture(
            f"growth_{name}",
            show_ensembles.growth(result),
            f"{formats.metric(row['metric'])} of the ensemble of the first n members, best first",
            "Score of the ensemble as members join, best first.",
        ),
        similarity=site.picture(
            f"similarity_{name}",
            show_ensembles.similarity(result),
            "Rank correlation of the predictions of each two members",
            "Rank correlation of what each two members predict. "
            "The less alike two good members are, the more they gain together.",
        ),
        published=site.table(f"published_{name}", tables.published([p.model_dump() for p in spec.published]))
        if spec.published
        else None,
        command=f"make ensemble NAME={name} SCALE={plan.scale}" + (f" CORPUS={plan.corpus}" if plan.corpus else ""),
        links=[("Executed notebook", notebooks[where])] if where in notebooks else [],
    )
    return row
