"""A gallery of nearest neighbours: a row per query, a frame of each video above its title, category and cosine.

All frames lie in one JPEG; every cell shows its part of it, with an alternative text of its own.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np

from lab.show import examples, formats, frames
from lab.show.site import Download, Picture, Site
from lab.show.table import scroll_box
from lib.data.store import Store
from lib.runs.files import write_atomically
from lib.runs.folder import RunFolder

QUERIES, COUNT = 5, 4


@dataclass(frozen=True)
class Cell:
    title: str
    labels: str
    cosine: float
    framed: bool  # whether there is a frame of it


@dataclass(frozen=True)
class Gallery:
    """``cells`` [R][C], the query first in each row; ``sheet`` has their frames in the same places."""

    cells: list[list[Cell]]
    sheet: Picture
    table: Download  # the same in words, for the Markdown twin, and as CSV

    def html(self) -> str:
        names = ["video", "nearest", *["next"] * len(self.cells[0])][: len(self.cells[0])]
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        body = "".join(
            "<tr>" + "".join(self._cell(cell, line, place) for place, cell in enumerate(row)) + "</tr>"
            for line, row in enumerate(self.cells)
        )
        table = scroll_box(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", "gallery")
        caption = f"<figcaption>{html.escape(self.sheet.caption)}</figcaption>"
        download = f'<p class="downloads"><a href="{self.table.file}">CSV</a></p>'
        return f'<figure class="table">{table}{caption}{download}</figure>'

    def _cell(self, cell: Cell, line: int, place: int) -> str:
        cosine = f" · cosine {formats.score(cell.cosine, 3)}" if place else ""
        image = ""
        if cell.framed:
            cut = f"display:block;object-fit:none;object-position:-{place * frames.SIDE}px -{line * frames.SIDE}px"
            image = (
                f'<img src="{self.sheet.file}" alt="a frame of {html.escape(cell.title)}" '
                f'width="{frames.SIDE}" height="{frames.SIDE}" style="{cut}" loading="lazy">'
            )
        detail = f"<small>{html.escape(cell.labels)}{cosine}</small>"
        return f"<td>{image}{html.escape(cell.title)}{detail}</td>"

    def markdown(self) -> str:
        return f"{self.sheet.markdown()}\n\n{self.table.markdown()}"


def gallery(site: Site, name: str, run: RunFolder, store: Store) -> Gallery:
    """The gallery of a run; its sheet becomes ``figures/gallery_<name>.jpg``.

    Raises:
        ValueError: the corpus has no pictures; ``examples.neighbours`` needs none.
    """
    if not store.manifest["images"]:
        raise ValueError(f"{store.path.name}: no pictures; show the table of neighbours instead")
    rows, cosines = examples.nearest(run, QUERIES, COUNT)
    cells = [
        [
            Cell(examples.title(store, row), examples.labels(store, row), cosine, bool(store.n_images[row]))
            for row, cosine in zip(*line, strict=True)
        ]
        for line in zip(rows, cosines, strict=True)
    ]
    table = site.table(f"neighbours_{name}", examples.neighbours(run, store, QUERIES, COUNT))
    return Gallery(cells, _sheet(site, name, store, rows), table)


def _sheet(site: Site, name: str, store: Store, rows: np.ndarray) -> Picture:
    data = frames.sheet(store, rows)
    path = site.partial / "figures" / f"gallery_{name}.jpg"
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
    return Picture(
        f"figures/{path.name}",
        f"Frames of {formats.plural(len(rows), 'video')}, a row each, and to their right of the videos that {name} "
        "finds nearest to them",
        "A row per video: itself, then its neighbours, nearest first. Of each its middle frame. "
        "Below each title: category and tags, and the cosine with the video of the row.",
        width=frames.SIDE * rows.shape[1],
        height=frames.SIDE * rows.shape[0],
    )
