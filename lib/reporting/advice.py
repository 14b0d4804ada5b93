"""Which trick first: the answer that a reader of the front page takes home, made from the comparisons by rule.

A trick is worth naming when it helps by our rule. Tricks are ranked by the lower end of their interval: what they are worth
if one is cautious. Quirks and splits are findings about the originals, not tricks, and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lib.evaluation.compare import HELPS, HURTS
from lib.reporting import formats as f
from lib.reporting.certainty import LEVEL
from lib.reporting.reading import TRACKS
from lib.reporting.rows import dicts

NOT_TRICKS = ("quirks", "splits")
FIRST = 3  # how many tricks a sentence names


def tricks(compared: pd.DataFrame, ensembles: Sequence[dict]) -> pd.DataFrame:
    """Tricks with their measured effect, best lower end first: comparisons of questions, and ensembles against their best
    member (whose intervals run over validation items, not seeds)."""
    rows: list[dict[str, Any]] = [
        {**row, "page": f"ablation_{row['ablation']}.md", "name": _name(row)}
        for row in dicts(compared)
        if row["family"] not in NOT_TRICKS
    ]
    rows += [
        {
            "page": f"ensemble_{row['name']}.md", "name": f"ensemble {row['title']}", "recipe": row["recipe"], "metric": row["metric"],
            "difference": row["difference"], "low": row["difference_low"], "high": row["difference_high"],
            "verdict": row["verdict"], "n": 0, "holm": float("nan"), "detectable": float("nan"),
        }
        for row in ensembles
    ]  # fmt: skip
    frame = pd.DataFrame(
        rows,
        columns=["name", "page", "recipe", "metric", "difference", "low", "high", "verdict", "n", "holm", "detectable"],
    )
    return frame.sort_values("low", ascending=False, kind="stable", ignore_index=True)


def advice(frame: pd.DataFrame, metric: str) -> str:
    """One paragraph for a track: what to use first, how sure that is, what to leave.

    Args:
        frame: of :func:`tricks`.
    """
    rows = frame[frame["metric"] == metric]
    helps, hurts = rows[rows["verdict"] == HELPS], rows[rows["verdict"] == HURTS]
    questions = rows[rows["n"] > 1]
    text = f"**{TRACKS.get(metric, metric)}** ({f.metric(metric)}): "
    if len(helps):
        first, *then = (_told(row) for row in dicts(helps.head(FIRST)))
        text += f"first {first}" + (f"; then {'; then '.join(then)}" if then else "") + "."
    else:
        text += f"none of {f.plural(len(rows), 'trick')} tried helps by our rule."
    if len(questions):
        certain = int((questions["holm"] < LEVEL).sum())
        text += (
            f" Of {f.plural(len(questions), 'comparison')} over seeds {certain or 'none'} would stand if all are judged together"
            " (Holm)"
        )
        limit = questions.loc[questions["verdict"].map(lambda v: v not in (HELPS, HURTS)), "detectable"].median()
        text += "." if limit != limit else f"; an effect below about {f.score(limit)} could not have been seen."
    if len(hurts):
        text += f" Leave: {', '.join(_link(row) for row in dicts(hurts.sort_values('high')))}."
    return text


def lines(frame: pd.DataFrame, claims: pd.DataFrame) -> list[str]:
    """The summary of the ledger in at most ten lines of plain text, for a terminal."""
    out = []
    for metric in dict.fromkeys(frame["metric"]):
        track = TRACKS.get(metric, metric)
        of_track = claims[claims["metric"] == metric]
        tested = of_track[of_track["measured"].notna()]
        counts = {verdict: int((tested["verdict"] == verdict).sum()) for verdict in dict.fromkeys(tested["verdict"])}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        out.append(f"{track}: {len(of_track)} claims, {len(tested)} measured" + (f": {told}" if told else ""))
        helps = frame[(frame["metric"] == metric) & (frame["verdict"] == HELPS)]
        for row in dicts(helps.head(FIRST)):
            out.append(f"  {_plain(row)}")
        hurts = frame[(frame["metric"] == metric) & (frame["verdict"] == HURTS)]
        if len(hurts):
            out.append("  hurt: " + ", ".join(f"{row['name']} on {row['recipe']}" for row in dicts(hurts)))
        if not len(helps) and not len(hurts):
            out.append("  no trick shows an effect that these seeds could see")
    return out[:10]


def _name(row: dict[str, Any]) -> str:
    name = row["ablation"].replace("_", " ")
    return name if row["arm"] == "with" else f"{name}: {row['arm']}"


def _link(row: dict[str, Any]) -> str:
    return f"[{row['name']}]({row['page']}) on {row['recipe']}, {f.difference(row['difference'])}"


def _told(row: dict[str, Any]) -> str:
    over = f"{f.plural(int(row['n']), 'seed')}" if row["n"] else "validation items of one run"
    holm = "" if row["holm"] != row["holm"] else f", {f.score(row['holm'], 2)} after Holm"
    return f"{_link(row)} (95 % interval {f.interval(row['low'], row['high'], 4, signed=True)}, {over}{holm})"


def _plain(row: dict[str, Any]) -> str:
    between = f.interval(row["low"], row["high"], 4, signed=True)
    return f"helps: {row['name']} on {row['recipe']}, {f.difference(row['difference'])} ({between})"
