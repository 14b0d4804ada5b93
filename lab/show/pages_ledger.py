"""The claims ledger as a page, and what the front page and the terminal take from it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lab.show import advice, certainty, noise
from lab.show import formats as f
from lab.show.answers import Answer
from lab.show.ledger import ledger
from lab.show.plan import Plan
from lab.show.reading import TRACKS
from lab.show.rows import Row
from lab.show.site import Site
from lab.show.table import Column, Table
from lib.runs.files import write_text

SUMMARY = "summary.txt"


def claims(
    site: Site, plan: Plan, answers: Sequence[Answer], board: pd.DataFrame, ensembles: Sequence[dict]
) -> list[str]:
    """Write ``claims``, ``tables/comparisons.csv`` and ``summary.txt``.

    Args:
        board: of ``runs.systems``.
        ensembles: rows of ``ensembles.summary``.

    Returns:
        one paragraph of advice a track, in Markdown.
    """
    compared = certainty.comparisons(answers)
    tricks = advice.tricks(compared, ensembles)
    rows = ledger(plan, compared, ensembles, site.out.parent)
    site.table("comparisons", Table.plain(compared))
    write_text(site.partial / SUMMARY, "".join(f"{line}\n" for line in advice.lines(tricks, rows)))
    advised = [
        advice.advice(tricks, metric) + advice.of_corpus(compared, metric) for metric in dict.fromkeys(tricks["metric"])
    ]
    site.page(
        "claims",
        "claims.md.j2",
        "Claims and what became of them",
        eyebrow=f"{f.plural(len(rows), 'claim')} of two contests",
        advice=advised,
        tracks=[
            (name, site.table(f"claims_{metric}", table(rows[rows["metric"] == metric].reset_index(drop=True))))
            for metric, name in TRACKS.items()
            if (rows["metric"] == metric).any()
        ],
        noise=site.table("noise", noise.table(varied)) if len(varied := noise.sources(plan, board)) else None,
        certainty=site.table("certainty", together(compared)) if len(compared) else None,
    )
    return advised


def table(rows: pd.DataFrame) -> Table:
    """The ledger of one track: rows of ``ledger.ledger`` as people read them, differences in units of the metric."""

    def claim(row: Row) -> str:
        return (f"[{row['trick']}]({row['page']})" if row["page"] else row["trick"]) + f"\n{row['source']}"

    def remarks(row: Row) -> str:
        return "\n".join(filter(None, (row["elsewhere"], row["touched"], row["note"]))) or f.NOTHING

    def measured(row: Row) -> str:
        between = f.interval(row["low"], row["high"], 4, signed=True)
        lines = [f.difference(row["measured"]), *([between] if between != f.NOTHING else [])]
        lines += [f"p {f.score(row['holm'])} after Holm"] if pd.notna(row["holm"]) else []
        return "\n".join([*lines, *([f"{row['recipe']}, {row['arm']}"] if row["recipe"] else [])])

    columns = (
        Column("claim", claim),
        Column("claimed", lambda r: f.difference(r["claimed"]), "number", "on the competition's data"),
        Column(
            "measured",
            measured,
            "number",
            "difference on the corpus of this report, its 95 % interval, its p-value if all comparisons are judged together, and where",
        ),
        Column("verdict", "verdict", "verdict"),
        Column("remarks", remarks, hint="on other corpora; which quirk or leak touches it; why it is not measured"),
    )
    return Table(
        rows, columns, "One row per claim. Another corpus, other sizes: claimed and measured must not be subtracted."
    )


def together(compared: pd.DataFrame) -> Table:
    """All comparisons with p-values before and after Holm's correction, and what they could have seen.

    Args:
        compared: rows of ``certainty.comparisons``.
    """
    frame = compared.sort_values("p", kind="stable", ignore_index=True)
    columns = (
        Column(
            "question",
            lambda r: f"[{r['ablation'].replace('_', ' ')}](ablation_{r['ablation']}.md)\n{r['arm']} on {r['recipe']}",
        ),
        Column("difference", lambda r: f.difference(r["difference"]), "number"),
        Column("p", lambda r: f.score(r["p"]), "number", "paired t-test over seeds"),
        Column(
            "p after Holm", lambda r: f.score(r["holm"]), "number", "adjusted over all comparisons of the same track"
        ),
        Column(
            "could be seen", lambda r: f.score(r["detectable"]), "number", "true effect found four times out of five"
        ),
        Column("verdict alone", "verdict", "verdict"),
    )
    return Table(
        frame, columns, "A verdict looks at one interval alone; the corrected p-value asks for all of them at once."
    )
