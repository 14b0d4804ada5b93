"""Pages about data: a corpus as its notebook saw it, the embedding map, the errors, and where everything came from."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lib.data.store import Store
from lib.recipes.corpus import CorpusRef
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.plan import Plan
from lib.recipes.specs import Recipe
from lib.reporting import agreement, examples, formats, gather, pages_pairs, predictions, show, tables
from lib.reporting.gallery import COUNT, gallery
from lib.reporting.site import Picture, Site
from lib.reporting.table import Column, Table
from lib.runs import paths
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


def scored_job(plan: Plan, recipe: str, seed: int | None = None) -> Job:
    """The first stage of a recipe that is judged by the task's own metric; first seed if none is named."""
    for stage in load(Recipe, recipe).main_stages:
        job = plan.job(recipe, stage, "base", plan.seeds[0] if seed is None else seed)
        if gather.metrics_of(job)["primary"] in gather.TASK_METRICS:
            return job
    raise MissingRun(f"{recipe}: no stage is judged by {' or '.join(gather.TASK_METRICS)}")


def corpus(site: Site, plan: Plan, ref: CorpusRef, notebooks: dict[str, str]) -> tuple[str, str]:
    """Write ``corpus_<label>`` from what ``00_data_eda`` left: ``eda.json`` and the pictures beside it.

    Raises:
        MissingRun: the notebook has not run.
    """
    folder = paths.runs(plan.scale, plan.corpus) / "corpora" / ref.label
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


def embedding_map(site: Site, plan: Plan, name: str) -> tuple[str, str]:
    """Write ``map_<recipe>``."""
    job = scored_job(plan, name)
    store = Store.open(job.corpus.store)
    pictures = store.manifest["images"]
    what = "embeddings" if job.folder.embeddings.exists() else "class logits"
    agree = examples.agreement(job.folder, store, COUNT)
    picture = site.picture(
        f"map_{name}",
        show.embedding_map(job.folder, store),
        f"Videos of {store.path.name} in the space of {name}, coloured by upper-level category, some with their title"
        + (" and a frame" if pictures else ""),
        f"{what.capitalize()} of {name}, seed {job.seed}: principal components, then t-SNE. "
        "Colour: upper-level category. Distances between far groups mean nothing.",
    )
    site.page(
        f"map_{name}",
        "map.md.j2",
        f"What {name} finds alike",
        eyebrow=f"embedding map · {name} {job.stage} · {job.corpus.label}",
        system=name,
        what=what,
        map=picture,
        pictures=pictures,
        neighbours=gallery(site, name, job.folder, store)
        if pictures
        else site.table(f"neighbours_{name}", show.neighbours(job.folder, store)),
        count=formats.count(COUNT),
        videos=formats.count(agree["videos"]),
        share=formats.share(agree["share"]),
        chance=formats.share(agree["chance"]),
    )
    return name, f"map_{name}.md"


def errors(site: Site, plan: Plan, name: str) -> tuple[str, str]:
    """Write ``errors_<recipe>``."""
    job = scored_job(plan, name)
    store, run = Store.open(job.corpus.store), job.folder
    metrics = gather.metrics_of(job)
    primary, is_pairs = metrics["primary"], predictions.kind(run) == "pairs"
    label = formats.metric(primary)
    what = (
        (
            "Predicted against human score of the validation pairs",
            "Left: values; right: ranks, which is all that Spearman sees.",
        )
        if is_pairs
        else (
            "Confusion matrix of the upper level of the category tree",
            "Upper level of the category tree: share of each true class (row) that was given each class (column).",
        )
    )
    context = {
        "predicted": site.picture(f"predicted_{name}", show.predicted(run, store), *what),
        "slices": site.picture(
            f"slices_{name}",
            show.slices(run, store),
            f"Scores of {name} by kind of video",
            f"{'Spearman' if is_pairs else 'Share of right answers'} by kind of video, with 95 % intervals; "
            "the dotted line is over everything.",
        ),
        "worst": site.table(f"worst_{name}", show.worst(run, store)),
        "pairs": pages_pairs.sections(site, name, job, store) if is_pairs else None,
        "confused": None if is_pairs else site.table(f"confused_{name}", examples.confused(run, store)),
    }
    site.page(
        f"errors_{name}",
        "errors.md.j2",
        f"Where {name} is wrong",
        system=name,
        eyebrow=f"errors · {name} {job.stage}, seed {job.seed} · {job.corpus.label}",
        label=label[0].upper() + label[1:],
        score=formats.score(metrics["scores"]["validation"][primary], 4),
        items=formats.count(metrics["items"]["validation"]),
        **context,
    )
    return name, f"errors_{name}.md"


def provenance(site: Site, plan: Plan, runs: pd.DataFrame) -> tuple[str, str]:
    """Write ``provenance``: every run, its digest, its commit, its cost."""
    fingerprints = {ref.label: Store.open(ref.store).fingerprint for ref in plan.corpora}
    facts = {
        "runs": formats.count(len(runs)),
        "training time in all": formats.seconds(runs["seconds"].sum()),
        "largest peak memory": f"{formats.count(runs['peak_rss_mb'].max())} MB",
        "commits": ", ".join(sorted(runs["commit"].unique())),
        "uncommitted changes": "yes" if runs["dirty"].any() else "no",
        "devices": ", ".join(sorted(runs["device"].unique())),
        "processor": agreement.processor(),
        "platforms": ", ".join(sorted(map(str, runs["platform"].unique()))),
        "python": ", ".join(sorted(map(str, runs["python"].unique()))),
        "torch": ", ".join(sorted(map(str, runs["torch"].unique()))),
        **{f"fingerprint of {label}": fingerprint for label, fingerprint in fingerprints.items()},
    }
    table = Table(
        pd.DataFrame({"what": list(facts), "value": list(facts.values())}), (Column("", "what"), Column("", "value"))
    )
    site.page(
        "provenance",
        "provenance.md.j2",
        "Provenance",
        eyebrow=f"{plan.scale} scale",
        mixed=gather.mixed(runs),
        facts=site.table("provenance", table),
        runs=site.table("runs", tables.provenance(runs)),
    )
    return "Provenance", "provenance.md"
