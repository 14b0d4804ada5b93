"""Columns that several tables have, and what the words in their heads and captions mean."""

from __future__ import annotations

from lab.show import formats as f
from lab.show.table import Column, number, signed_interval

ITEMS = "95 % interval over validation items (bootstrap)"
PAIRED = "95 % t-interval of the mean paired difference over seeds"
COULD_BE_SEEN = "true effect that these seeds would have shown four times out of five"
UNSEEN = "score on those validation pairs neither of whose videos occurs in a training pair"

METRIC = Column("metric", lambda r: f.metric(r["metric"]))
INTERVAL = Column("95 % interval", lambda r: f.interval(r["low"], r["high"]), "number", ITEMS, "low")
NEW_VIDEOS = number("unseen videos", "unseen", f.score4, UNSEEN)
ORACLE = number("oracle", "oracle", hint="score of the generator's own truth")
SAMPLES = number("samples/s", "samples_per_second", f.count, "of this stage")
PARAMETERS = number("parameters", "parameters", f.millions)
DIFFERENCE = number("difference", "difference", f.difference, "arm minus reference, run by run, in units of the metric")
PAIRED_INTERVAL = Column("95 % interval", signed_interval, "number", PAIRED, "low")
VERDICT = Column("verdict", "verdict", "verdict", needs="verdict")
CLAIMED = number("claimed", "claimed", f.difference, "by its authors, on other data")
DETECTABLE = number("could be seen", "detectable", f.score4, COULD_BE_SEEN)
