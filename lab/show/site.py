"""Site: collects pictures, tables and pages of one report in a folder beside its place, then puts it there whole.

A template is rendered twice: as HTML and as its Markdown twin. ``{{ show(thing) }}`` gives a picture or table in
whichever of the two is being made. What all pages share (rules, the Chinese font, the script that sorts tables) is
written once, when the last page is.
"""

from __future__ import annotations

import html
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lab.show import fonts, formats, style
from lab.show.html import SCRIPT, STYLESHEET, environment, page, script, stylesheet, to_html
from lab.show.slim_svg import slim
from lab.show.table import Table, inline, scroll_box
from lib.runs.files import replace_folder, write_text


@dataclass(frozen=True)
class Picture:
    """A saved figure: where it lies, what a reader who cannot see it is told, what stands below it."""

    file: str
    alt: str
    caption: str
    width: int  # CSS pixels at 100 %
    height: int

    def html(self) -> str:
        size = f'width="{self.width}" height="{self.height}"'
        image = f'<img src="{self.file}" alt="{html.escape(self.alt)}" {size} loading="lazy">'
        caption = f"<figcaption>{inline(self.caption)}</figcaption>" if self.caption else ""
        return f'<figure class="picture">{scroll_box(image, "figure", "frame")}{caption}</figure>'

    def markdown(self) -> str:
        return f"![{self.alt}]({self.file})" + (f"\n\n*{self.caption}*" if self.caption else "")


@dataclass(frozen=True)
class Download:
    """A table with the address of its CSV."""

    table: Table
    file: str

    def html(self) -> str:
        return (
            self.table.html().removesuffix("</figure>")
            + f'<p class="downloads"><a href="{self.file}">CSV</a></p></figure>'
        )

    def markdown(self) -> str:
        return f"{self.table.markdown()}\n\n[CSV]({self.file})"


class Site:
    """Raises FileExistsError from nothing: an older report at ``out`` is replaced when ``finish`` is called."""

    def __init__(self, out: Path, navigation: list[tuple[str, str]], banner: str = "", footer: str = ""):
        self.out, self.navigation, self.banner, self.footer = out, navigation, banner, footer
        self.partial = out.with_name(f".{out.name}.partial")
        self._characters: set[str] = set()  # that the font must have
        self._styles: dict[str, None] = {}  # rules that some pages add to the shared ones
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)

    def picture(self, name: str, figure: Figure, alt: str, caption: str = "") -> Picture:
        path = style.save(figure, self.partial / "figures" / f"{name}.svg")
        return self._picture(path, alt, caption)

    def existing_picture(self, source: Path, name: str, alt: str, caption: str = "") -> Picture:
        """Take over a figure (.svg) that an earlier notebook left in its run folder."""
        path = self.partial / "figures" / f"{name}.svg"
        write_text(path, slim(source.read_text(encoding="utf-8")))
        return self._picture(path, alt, caption)

    def _picture(self, path: Path, alt: str, caption: str) -> Picture:
        return Picture(f"figures/{path.name}", alt, caption, *_size(path))

    def table(self, name: str, table: Table) -> Download:
        table.write_csv(self.partial / "tables" / f"{name}.csv")
        return Download(table, f"tables/{name}.csv")

    def page(self, name: str, template: str, title: str, *, banner: str = "", **context: Any) -> None:
        """Write ``<name>.md`` and ``<name>.html`` from one template."""
        source = environment().get_template(template)
        context |= {"title": title, "f": formats, "literal": formats.literal}
        banner = " ".join(filter(None, (self.banner, banner)))
        twin = source.render(**context, show=lambda thing: f"\n{thing.markdown()}\n")
        write_text(self.partial / f"{name}.md", _tidy((f"> {banner}\n\n" if banner else "") + twin))
        body = to_html(source.render(**context, show=lambda thing: f"\n{thing.html()}\n"))
        self.html(name, body, title, banner=banner)

    def html(
        self, name: str, body: str, title: str, *, banner: str | None = None, styles: str = "", wide: bool = False
    ) -> None:
        """Write ``<name>.html`` around ``body``; ``styles`` are CSS rules that join the report's one stylesheet."""
        up = "../" * name.count("/")
        navigation = [(text, up + address) for text, address in self.navigation]
        banner = self.banner if banner is None else banner
        full = f"{title} · {self.navigation[0][0]}" if title != self.navigation[0][0] else title
        text = page(
            body, title=full, navigation=navigation, up=up, banner=inline(banner), footer=self.footer, wide=wide
        )
        self._characters |= set(fonts.needed(html.unescape(text)))
        self._styles[styles] = None
        write_text(self.partial / f"{name}.html", text)

    def finish(self) -> Path:
        """Write what the pages share, and put the report in its place."""
        characters = "".join(sorted(self._characters))
        if characters:
            (self.partial / fonts.FILE).write_bytes(fonts.woff2(characters))
        rules = [fonts.FONT_FACE if characters else "", stylesheet(), *self._styles]
        write_text(self.partial / STYLESHEET, "".join(rules))
        write_text(self.partial / SCRIPT, script())
        return replace_folder(self.partial, self.out)


def _size(path: Path) -> tuple[int, int]:
    """Width and height of an SVG file in CSS pixels; matplotlib writes points."""
    head = path.read_text(encoding="utf-8")[:2000]
    return _pixels(head, "width"), _pixels(head, "height")


def _pixels(svg: str, side: str) -> int:
    found = re.search(rf'{side}="([\d.]+)(pt|px)?"', svg)
    return round(float(found.group(1)) * (4 / 3 if found.group(2) == "pt" else 1)) if found else 600


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.strip().splitlines())) + "\n"
