"""Executed notebooks as pages of the report: same style, code folded away, formulas as MathML, nothing from a network."""

from __future__ import annotations

import re
from pathlib import Path

from lib.recipes.plan import Plan
from lib.reporting.html import to_html
from lib.reporting.site import Site

TITLES = {"eda": "Corpus", "features": "Features", "pretrain": "Pretraining", "finetune": "Finetuning", "distill": "Distillation", "ablation": "Question", "ensemble": "Ensemble"}


def write(site: Site, plan: Plan) -> dict[str, str]:
    """Convert the executed notebooks of the plan that exist: base runs of the first seed, corpora, questions, ensembles.

    Returns:
        folder of the run -> address of the page; a run made without its notebook is not in it.
    """
    pages = {}
    for task in plan.tasks:
        source = Path(task.log)
        if task.rule not in TITLES or not source.exists() or not _worth_a_page(task, plan):
            continue
        name = f"notebooks/{re.sub(r'[^A-Za-z0-9_.-]+', '-', f'{task.rule}-{task.name}')}"
        parameters = ", ".join(f"{key} {value}" for key, value in task.parameters.items() if value not in ("", None) and key not in ("out", "world"))
        convert(site, source, name, f"{TITLES[task.rule]}: {task.name}", f"Executed `{task.notebook}` with {parameters}.")
        pages[str(source.parent)] = f"{name}.html"
    return pages


def _worth_a_page(task, plan: Plan) -> bool:
    if task.rule in ("pretrain", "finetune", "distill"):
        folder = Path(task.log).parent
        return folder.parent.name == "base" and folder.name == f"seed{plan.seeds[0]}"
    return True


def convert(site: Site, source: Path, name: str, title: str, about: str) -> None:
    """One notebook as ``<name>.html``."""
    import nbformat
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True, embed_images=True)
    exporter.register_filter("markdown2html", lambda text: to_html(text))
    exporter.register_filter("highlight_code", lambda text, **_: _highlight(text))
    notebook = nbformat.read(source, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    body, _ = exporter.from_notebook_node(notebook)
    body = _clean(body)
    light, dark = HtmlFormatter(style="default").get_style_defs("pre"), HtmlFormatter(style="github-dark").get_style_defs("pre")
    styles = f"{_only_colours(light)}\n@media (prefers-color-scheme: dark) {{\n{_only_colours(dark)}\n}}"
    site.html(name, to_html(about) + body, title, styles=styles, wide=True)


def _highlight(code: str) -> str:
    """Folded: the story is in the text and the outputs."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return f"<details><summary>code</summary><pre>{highlight(code, PythonLexer(), HtmlFormatter(nowrap=True))}</pre></details>"


def _clean(body: str) -> str:
    """Without scripts, with an alt text on every picture, ids unique, tables in a box that scrolls."""
    body = re.sub(r"<script\b.*?</script>", "", body, flags=re.S)
    body = re.sub(r"<style\b[^>]*>.*?</style>", "", body, flags=re.S)
    body = re.sub(r"<img (?![^>]*\balt=)", '<img alt="figure of this notebook" ', body)
    body = re.sub(r'alt="(No description has been provided for this image)?"', 'alt="figure of this notebook"', body)
    body = re.sub(r'(<table border="1" class="dataframe">.*?</table>)', r'<div class="scroll">\1</div>', body, flags=re.S)
    return body


def _only_colours(css: str) -> str:
    """Pygments' rules for tokens, without those that paint the block itself."""
    return "\n".join(line for line in css.splitlines() if re.match(r"pre \.\w", line))
