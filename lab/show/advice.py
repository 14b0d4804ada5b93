"""Which trick first: the answer that a reader of the front page takes home, made from the comparisons by rule.

A trick is worth naming when it helps by our rule. Tricks are ranked by the lower end of their interval: what they are worth
if one is cautious. Quirks and splits are findings about the originals; how frames were encoded, and what a bag of n-grams
can do, depends on the corpus: it is told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lab.show import formats as f
from lab.show.certainty import LEVEL
from lab.show.reading import TRACKS, limit, short
from lab.show.rows import dicts
from lib.evaluation.compare import HELPS, HURTS

OF_CORPUS = ("frame encoder", "simple models")  # families of questions whose answer is about the corpus
NOT_TRICKS = (*OF_CORPUS, "quirks", "splits")
FIRST = 3  # how many tricks a sentence names


def tricks(compared: pd.DataFrame, ensembles: Sequence[dict]) -> pd.DataFrame:
    """Tricks with their measured effect, best lower end first.

    Args:
        compared: rows of ``certainty.comparisons``.
        ensembles: rows of ``ensembles.summary``: each against its best member, with an interval over validation items, not
            seeds; ``n`` is 0 for them.

    Returns:
        one row a trick; ``difference``, ``low``, ``high`` (95 % interval) and ``detectable`` are in units of ``metric``.
    """
    rows = [_asked(row) for row in dicts(compared) if row["family"] not in NOT_TRICKS]
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
    """One paragraph for a track, in Markdown: what to use first, how sure that is, what to leave.

    Args:
        frame: of :func:`tricks`.
        metric: "spearman" or "mean_f1".
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
        certain = [_named(row) for row in dicts(questions[questions["holm"] < LEVEL])]
        told = f" ({', '.join(certain)})" if 0 < len(certain) <= FIRST else ""
        among = f.plural(len(questions), "comparison")
        text += f" Judged together (Holm), {len(certain) or 'none'} of {among} over seeds would stand{told}."
        text += limit(questions)
    if len(hurts):
        worst = [f"{_link(row)}, {f.difference(row['difference'])}" for row in dicts(hurts.sort_values("high"))]
        text += f" Leave: {'; '.join(worst)}."
    return text


def of_corpus(compared: pd.DataFrame, metric: str) -> str:
    """A sentence on what helps without being a trick, in Markdown with a blank before it; empty if nothing does.

    Args:
        compared: rows of ``certainty.comparisons``.
    """
    rows = compared[
        compared["family"].isin(OF_CORPUS) & (compared["metric"] == metric) & (compared["verdict"] == HELPS)
    ]
    told = [
        f"{_link(_asked(row))}, {short(row)}" for row in dicts(rows.sort_values("low", ascending=False, kind="stable"))
    ]
    return f" No trick, but ahead on this corpus: {'; '.join(told)}." if told else ""


def lines(frame: pd.DataFrame, claims: pd.DataFrame) -> list[str]:
    """The summary of the ledger for a terminal: at most ``FIRST`` + 2 lines of plain text for each of the two tracks.

    Args:
        frame: of :func:`tricks`.
        claims: of :func:`lab.show.ledger.ledger`.
    """
    return [line for metric in TRACKS if (frame["metric"] == metric).any() for line in _of_track(frame, claims, metric)]


def _of_track(frame: pd.DataFrame, claims: pd.DataFrame, metric: str) -> list[str]:
    made, tried = claims[claims["metric"] == metric], frame[frame["metric"] == metric]
    tested = made[made["measured"].notna()]
    told = ", ".join(f"{count} {verdict}" for verdict, count in tested["verdict"].value_counts(sort=False).items())
    out = [f"{TRACKS[metric]}: {len(made)} claims, {len(tested)} measured" + (f": {told}" if told else "")]
    helps, hurts = (dicts(tried[tried["verdict"] == verdict]) for verdict in (HELPS, HURTS))
    out += [f"  helps: {_named(row)}, {short(row)}" for row in helps[:FIRST]]
    if len(helps) > FIRST:
        out[-1] += f"; and {f.plural(len(helps) - FIRST, 'trick')} more"
    if hurts:
        out.append(f"  hurt: {'; '.join(map(_named, hurts))}")
    return out if helps or hurts else [*out, "  no trick shows an effect that these seeds could see"]


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``certainty.comparisons`` with its page and the name a reader sees."""
    return {**row, "page": f"ablation_{row['ablation']}.md", "name": _name(row)}


def _name(row: dict[str, Any]) -> str:
    name = f.trick(row["ablation"])
    return name if row["arm"] == "with" else f"{name}: {row['arm']}"


def _named(row: dict[str, Any]) -> str:
    return f"{row['name']} on {row['recipe']}"


def _link(row: dict[str, Any]) -> str:
    return f"[{row['name']}]({row['page']}) on {row['recipe']}"


def _told(row: dict[str, Any]) -> str:
    over = f"over {f.plural(int(row['n']), 'seed')}" if row["n"] else "over the validation items of one run"
    holm = "" if pd.isna(row["holm"]) else f", p {f.score(row['holm'], 2)} after Holm"
    return f"{_link(row)}, {short(row)} {over}{holm}"
