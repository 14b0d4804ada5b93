"""How a run went: the resolved job, losses by term, learning rate, validation scores."""

from __future__ import annotations

import pandas as pd

from lab.show import formats as f
from lab.show import shared, style
from lab.show.table import Column, Picture, Table, number
from lib.recipes.job import Job
from lib.runs.folder import RunFolder
from lib.runs.kinds import scored_on
from lib.runs.paths import shown

PARTS = {"unseen": "unseen videos", "seen": "seen videos"}
GRADIENT, RATE, SUM, REWIND = "gradient norm", "learning rate", "weighted sum", "rewind"


def job(job: Job) -> Table:
    """The resolved job: recipe, stage, arm, seed, corpus, digest, folder, parents, finished or not."""
    starts = (f"{role}: {shown(parent.folder.path)}" for role, parent in job.parents.items())
    facts = {key: str(value) for key, value in job.parameters.items()} | {
        "corpus": job.corpus.label,
        "frames": job.spec.features.frames.set,
        "digest": job.digest,
        "folder": shown(job.folder.path),
        "starts from": ", ".join(starts) or "random weights",
        "finished": f.significant(job.folder.is_done(job.digest)),
    }
    return Table.facts(facts, "code")


def scores(run: RunFolder) -> Table:
    """Every score of a run, that of the part it is scored on first, with its 95 % interval over items and the oracle."""
    metrics = run.read_metrics()
    rows, judged = [], scored_on(metrics["scores"])
    for split, values in sorted(metrics["scores"].items(), key=lambda item: item[0] != judged):
        for metric, value in values.items():
            row = {"split": split, "metric": metric, "score": value, "low": None, "high": None, "oracle": None}
            if split == judged:
                row["low"], row["high"] = metrics["intervals"].get(metric, [None, None])
                row["oracle"] = metrics["oracle"].get(metric)
            rows.append(row)
    columns = (
        Column("part", lambda r: PARTS.get(r["split"], r["split"])),
        shared.METRIC,
        number("score", "score"),
        shared.INTERVAL,
        shared.ORACLE,
    )
    items = ", ".join(f"{key.replace('_', ' ')}: {f.significant(value)}" for key, value in metrics["items"].items())
    kept = f"{items}. Kept: step {f.count(metrics['best_step'])} of {f.count(metrics['steps'])}."
    notes = (f"**{PARTS['unseen']}**: {shared.UNSEEN}.",) if "unseen" in metrics["scores"] else ()
    return Table(pd.DataFrame(rows), columns, kept, notes)


def curves(run: RunFolder) -> Picture:
    """Losses by term (unweighted), gradient norm, learning rate and validation score over steps, a panel each.

    The ring is the checkpoint that was kept; dotted lines are steps at which a divergence was rewound.
    """
    frame = history(run)
    parts = dict(list(frame[frame["panel"] != REWIND].groupby("panel", sort=False)))
    columns = min(3, len(parts))
    rows = -(-len(parts) // columns)
    figure, axes = style.canvas(height=1.75 * rows, rows=rows, columns=columns, squeeze=False)
    for axis, (panel, part) in zip(axes.flat, parts.items(), strict=False):
        is_score = panel.startswith("validation ")
        colour = style.GREEN if is_score else style.MUTED if panel in (RATE, GRADIENT) else style.BLUE
        axis.plot(part["step"], part["value"], color=colour, alpha=1 if is_score else 0.25, marker="." * is_score)
        axis.plot(part["step"], part["smooth"], color=colour)
        kept = part[part["kept"]]
        axis.plot(kept["step"], kept["value"], "o", markersize=9, markerfacecolor="none", color=style.RED)
        for step in [] if is_score else frame.loc[frame["panel"] == REWIND, "step"]:
            axis.axvline(step, color=style.RED, linewidth=0.9, linestyle=":")
        axis.set_title(panel, fontweight="normal", fontsize=9.5)
        axis.yaxis.set_major_formatter("{x:.3g}")  # a common exponent would sit on the title
        axis.margins(x=0.03)
        axis.locator_params(nbins=4)
        axis.set_xlabel("step")
    for axis in axes.flat[len(parts) :]:
        axis.set_axis_off()
    name, told = "_".join(run.path.parts[-4:]), ", ".join(parts)
    caption = "Each objective unweighted; the ring is the checkpoint that was kept."
    return Picture(figure, frame, f"curves_{name}", f"Over training steps: {told}", caption)


def history(run: RunFolder) -> pd.DataFrame:
    """What ``curves`` draws, one row a point.

    Returns:
        ``panel`` (title), ``step``, ``value``, ``smooth`` (running median; NaN for rate and scores), ``kept`` (bool: score
        of the checkpoint that was kept). Rows of panel ``rewind`` have a step only.
    """
    losses, scores, metrics = run.history.frame("loss"), run.history.frame("scores"), run.read_metrics()
    terms = {name: name.removeprefix("terms.") for name in losses.columns if name.startswith("terms.")}
    panels = {"loss": SUM} if len(terms) > 1 else {}  # one term has no sum
    panels |= {**terms, "grad_norm": GRADIENT, "lr": RATE}
    frames = []
    for column, title in panels.items():
        if column in losses:
            part = pd.DataFrame({"panel": title, "step": losses["step"], "value": losses[column].astype(float)})
            frames.append(part if title == RATE else part.assign(smooth=smooth(part["value"])))
    if len(scores):
        title, value = f"validation {f.metric(metrics['primary'])}", scores[f"scores.{metrics['primary']}"]
        part = pd.DataFrame({"panel": title, "step": scores["step"], "value": value})
        frames.append(part.assign(kept=part["step"] == metrics["best_step"]))
    rewinds = [row["step"] for row in run.history.frame("event").to_dict("records") if row.get("event") == REWIND]
    frames.append(pd.DataFrame({"panel": REWIND, "step": rewinds}))
    columns = ["panel", "step", "value", "smooth", "kept"]
    frame = pd.concat(frames, ignore_index=True).reindex(columns=columns)
    return frame.assign(kept=frame["kept"].eq(True))


def smooth(values: pd.Series, points: int = 60) -> pd.Series:
    """Centred running median over about a sixtieth of the curve: keeps jumps, drops flicker."""
    window = max(1, len(values) // points)
    return values.rolling(window, center=True, min_periods=1).median()
