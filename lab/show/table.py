"""Tables, data frames with titles and formats, as HTML, Markdown or CSV; and pictures, figures with the numbers drawn in them.

The CSV holds the numbers themselves, Markdown and HTML hold them as people read them. A link to another page of the
report is written ``[text](page:kind/name)``, see :func:`link`; the exporter knows where that page lies.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mistune
import pandas as pd
from matplotlib.figure import Figure

from lab.show import formats as f
from lab.show import style

LONG = 40  # rows that a page shows unasked
CHINESE = r"[\u3400-\u9fff][\u3000-\u9fff\uff00-\uffef]*"
NUMBERS = "application/vnd.vidlab.csv+json"  # type of the output that holds a thing's file name and its CSV
Row = dict[Any, Any]  # field -> value

_inline = mistune.create_markdown(renderer=mistune.HTMLRenderer(escape=True, allow_harmful_protocols=["page:"]))


@dataclass(frozen=True)
class Column:
    """One column as shown.

    Args:
        title: heading.
        show: a row -> text with inline Markdown, lines after the first in small print; a string names the field to show as
            it is.
        kind: "text", "number" (right-aligned, tabular figures), "verdict" (a coloured chip) or "code" (every line).
        hint: what the heading means, shown on hover and in a fold below the table.
        needs: the field without which there is nothing to show, for :func:`filled`.
    """

    title: str
    show: str | Callable[[Row], Any]
    kind: str = "text"
    hint: str = ""
    needs: str = ""

    def text(self, row: Row) -> str:
        value = row[self.show] if isinstance(self.show, str) else self.show(row)
        return f.NOTHING if value == "" or pd.isna(value) else str(value)


def number(title: str, name: str, show: Callable[[Any], str] = f.score, hint: str = "") -> Column:
    """A column of numbers. Args: name: of the field; show: a number -> text."""
    return Column(title, lambda row: show(row[name]), "number", hint, name)


def lines(*texts: str) -> str:
    """The lines of a cell, those that say something."""
    return "\n".join(text for text in texts if text not in ("", f.NOTHING)) or f.NOTHING


def signed_interval(row: Row) -> str:
    """The two ends of the interval of a difference."""
    return f.interval(row["low"], row["high"], signed=True)


def filled(frame: pd.DataFrame, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns of whose field, where they need one, the frame knows anything."""
    return tuple(c for c in columns if not c.needs or (c.needs in frame and frame[c.needs].notna().any()))


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
    def plain(cls, frame: pd.DataFrame, caption: str = "", show: Callable[[Any], str] = str, name: str = "") -> Table:
        """Every column of a frame under its own name. Args: show: a number -> text."""
        numeric = set(frame.select_dtypes("number"))
        return cls(
            frame, tuple(number(c, c, show) if c in numeric else Column(c, c) for c in frame), caption, name=name
        )

    @classmethod
    def facts(cls, facts: dict[str, str], kind: str = "text", name: str = "") -> Table:
        """A row a fact, without a head. Args: kind: of the values."""
        frame = pd.DataFrame({"what": list(facts), "value": list(facts.values())})
        return cls(frame, (Column("", "what"), Column("", "value", kind)), name=name)

    def markdown(self) -> str:
        """A pipe table; ``|`` inside a cell is escaped."""
        head = [column.title for column in self.columns]
        rule = ["---:" if column.kind == "number" else "---" for column in self.columns]
        body = [[_markdown_cell(column, row) for column in self.columns] for row in self.frame.to_dict("records")]
        lines = ["| " + " | ".join(cells) + " |" for cells in (head, rule, *body) if cells]
        lines += [f"\n{self.caption}"] if self.caption else []
        lines += [f"\n<small>{note}</small>" for note in self.notes]
        return "\n".join(lines)

    def html(self) -> str:
        """A table in a box of its own that scrolls sideways on narrow screens; a long one is folded."""
        caption = f"<figcaption>{inline(self.caption)}</figcaption>" if self.caption else ""
        caption += "".join(f'<p class="note">{inline(note)}</p>' for note in self.notes)
        titled = any(column.title for column in self.columns)
        head = (
            f'<th scope="col" class="{c.kind}"{_attribute("title", c.hint)}>{html.escape(c.title)}</th>'
            for c in self.columns
        )
        head = f"<thead><tr>{''.join(head)}</tr></thead>" if titled else ""
        rows = "".join(
            f"<tr{_attribute('class', self.emphasis(row))}>{''.join(_html_cell(c, row) for c in self.columns)}</tr>"
            for row in self.frame.to_dict("records")
        )
        label = re.sub(r"<[^>]+>", "", inline(self.caption)).split(". ")[0].rstrip(".:") or self.name or "table"
        table = scroll_box(f"<table>{head}<tbody>{rows}</tbody></table>", label) if self.columns else ""
        if self.columns and len(self.frame) > LONG:
            table = f"<details><summary>{len(self.frame)} rows</summary>{table}</details>"
        meant = "".join(f"<dt>{html.escape(c.title)}</dt><dd>{inline(c.hint)}</dd>" for c in self.columns if c.hint)
        caption += f"<details><summary>what the columns mean</summary><dl>{meant}</dl></details>" if meant else ""
        return f'<figure class="table{"" if titled else " facts"}">{table}{caption}</figure>'

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        about = f"table {self.name} of {len(self.frame)} rows"
        bundle: dict[str, Any] = {"text/html": self.html(), "text/markdown": self.markdown(), "text/plain": about}
        return bundle | ({NUMBERS: {"name": self.name, "csv": csv(self.frame)}} if self.name else {})


