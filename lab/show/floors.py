"""Floors and ceiling of a corpus beside the scores: rows of tables, lines of figures. Computed once a corpus, in seconds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from lab.show import formats as f
from lab.show import shared, style
from lab.show.plan import Plan
from lab.show.specs import ReportSpec
from lab.show.table import Column, Table, number
from lib.data.store import Store
from lib.recipes.code_digest import code_digest, digest
from lib.recipes.corpus import CorpusRef
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Recipe
from lib.runs.files import write_text
from lib.stages.floors import FRAMES, LINEAR, ORACLE, TEXT, UNTRAINED, floors

LINES = {UNTRAINED: ":", LINEAR: "-.", ORACLE: "--"}  # floor -> style of its line


def of_corpus(corpus: str, scale: str, folder: Path | None = None) -> pd.DataFrame:
    """Rows of ``lib.stages.floors.floors`` with a digest; where several systems split a corpus, as its first one does. None
    where nothing can be learnt from the labels; ``attrs["why"]`` says why.

    Args:
        corpus: a name of ``params/corpora``, or the path of a store.
        folder: where ``floors.csv`` is read from, if it is there and fits, and else written.
    """
    store = Store.open(CorpusRef(corpus, scale).store)
    job = _judged(corpus, scale, store)
    told = [store.fingerprint, job.stage_spec.data.model_dump(mode="json"), code_digest(["lib.stages.floors"])]
    file, content = folder and folder / "floors.csv", digest(told)
    if file and file.exists():
        known = pd.read_csv(file, float_precision="round_trip")
        if known["digest"].eq(content).all():
            return known
    try:
        if lacks := CorpusRef(corpus, scale).lacks:
            raise RecipeError(f"the corpus {lacks}")
        found = floors(job, store).assign(digest=content)
    except ValueError as error:  # too few labels, or all the same; next to no text
        found = pd.DataFrame(columns=["floor", "label", "metric", "score", "low", "high", "n", "scored_on", "digest"])
        found.attrs["why"] = str(error).replace(job.corpus.label, CorpusRef(corpus, scale).label)
        return found
    if file:
        write_text(file, found.to_csv(index=False, lineterminator="\n"))
    return found


def of_plan(plan: Plan, question: str = "") -> pd.DataFrame:
    """Those of all corpora of a plan, with the column ``corpus`` (label).

    Args:
        question: only those of the corpora that it is asked on; of further ones, without a page, no floor is known.
    """
    asked = {job.corpus.name for jobs in plan.ablation_jobs(question).values() for job in jobs} if question else set()
    found = [
        of_corpus(ref.name, plan.scale, plan.runs_folder / "corpora" / ref.label).assign(corpus=ref.label)
        for ref in plan.corpora
        if ref.manifest.exists() and (not question or ref.name in asked)
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def marked(board: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``runs.systems`` with two floors of their corpus, ``untrained`` and ``linear``, and whether they stay below the
    first, ``below_floor``.

    Args:
        found: of :func:`of_plan`.
    """
    known = {name: [score(found, corpus, name) for corpus in board["corpus"]] for name in (UNTRAINED, LINEAR)}
    return board.assign(**known, below_floor=board["score"] < known[UNTRAINED])


def score(found: pd.DataFrame, corpus: str, floor: str = UNTRAINED) -> float:
    """Score of a floor of a corpus, of ``untrained`` the best that needs no training; NaN where it has none.

    Args:
        found: of :func:`of_plan`.
    """
    same = (UNTRAINED, TEXT, FRAMES) if floor == UNTRAINED else (floor,)
    return float(found.loc[(found["corpus"] == corpus) & found["floor"].isin(same), "score"].max())


def table(found: pd.DataFrame, name: str) -> Table:
    """Args: found: of :func:`of_corpus`."""
    if found.empty:
        return Table(found, (), f"No floor: {found.attrs.get('why')}.")
    columns = (
        Column("floor", lambda r: f"{r['floor']}\n{r['label']}"),
        number(f.metric(found["metric"].iloc[0]), "score"),
        shared.INTERVAL,
        number("items", "n", f.count),
    )
    caption = (
        f"Scored on the {found['scored_on'].iloc[0]} part, on the items that systems are scored on; fitted on training items only. "
        "Nothing is tuned."
    )
    if ORACLE in set(found["floor"]):
        caption += " The oracle is what the generator itself knows: no model can be expected to beat it."
    return Table(found, columns, caption, name=f"{name}_floors")


def lines(axis: Axes, found: pd.DataFrame) -> None:
    """A horizontal line for the untrained floor, the linear one and the oracle. Args: found: rows of one corpus."""
    for row in found[found["floor"].isin(list(LINES))].to_dict("records"):
        axis.axhline(row["score"], color=style.MUTED, linewidth=1, linestyle=LINES[row["floor"]], label=row["floor"])


def _judged(corpus: str, scale: str, store: Store) -> Job:
    """A job that learns from the labels of a corpus: of the first system that is asked about it, or could be."""
    jobs = []
    for recipe in load(ReportSpec, "report").at("all"):
        spec = load(Recipe, recipe)
        for stage in spec.main_stages if spec.track == store.track else ():
            job = Job.load(recipe, stage, scale=scale)
            jobs += [job] if job.kind.contest else []
    return next((job for job in jobs if job.corpus.name == corpus), jobs[0])
