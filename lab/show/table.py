"""Table: a data frame with titles and formats, shown as HTML, Markdown or CSV.

The CSV holds the numbers themselves, Markdown and HTML hold them as people read them. A link to another page of the
report is written ``[text](page:kind/name)``, see :func:`link`; the exporter knows where that page lies.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mistune
import pandas as pd

from lab.show.formats import NOTHING, interval, score
from lab.show.rows import Row, dicts

LONG = 40  # rows that a page shows unasked
NUMBERS = "application/vnd.vidlab.csv+json"  # type of the output that holds a thing's file name and its CSV

_inline = mistune.create_markdown(renderer=mistune.HTMLRenderer(escape=True, allow_harmful_protocols=["page:"]))


@dataclass(frozen=True)
class Column:
    """One column as shown.

    Args:
        title: heading.
        show: a row (Series) -> text with inline Markdown, lines after the first in small print; a string names the
            field to show as it is.
        kind: "text", "number" (right-aligned, tabular figures), "verdict" (a coloured chip) or "code" (every line).
        hint: what the heading means, shown on hover.
    """

    title: str
    show: str | Callable[[Row], Any]
    kind: str = "text"
    hint: str = ""

    def text(self, row: Row) -> str:
        value = row[self.show] if isinstance(self.show, str) else self.show(row)
        missing = value is None or value is pd.NA or (isinstance(value, float) and value != value)
        return NOTHING if missing else str(value)


def with_interval(title: str, value: str, low: str, high: str, hint: str = "") -> Column:
    """A column of values, each above its interval. Args: value, low, high: names of fields."""
    return Column(title, lambda r: f"{score(r[value])}\n{interval(r[low], r[high])}", "number", hint)


@dataclass(frozen=True)
class Table:
    """
    Args:
        frame: one row a row of the table; all its columns go into the CSV.
        columns: what is shown of it, from left to right; with none there is only the CSV.
        caption: text below the table; inline Markdown.
        notes: further lines below the caption; inline Markdown.
        emphasis: row -> CSS class: "reference" for reference rows, else "".
        name: file name of the CSV without ending, unique in a report; a table without a name has no CSV.
    """

    frame: pd.DataFrame
    columns: tuple[Column, ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    emphasis: Callable[[Row], str] = field(default=lambda row: "")
    name: str = ""

    @classmethod
    def plain(
        cls, frame: pd.DataFrame, caption: str = "", formats: dict[str, Callable] | None = None, name: str = ""
    ) -> Table:
        """A table that shows every column of a frame under its own name."""
        formats = formats or {}

        def column(title: str) -> Column:
            kind = "number" if pd.api.types.is_numeric_dtype(frame[title]) else "text"
            show = formats.get(title)
            return Column(title, (lambda row: show(row[title])) if show else title, kind)

        return cls(frame, tuple(column(title) for title in frame.columns), caption, name=name)

    def _rows(self) -> list[Row]:
        return dicts(self.frame)

    def markdown(self) -> str:
        """A pipe table; ``|`` inside a cell is escaped."""
        head = [column.title for column in self.columns]
        rule = ["---:" if column.kind == "number" else "---" for column in self.columns]
        body = [[self._markdown_cell(column, row) for column in self.columns] for row in self._rows()]
        lines = ["| " + " | ".join(cells) + " |" for cells in (head, rule, *body) if cells]
        lines += [f"\n{self.caption}"] if self.caption else []
        lines += [f"\n<small>{note}</small>" for note in self.notes]
        return "\n".join(lines)

    def _markdown_cell(self, column: Column, row: Row) -> str:
        text = column.text(row).replace("|", "\\|")
        if text == NOTHING:
            return text
        if column.kind == "verdict":
            return f"**{text}**"
        return "<br>".join(f"`{line}`" if column.kind == "code" else line for line in text.splitlines())

    def html(self) -> str:
        """A table in a box of its own that scrolls sideways on narrow screens; a long one is folded."""
        head = "".join(
            f'<th scope="col" class="{column.kind}"{_title(column.hint)}>{html.escape(column.title)}</th>'
            for column in self.columns
        )
        body = "".join(
            f"<tr{_class(self.emphasis(row))}>"
            + "".join(self._html_cell(column, row) for column in self.columns)
            + "</tr>"
            for row in self._rows()
        )
        caption = f"<figcaption>{inline(self.caption)}</figcaption>" if self.caption else ""
        notes = "".join(f'<p class="note">{inline(note)}</p>' for note in self.notes)
        titled = any(column.title for column in self.columns)
        thead, kind = (f"<thead><tr>{head}</tr></thead>", "table") if titled else ("", "table facts")
        table = scroll_box(f"<table>{thead}<tbody>{body}</tbody></table>") if self.columns else ""
        if self.columns and len(self.frame) > LONG:
            table = f"<details><summary>{len(self.frame)} rows</summary>{table}</details>"
        return f'<figure class="{kind}">{table}{caption}{notes}</figure>'

    def _html_cell(self, column: Column, row: Row) -> str:
        text = column.text(row)
        if column.kind == "verdict" and text != NOTHING:
            content = chip(text)
        elif column.kind == "code":
            content = (
                "<br>".join(f"<code>{html.escape(line)}</code>" for line in text.splitlines())
                if text != NOTHING
                else text
            )
        else:
            first, *rest = text.split("\n")
            content = inline(first) + "".join(f"<small>{inline(line)}</small>" for line in rest)
        return f'<td class="{column.kind}">{content}</td>'

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        bundle: dict[str, Any] = {
            "text/html": self.html(),
            "text/markdown": self.markdown(),
            "text/plain": f"table {self.name} of {len(self.frame)} rows",
        }
        return bundle | ({NUMBERS: {"name": self.name, "csv": csv(self.frame)}} if self.name else {})


def filled(frame: pd.DataFrame, columns: dict[str, Column]) -> tuple[Column, ...]:
    """The columns (by the field they need) of whose field the frame knows anything."""
    return tuple(column for name, column in columns.items() if name in frame and frame[name].notna().any())


def csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def link(text: str, kind: str, name: str = "", anchor: str = "") -> str:
    """A Markdown link to a page of the report, for cells, captions and notes. Without such a page the text stays alone.

    Args:
        kind: "index", "claims", or with ``name``: "question", "system", "ensemble", "corpus".

    >>> link("EMA", "question", "ema"), link("all scores", "index", anchor="scores")
    ('[EMA](page:question/ema)', '[all scores](page:index#scores)')
    """
    return f"[{text}](page:{kind}{'/' if name else ''}{name}{'#' if anchor else ''}{anchor})"


def scroll_box(content: str, label: str = "table", kind: str = "scroll") -> str:
    """A box that scrolls sideways by itself, by keyboard too, so that the page never does."""
    return f'<div class="{kind}" tabindex="0" role="region" aria-label="{label}">{content}</div>'


def inline(text: str) -> str:
    """Inline Markdown as HTML, without the paragraph around it."""
    return str(_inline(text)).strip().removeprefix("<p>").removesuffix("</p>")


def chip(verdict: str) -> str:
    """A verdict as a coloured word; its class is the word that decides."""
    kind = verdict if verdict in ("helps", "hurts") else "none"
    return f'<span class="chip {kind}">{html.escape(verdict)}</span>'


def _title(hint: str) -> str:
    return f' title="{html.escape(hint)}"' if hint else ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
