"""What is wrong with the pages of a report: parses each page and stylesheet, follows what they load and link to. python
-m tests.pagecheck [reports/laptop]"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
LOADS = {"src", "srcset", "poster", "data", "xlink:href", "background"}
CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]?([^'\";]+)")


class Page(HTMLParser):
    """What a page loads, links to and names, whether its tags close, and whether its pictures have their numbers."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self._picture = ""  # of the open figure, still without a CSV
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self._open]
        self.problems += [
            f"id {name!r} occurs twice" for name in sorted({i for i in self.ids if self.ids.count(i) > 1})
        ]
        self.problems += [] if "<h1" in text else ["no heading"]

    def handle_starttag(self, tag, attributes) -> None:
        values = {name: value or "" for name, value in attributes}
        if len(values) != len(attributes):
            self.problems.append(f"<{tag}> has an attribute twice")
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [value for name, value in values.items() if name in LOADS]
        self.loads += css_loads(values.get("style", ""))
        if tag == "link":
            self.loads.append(values["href"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
            self._picture = "" if values["href"].endswith(".csv") else self._picture
        if tag == "img":
            self._image(values)
        if tag not in VOID:
            self._open.append(tag)

    def _image(self, values: dict[str, str]) -> None:
        name = values.get("src", "")[:60]
        if not values.get("alt", "").strip():
            self.problems.append(f"<img src={name}> has no alt text")
        if "figure" not in self._open:
            self.problems.append(f"<img src={name}> stands outside a figure")
        self._picture = name

    def handle_endtag(self, tag) -> None:
        if tag == "figure" and self._picture:
            self.problems.append(f"<img src={self._picture}> has no CSV beside it")
            self._picture = ""
        if tag in VOID:
            return
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> comes while <{self._open[-1] if self._open else 'nothing'}> is open")
            if tag not in self._open:
                return
            while self._open[-1] != tag:
                self._open.pop()
        self._open.pop()

    def handle_data(self, data) -> None:
        if self._open and self._open[-1] == "style":
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
        wrong = [*page.problems, *(why for address in page.loads for why in _load(path, address, folder))]
        wrong += [why for address in page.links for why in _link(path, address, pages)]
        found += [f"{path.relative_to(folder)}: {why}" for why in wrong]
    for path in sorted(folder.rglob("*.css")):
        for address in css_loads(path.read_text(encoding="utf-8")):
            found += [f"{path.relative_to(folder)}: {why}" for why in _load(path, address, folder)]
    for path in sorted(folder.rglob("*.md")):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.S)
        for address in re.findall(r"(?<!\\)\]\(([^)\s]+)\)", text):
            found += [f"{path.relative_to(folder)}: {why}" for why in _exists(path, address)]
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
    """Links to papers and repositories may leave the disk; everything else is a page or a table, anchors included."""
    file, _, anchor = address.partition("#")
    if file.endswith(".md") and "://" not in file:
        return [f"links to {address}, which a browser shows as raw text"]
    target = (path.parent / unquote(file)).resolve() if file else path
    if anchor and target in pages and unquote(anchor) not in pages[target].ids:
        return [f"links to {address}, but there is no such anchor"]
    return _exists(path, address)


def _exists(path: Path, address: str) -> list[str]:
    file = address.partition("#")[0]
    if address.startswith(("https://", "http://", "mailto:")) or not file or (path.parent / unquote(file)).exists():
        return []
    return [f"links to {address}, which does not exist"]


def main() -> int:
    reports = Path(__file__).parents[1] / "reports"
    folders = [Path(name) for name in sys.argv[1:]] or [file.parent for file in sorted(reports.glob("*/index.html"))]
    found = [line for folder in folders for line in problems(folder)] if folders else ["no report"]
    print("\n".join(found) or "every page opens from disk")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
