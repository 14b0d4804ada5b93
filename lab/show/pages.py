"""The report of a plan: every page as HTML and Markdown, every figure as SVG, every table as CSV.

``python -m lab.show.pages --scale laptop`` renders it from finished runs; ``07_leaderboard`` does the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from lab.show import (
    figures_compare,
    formats,
    notebook_pages,
    pages_checks,
    pages_classes,
    pages_contradictions,
    pages_corpus,
    pages_data,
    pages_ensembles,
    pages_ledger,
    pages_questions,
    pages_recipe,
    reading,
    tables,
    tables_ensembles,
)
from lab.show import (
    runs as gather,
)
from lab.show.answers import Answer, answer
from lab.show.plan import Plan
from lab.show.site import Site
from lib.recipes.load import load, split_names
from lib.recipes.specs import ReportSpec, Scale
from lib.runs import paths
from lib.runs.paths import shown


def render(
    scale: str = "laptop", corpus: str = "", systems: str = "", seeds: int = 0, questions: str = "", out: str = ""
) -> Path:
    """Render the whole report.

    Args:
        corpus: path of a store; empty for the scale's own corpora.
        systems: recipes, separated by commas; empty for those of ``params/report.yaml``.
        seeds: how many; 0 for the scale's.
        questions: of ``params/ablations/``, separated by commas; empty for those of ``params/report.yaml``.
        out: folder; empty for ``reports/<scale>[-<corpus>]``.

    Returns:
        ``index.html``.

    Raises:
        MissingRun: a run is absent or stale; names it and the command that makes it.
    """
    plan = Plan.load(scale, corpus or None, split_names(systems), seeds or None, split_names(questions))
    board = gather.systems(plan)
    runs = gather.rows(plan.jobs)
    answered = [answer(plan, name) for name in plan.ablations]
    answers, checked = ([a for a in answered if bool(a.spec.check) == known] for known in (False, True))
    site = Site(
        Path(out) if out else plan.report_folder, navigation(plan), load(Scale, scale).banner, footer(plan, runs)
    )
    notebooks = notebook_pages.write(site, plan)
    recipes = [pages_recipe.recipe(site, plan, name, board, answers, notebooks) for name in plan.systems]
    for found in answers:
        pages_questions.ablation(site, plan, found, notebooks)
    ensembles = [pages_ensembles.ensemble(site, plan, name, notebooks) for name in plan.ensembles]
    contradictions = pages_contradictions.page(site, plan, answers)
    checks = [link for link in [pages_checks.checks(site, plan, checked, notebooks)] if link is not None]
    more = [
        ("Systems", recipes),
        ("Corpora", [pages_corpus.corpus(site, plan, ref, notebooks) for ref in plan.corpora]),
        ("Embedding maps", [pages_data.embedding_map(site, plan, name) for name in plan.systems]),
        ("Errors", [pages_data.errors(site, plan, name) for name in plan.systems]),
        ("Classes", [pages_classes.classes(site, plan, name) for name in plan.systems if pages_classes.applies(name)]),
        ("Records", [("Claims", "claims.md"), contradictions, *checks, pages_data.provenance(site, plan, runs)]),
    ]
    advice = pages_ledger.claims(site, plan, answers, board, ensembles)
    index(site, plan, board, runs, answers, ensembles, advice, more)
    return site.finish() / "index.html"


def seeds_told(plan: Plan) -> str:
    """How many seeds an arm has: those of the scale, and those of the headline questions where they are more."""
    most = max((len(plan.seeds_of(name)) for name in plan.ablations), default=0)
    more = f", {most} for the headlines" if most > len(plan.seeds) else ""
    return formats.plural(len(plan.seeds), "seed") + more


def navigation(plan: Plan) -> list[tuple[str, str]]:
    name = paths.world(plan.scale, plan.corpus)
    links = [(f"vidlab · {name}", "index.html"), ("Scores", "index.html#scores")]
    links += [("Questions", "index.html#questions")] if plan.ablations else []
    links += [("Ensembles", "index.html#ensembles")] if plan.ensembles else []
    links += [("Claims", "claims.html")]
    return [*links, ("Look closer", "index.html#look-closer"), ("Provenance", "provenance.html")]


def footer(plan: Plan, runs: pd.DataFrame) -> str:
    commits = ", ".join(sorted(runs["commit"].unique()))
    facts = [paths.world(plan.scale, plan.corpus), formats.plural(len(runs), "run"), f"commit {commits}"]
    return " · ".join([*facts, "every number on this page was read from run folders"])


def index(
    site: Site,
    plan: Plan,
    board: pd.DataFrame,
    runs: pd.DataFrame,
    answers: list[Answer],
    ensembles: list[dict],
    advice: list[str],
    more: list,
) -> None:
    """The front page."""
    compared = [a.comparisons.assign(ablation=a.name) for a in answers]
    rows = pd.concat(compared, ignore_index=True) if compared else pd.DataFrame(columns=["metric"])
    site.table("leaderboard", tables.leaderboard(board))
    tracks = [
        track(site, metric, group.reset_index(drop=True), answers, rows[rows["metric"] == metric])
        for metric, group in board.groupby("metric", sort=False)
    ]
    site.page(
        "index",
        "index.md.j2",
        load(ReportSpec, "report").title,
        banner=gather.mixed(runs),
        eyebrow=" · ".join([f"{plan.scale} scale", *(ref.label for ref in plan.corpora), seeds_told(plan)]),
        advice=advice,
        summaries=[reading.track_summary(t["metric"], t["rows"]) for t in tracks if len(t["rows"])],
        tracks=tracks,
        answers=answers,
        ensembles=site.table("ensembles", tables_ensembles.ensembles(pd.DataFrame(ensembles))) if ensembles else None,
        more=[(heading, links) for heading, links in more if links],
        command=command(plan),
    )


def track(site: Site, metric: str, board: pd.DataFrame, answers: list[Answer], rows: pd.DataFrame) -> dict:
    """Tables and pictures of one contest's metric on the front page."""
    name = reading.TRACKS.get(metric, metric)
    whose = board["recipe"] + board["arm"].map(lambda arm: "" if arm == "base" else f" {arm}")
    labels = whose + "\n" + board["stage"]
    plot = board.assign(label=labels, seconds=board["total_seconds"])
    cost = figures_compare.cost_against_score(plot.assign(label=whose + " " + board["stage"]), metric)
    result = {
        "metric": metric,
        "name": name,
        "rows": rows,
        "table": site.table(f"scores_{metric}", tables.leaderboard(board)),
        "verdicts": None,
        "cost": site.picture(
            f"cost_{metric}",
            cost,
            f"Training time against {formats.metric(metric)} of {formats.plural(len(board), 'scored stage')}",
            f"{name}: training time of all stages against score. Up and to the left is better.",
        ),
    }
    touching = [a for a in answers if (a.comparisons["metric"] == metric).any()]
    if touching:
        narrowed = [Answer(a.name, a.spec, a.frame[a.frame["metric"] == metric], a.jobs, a.runs) for a in touching]
        forest = pd.concat([pages_questions.forest_rows(a, named=True) for a in narrowed], ignore_index=True)
        result["verdicts"] = site.table(f"verdicts_{metric}", tables.verdicts(narrowed))
        result["forest"] = site.picture(
            f"forest_{metric}",
            figures_compare.forest(forest, metric),
            pages_questions.forest_alt(forest, metric),
            f"{name}: all questions at once. {pages_questions.FOREST}{pages_questions.diamond(forest)}",
        )
    return result


def command(plan: Plan) -> str:
    """The make line of the whole report."""
    narrowed = {
        "CORPUS": plan.corpus,
        "SYSTEMS": ",".join(plan.systems) if plan.systems != load(ReportSpec, "report").recipes else "",
        "QUESTIONS": ",".join(plan.questions),
        "SEEDS": str(len(plan.seeds)) if plan.seeds_given else "",
    }
    return " ".join(
        [f"make reproduce SCALE={plan.scale}", *(f"{key}={words}" for key, words in narrowed.items() if words)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("scale", "laptop"), ("corpus", ""), ("systems", ""), ("questions", ""), ("out", "")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--seeds", type=int, default=0)
    print(shown(render(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
