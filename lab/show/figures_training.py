"""How a run went: losses by term, learning rate, validation scores. Histories in (``History.frame``), Figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from lab.show import style
from lab.show.formats import metric as metric_name


def smooth(values: pd.Series, points: int = 60) -> pd.Series:
    """Centred running median over about a sixtieth of the curve: keeps jumps, drops flicker."""
    window = max(1, len(values) // points)
    return values.rolling(window, center=True, min_periods=1).median()


def run_curves(
    history: pd.DataFrame, scores: pd.DataFrame, metric: str, best_step: int | None = None, rewinds: Sequence[int] = ()
) -> Figure:
    """One small panel per objective (unweighted), gradient norm, learning rate, and the validation score.

    Args:
        history: columns ``step``, ``loss``, ``lr``, ``grad_norm`` and ``terms.<name>``.
        scores: columns ``step`` and ``scores.<metric>``; may be empty.
        best_step: the checkpoint that was kept, drawn as a ring.
        rewinds: steps at which a divergence was rewound, drawn as vertical lines.
    """
    panels = _panels(history)
    total = len(panels) + bool(len(scores))
    columns = min(3, total)
    rows = -(-total // columns)
    figure, axes = style.canvas(height=1.75 * rows, rows=rows, columns=columns, squeeze=False)
    for axis, (title, name) in zip(axes.flat, panels, strict=False):
        values = history[name].astype(float)
        colour = style.MUTED if name in ("lr", "grad_norm") else style.BLUE
        if name != "lr":
            axis.plot(history["step"], values, color=colour, alpha=0.25, linewidth=0.8)
        axis.plot(history["step"], values if name == "lr" else smooth(values), color=colour)
        axis.set_title(title, fontweight="normal", fontsize=9.5)
        for step in rewinds:
            axis.axvline(step, color=style.RED, linewidth=0.9, linestyle=":")
        if name == "lr":
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")  # a common exponent would sit on the title
    if len(scores):
        _score_panel(axes.flat[len(panels)], scores, metric, best_step)
    for axis in list(axes.flat)[:total]:
        axis.margins(x=0.03)
        axis.locator_params(nbins=4)
    for axis in list(axes.flat)[total:]:
        axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel("step")
    return figure


def _panels(history: pd.DataFrame) -> list[tuple[str, str]]:
    """(title, column) of each panel; the weighted sum only where there is something to sum."""
    terms = [name for name in history.columns if name.startswith("terms.")]
    panels = [
        *((name.removeprefix("terms."), name) for name in terms),
        ("gradient norm", "grad_norm"),
        ("learning rate", "lr"),
    ]
    if len(terms) > 1:
        panels.insert(0, ("weighted sum", "loss"))
    return [(title, name) for title, name in panels if name in history.columns]


def _score_panel(axis, scores: pd.DataFrame, metric: str, best_step: int | None) -> None:
    name = f"scores.{metric}"
    axis.plot(scores["step"], scores[name], color=style.GREEN, marker="o", markersize=3.5)
    kept = scores[scores["step"] == best_step]
    axis.plot(kept["step"], kept[name], "o", markersize=9, markerfacecolor="none", markeredgewidth=1.8, color=style.RED)
    axis.set_title(f"validation {metric_name(metric)}", fontweight="normal", fontsize=9.5)


def _marker(curve: pd.Series, kind: str) -> str:
    """A curve of one point gets a marker, which no line would show."""
    return kind if len(curve) == 1 else ""


def curves_by_arm(panels: Mapping[str, tuple[str, Mapping[str, list[pd.DataFrame]]]], reference: str) -> Figure:
    """Validation curves of the arms of one question: seeds thin, their mean thick, the reference dashed.

    Args:
        panels: system -> (metric, arm -> one frame a seed with columns ``step`` and ``scores.<metric>``).
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = style.canvas(height=2.9 * rows, rows=rows, columns=columns, squeeze=False)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    for axis, (system, (metric, curves)) in zip(axes.flat, panels.items(), strict=False):
        others = [arm for arm in curves if arm != reference]
        palette = {reference: style.MUTED, **style.colours(others)}
        for arm in [reference, *others]:
            seeds = [frame.set_index("step")[f"scores.{metric}"] for frame in curves[arm] if len(frame)]
            for seed in seeds:
                axis.plot(seed.index, seed, color=palette[arm], alpha=0.35, linewidth=0.9, marker=_marker(seed, "."))
            if seeds:
                mean = pd.concat(seeds, axis=1).mean(axis=1)
                axis.plot(
                    mean.index,
                    mean,
                    color=palette[arm],
                    linewidth=2.2,
                    label=arm,
                    linestyle="--" if arm == reference else "-",
                    marker=_marker(mean, "o"),
                )
        axis.set(xlabel="step", ylabel=metric_name(metric), title=system if len(panels) > 1 else "")
        axis.locator_params(nbins=6 if columns < 3 else 4)
        axis.legend(loc="best")
    return figure
