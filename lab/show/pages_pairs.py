"""What the errors of a system of the pair track show besides its score: calibration, and rare against frequent tags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lab.show import figures_pairs, formats, pair_bins, predictions
from lab.show.site import Site
from lab.show.table import Column, Table
from lib.data.store import Store
from lib.evaluation.metrics import spearman
from lib.recipes.job import Job


def sections(site: Site, name: str, job: Job, store: Store) -> dict[str, Any]:
    """Pictures, tables and numbers for ``errors_<recipe>``."""
    result = predictions.of_pairs(job.folder)
    cosines = pair_bins.by_cosine(result)
    tags = pair_bins.by_tag_frequency(result, pair_bins.tag_frequency(job, store, result.pairs))
    return {
        "off": formats.score(pair_bins.calibration_error(cosines), 2),
        "off_target": ""
        if np.allclose(result.target, result.score)
        else formats.score(pair_bins.calibration_error(cosines, "target"), 2),
        "calibration": site.picture(
            f"similarity_calibration_{name}",
            figures_pairs.similarity_calibration(cosines, result.cosine),
            f"Mean human score of the validation pairs of {name} against the cosine it gave them",
            f"Pairs in {formats.plural(len(cosines), 'bin')} of about equal size by predicted cosine, with 95 % intervals "
            "(bootstrap over first videos). On the dotted line a cosine is the score itself.",
        ),
        "calibration_table": site.table(f"similarity_calibration_{name}", calibration_table(cosines)),
        "tags": site.picture(
            f"tag_frequency_{name}",
            figures_pairs.by_tag_frequency(tags, spearman(result.cosine, result.score)),
            f"Spearman and mean gap of ranks of {name} against the number of training videos that have a pair's tags",
            "Left: order within each bin; a bin of much alike pairs is harder to order. Right: distance between a pair's "
            "rank by cosine and by human score among all pairs; dotted: what shuffled human scores would give.",
        ),
        "tags_table": site.table(f"tag_frequency_{name}", tag_table(tags)),
    }


def calibration_table(frame: pd.DataFrame) -> Table:
    """Args: frame: of ``pair_bins.by_cosine``."""
    columns = (
        Column("cosine", lambda r: formats.interval(r["from"], r["to"], 2)),
        Column("pairs", lambda r: formats.count(r["n"]), "number"),
        Column("mean cosine", lambda r: formats.score(r["cosine"]), "number"),
        Column("mean human score", lambda r: formats.score(r["score"]), "number"),
        Column("95 % interval", lambda r: formats.interval(r["low"], r["high"]), "number"),
        Column("label as the loss saw it", lambda r: formats.score(r["target"]), "number"),
    )
    return Table(frame, columns)


def tag_table(frame: pd.DataFrame) -> Table:
    """Args: frame: of ``pair_bins.by_tag_frequency``."""
    columns = (
        Column("videos with the tag", lambda r: _span(r["from"], r["to"])),
        Column("pairs", lambda r: formats.count(r["n"]), "number"),
        Column("Spearman", lambda r: _with(r, "spearman"), "number", "within the bin"),
        Column("gap of ranks", lambda r: _with(r, "gap"), "number", "mean distance of the two ranks, both from 0 to 1"),
        Column("if shuffled", lambda r: formats.score(r["chance"]), "number", "the gap with human scores shuffled"),
    )
    return Table(frame, columns)


def _span(low: float, high: float) -> str:
    ends = formats.significant(low), formats.significant(high)
    return ends[0] if low == high else " to ".join(ends)


def _with(row: dict[str, Any], name: str) -> str:
    """A value above its 95 % interval."""
    return f"{formats.score(row[name])}\n{formats.interval(row[f'{name}_low'], row[f'{name}_high'])}"
