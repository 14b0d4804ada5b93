"""Does every page open from disk, without a network? Parses each page and stylesheet and follows what they load and link to.

``python -m lab.show.check reports/laptop``
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
LOADS = {"src", "srcset", "poster", "data", "xlink:href", "background"}
CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]?([^'\";]+)")


class Page(HTMLParser):
    """Collects what a page loads, links to and defines, and whether its tags close."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self._style = False
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if len(values) != len(attributes):
            self.problems.append(f"<{tag}> has an attribute twice")
        if tag == "img" and not values.get("alt", "").strip():
            self.problems.append(f"<img src={values.get('src', '')[:60]}> has no alt text")
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [value for name, value in values.items() if name in LOADS]
        self.loads += [values["href"]] if tag == "link" and "href" in values else []
        self.links += [values["href"]] if tag == "a" and "href" in values else []
        self.loads += css_loads(values.get("style", ""))
        if tag not in VOID:
            self._open.append(tag)
        self._style = tag == "style"

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self._style = False
        if tag in VOID:
            return
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> comes while <{self._open[-1] if self._open else 'nothing'}> is open")
            if tag not in self._open:
                return
            while self._open[-1] != tag:
                self._open.pop()
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._style:
            self.loads += css_loads(data)


def css_loads(text: str) -> list[str]:
    """What CSS rules load."""
    return [first or second for first, second in CSS_URL.findall(text)]


def problems(folder: Path) -> list[str]:
    """One line for each thing wrong with the pages of a report; empty if all is well."""
    folder = folder.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = [] if pages else [f"{folder}: no pages"]
    for path, page in pages.items():
        name = path.relative_to(folder)
        found += [f"{name}: {problem}" for problem in page.problems]
        found += [
            f"{name}: id {identity!r} occurs twice"
            for identity in sorted({i for i in page.ids if page.ids.count(i) > 1})
        ]
        for address in page.loads:
            found += [f"{name}: {why}" for why in _load(path, address, folder)]
        for address in page.links:
            found += [f"{name}: {why}" for why in _link(path, address, pages)]
    for path in sorted(folder.rglob("*.css")):
        for address in css_loads(path.read_text(encoding="utf-8")):
            found += [f"{path.relative_to(folder)}: {why}" for why in _load(path, address, folder)]
    return found


def _load(path: Path, address: str, folder: Path) -> list[str]:
    """A page shows only what came with its report."""
    if address.startswith(("data:", "#")):
        return []
    if "://" in address or address.startswith("//"):
        return [f"loads {address} from the network"]
    target = (path.parent / unquote(address)).resolve()
    if not target.is_relative_to(folder):
        return [f"loads {address}, which is no part of the report"]
    return [] if target.exists() else [f"loads {address}, which does not exist"]


def _link(path: Path, address: str, pages: dict[Path, Page]) -> list[str]:
    """Plain links to papers and repositories may leave the disk; everything else must be there, anchors included."""
    if address.startswith(("https://", "http://", "mailto:")):
        return []
    file, _, anchor = address.partition("#")
    target = (path.parent / unquote(file)).resolve() if file else path
    if not target.exists():
        return [f"links to {address}, which does not exist"]
    if anchor and target in pages and unquote(anchor) not in pages[target].ids:
        return [f"links to {address}, but there is no such anchor"]
    return []


def main() -> int:
    found = [line for folder in sys.argv[1:] for line in problems(Path(folder))]
    print("\n".join(found) or "every page opens from disk")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