@dataclass(frozen=True)
class Picture:
    """A figure with the numbers drawn in it, its file name, and words for readers who can't see it.

    A notebook shows the image. A page of the report shows image and caption, with a link to the CSV of ``frame``.

    Args:
        figure: what is drawn (:func:`style.canvas`).
        frame: every number drawn, one row an observation; becomes ``tables/<name>.csv``.
        name: file name without ending, unique in a report: letters, digits, ``_ . -``.
        alt: what the figure shows, for a reader who can't see it.
        caption: text below the figure on a page; inline Markdown.
        narrow: the same for a narrow screen.
    """

    figure: Figure
    frame: pd.DataFrame
    name: str
    alt: str
    caption: str = ""
    narrow: Figure | None = None

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        about = {key: getattr(self, key) for key in ("name", "alt", "caption")} | {"csv": csv(self.frame)}
        about |= {"narrow": style.svg(self.narrow)} if self.narrow else {}
        return {"image/svg+xml": style.svg(self.figure), "text/plain": self.alt, NUMBERS: about}


def _markdown_cell(column: Column, row: Row) -> str:
    text = column.text(row).replace("|", "\\|")
    if text == f.NOTHING:
        return text
    if column.kind == "verdict":
        return f"**{text}**"
    return "<br>".join(f"`{line}`" if column.kind == "code" else line for line in text.splitlines())


def _html_cell(column: Column, row: Row) -> str:
    text = column.text(row)
    first, *rest = text.split("\n")
    content = inline(first) + "".join(f"<small>{inline(line)}</small>" for line in rest)
    if column.kind == "verdict" and text != f.NOTHING:
        content = chip(text)
    elif column.kind == "code" and text != f.NOTHING:
        content = "<br>".join(f"<code>{html.escape(line)}</code>" for line in text.splitlines())
    return f'<td class="{column.kind}">{content}</td>'


def _attribute(name: str, value: str) -> str:
    return f' {name}="{html.escape(value)}"' if value else ""


def csv(frame: pd.DataFrame) -> str:
    """The numbers themselves in full precision, with unix line ends."""
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
    return f'<div class="{kind}" tabindex="0" role="region" aria-label="{html.escape(label)}">{content}</div>'


def inline(text: str) -> str:
    """Inline Markdown as HTML, without the paragraph around it; Chinese says that it is Chinese."""
    shown = str(_inline(text)).strip().removeprefix("<p>").removesuffix("</p>")
    return re.sub(CHINESE, lambda found: f'<span lang="zh">{found[0]}</span>', shown)


def chip(verdict: str) -> str:
    """A verdict as a coloured word."""
    return f'<span class="chip {style.of_verdict(verdict).kind}">{html.escape(verdict)}</span>'
