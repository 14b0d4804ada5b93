"""Executed notebooks as pages of the report: same style, formulas as MathML, nothing from a network."""

from __future__ import annotations

import base64
import html
import io
import logging
import re
from pathlib import Path

from PIL import Image

from lab.show.html import to_html
from lab.show.plan import Plan
from lab.show.site import Site
from lib.runs import paths

TITLES = {
    "eda": "Corpus",
    "features": "Features",
    "pretrain": "Pretraining",
    "finetune": "Finetuning",
    "distill": "Distillation",
    "ablation": "Question",
    "ensemble": "Ensemble",
}


def write(site: Site, plan: Plan) -> dict[str, str]:
    """Convert the executed notebooks that exist: base runs of the first seed, corpora, questions, ensembles.

    Returns:
        folder of the run -> address of the page; a run made without its notebook is not in it.
    """
    pages = {}
    from lab.flow.tasks import tasks_of

    for task in tasks_of(plan):
        source = Path(task.executed)
        if task.rule not in TITLES or not source.exists() or not _worth_a_page(task, plan):
            continue
        name = f"notebooks/{re.sub(r'[^A-Za-z0-9_.-]+', '-', f'{task.rule}-{task.name}')}"
        parameters = [
            f"{key} {value}"
            for key, value in task.parameters.items()
            if value not in ("", None) and key not in ("out", "world")
        ]
        about = " · ".join(["executed notebook", *parameters])
        convert(site, source, name, f"{TITLES[task.rule]}: {task.name}", about)
        pages[str(source.parent)] = f"{name}.html"
    return pages


def _worth_a_page(task, plan: Plan) -> bool:
    if task.rule in ("pretrain", "finetune", "distill"):
        folder = Path(task.executed).parent
        return folder.parent.name == "base" and folder.name == f"seed{plan.seeds[0]}"
    return True


def convert(site: Site, source: Path, name: str, title: str, about: str) -> None:
    """One notebook as ``<name>.html``."""
    import nbformat
    from nbconvert import HTMLExporter
    from pygments.formatters import HtmlFormatter

    quiet = logging.getLogger(f"{__name__}.nbconvert")
    quiet.setLevel(logging.ERROR)  # it warns of missing alt texts, which are added below
    exporter = HTMLExporter(
        log=quiet, template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True, embed_images=True
    )
    exporter.register_filter("markdown2html", lambda text: to_html(text))
    notebook = nbformat.read(source, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != "guard"]
    for cell in notebook.cells:  # progress bars and warnings stay in the notebook beside the run
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = _fewer_colours(output.data["image/png"])
    body, _ = exporter.from_notebook_node(notebook)
    body = _clean(body)
    for root in (paths.home(), paths.PROJECT):  # outputs may name files; a reader has them elsewhere
        body = body.replace(f"{root}/", "")
    light, dark = (
        HtmlFormatter(style="default").get_style_defs("pre"),
        HtmlFormatter(style="github-dark").get_style_defs("pre"),
    )
    styles = f"{_only_colours(light)}\n@media (prefers-color-scheme: dark) {{\n{_only_colours(dark)}\n}}\n"
    site.html(name, to_html(about) + body, title, styles=styles, wide=True)


def _fewer_colours(png: str) -> str:
    """A figure with 256 colours on white instead of four bytes a pixel: a third of the size, no change that is seen.

    Args:
        png: base64, as a notebook holds it.
    """
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        pixels = image.convert("RGBA")
    paper = Image.new("RGBA", pixels.size, "white")
    drawn = Image.alpha_composite(paper, pixels).convert("RGB")
    few = drawn.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)  # keeps rare colours
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _clean(body: str) -> str:
    """Without scripts, with an alt text on every picture, ids unique, tables in a box that scrolls."""
    body = re.sub(r"<script\b.*?</script>", "", body, flags=re.S)
    body = re.sub(r"<style\b[^>]*>.*?</style>", "", body, flags=re.S)
    body = re.sub(r' alt="(No description has been provided for this image)?"', "", body)
    parts = re.split(r"(<h\d[^>]*>.*?</h\d>|<img (?![^>]*\balt=))", body, flags=re.S)
    heading = "this notebook"
    for number, part in enumerate(parts):
        if part.startswith("<h"):
            heading = html.escape(re.sub(r"<[^>]+>", "", part))
        elif part.startswith("<img "):
            parts[number] = f'<img alt="Figure: {heading}" '
    body = "".join(parts)
    body = re.sub(
        r'(<table border="1" class="dataframe">.*?</table>)', r'<div class="scroll">\1</div>', body, flags=re.S
    )
    return body


def _only_colours(css: str) -> str:
    """Pygments' rules for tokens, without those that paint the block itself."""
    return "\n".join(line.partition(" /*")[0] for line in css.splitlines() if re.match(r"pre \.\w", line))
