"""What trainings cost on a card, before there is one: hours, memory, disk; and how long some cards take for all of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from torch import nn

from lib.recipes.job import Job
from lib.runs import paths
from lib.runs.files import read_json
from lib.runs.machine import card as known_card
from lib.stages import build
from lib.stages.run import updates

RESULTS = paths.PROJECT / "benchmarks" / "results"
USUAL = 0.4  # of the peak: what a step reaches that nobody has measured


@dataclass(frozen=True)
class Cost:
    """Of one training: hours of a card; GB of its memory, with activations of full texts and frames; GB of disk while it runs,
    checkpoint and best weights included."""

    hours: float
    memory: float
    disk: float


def rate(card: str) -> tuple[float, str]:
    """Matrix products a second, floating point operations, and what that is known from. Raises ValueError: a card whose peak
    nobody has written down."""
    found = known_card(card)
    if found is None:
        raise ValueError(f"params/scales: card: {card!r} is not in lib/runs/machine.py")
    peak, kept = found[0], [read_json(file) for file in sorted(RESULTS.glob("published-*.json"))]
    shares = [row["mfu"] for one in kept if card in one["device"] for row in one["rows"] if row["mfu"]]
    known = (
        f"measured by benchmarks.published on an {card}" if shares else f"not measured: {USUAL:.0%} of an {card}'s peak"
    )
    return peak * (max(shares) if shares else USUAL), known


def cost(job: Job, operations: float) -> Cost:
    """Of a job at published sizes. A pass costs two operations for every number of the model, embedding tables left out, at
    each token and frame (Kaplan et al. 2020, arXiv:2001.08361): an upper bound where much of a model sees pooled vectors."""
    model, mix = build.on_meta(job, build.Sizes.published(job.spec.track, job.corpus.backbone))
    data, items = job.stage_spec.data, job.corpus.spec.items
    pairs = data.items == "pairs"
    count = items["pairs" if pairs else "videos" if job.phase == "pretrain" or "labelled" not in items else "labelled"]
    batch = min(data.batch_size, data.limit or count)
    steps = updates(data, min(count, data.limit or count) // batch, 1.0)
    given, videos = job.batches, batch * (2 if pairs else 1)
    positions = videos * (given["text_length"] + job.most_frames)
    tables = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    learns, still = (
        sum(p.numel() for p in model.parameters() if id(p) not in tables and p.requires_grad == wanted)
        for wanted in (True, False)
    )
    again = job.stage_spec.adversarial
    times = max(1, *(term.passes for _, term in mix.active())) * (
        1 if again is None else 1 + again.arguments.get("steps", 1)
    )
    numbers = sum(p.numel() for module in (model, mix) for p in module.parameters())
    trained = sum(p.numel() for module in (model, mix) for p in module.parameters() if p.requires_grad)
    # 34 bytes a position, layer and feature (Korthikanti et al. 2022, arXiv:2205.05198), and 12 h^2 numbers a layer
    activations = 34 / 12 * positions * learns / model.fusion.output_dim
    snapshot = 12 * trained if job.stage_spec.rewind else 0
    return Cost(
        hours=steps * times * positions * (6 * learns + 2 * still) / operations / 3600,
        memory=(4 * numbers + 12 * trained + snapshot + activations) / 1e9,
        disk=(4 * numbers + 12 * trained + snapshot + 4 * numbers) / 1e9,
    )


def costs(jobs: Sequence[Job], card: str) -> tuple[dict[Path, Cost], str]:
    """Folder -> cost of each job, and what their speed is known from."""
    operations, known = rate(card)
    return {job.folder.path: cost(job, operations) for job in jobs}, known


def wait(jobs: Sequence[Job], hours: dict[Path, float], cards: int) -> float:
    """Hours until all are done, on so many cards: a free one takes the first job of the plan's order whose parents are done."""
    waiting, done, running, now = list(jobs), set(), [], 0.0
    while waiting or running:
        ready = (job for job in waiting if all(parent.folder.path in done for parent in job.parents.values()))
        for job in list(islice(ready, cards - len(running))):
            waiting.remove(job)
            heapq.heappush(running, (now + hours[job.folder.path], job.folder.path))
        now, path = heapq.heappop(running)
        done.add(path)
    return now
