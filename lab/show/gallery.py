"""Queries and the videos nearest to them, with a picture of each, as one page that needs no other file."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from lab.show import formats as f
from lab.show import shared
from lib.data import pixels
from lib.data.rejects import Wrong
from lib.runs.files import writable, write_text

TEMPLATES = Path(__file__).parent / "templates"
SIDE = 200  # pixels of a picture's longer side


def write(out: Path, queries: pd.DataFrame, found: pd.DataFrame, info: dict[str, Any]) -> Path:
    """Write the page.

    Args:
        queries: of ``Model.embed``. found: of ``Model.search``. info: of ``Model.info``.
    """
    groups = [
        {"query": _card(row["id"], row["title"]), "near": [_card(n["id"], n["title"], n["score"]) for n in near]}
        for row in queries[["id", "title"]].to_dict("records")
        for near in [found[found["query"] == row["id"]].to_dict("records")]
    ]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = environment.get_template("gallery.html.j2").render(groups=groups, model=_model(info), style=style)
    return write_text(writable(out, b"<"), page)


def _model(info: dict[str, Any]) -> str:
    """Whose vectors these are, and how well it did on videos that it was not trained on."""
    name, trained, metric = shared.system(info["recipe"]), info["trained on"], f.metric(info["metric"])
    sure = "" if info["low"] is None else f", 95 % interval {f.score(info['low'], 2)} to {f.score(info['high'], 2)}"
    return f"{name}, trained on {trained}; {metric} {f.score(info['score'], 2)} on videos that were held back{sure}."


def _card(name: str, title: str, score: float | None = None) -> dict[str, Any]:
    return {"name": name, "title": title, "score": score, "picture": _picture(name)}


@cache
def _picture(name: str) -> str:
    """The middle of three frames, as an address that holds it; empty where the video cannot be read any more."""
    from PIL import Image

    try:
        frames = pixels.frames_of(Path(name), 3)
    except (Wrong, OSError, ValueError):
        return ""
    with Image.open(io.BytesIO(frames[len(frames) // 2])) as opened:
        picture = pixels.as_seen(opened).convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
