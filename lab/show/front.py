"""The front page in words: what this is, what was found and how sure that is; every sentence is made from tables by rule.

Differences are in points, hundredths of the score. A trick is named as a gain or a harm only if its verdict survives the
correction for all comparisons of its family; ensembles are no tricks and have a sentence of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lab.show import formats as f
from lab.show import order, runs, shared, style
from lab.show.forest import forest
from lab.show.plan import Coming, Plan
from lab.show.table import Picture, link
from lab.show.verdicts import LEVEL, compared
from lib.data.store import Store
from lib.evaluation.compare import HELPS, HURTS, RULED_OUT
from lib.recipes.load import load
from lib.recipes.specs import Recipe

CONTESTS = {"aiac2021": "QQ Browser AIAC 2021", "wechat2022": "WeChat Big Data Challenge 2022"}
CODE = ("quirks", "splits", "leaks")  # families that ask of the originals' code, not of a trick
NAMED = 3  # tricks in one sentence
Row = dict[str, Any]


def about(plan: Plan, board: pd.DataFrame) -> Markdown:
    """What this is and how small. Args: board: of ``runs.systems``."""
    contests = dict.fromkeys(CONTESTS.get(load(Recipe, name).origin.contest, "others") for name in plan.systems)
    stores = [Store.open(ref.store) for ref in plan.corpora]
    made = "generated " if all(store.manifest["twin"] for store in stores) else ""
    size, videos = (
        " to ".join(dict.fromkeys(f.millions(edge) for edge in numbers.agg(["min", "max"])))
        for numbers in (board["parameters"], pd.Series(map(len, stores)))
    )
    cost = f.seconds(runs.rows(plan.jobs)["seconds"].sum())
    return Markdown(
        f"{f.plural(len(plan.systems), 'system')} of contests for short Chinese videos ({f.listed(contests)}), rebuilt on one code "
        "base so that every trick can be switched off while everything else stays. **All of it is small**: networks of "
        f"{size} parameters, corpora of {videos} {made}videos, {cost} of training. So this tests the method and "
        "cannot judge the winners, whose networks and corpora were many times as large."
    )


def findings(
    held: pd.DataFrame, frame: pd.DataFrame, board: pd.DataFrame, joined: pd.DataFrame, agreed: pd.DataFrame
) -> list[str]:
    """What was found, a sentence each, the same for the page and the terminal.

    Args:
        held: of ``claims.ledger``; frame: the table of comparisons; board: of ``runs.systems``; joined: of
            ``ensembles.of_plan``; agreed: of ``order.agreement``.
    """
    found = [_claims(held), _contradicted(held), _floors(board), _code(frame), _ensembles(joined)]
    return [*filter(None, found), *([order.sentence(agreed)] if len(agreed) else [])]


def _claims(held: pd.DataFrame) -> str:
    measured = held[held["measured"].notna() & ~_no_gain(held)]
    if not len(measured):
        return "**No claimed gain has been measured yet.**"
    gains = measured[(measured["verdict"] == HELPS) & _survives(measured)].sort_values("low", ascending=False)
    named = f": {_named(gains.to_dict('records'))}" if len(gains) else ""
    rest = measured[~measured.index.isin(gains.index)]
    doubtful = rest["verdict"].isin((HELPS, HURTS)) & ~_survives(rest)
    words = rest["verdict"].map(lambda verdict: style.of_verdict(verdict).word.removesuffix(" above"))
    uncorrected = np.where(rest["holm"].isna(), " (joined models, not corrected)", " before correction")
    words += np.where(doubtful, uncorrected, "")
    others = [f"{word} {n}" for word, n in words.value_counts(sort=False).items()]
    told = f" The others, by verdict: {f.listed(others)}." if others else ""
    gained = f"{len(gains) or 'none'} came out as a gain that survives correction"
    return f"**Of {f.plural(len(measured), 'claimed gain')} that we measured, {gained}**{named}.{told}"


def _no_gain(held: pd.DataFrame) -> pd.Series:
    """Whether it was claimed that there is a loss, or no effect."""
    return held["claimed"].astype(float) <= 0


def _contradicted(held: pd.DataFrame) -> str:
    """Claims of a gain that are ruled out or came out as a harm, of a loss that is a gain, of no effect that is either."""
    claimed, verdict = held["claimed"].astype(float), held["verdict"]
    wrong = (verdict == HURTS) & (claimed >= 0) | (verdict == HELPS) & (claimed <= 0)
    rows = held[(verdict == RULED_OUT) | wrong & _survives(held)]
    rows = rows.assign(far=(rows["claimed"].astype(float) - rows["measured"].astype(float)).abs())
    rows = rows.sort_values("far", ascending=False)
    return f"**Not what was claimed**: {_named(rows.to_dict('records'))}." if len(rows) else ""


def _floors(board: pd.DataFrame) -> str:
    """The systems below what needs no training, by name; how many a linear model beats; the best of each corpus."""
    if board.empty:
        return ""
    text, known = "", board[board["untrained"].notna()]
    below = known[known["below_floor"]].sort_values("score", kind="stable").to_dict("records")
    if below:
        alike: dict[tuple[str, str], list[Row]] = {}  # models of a system that stay behind for one reason
        for row in below:
            alike.setdefault((row["recipe"], load(Recipe, row["recipe"]).behind.get(row["arm"], "")), []).append(row)
        told = [_behind(rows, reason) for (_, reason), rows in alike.items()]
        text = f"**Below what needs no training, {len(below)} of {len(known)} models**: {'; '.join(told)}. "
    elif len(known):
        text = "Every trained system beats what needs no training. "
    fitted = board[board["linear"].notna()]
    if under := int((fitted["score"] < fitted["linear"]).sum()):
        text += f"{under} of {f.plural(len(fitted), 'model')} stay{'s' * (under == 1)} below a linear model. "
    best = board.loc[board.dropna(subset=["score"]).groupby("metric", sort=False)["score"].idxmax()]
    told = []
    for row in best.to_dict("records"):
        of = (
            f", {round(100 * row['score'] / row['oracle'])} % of what the corpus allows"
            if pd.notna(row["oracle"])
            else ""
        )
        linear = f", where a linear model has {f.score(row['linear'], 2)}" if row["linear"] > row["score"] else ""
        told.append(f"{_model(row)} with {f.score(row['score'], 2)} {f.metric(row['metric'])}{of}{linear}")
    return f"{text}Best: {'; '.join(told)}."


def _behind(rows: list[Row], reason: str) -> str:
    """Models of one system by name, with their range of scores, the floor, and why they stay below it."""
    names = dict.fromkeys(shared.model(row["recipe"], row["arm"]) for row in rows)
    scores = " to ".join(dict.fromkeys(f.score(row["score"]) for row in (rows[0], rows[-1])))
    system, floor = link(shared.system(rows[0]["recipe"]), "system", rows[0]["recipe"]), f.score(rows[0]["untrained"])
    return f"{system} with {f.listed(names)}, {scores} against {floor}{f' ({reason})' if reason else ''}"


def _code(frame: pd.DataFrame) -> str:
    rows = compared(frame)[lambda rows: rows["family"].isin(CODE) & (rows["check"] == "")]
    certain = rows[_survives(rows)].rename(columns={"difference": "measured"})
    tricks = [shared.trick(*names) for names in zip(certain["ablation"], certain["arm"], strict=True)]
    certain = certain.assign(trick=tricks, page="question/" + certain["ablation"], claimed=None)
    told = [
        f"{len(part)} {word} ({_named(part.to_dict('records'))})"
        for verdict, word in ((HURTS, "cost score"), (HELPS, "raised it"))
        if len(part := certain[certain["verdict"] == verdict])
    ]
    return f"**Code and splits of the originals**: of {f.plural(len(rows), 'difference')} measured, {' and '.join(told) or 'none matters'}." if len(rows) else ""  # fmt: skip


def _ensembles(joined: pd.DataFrame) -> str:
    rows = joined[joined["verdict"] == HELPS].to_dict("records") if len(joined) else []
    named = [f"{link(r['title'], 'ensemble', r['name'])} ({f.points(r['difference'])} points)" for r in rows]
    return f"**Joining models** gains over the one that is best on validation: {f.listed(named)}." if named else ""


def sure(held: pd.DataFrame, frame: pd.DataFrame) -> Markdown:
    """How sure: how many claims could be seen at all, what the intervals cover, what survives."""
    known = held[held["measured"].notna() & held["detectable"].notna() & (held["claimed"].fillna(0) != 0)]
    visible = known["claimed"].abs() >= known["detectable"]
    sizes = [
        f"{f.points(part['detectable'].median(), sign=False)} points of {f.metric(metric)}"
        for metric, part in known.groupby("metric", sort=False)
    ]
    asked = compared(frame)[lambda rows: (rows["check"] == "") & rows["holm"].notna()]
    text = (
        f"An effect of the claimed size could have been seen for **{int(visible.sum())} of {f.plural(len(known), 'claim')}**; half "
        f"of them would show effects of {' and '.join(sizes)}. "
        if len(known)
        else "No trick can be judged with one seed. "
        if len(frame)
        else "No trick has been compared yet. "
    )
    if len(asked):
        certain = int((asked["holm"] < LEVEL).sum())
        differ = "differs" if certain == 1 else "differ"
        text += f"{certain or 'None'} of {f.plural(len(asked), 'comparison')} {differ} from zero after correction. "
    return Markdown(
        text
        + "Intervals of tricks hold for other seeds and other videos of the same kind, those of joined models for other "
        "videos alone; neither holds for pretrained models of full size."
    )


def coming(missing: Sequence[Coming]) -> Markdown | None:
    """What the report wants and does not have yet, or nothing."""
    if not missing:
        return None
    words = []
    for part in missing:
        name = shared.system(part.name) if part.kind == "system" else f.trick(part.name)
        words.append(name + (f" ({part.there} of {f.plural(part.wanted, 'run')})" if part.there else ""))
    told = ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")
    return Markdown(
        f"> **Still coming**: {told}. What stands here is true of what is finished; the same command goes on."
    )


def claims_forest(held: pd.DataFrame) -> list[Picture]:
    """Every claim of a size that was measured, best measured first; several of one comparison are one line. Empty: none was."""
    rows = held[held["measured"].notna() & held["claimed"].notna()].rename(columns={"measured": "difference"})
    if rows.empty:
        return []
    rows = rows.assign(label=[f"{row['trick']} · {shared.system(row['recipe'])}" for row in rows.to_dict("records")])
    rows["verdict"] = rows.groupby("label")["verdict"].transform("first")
    numbers = ["difference", "low", "high", "claimed", "detectable"]
    rows[numbers] = 100 * rows[numbers].astype(float)
    rows = rows.sort_values(["metric", "difference", "label"], ascending=[False, False, True], kind="stable")
    return [forest(rows, "claims", "", f"{shared.PAIRED} (of joined models over test items alone)", "points of ")]


def lines(found: Sequence[str]) -> list[str]:
    """The sentences for a terminal: without Markdown."""
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("**", "") for text in found]


def _survives(rows: pd.DataFrame) -> pd.Series:
    """After Holm; where nothing was corrected (an ensemble), never."""
    return rows["holm"].astype(float) < LEVEL


def _named(rows: Sequence[Row]) -> str:
    """ "label smoothing (WeChat baseline, +0.6 points; claimed +0.5)", the first few."""
    told = []
    for row in rows[:NAMED]:
        kind, _, name = row["page"].partition("/")
        claimed = f"; claimed {f.points(row['claimed'])}" if pd.notna(row["claimed"]) else ""
        if claimed and row.get("claimed_in", "") not in ("", row["metric"]):
            claimed += f" of {f.metric(row['claimed_in'])}"
        where = f"{shared.system(row['recipe'])}, {f.points(row['measured'])} points{claimed}"
        told.append(f"{link(row['trick'], kind, name)} ({where})")
    return f.listed([*told, *([f"{len(rows) - NAMED} more"] if len(rows) > NAMED else [])])


def _model(row: Row) -> str:
    arm = "" if row["arm"] == "base" else f", {shared.model(row['recipe'], row['arm'])}"
    stage = f", {row['stage']}" if row["stage"] != "finetune" else ""
    return f"{link(shared.system(row['recipe']), 'system', row['recipe'])}{arm}{stage}"
