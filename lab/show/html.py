"""Markdown to an HTML page that opens from disk: no network, formulas as MathML.

Pages share one stylesheet, one font and one script, which lie beside them. The script sorts tables; without it nothing
is missing.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import mistune
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from latex2mathml.converter import convert

from lab.show.table import scroll_box

TEMPLATES = Path(__file__).parent / "templates"
STYLESHEET, SCRIPT = "style.css", "sort.js"


class Renderer(mistune.HTMLRenderer):
    """Headings get ids, tables a box that scrolls, links to Markdown twins become links to pages."""

    def text(self, text: str) -> str:
        return super().text(re.sub(r"(?<=\d) %", "\u00a0%", text))  # no line ends between a number and its sign

    def heading(self, text: str, level: int, **attributes) -> str:
        return f'<h{level} id="{slug(text)}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if "://" not in url:
            url = re.sub(r"\.md(#|$)", r".html\1", url)
        return super().link(text, url, title)

    def table(self, text: str) -> str:
        return f'<figure class="table">{scroll_box(f"<table>{text}</table>")}</figure>\n'

    def block_math(self, text: str) -> str:
        return f'<div class="scroll">{convert(text, display="block")}</div>\n'

    def inline_math(self, text: str) -> str:
        return convert(text)


def slug(text: str) -> str:
    """
    >>> slug("What came <em>out</em>?")
    'what-came-out'
    """
    return re.sub(r"[^\w]+", "-", re.sub(r"<[^>]+>", "", text).lower()).strip("-")


@cache
def _markdown() -> mistune.Markdown:
    return mistune.create_markdown(renderer=Renderer(escape=False), plugins=["table", "math", "strikethrough"])


def to_html(markdown: str) -> str:
    return str(_markdown()(markdown))


@cache
def environment() -> Environment:
    """Templates: an unknown name is an error, so that no number can be silently absent."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def stylesheet() -> str:
    """The rules that every page shares, without comments and indentation."""
    text = re.sub(r"/\*.*?\*/", "", (TEMPLATES / "style.css").read_text(encoding="utf-8"), flags=re.S)
    return "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())


@cache
def script() -> str:
    """What sorts tables."""
    return (TEMPLATES / SCRIPT).read_text(encoding="utf-8")


def page(
    body: str,
    *,
    title: str,
    navigation: list[tuple[str, str]],
    up: str = "",
    banner: str = "",
    footer: str = "",
    wide: bool = False,
) -> str:
    """A whole page around ``body``.

    Args:
        body: HTML.
        navigation: (text, address) of the bar at the top.
        up: from the page's folder to that of the stylesheet: empty or ``../``.
        banner: a warning above everything; may hold inline HTML.
        wide: an executed notebook: wider than a column of text, its tables unsorted.
    """
    template = environment().get_template("page.html.j2")
    return template.render(
        body=body, title=title, navigation=navigation, banner=banner, footer=footer, wide=wide, stylesheet=up + STYLESHEET,
        script=up + SCRIPT if "<thead>" in body and not wide else "",
    )  # fmt: skip
