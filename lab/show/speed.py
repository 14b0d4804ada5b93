"""Speed on a GPU: what ``benchmarks/gpu.sh`` measured, beside published figures and the card's roofline."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from lab.show import formats as f
from lab.show.table import Column, Row, Table, lines, number
from lib.runs import paths

RESULTS = paths.PROJECT / "benchmarks" / "results"
NUMBERS = ("per_second", "batch", "peak_gb", "mfu", "intensity", "of_roof")
# what a row of the results must say -> title, what is counted, published and where, target on an H200
WANTED: dict[tuple[str, ...], tuple[str, str, str, float | None]] = {
    ("steps", "aiac_rank1", "pretrain", "base"): ("AIAC 1st, job 1, pretraining", "videos", "258, one A100: training log", 3000),
    ("steps", "aiac_rank1", "finetune", "base"): ("AIAC 1st, job 1, finetuning", "pairs", "", None),
    ("steps", "wechat_rank72", "finetune", "fgm.without"): ("WeChat rank 72, finetuning without FGM", "videos", "", None),
    ("steps", "wechat_rank72", "finetune", "base"): ("WeChat rank 72, finetuning, FGM", "videos", "", None),
    ("steps", "wechat_rank72", "finetune", "r_drop.with"): ("WeChat rank 72, finetuning, FGM and R-Drop", "videos", "", None),
    ("steps", "wechat_rank1", "finetune", "fgm.without"): ("WeChat 1st, single stream, without FGM", "videos", "", None),
    ("steps", "wechat_rank1", "finetune", "base"): ("WeChat 1st, single stream, FGM", "videos", "", None),
    ("inference", "aiac_rank1", "finetune"): ("AIAC 1st, job 1, inference", "videos", "", None),
    ("inference", "wechat_rank72", "finetune"): ("WeChat rank 72, inference", "videos", "", None),
    ("pictures",): ("eight JPEGs to vectors of CLIP ViT-B/16", "videos", "70, two V100: floor of the contest", 1000),
}  # fmt: skip


def measured(folder: Path | None = None) -> pd.DataFrame:
    """The fastest way of each thing on each card, ``per_second`` NaN where nothing was measured. Returns ``what``,
    ``counted``, ``published``, ``target``, ``card``, ``way``, ``bound`` and ``NUMBERS``."""
    rows: list[Row] = []
    for file in sorted((folder or RESULTS).glob("gpu-*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        rows += [row | {"card": content["device"]} for row in content["rows"] if row.get("per_second")]
    shown = []
    for key, (what, counted, published, target) in WANTED.items():
        named = [((row["step"], *(row.get(k) for k in ("recipe", "stage", "arm"))), row) for row in rows]
        fits = [row for name, row in named if name[: len(key)] == key]
        fastest = {row["card"]: row for row in sorted(reversed(fits), key=lambda row: row["per_second"])}
        best = [fastest[card] for card in sorted(fastest)]
        about = {"what": what, "counted": counted, "published": published, "target": target}
        shown += [about | _texts(row) | {name: row.get(name) for name in NUMBERS} for row in best or [{}]]
    return pd.DataFrame(shown)


def _texts(row: Row) -> Row:
    """On which card and how."""
    way = [{True: "compiled", False: "eager"}.get(row.get("compiled"), ""), row.get("lengths", "")]
    way.append(f"decoded on the {row['decode'].upper()}" if "decode" in row else "")
    return {"card": row.get("card", ""), "way": ", ".join(filter(None, way)), "bound": row.get("bound") or ""}


def table(frame: pd.DataFrame) -> Table:
    """What is measured and what bounds it; "not measured" where no card was there yet."""

    def measured_as(row: Row) -> str:
        known = f"{row['per_second']:,.0f} {row['counted']}/s" if pd.notna(row["per_second"]) else "not measured"
        return lines(known, row["card"], row["way"])

    def roof(row: Row) -> str:
        return f"{f.share(row['of_roof'])} of {row['bound']}" if row["bound"] else ""

    columns = (
        Column("what", "what"),
        Column("measured", measured_as, "number", "the fastest way on that card"),
        Column("published", "published", "number"),
        number("target", "target", f.count, "on an H200"),
        number("MFU", "mfu", f.share, "matrix products a second, as a share of the card's peak"),
        number("intensity", "intensity", f.significant, "operations a byte"),
        Column("roofline", roof, "number", "what bounds a step, and how near it comes"),
        number("memory, GB", "peak_gb", f.significant),
    )
    return Table(
        frame,
        columns,
        "Published sizes, random weights, bfloat16. Roofline: operations are matrix products, bytes what every operation reads and "
        "writes; with fewer operations a byte than the card's peak over its bandwidth, memory bounds the step. Measured by "
        "`benchmarks/gpu.sh`.",
        name="speed",
    )
