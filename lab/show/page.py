"""The report: executed notebooks as pages, offline, with every table as CSV and every figure as SVG beside them.

    python -m lab.show.page --scale laptop

A page is one notebook, or several of a kind one below the other: the questions of a family, all ensembles, all corpora.
nbconvert and one template (``templates/page``) write it; code is folded, what a page has shown once is not repeated.
The front page and the questions have a twin in Markdown, for reading where the code is hosted.
"""

from __future__ import annotations

import argparse
import html
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import mistune
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from lab.show import formats, questions, shared
from lab.show.plan import Plan
from lab.show.specs import ReportSpec
from lab.show.table import NUMBERS, inline, link, scroll_box
from lib.recipes.load import load, split_names
from lib.recipes.specs import Recipe, Scale
from lib.runs import paths
from lib.runs.files import read_json, replace_folder, write_text
from lib.runs.folder import MissingRun

TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = {  # kind of page -> where its executed notebooks lie among the runs
    "index": "report", "claims": "claims", "system": "systems",
    "question": "ablations", "ensemble": "ensembles", "corpus": "corpora",
}  # fmt: skip
HEADINGS = dict(system="Systems", question="Questions", ensemble="Ensembles", corpus="Corpora", claims="Records")
# Cells for those who run a notebook; of 07_leaderboard also what the terminal shows.
HIDDEN = {"guard", "params", "params-about", "check", "check-about", "next", "summary", "summary-about"}
HTML_LINK = r'<a href="page:(?P<target>[^"#]*)(?:#(?P<anchor>[^"]*))?">(?P<text>.*?)</a>'
MARKDOWN_LINK = r"\[(?P<text>(?:\\.|[^\]\\])*)\]\(page:(?P<target>[^)#]*)(?:#(?P<anchor>[^)]*))?\)"


@dataclass(frozen=True)
class Section:
    """One executed notebook on a page."""

    kind: str
    name: str
    title: str


@dataclass(frozen=True)
class Page:
    """``<name>.html``."""

    name: str
    title: str
    sections: tuple[Section, ...]
    twin: bool = False  # whether there is a ``<name>.md``, too

    @property
    def joined(self) -> bool:
        return self.sections[0].kind in ("question", "ensemble", "corpus")


def pages(plan: Plan) -> list[Page]:
    """What is in the report of a plan."""
    title = load(ReportSpec, "report").title
    found = [Page("index", title, (Section("index", "", title),), twin=True)]
    found += [Page("claims", "Claims, and what the code does", (Section("claims", "", "Claims"),))]
    for name in plan.systems:
        title = load(Recipe, name).title
        found.append(Page(f"system_{name}", f"{shared.system(name)}: {title}", (Section("system", name, title),)))
    families: dict[str, list[Section]] = {}
    for name, asked in plan.ablations.items():
        section = Section("question", name, questions.title(name))
        families.setdefault(asked.family, []).append(section)
    for family, sections in families.items():
        name = f"questions_{re.sub(r'[^a-z0-9]+', '_', family.lower())}"
        found.append(Page(name, f"Questions: {family}", tuple(sections), twin=True))
    ensembles = tuple(Section("ensemble", name, spec.title) for name, spec in plan.ensembles.items())
    corpora = tuple(Section("corpus", ref.label, ref.label) for ref in plan.corpora)
    joined = (Page("ensembles", "Ensembles", ensembles), Page("corpora", "Corpora", corpora))
    return found + [page for page in joined if page.sections]


def executed(plan: Plan, kind: str, name: str = "") -> Path:
    """Where the executed notebook of a section lies."""
    return plan.runs_folder / FOLDERS[kind] / name / "notebook.ipynb"


def render(plan: Plan, out: Path | None = None) -> Path:
    """Replace the report by the pages of the executed notebooks, whole and at once.

    Returns:
        ``index.html``.

    Raises:
        MissingRun: a notebook was not executed yet; names it.
        ValueError: two different things have one name, or a link has a kind that does not exist.
    """
    out = out or plan.report_folder
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    report = Report(plan, pages(plan), partial)
    for page in report.pages:
        report.write(page)
    for file in ("style.css", "sort.js"):
        shutil.copyfile(TEMPLATES / file, partial / file)
    return replace_folder(partial, out) / "index.html"


