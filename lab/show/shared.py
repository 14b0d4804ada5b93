"""Columns that several tables have, and what the words in their heads and captions mean."""

from __future__ import annotations

from lab.show import formats as f
from lab.show.table import Column, number, signed_interval
from lib.recipes.load import load, names
from lib.recipes.specs import Ablation, Recipe

CONTESTS = {"aiac2021": "AIAC", "wechat2022": "WeChat"}
ENDINGS = {1: "st", 2: "nd", 3: "rd"}  # of ordinals, but for 11 to 13

ITEMS = "95 % interval over the scored items (bootstrap)"
PAIRED = "95 % interval of the mean paired difference, over seeds and test items together"
COULD_BE_SEEN = "smallest true effect that these seeds and test items show four times out of five"
UNSEEN = "score on those validation pairs neither of whose videos occurs in a training pair"

METRIC = Column("metric", lambda r: f.metric(r["metric"]))
INTERVAL = Column("95 % interval", lambda r: f.interval(r["low"], r["high"]), "number", ITEMS, "low")
NEW_VIDEOS = number("unseen videos", "unseen", f.score, UNSEEN)
ORACLE = number("oracle", "oracle", hint="score of the generator's own truth")
SAMPLES = number("samples/s", "samples_per_second", f.count, "of this stage")
PARAMETERS = number("parameters", "parameters", f.millions)
DIFFERENCE = number("difference", "difference", f.difference, "arm minus reference, run by run, in units of the metric")
PAIRED_INTERVAL = Column("95 % interval", signed_interval, "number", PAIRED, "low")
VERDICT = Column("verdict", "verdict", "verdict", needs="verdict")
CLAIMED = number("claimed", "claimed", f.difference, "by its authors, on other data")
DETECTABLE = number("could be seen", "detectable", f.effect, COULD_BE_SEEN)


def system(recipe: str) -> str:
    """What a system is called in a sentence.

    >>> system("aiac_rank1"), system("aiac_rank17"), system("wechat_rank72"), system("wechat_baseline")
    ('AIAC 1st', 'AIAC 17th', 'WeChat 72nd', 'WeChat baseline')
    >>> system("wechat_consensus"), system("wechat_rank3"), system("wechat_rank3b")
    ('WeChat consensus', 'WeChat 3rd', 'WeChat 3rd b')
    """
    spec = load(Recipe, recipe)
    contest, rank = CONTESTS.get(spec.origin.contest), spec.origin.rank
    if contest is None:
        return spec.title
    if rank is None:
        return f"{contest} {recipe.rpartition('_')[2]}"
    place = f"{contest} {rank}" + ("th" if rank % 100 in (11, 12, 13) else ENDINGS.get(rank % 10, "th"))
    return f"{place} {recipe.rpartition(f'rank{rank}')[2]}".strip() if f"rank{rank}" in recipe else place


def model(recipe: str, arm: str = "base") -> str:
    """What one of several models of a system is called.

    >>> model("aiac_rank1", "job2"), model("aiac_rank6")
    ('Job 2', 'GRU-LXMERT')
    """
    spec = load(Recipe, recipe)
    return spec.title.split(", ")[-1] if arm == "base" else spec.members[arm].split(",")[0]


def trick(question: str, arm: str) -> str:
    """What an arm of a question is called in a sentence.

    >>> trick("ema", "with"), trick("quirks_aiac_rank17", "c7_10")
    ('EMA of the weights', 'BertAdam')
    """
    return load(Ablation, question).name_of(arm) if question in names(Ablation) else f"{f.trick(question)} {arm}"
