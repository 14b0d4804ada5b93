"""Pages about what a system makes of the data: the embedding map and the errors; and where everything came from."""

from __future__ import annotations

import pandas as pd

from lab.show import agreement, examples, formats, pages_pairs, predictions, show, tables
from lab.show import runs as gather
from lab.show.gallery import COUNT, gallery
from lab.show.plan import Plan
from lab.show.site import Site
from lab.show.table import Column, Table
from lib.data.store import Store
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Recipe
from lib.runs.folder import MissingRun
from lib.runs.kinds import CONTEST_METRICS


def scored_job(plan: Plan, recipe: str, seed: int | None = None) -> Job:
    """The first stage of a recipe that is judged by the task's own metric; first seed if none is named."""
    for stage in load(Recipe, recipe).main_stages:
        job = plan.job(recipe, stage, "base", plan.seeds[0] if seed is None else seed)
        if gather.metrics_of(job)["primary"] in CONTEST_METRICS:
            return job
    raise MissingRun(f"{recipe}: no stage is judged by {' or '.join(CONTEST_METRICS)}")


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