@dataclass
class Report:
    """Pages of a plan, written into ``folder`` one by one."""

    plan: Plan
    pages: list[Page]
    folder: Path
    saved: dict[str, str] = field(default_factory=dict)  # file -> text of tables and figures

    def write(self, page: Page) -> None:
        cells = list(self._cells(page))
        if page.twin:
            text = "\n\n".join(filter(None, map(_markdown, cells)))
            write_text(self.folder / f"{page.name}.md", self._resolve(_portable(text), twin=True) + "\n")
        write_text(self.folder / f"{page.name}.html", self._resolve(_portable(self._html(page, cells)), twin=False))

    # ---- from notebooks to cells

    def _cells(self, page: Page) -> Iterator[NotebookNode]:
        """The cells of a page; outputs have ``text/html`` and ``text/markdown``, files are written."""
        yield new_markdown_cell(f"# {page.title}", id="title")
        if page.joined:
            yield new_markdown_cell("\n".join(f"- {link(s.title, s.kind, s.name)}" for s in page.sections))
        shown: set[str] = set()
        for section in page.sections:
            file = executed(self.plan, section.kind, section.name)
            if not file.exists():
                raise MissingRun(f"{paths.shown(file)}: not executed yet. Make it with: {command(self.plan)}")
            notebook = nbformat.read(file, as_version=4)
            about = notebook.metadata.get("papermill", {})
            if page.joined:
                yield new_markdown_cell(f"## {section.title}", metadata={"anchor": section.name})
            if page.name != "index":  # it ends with the command of the whole report
                yield new_markdown_cell(f"`{_command(about)}`", metadata={"class": "parameters"})
            for cell in notebook.cells:
                if cell.get("id") not in HIDDEN and "injected-parameters" not in cell.metadata.get("tags", []):
                    cell.metadata["prefix"] = f"{section.name}-" if page.joined else ""
                    yield self._cell(cell, page, shown)
                if cell.get("id") == "summary":  # of 07_leaderboard, for the terminal
                    write_text(self.folder / "summary.txt", "".join(o.get("text", "") for o in cell.outputs))
        if page.name == "index":
            yield new_markdown_cell(self._contents())

    def _cell(self, cell: NotebookNode, page: Page, shown: set[str]) -> NotebookNode:
        """A cell as it stands on the page: text and code that are there already are left out."""
        repeated, text = cell.source in shown, cell.source
        shown.add(text)
        if cell.cell_type == "markdown":
            text = _below_title(text, page.joined)
            cell.source = "\n".join(re.findall(r"^#+ .*", text, flags=re.M)) if repeated else text
            return cell
        cell.source = "" if repeated else text
        cell.outputs = [output for output in cell.get("outputs", ()) if output.get("name") != "stderr"]
        for output in cell.outputs:
            data = output.get("data", {})
            if set(data) == {"text/markdown", "text/plain"}:
                data["text/markdown"] = _below_title(data["text/markdown"], page.joined)
            self._output(data)
        return cell

    def _output(self, data: dict[str, Any]) -> None:
        """Write the files of an output and give it what a page and its twin show."""
        about = data.get(NUMBERS)
        file = self._save(f"tables/{about['name']}.csv", about["csv"]) if about else ""
        csv = f'<p class="downloads"><a href="{file}">CSV</a></p></figure>'
        if about and "image/svg+xml" in data:
            image = self._save(f"figures/{about['name']}.svg", data["image/svg+xml"])
            narrow = self._save(f"narrow/{about['name']}.svg", about["narrow"]) if "narrow" in about else ""
            data["text/html"] = _figure(image, narrow, data["image/svg+xml"], about) + csv
            caption = f"*{about['caption']}* " if about["caption"] else ""
            data["text/markdown"] = f"![{about['alt']}]({image})\n\n{caption}[CSV]({file})"
        elif about:
            data["text/html"] = data["text/html"].removesuffix("</figure>") + csv
            data["text/markdown"] += f"\n\n[CSV]({file})"
        elif "dataframe" in data.get("text/html", ""):
            plain = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.S)
            data["text/html"] = f'<figure class="table">{scroll_box(plain)}</figure>'

    def _save(self, file: str, text: str) -> str:
        if self.saved.setdefault(file, text) != text:
            raise ValueError(f"{file}: two different tables or figures of the report have this name; rename one")
        write_text(self.folder / file, text)
        return file

    # ---- from cells to HTML

    def _html(self, page: Page, cells: list[NotebookNode]) -> str:
        from nbconvert import HTMLExporter

        ids: Counter[str] = Counter()
        for number, cell in enumerate(cells):
            cell["id"] = f"cell{number}"  # those of several notebooks are the same
            if cell.cell_type == "markdown":
                body = _to_html(cell.source, ids, cell.metadata)
                cell.source = f'<div class="{kind}">{body}</div>' if (kind := cell.metadata.get("class")) else body
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                if "text/markdown" in data and "text/html" not in data:
                    data["text/html"] = _to_html(data["text/markdown"], ids, cell.metadata)
        exporter = HTMLExporter(template_name="page", extra_template_basedirs=[str(TEMPLATES)])
        about = {"title": page.title, "navigation": self._navigation(), "footer": self._footer}
        about["banner"] = load(Scale, self.plan.scale).banner
        return exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells), about)[0]

    def _navigation(self) -> list[tuple[str, str]]:
        home = (f"vidlab · {paths.world(self.plan.scale, self.plan.corpus)}", "index.html")
        named = {page.name: page.title for page in self.pages if page.name in ("ensembles", "corpora")}
        links = [(title, f"{name}.html") for name, title in {**named, "claims": "Claims and code"}.items()]
        return [home, *links, ("All pages", "index.html#all-pages")]

    def _contents(self) -> str:
        """The end of the front page: links to every page, and the command."""
        lines = ["## All pages"]
        for kind, heading in HEADINGS.items():
            about = [s for page in self.pages for s in page.sections if s.kind == kind]
            shown = {"question": formats.trick, "system": shared.system, "corpus": str}.get(kind)
            named = [(shown(s.name) if shown else s.title, s) for s in about]
            lines += [f"- **{heading}**: {', '.join(link(text, kind, s.name) for text, s in named)}"] if named else []
        return "\n".join([*lines, "", "## Repeat it", "", "```", command(self.plan), "```"])

    @cached_property
    def _footer(self) -> str:
        jobs = self.plan.jobs
        noted = [read_json(job.folder.provenance) for job in jobs if job.folder.provenance.exists()]
        commits = ", ".join(sorted({facts.get("commit", "unknown") for facts in noted})) or "unknown"
        facts = [paths.world(self.plan.scale, self.plan.corpus), formats.plural(len(jobs), "run"), f"commit {commits}"]
        return " · ".join([*facts, "every number on this page was read from run folders"])

    # ---- links between pages

    def _resolve(self, text: str, *, twin: bool) -> str:
        """Links to ``page:kind/name`` as links to files; without the page that one leads to, its text alone."""

        def one(found: re.Match) -> str:
            address = self._address(found["target"], found["anchor"] or "", twin=twin)
            link = f"[{found['text']}]({address})" if twin else f'<a href="{address}">{found["text"]}</a>'
            return link if address else found["text"]

        return re.sub(MARKDOWN_LINK if twin else HTML_LINK, one, text, flags=re.S)

    def _address(self, target: str, anchor: str, *, twin: bool) -> str:
        """The file, and the place in it, of ``kind/name``; empty if the report has no such page."""
        kind, _, name = target.partition("/")
        if kind not in FOLDERS:
            raise ValueError(f"link to page:{target}: no such kind of page; there are {', '.join(FOLDERS)}")
        for page in self.pages:
            if (kind, name) in [(section.kind, section.name) for section in page.sections]:
                place = "-".join(filter(None, (name if page.joined else "", anchor)))
                return f"{page.name}.{'md' if twin and page.twin else 'html'}" + (f"#{place}" if place else "")
        return ""


