"""Which trick first: what a reader of the front page takes home, made from the table of comparisons by rule.

A trick is worth naming when it helps by our rule. Tricks are ranked by the lower end of their interval: what they are worth
if one is cautious. Quirks and splits are findings about the originals; how frames were encoded, and what a bag of n-grams
can do, depends on the corpus: that is said apart.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from lab.show import formats as f
from lab.show.comparisons import LEVEL, compared
from lab.show.questions import seen, short
from lab.show.table import link
from lib.evaluation.compare import HELPS, HURTS

TRACKS = {"spearman": "Pairs", "mean_f1": "Classes"}
OF_CORPUS = ("frame encoder", "simple models")  # families of questions whose answer is about the corpus
NOT_TRICKS = (*OF_CORPUS, "quirks", "splits")
FIRST = 3  # how many tricks a sentence names


def tricks(frame: pd.DataFrame, ensembles: pd.DataFrame) -> pd.DataFrame:
    """Tricks with their measured effect, best lower end first.

    Args:
        frame: the table of comparisons.
        ensembles: of ``ensembles.of_plan``: each against its best member, with an interval over validation items, not seeds;
            ``n`` is 0 for them.

    Returns:
        ``name``, ``page``, ``recipe``, ``family``, ``metric``, ``difference``, ``low``, ``high``, ``verdict``, ``n``, ``holm``,
        ``detectable``; those in units of ``metric``.
    """
    asked = compared(frame)[lambda rows: rows["check"] == ""]
    arms = asked["arm"].map(lambda arm: "" if arm == "with" else f": {arm}")
    asked = asked.assign(name=asked["ablation"].map(f.trick) + arms, page="question/" + asked["ablation"])
    joined = pd.DataFrame(
        [
            {**row, "page": f"ensemble/{row['name']}", "name": f"ensemble {row['title']}", "n": 0, "family": "ensembles",
             "low": row["difference_low"], "high": row["difference_high"]} for row in ensembles.to_dict("records")
        ]
    )  # fmt: skip
    numbers = ("metric", "difference", "low", "high", "verdict", "n", "holm", "detectable")
    columns = ["name", "page", "recipe", "family", *numbers]
    rows = pd.concat([asked.reindex(columns=columns), joined.reindex(columns=columns)], ignore_index=True)
    return rows.sort_values("low", ascending=False, kind="stable", ignore_index=True)


def advice(found: pd.DataFrame, metric: str) -> str:
    """One paragraph for a track, in Markdown: what to use first, how sure that is, what to leave.

    Args:
        found: of :func:`tricks`.
        metric: "spearman" or "mean_f1".
    """
    found = found.loc[found["metric"] == metric]
    rows = found[~found["family"].isin(NOT_TRICKS)]
    helps, hurts = _of(rows, HELPS), _of(rows.sort_values("high"), HURTS)
    questions = rows[rows["n"] > 1]
    if helps:
        text = f"first {'; then '.join(map(_told, helps[:FIRST]))}."
    else:
        text = f"none of {f.plural(len(rows), 'trick')} tried helps by our rule."
    if len(questions):
        certain = [
            f"{row['name']} on {row['recipe']}" for row in questions[questions["holm"] < LEVEL].to_dict("records")
        ]
        told = f" ({', '.join(certain)})" if 0 < len(certain) <= FIRST else ""
        among = f.plural(len(questions), "comparison")
        text += f" Judged together (Holm), {len(certain) or 'none'} of {among} over seeds would stand{told}."
        text += _limit(questions)
    if hurts:
        text += " Leave: " + "; ".join(f"{_link(row)}, {f.difference(row['difference'])}" for row in hurts) + "."
    ahead = [f"{_link(row)}, {short(row)}" for row in _of(found[found["family"].isin(OF_CORPUS)], HELPS)]
    text += f" No trick, but ahead on this corpus: {'; '.join(ahead)}." if ahead else ""
    return f"**{TRACKS.get(metric, metric)}** ({f.metric(metric)}): {text}"


def lines(found: pd.DataFrame, claims: pd.DataFrame) -> list[str]:
    """The summary for a terminal: at most ``FIRST`` + 2 lines of plain text for each of the two tracks.

    Args:
        found: of :func:`tricks`.
        claims: of ``claims.ledger``.
    """
    found = found.loc[~found["family"].isin(NOT_TRICKS)]
    return [line for metric in TRACKS if (found["metric"] == metric).any() for line in _of_track(found, claims, metric)]


def _of_track(found: pd.DataFrame, claims: pd.DataFrame, metric: str) -> list[str]:
    made, tried = claims[claims["metric"] == metric], found[found["metric"] == metric]
    tested = made[made["measured"].notna()]
    told = ", ".join(f"{count} {verdict}" for verdict, count in tested["verdict"].value_counts(sort=False).items())
    out = [f"{TRACKS[metric]}: {len(made)} claims, {len(tested)} measured" + (f": {told}" if told else "")]
    helps, hurts = _of(tried, HELPS), _of(tried, HURTS)
    out += [f"  helps: {row['name']} on {row['recipe']}, {short(row)}" for row in helps[:FIRST]]
    if len(helps) > FIRST:
        out[-1] += f"; and {f.plural(len(helps) - FIRST, 'trick')} more"
    if hurts:
        out.append("  hurt: " + "; ".join(f"{row['name']} on {row['recipe']}" for row in hurts))
    return out if helps or hurts else [*out, "  no trick shows an effect that these seeds could see"]


def _of(rows: pd.DataFrame, verdict: str) -> list[dict[str, Any]]:
    return [dict(row) for row in rows[rows["verdict"] == verdict].to_dict("records")]


def _link(row: dict[str, Any]) -> str:
    kind, _, name = row["page"].partition("/")
    return f"{link(row['name'], kind, name)} on {row['recipe']}"


def _told(row: dict[str, Any]) -> str:
    over = f"over {f.plural(int(row['n']), 'seed')}" if row["n"] else "over the validation items of one run"
    holm = "" if pd.isna(row["holm"]) else f", p {f.score(row['holm'], 2)} after Holm"
    return f"{_link(row)}, {short(row)} {over}{holm}"


def _limit(rows: pd.DataFrame) -> str:
    """What comparisons without an effect would have shown: a sentence, or nothing where that is not known."""
    undecided = rows[~rows["verdict"].map(seen) & rows["detectable"].notna()]
    if undecided.empty:
        return ""
    seeds, worth = f.plural(int(undecided["n"].median()), "seed"), f.score(undecided["detectable"].median(), 4)
    return (
        f" Where no effect was seen, {seeds} would typically have shown a true one of {worth} four times out of five."
    )
