"""For tests with params of their own: what was read or resolved before is forgotten, and so must theirs be afterwards."""

from lib.recipes import job, load, resolve


def forget() -> None:
    for cached in (load.load, load.lineage, resolve.check_overrides, resolve.resolved, job._load):
        cached.cache_clear()