def _figure(file: str, narrow: str, svg: str, about: dict[str, Any]) -> str:
    """The open ``<figure>`` of a picture; ``narrow``: the file for a telephone, if there is one."""
    width, height = _size(svg)
    image = f'<img src="{file}" alt="{html.escape(about["alt"])}" width="{width}" height="{height}" loading="lazy">'
    if narrow:
        small = 'media="(max-width: 640px)" width="{}" height="{}"'.format(*_size(about["narrow"]))
        image = f'<picture><source srcset="{narrow}" {small}>{image}</picture>'
    caption = f"<figcaption>{inline(about['caption'])}</figcaption>" if about["caption"] else ""
    return f'<figure class="picture">{scroll_box(image, about["alt"], "frame")}{caption}'


def _size(svg: str) -> list[int]:
    """Width and height in pixels."""
    return [round(float(re.search(rf'{side}="([\d.]+)pt"', svg)[1]) * 4 / 3) for side in ("width", "height")]


def _markdown(cell: NotebookNode) -> str:
    """A cell in the Markdown twin: without code."""
    if cell.cell_type == "markdown":
        anchor = cell.metadata.get("anchor")
        return f'<a id="{anchor}"></a>\n\n{cell.source}' if anchor else cell.source
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        printed = output.get("text", "").strip()
        parts.append(f"```\n{printed}\n```" if printed else data.get("text/markdown", ""))
    return "\n\n".join(filter(None, parts))


