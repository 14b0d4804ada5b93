"""What may be said of numbers, by rule: the sentences of the report that carry results."""

from __future__ import annotations

import pandas as pd

from lab.show import formats as f
from lab.show.answers import Answer
from lab.show.rows import Row, dicts
from lib.evaluation.compare import HELPS, HURTS

TRACKS = {"spearman": "Pairs", "mean_f1": "Classes"}


def short(row: Row) -> str:
    """+0.0120 (95 % interval +0.0060 to +0.0180), in units of the metric; without the interval where there is none."""
    between = f.interval(row["low"], row["high"], 4, signed=True)
    return f.difference(row["difference"]) + (f" (95 % interval {between})" if between != f.NOTHING else "")


def seen(verdict: str) -> bool:
    return verdict in (HELPS, HURTS)


def limit(rows: pd.DataFrame) -> str:
    """What comparisons without an effect would have shown: a sentence after others, or nothing where that is not known.

    Args:
        rows: comparisons with ``verdict``, ``n`` and ``detectable`` (``lib.evaluation.compare.detectable``: units of the metric).
    """
    undecided = rows[~rows["verdict"].map(seen) & rows["detectable"].notna()]
    if undecided.empty:
        return ""
    seeds = f.plural(int(undecided["n"].median()), "seed")
    worth = f.score(undecided["detectable"].median(), 4)
    return (
        f" Where no effect was seen, {seeds} would typically have shown a true one of {worth} four times out of five."
    )


def track_summary(metric: str, rows: pd.DataFrame) -> str:
    """One paragraph for a track: what to use first, and how sure that is.

    Args:
        rows: comparisons of all questions of the track, with ``ablation``.
    """
    name = f"**{TRACKS.get(metric, metric)}** ({f.metric(metric)})"
    effects = rows[rows["verdict"].map(seen)]
    effects = effects.reindex(effects["difference"].abs().sort_values(ascending=False, kind="stable").index)
    counted = f"{len(effects)} of {f.plural(len(rows), 'comparison')}"
    told = [
        f"[{f.trick(r['ablation'])}](ablation_{r['ablation']}.md){_arm(r)} {r['verdict']} on {r['recipe']}, {short(r)}"
        for r in dicts(effects)
    ]
    rest = limit(rows)
    if rows["n"].max() == 1:
        undecided = f"{f.plural(len(rows), 'comparison')} without a verdict"
        return f"{name}: one seed cannot tell an effect from chance; {undecided}."
    if not told:
        return f"{name}: none of {f.plural(len(rows), 'comparison')} shows an effect.{rest}"
    return f"{name}: {counted} {'shows' if len(effects) == 1 else 'show'} an effect. " + "; ".join(told) + "." + rest


def _arm(row: Row) -> str:
    return "" if row["arm"] == "with" else f" (arm `{row['arm']}`)"


def sentences(answer: Answer) -> list[str]:
    """The reading of one question: a sentence per comparison, then the claim against it."""
    lines = []
    for row in dicts(answer.comparisons):
        line = (
            f"On {row['recipe']}, `{row['arm']}` against `{answer.spec.compared_with(row['arm'])}`: **{row['verdict']}**. "
            f"Mean paired difference in {f.metric(row['metric'])} {short(row)}, {f.plural(int(row['n']), 'seed')}."
        )
        if not seen(row["verdict"]) and pd.notna(row["detectable"]):
            worth = f.score(row["detectable"], 4)
            line += f" These seeds would have shown a true effect of {worth} four times out of five."
        if row["difference"] == row["low"] == row["high"] == 0:
            line += " Every score is the same in both arms: what is switched never came into play here."
        lines.append(line + _claim(row))
    return lines


def _claim(row: Row) -> str:
    if pd.isna(row["claimed"]):
        return ""
    text = f" Claimed: {f.difference(row['claimed'])} ({row['claimed_source']})"
    if pd.isna(row["low"]):
        return text + "."
    where = (
        "inside"
        if row["low"] <= row["claimed"] <= row["high"]
        else "above"
        if row["claimed"] > row["high"]
        else "below"
    )
    return f"{text}, which lies {where} our interval."


def headline(answer: Answer) -> str:
    """One line under the question: the verdict on each system, with the difference where there is but one comparison."""
    frame = answer.comparisons
    if len(frame) == 1:
        row = dicts(frame)[0]
        text = f"{row['verdict']} on {row['recipe']}: {short(row)} in {f.metric(row['metric'])}"
    elif frame["arm"].nunique() == 1:
        found = frame.groupby("verdict", sort=False)["recipe"]
        text = "; ".join(f"{verdict} on {f.listed(recipes)}" for verdict, recipes in found)
    else:
        found = frame.groupby(["verdict", "recipe"], sort=False)["arm"]
        text = "; ".join(
            f"{verdict} on {recipe} ({'arm' if len(arms) == 1 else 'arms'} {f.listed([f'`{arm}`' for arm in arms])})"
            for (verdict, recipe), arms in found
        )
    return f"{text[0].upper()}{text[1:]}."
