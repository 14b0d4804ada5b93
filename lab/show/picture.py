"""Picture: a figure with the numbers drawn in it, its file name, and words for readers who can't see it.

A notebook shows the image. A page of the report shows image and caption, with a link to the CSV of ``frame``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lab.show import style
from lab.show.table import NUMBERS, csv


@dataclass(frozen=True)
class Picture:
    """
    Args:
        figure: what is drawn (:func:`style.canvas`).
        frame: every number drawn, one row an observation; becomes ``tables/<name>.csv``.
        name: file name without ending, unique in a report: letters, digits, ``_ . -``.
        alt: what the figure shows, for a reader who can't see it.
        caption: text below the figure on a page; inline Markdown.
        photo: the figure holds photographs, which a dark page must not invert.
        narrow: the same for a narrow screen.
    """

    figure: Figure
    frame: pd.DataFrame
    name: str
    alt: str
    caption: str = ""
    photo: bool = False
    narrow: Figure | None = None

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        about = {key: getattr(self, key) for key in ("name", "alt", "caption", "photo")} | {"csv": csv(self.frame)}
        about |= {"narrow": style.svg(self.narrow)} if self.narrow else {}
        return {"image/svg+xml": style.svg(self.figure), "text/plain": self.alt, NUMBERS: about}