class _Renderer(mistune.HTMLRenderer):
    """Headings get ids that occur once, tables a box that scrolls."""

    def __init__(self, ids: Counter[str], anchor: str, prefix: str):
        super().__init__(escape=False, allow_harmful_protocols=["page:"])
        self.ids, self.anchor, self.prefix = ids, anchor, prefix

    def heading(self, text: str, level: int, **attributes) -> str:
        words = re.sub(r"[^\w]+", "-", re.sub(r"<[^>]+>", "", text).lower()).strip("-")
        name = self.anchor or f"{self.prefix}{words}"
        self.ids[name] += 1
        number = f"-{self.ids[name]}" if self.ids[name] > 1 else ""
        return f'<h{level} id="{name}{number}">{text}</h{level}>\n'

    def table(self, text: str) -> str:
        return f'<figure class="table">{scroll_box(f"<table>{text}</table>")}</figure>\n'


def _to_html(text: str, ids: Counter[str], about: dict[str, Any]) -> str:
    renderer = _Renderer(ids, about.get("anchor", ""), about.get("prefix", ""))
    return str(mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough"])(text))


def _below_title(text: str, joined: bool) -> str:
    """Markdown without a title of its own, one level lower on a page of several notebooks."""
    text = re.sub(r"\A# .*\n*", "", text)
    return re.sub(r"^#", "##", text, flags=re.M) if joined else text


def _portable(text: str) -> str:
    """Outputs may name files; a reader has them elsewhere."""
    for root in (paths.home(), paths.PROJECT):
        text = text.replace(f"{root}/", "")
    return text


def _command(about: dict[str, Any]) -> str:
    """The papermill line of an executed notebook, from what papermill has noted in it."""
    given = about.get("parameters", {}).items()
    words = " ".join(f"-p {key} {value}" for key, value in given if value and key not in ("out", "missing"))
    return f"papermill notebooks/{Path(about.get('input_path') or 'this.ipynb').name} out.ipynb {words}".strip()


def command(plan: Plan) -> str:
    """The make line of the whole report."""
    plan = plan.whole or plan
    narrowed = {
        "CORPUS": plan.corpus,
        "SYSTEMS": ",".join(plan.systems) if plan.systems != load(ReportSpec, "report").at(plan.depth) else "",
        "QUESTIONS": ",".join(plan.questions),
        "SEEDS": str(len(plan.seeds)) if plan.seeds_given else "",
        "DEPTH": plan.depth if plan.depth != "default" else "",
    }
    given = [f"{key}={shlex.quote(words)}" for key, words in narrowed.items() if words]
    return " ".join([f"make reproduce SCALE={plan.scale}", *given])


def main() -> None:
    """The command line: render a report from runs that exist."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = dict(scale="laptop", depth="all", seeds=0, corpus="", systems="", questions="", out="")
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", default=default, type=type(default))
    given = parser.parse_args()
    systems, questions = split_names(given.systems), split_names(given.questions)
    plan = Plan.load(given.scale, given.corpus or None, systems, given.seeds or None, questions, given.depth).so_far()
    print(paths.shown(render(plan, Path(given.out) if given.out else None)))


if __name__ == "__main__":
    main()
