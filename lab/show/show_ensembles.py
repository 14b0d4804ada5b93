"""What notebook 06 shows of an ensemble; to be had as ``lab.show.show`` like everything notebooks show."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from lab.show import figures_compare, reading_ensembles, tables, tables_ensembles
from lab.show import runs as gather
from lab.show.ensembles import Result
from lab.show.plan import Plan
from lab.show.table import Column, Table


def ensemble_members(plan: Plan, ensemble: str) -> Table:
    """The runs an ensemble joins. Raises KeyError for an unknown ensemble, MissingRun for an absent member."""
    if ensemble not in plan.ensembles:
        raise KeyError(f"no ensemble {ensemble!r} in this plan; it has: {', '.join(plan.ensembles) or 'none'}")
    return tables.provenance(gather.rows(plan.ensemble_jobs(ensemble)))


def members(result: Result) -> Table:
    """Members of an ensemble alone, and what the ensemble loses without each."""
    return tables_ensembles.members(result.members, result.metrics["primary"])


def kinds(result: Result) -> Table:
    """The same members, joined in other ways."""
    return tables_ensembles.kinds(result.kinds, result.metrics["primary"])


def kinds_forest(result: Result) -> Figure:
    """Differences of all ways of joining from the best member, with intervals over items."""
    return figures_compare.forest(forest_rows(result), result.metrics["primary"], "the best member")


def forest_rows(result: Result) -> pd.DataFrame:
    """Rows of ``figures_compare.forest``: the ways of joining that these members allow."""
    rows = result.kinds[(result.kinds["role"] != "best member") & result.kinds["score"].notna()]
    frame = rows[["difference", "verdict"]].assign(low=rows["difference_low"], high=rows["difference_high"])
    return frame.assign(label=rows["kind"], claimed=float("nan")).reset_index(drop=True)


def growth_table(result: Result) -> Table:
    """The ensemble of the first n members with intervals."""
    return tables_ensembles.growth(result.members, result.metrics["primary"])


def growth(result: Result) -> Figure:
    """Score of the ensemble as members join, best first."""
    frame = pd.DataFrame(
        {
            "members": range(1, len(result.members) + 1),
            "ensemble": result.members["growth"],
            "single": result.members["score"],
        }
    )
    return figures_compare.growth(frame, result.metrics["primary"])


def similarity(result: Result) -> Figure:
    """Rank correlation of what each two members predict."""
    return figures_compare.member_similarity(result.similarity, list(result.members["member"]))


def ensemble_reading(result: Result) -> Table:
    """What may be said of the numbers, by rule."""
    return Table(pd.DataFrame({"reading": reading_ensembles.sentences(result)}), (Column("", "reading"),))
