"""A system drawn: its five slots, what goes in and what comes out; below them its stages and what each minimises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lab.show import style

# slot -> (x, y, width): text and frames meet in the fusion
PLACES = {
    "text": (1.85, 1.55, 1.75),
    "frames": (1.85, 0.35, 1.75),
    "fusion": (4.15, 0.95, 1.5),
    "pooling": (6.05, 0.95, 1.3),
    "head": (7.75, 0.95, 1.3),
}
HEIGHT = 0.66
ARROWS = (("text", "fusion"), ("frames", "fusion"), ("fusion", "pooling"), ("pooling", "head"))
TOP, LEFT, WIDTH, GAP, LINE = -0.12, 1.85, 2.15, 0.78, 0.24  # of the row of stages
RIGHT = 10.45  # where the drawing ends


@dataclass(frozen=True)
class Step:
    """A stage as drawn: ``objectives`` are class names, ``items`` says what it learns from (videos or pairs)."""

    name: str
    items: str
    objectives: tuple[str, ...]
    init_from: str | None = None
    teacher: str | None = None


def slots(parts: Mapping[str, str], output: str, steps: Sequence[Step] = ()) -> Figure:
    """The five slots with the class that fills each, above the stages in order.

    Args:
        parts: slot (text, frames, fusion, pooling, head) -> class name.
        output: what leaves the head ("embedding" or "class logits").
        steps: stages, parents first; a parent that is not among them is not drawn.
    """
    most = max((len(_lines(step)) for step in steps), default=0)
    bottom = TOP - (0.42 + LINE * most) - (0.42 if _skips(steps) else 0.1) if steps else 0.25
    figure, axis = style.canvas(height=1.6 * (2.3 - bottom) / 2.05)
    axis.set(xlim=(0, RIGHT), ylim=(bottom, 2.3), aspect="equal")
    axis.set_axis_off()
    for slot, (x, y, width) in PLACES.items():
        _box(axis, x, y, width, HEIGHT, style.BLUE if slot in ("text", "frames") else style.INK)
        axis.text(x + width / 2, y + HEIGHT - 0.18, slot, ha="center", va="center", fontsize=7.5, color=style.MUTED)
        name = parts[slot]
        size = min(8.2, 66 * width / len(name))  # a long name gets smaller letters, not a wider box
        axis.text(x + width / 2, y + 0.24, name, ha="center", va="center", fontsize=size, fontweight="bold")
    for source, target in ARROWS:
        (x1, y1, width), (x2, y2, _) = PLACES[source], PLACES[target]
        _arrow(axis, (x1 + width + 0.05, y1 + HEIGHT / 2), (x2 - 0.05, y2 + HEIGHT / 2))
    for name, slot in (("title, ASR,\nOCR", "text"), ("frame\nfeatures", "frames")):
        y = PLACES[slot][1] + HEIGHT / 2
        axis.text(1.35, y, name, ha="right", va="center", fontsize=8.5)
        _arrow(axis, (1.42, y), (PLACES[slot][0] - 0.05, y))
    x, y, width = PLACES["head"]
    _arrow(axis, (x + width + 0.05, y + HEIGHT / 2), (x + width + 0.4, y + HEIGHT / 2))
    axis.text(x + width + 0.45, y + HEIGHT / 2, output, ha="left", va="center", fontsize=8.5)
    if steps:
        _stages(axis, steps, 0.42 + LINE * most)
    return figure


def told(steps: Sequence[Step]) -> str:
    """The row of stages in words, for readers who do not see it."""
    return "; ".join(
        f"stage {step.name} on {step.items} with {', '.join(_lines(step))}"
        + (f", from {step.init_from}" if step.init_from else "")
        + (f", taught by {step.teacher}" if step.teacher else "")
        for step in steps
    )


def _stages(axis: Axes, steps: Sequence[Step], height: float) -> None:
    """Boxes in a row; weights go along whole lines, below the boxes where a stage lies between; teachers are dashed."""
    gap = GAP if len(steps) < 4 else 0.62
    width = min(WIDTH, (RIGHT - 0.1 - LEFT - gap * (len(steps) - 1)) / len(steps))
    size = 7.5 * min(1, width / 1.75)  # of many stages each is narrow
    at = {step.name: number for number, step in enumerate(steps)}
    left = [LEFT + number * (width + gap) for number in range(len(steps))]
    axis.text(1.35, TOP - height / 2, "training", ha="right", va="center", fontsize=8.5)
    for step, x in zip(steps, left, strict=True):
        _box(axis, x, TOP - height, width, height, style.GREEN)
        head = f"{step.name} · {step.items}"
        axis.text(x + width / 2, TOP - 0.19, head, ha="center", va="center", fontsize=size, color=style.MUTED)
        for number, line in enumerate(_lines(step)):
            y = TOP - 0.46 - number * LINE
            axis.text(x + width / 2, y, line, ha="center", va="center", fontsize=size, fontweight="bold")
    for step, x in zip(steps, left, strict=True):
        both = step.init_from in at and step.init_from == step.teacher
        for role, parent in (("weights", step.init_from), ("teaches", step.teacher)):
            if parent not in at:
                continue
            ends_at = left[at[parent]] + width
            dashed = "--" if role == "teaches" else "-"
            if at[step.name] - at[parent] > 1:
                _below(axis, ends_at - width / 2, x + width / 2, TOP - height, dashed)
                axis.text((ends_at + x) / 2, TOP - height - 0.3, role, **_LABEL)  # type: ignore[arg-type]
            else:
                y = TOP - height / 2 + (0 if not both else 0.16 if role == "weights" else -0.16)
                _arrow(axis, (ends_at + 0.05, y), (x - 0.05, y), dashed)
                axis.text((ends_at + x) / 2, y + 0.11, role, **_LABEL)  # type: ignore[arg-type]


_LABEL = {"ha": "center", "va": "center", "fontsize": 6.8, "color": style.MUTED}


def _skips(steps: Sequence[Step]) -> bool:
    """Whether a line has to go round a stage."""
    at = {step.name: number for number, step in enumerate(steps)}
    return any(at[step.name] - at.get(p, 99) > 1 for step in steps for p in (step.init_from, step.teacher) if p)


def _lines(step: Step) -> list[str]:
    return [name if count == 1 else f"{count} × {name}" for name, count in Counter(step.objectives).items()]


def _box(axis: Axes, x: float, y: float, width: float, height: float, edge: str) -> None:
    look = "round,pad=0.02,rounding_size=0.1"
    axis.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=look, facecolor="#f4f6f9", edgecolor=edge, linewidth=1.1)
    )


def _below(axis: Axes, start: float, end: float, bottom: float, line: str) -> None:
    """From under one box to under another, around what stands between."""
    low = bottom - 0.18
    axis.plot([start, start, end], [bottom - 0.03, low, low], color=style.MUTED, linewidth=1.1, linestyle=line)
    _arrow(axis, (end, low), (end, bottom - 0.02))


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], line: str = "-") -> None:
    axis.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=9,
            color=style.MUTED,
            linewidth=1.1,
            linestyle=line,
            shrinkA=0,
            shrinkB=0,
        )
    )
