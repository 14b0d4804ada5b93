"""A page per corpus: what its notebook counted and drew before anything was trained."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lab.show import formats
from lab.show.plan import Plan
from lab.show.site import Picture, Site
from lab.show.table import Column, Table
from lib.recipes.corpus import CorpusRef
from lib.runs.files import read_json
from lib.runs.folder import MissingRun
from lib.runs.paths import shown

PICTURES = {
    "lengths": ("lengths", "missing"),
    "rare and frequent": ("long_tail",),
    "pairs": ("scores", "components"),
    "splits": (),
}  # section -> pictures
NAMES = {
    "parts": "videos of part", "pairs components": "components of pairs that share videos", "pairs count": "pairs",
    "pairs giant share": "share of pairs in the largest component", "tags distinct": "distinct tags",
    "classes with videos": "classes with videos", "classes below ten": "classes with one to nine videos",
    "classes largest": "videos of the largest class", "twin model": "version of the generator",
    "twin seed": "seed of the generator", "twin oracle": "oracle of the generator over the whole corpus,",
    "twin planted": "planted by the generator, share of videos:",
}  # beginning of a fact's name -> what it is  # fmt: skip
FACTS = ["videos", "parts", "tags", "classes", "pairs", "twin"]  # in this order, anything else behind
COLUMNS = (
    "mean",
    "p25",
    "median",
    "p75",
    "max",
    "empty",
    "training pairs",
    "validation pairs",
    "training videos",
    "validation videos",
    "touch training",
)
CAPTIONS = {
    "lengths": "How long texts are, and how many frames a video has.",
    "missing": "Share of videos without a title, without speech, without text in the picture.",
    "long_tail": "Videos per tag or class against its rank: a few are everywhere, most are rare.",
    "scores": "How often people gave each similarity.",
    "components": "Pairs that hang together through shared videos: the larger a component, the harder an honest split.",
}


def corpus(site: Site, plan: Plan, ref: CorpusRef, notebooks: dict[str, str]) -> tuple[str, str]:
    """Write ``corpus_<label>`` from what ``00_data_eda`` left: ``eda.json`` and the pictures beside it.

    Raises:
        MissingRun: the notebook has not run.
    """
    folder = plan.runs_folder / "corpora" / ref.label
    if not (folder / "eda.json").exists():
        raise MissingRun(
            f"{shown(folder)}: no eda.json. Make it with: papermill notebooks/00_data_eda.ipynb out.ipynb "
            f"-p corpus {ref.name} -p scale {plan.scale} -p out {shown(folder)}"
        )
    facts = read_json(folder / "eda.json")
    pictures = {
        path.stem: site.existing_picture(
            path, f"{ref.label}_{path.stem}", f"{_heading(path.stem)} of {ref.label}", CAPTIONS.get(path.stem, "")
        )
        for path in sorted((folder / "figures").glob("*.svg"))
    }
    sections = _sections(facts, pictures, site, ref.label)
    site.page(
        f"corpus_{ref.label}",
        "corpus.md.j2",
        f"Corpus {ref.label}",
        eyebrow=f"corpus of {ref.track} · {plan.scale} scale",
        sections=sections,
        links=[("Executed notebook", notebooks[str(folder)])] if str(folder) in notebooks else [],
    )
    return ref.label, f"corpus_{ref.label}.md"


def _sections(facts: dict[str, Any], pictures: dict[str, Picture], site: Site, label: str) -> list[dict[str, Any]]:
    """Single values in one table of facts; a mapping of mappings is a table with a row each; pictures beside them."""
    nested = {
        key: value
        for key, value in facts.items()
        if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values())
    }
    order = sorted(facts, key=lambda key: FACTS.index(key) if key in FACTS else len(FACTS))
    sections = [
        {
            "heading": "Facts",
            "table": _facts(
                _flat({key: value for key, value in ((key, facts[key]) for key in order) if key not in nested})
            ),
            "pictures": [],
        }
    ]
    placed = {picture: section for section, names in PICTURES.items() for picture in names}
    for section in dict.fromkeys([*PICTURES, *nested, "other"]):
        table = (
            site.table(f"{label}_{section.replace(' ', '_')}", _records(nested[section])) if section in nested else None
        )
        drawn = [picture for stem, picture in pictures.items() if placed.get(stem, "other") == section]
        if table or drawn:
            sections.append({"heading": _heading(section), "table": table, "pictures": drawn})
    return sections


def _records(values: dict[str, dict[str, Any]]) -> Table:
    frame = pd.DataFrame([{"": name, **item} for name, item in values.items()])
    order = [name for name in COLUMNS if name in frame]
    frame = frame[["", *order, *(name for name in frame.columns if name not in ("", *order))]]
    numbers = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    return Table.plain(frame, formats={name: formats.significant for name in numbers})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, without lists: ``{"oracle": {"spearman": x}}`` becomes ``{"oracle spearman": x}``."""
    result = {}
    for key, value in values.items():
        if isinstance(value, dict):
            result |= _flat(value, f"{prefix}{key} ")
        elif not isinstance(value, list):
            result[f"{prefix}{key}"] = value
    return result


def _heading(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _name(key: str) -> str:
    """ "twin planted careless_tags" -> "planted by the generator, share of videos: careless tags"."""
    start = next((start for start in NAMES if key.startswith(start)), "")
    rest = key.removeprefix(start).strip()
    return f"{NAMES.get(start, '')} {formats.metric(rest)}".strip() if rest else NAMES.get(start, key)


def _facts(values: dict[str, Any]) -> Table:
    shown_values = [
        formats.significant(value) if isinstance(value, bool | int | float) else str(value) for value in values.values()
    ]
    frame = pd.DataFrame({"what": [_name(key) for key in values], "value": list(values.values())})
    return Table(frame.assign(shown=shown_values), (Column("", "what"), Column("", "shown", "number")))
