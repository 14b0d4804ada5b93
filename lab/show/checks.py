"""Can the rule for verdicts be trusted? Questions whose answer is known: switches that do nothing, and effects planted in them.

A placebo is trained like every arm (``check: placebo`` of a question). An effect is planted in what its runs predicted: the
vectors, or answers, of some test videos are replaced by those of other test videos, so many that the score of the reference falls
by a given amount. So what is compared differs by real retraining and by an effect of known size, and the rule must find it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from lab.show import formats as f
from lab.show import predictions, runs, shared, style
from lab.show.comparisons import Predicted, judged, level1_of, once, predicted
from lab.show.plan import Plan
from lab.show.table import Column, Picture, Table, link, number
from lab.show.verdicts import LEVEL, compared, noise
from lib.evaluation.compare import HELPS, HURTS
from lib.evaluation.influence import mean_f1_influence, spearman_influence
from lib.evaluation.intervals import interval_of_share
from lib.evaluation.metrics import mean_f1, spearman
from lib.recipes.job import Job

PLANTED = (0.01, 0.02, 0.05, 0.1)  # in units of the metric
OFTEN = 0.8  # so many of the arms find an effect that can be relied on
HALVINGS = 12  # of the share of spoiled videos
SURPRISE = 0.9  # more false verdicts than in nine of ten laboratories that work are a surprise


def allowed(arms: int) -> int:
    """Most false verdicts among so many placebo arms: a quantile of a binomial.

    >>> allowed(20), allowed(4)
    (2, 1)
    """
    return int(stats.binom.ppf(SURPRISE, arms, LEVEL))


def placebos(frame: pd.DataFrame) -> Table:
    """How many arms that change nothing came out as a help or a harm, by track. Args: frame: the table of comparisons."""
    rows = compared(frame)[lambda rows: rows["check"] == "placebo"]
    parts = rows.groupby("metric", sort=False)
    found = parts.agg(
        systems=("recipe", lambda names: f.listed(map(shared.system, names.unique()))), arms=("arm", "size"),
        helps=("verdict", lambda verdicts: int((verdicts == HELPS).sum())),
        hurts=("verdict", lambda verdicts: int((verdicts == HURTS).sum())), largest=("difference", lambda each: each.abs().max()),
    ).reset_index()  # fmt: skip
    found["allowed"] = found["arms"].map(allowed)
    columns = (
        shared.METRIC,
        Column("systems", "systems"),
        number("arms", "arms", f.count),
        number("help", "helps", f.count, "arms that came out as a help"),
        number("harm", "hurts", f.count, "arms that came out as a harm"),
        number("no surprise", "allowed", f.count, "so many of both together, or fewer, in nine of ten laboratories"),
        number("largest difference", "largest", f.effect),
    )
    asked = ", ".join(link(f.trick(name), "question", name) for name in rows["ablation"].unique())
    caption = f"Placebos ({asked}): arms that differ from their reference by the order of the training items alone."
    return Table(found, columns, caption, name="placebos" if len(found) else "")


# ---- planted effects


@dataclass(frozen=True)
class Spoilable:
    """A run whose predictions of some test videos can be replaced by those of others."""

    run: Predicted
    videos: int
    judge: Callable[[np.ndarray], tuple[float, np.ndarray]]  # whose prediction has each video? -> score, influence

    def spoiled(self, share: float, seed: int) -> Predicted:
        """The same seed draws the same videos first, whatever the share."""
        generator = np.random.default_rng(seed)
        drawn, others = generator.random(self.videos), generator.permutation(self.videos)
        score, influence = self.judge(np.where(drawn < share, others, np.arange(self.videos)))
        return replace(self.run, score=score, influence=influence, digest=f"{self.run.digest} {seed} {share}")

    def share_for(self, loss: float, seed: int) -> float:
        """Share of the videos to spoil so that the score falls by ``loss``; NaN where spoiling all of them costs less."""
        low, high = 0.0, 1.0
        if self.run.score - self.spoiled(high, seed).score < loss:
            return float("nan")
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.run.score - self.spoiled(middle, seed).score < loss else (low, middle)
        return high


def spoilable(job: Job) -> Spoilable:
    """Raises MissingRun: the run left no predictions."""
    run = predicted(job)
    if job.kind.name == "pairs":
        pairs, (rows, vectors) = predictions.of_pairs(job.folder), predictions.vectors(job.folder)
        scored = np.unique(pairs.pairs)
        vectors, ends = vectors[predictions.positions(rows, scored)], np.searchsorted(scored, pairs.pairs)

        def judge(source: np.ndarray) -> tuple[float, np.ndarray]:
            first, second = (vectors[source[ends[:, side]]] for side in (0, 1))
            cosine = np.einsum("pd,pd->p", first, second)
            return spearman(cosine, pairs.score), spearman_influence(cosine, pairs.score)

        return Spoilable(run, len(scored), judge)
    found, level1 = predictions.of_classes(job.folder), level1_of(job)
    truth, answers = found.truth, found.predicted

    def judge_classes(source: np.ndarray) -> tuple[float, np.ndarray]:
        return mean_f1(truth, answers[source], level1)["mean_f1"], mean_f1_influence(answers[source], truth, level1)

    return Spoilable(run, len(truth), judge_classes)


def _seed(*names: str | float) -> int:
    return zlib.crc32(" ".join(map(str, names)).encode())


def planted(plan: Plan) -> pd.DataFrame:
    """Every placebo arm with each effect planted: ``ablation, recipe, arm, metric, corpus, planted, share`` (of the test
    videos), and ``MEASURED``; empty without placebos. Sizes that a system has no score to lose for are left out.

    Raises:
        MissingRun: a run is absent; names it.
    """
    read, rows = once(spoilable), []
    for name in (name for name, spec in plan.ablations.items() if spec.check == "placebo"):
        spec, jobs = plan.question(name), plan.ablation_jobs(name)
        for (recipe, arm), group in ((key, group) for key, group in jobs.items() if key[1] != spec.reference):
            reference = [read(job) for job in jobs[recipe, spec.compared_with(arm)]]
            metric = runs.contest_metric(recipe)
            for size in PLANTED:
                share = reference[0].share_for(size, _seed(recipe, size))
                if np.isnan(share):
                    continue
                seeds = [_seed(job.seed, name, recipe, arm, size) for job in group]
                spoiled = [read(job).spoiled(share, seed) for job, seed in zip(group, seeds, strict=True)]
                found = judged(spoiled, [one.run for one in reference], metric, noise(plan, metric))
                about = dict(ablation=name, recipe=recipe, arm=arm, metric=metric, corpus=group[0].corpus.name)
                rows.append(about | {"planted": size, "share": share} | found)
    return pd.DataFrame(rows)


def power(frame: pd.DataFrame) -> Picture | None:
    """How often an effect of a known size is found, by track and size, with 95 % intervals. Args: frame: of :func:`planted`."""
    if frame.empty:
        return None
    found = frame.assign(found=frame["verdict"] == HURTS)
    drawn = found.groupby(["metric", "planted"], sort=False).agg(
        arms=("found", "size"), found=("found", "sum"), measured=("difference", "mean"), spoiled=("share", "mean")
    ).reset_index()  # fmt: skip
    drawn["share"] = drawn["found"] / drawn["arms"]
    by_corpus = found.groupby(["metric", "planted", "corpus"], sort=False)["found"].mean() >= OFTEN
    drawn[["corpora", "found_on"]] = by_corpus.groupby(level=[0, 1], sort=False).agg(["size", "sum"]).to_numpy()
    drawn[["low", "high"]] = [interval_of_share(*one) for one in zip(drawn["found"], drawn["arms"], strict=True)]
    figure, axis = style.canvas(height=2.8)
    for place, (metric, part) in enumerate(drawn.groupby("metric", sort=False)):
        colour, x = style.SERIES[place], part["planted"] * (1 + 0.04 * place)
        axis.vlines(x, part["low"], part["high"], color=colour, linewidth=2.4, alpha=0.6)
        axis.plot(x, part["share"], "o-", color=colour, label=f.metric(str(metric)))
    axis.axhline(OFTEN, color=style.MUTED, linestyle=":", linewidth=0.9)
    axis.set_xscale("log")
    axis.set_xticks(PLANTED, [f"{size:g}" for size in PLANTED], minor=False)
    axis.set_xticks([], minor=True)
    axis.set(
        xlabel="planted effect, in units of the metric", ylabel="share of arms in which it is found", ylim=(-0.03, 1.05)
    )
    axis.legend(loc="lower right")
    told = "; ".join(
        f"{f.metric(r['metric'])}, {r['planted']:g}: {r['found']} of {r['arms']}, "
        f"on {r['found_on']} of {f.plural(r['corpora'], 'corpus', 'corpora')}"
        for r in drawn.to_dict("records")
    )
    caption = (
        "Arms are placebos, so retraining is real. Of their test videos so many, drawn at random, have the prediction of another test "
        "video that the reference would lose the planted amount. Found: the verdict is *hurts*; on a corpus: by four of five arms "
        "there. Lines: 95 % intervals of a share of arms; dotted: four of five."
    )
    return Picture(figure, drawn, "power", f"How often a planted effect is found: {told}", caption)
