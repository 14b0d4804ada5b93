"""vidlab: a reproducible laboratory for short-video embedding and classification.

Floors, from the ground up; imports only go down, and the two ground floors do not know each other:

    recipes     what to run: YAML in, frozen jobs out         runs       where results lie
    data        one store for corpora of any origin
    features    text and frames as arrays, built once
    models      five slots: text, frames, fusion, pooling, head
    objectives  named loss terms that may corrupt their input
    training    one loop
    evaluation  scores, intervals, ensembles, submissions
    stages      wires all of the above for one job

A trained model on new videos: ``lib.load(run)``, then ``.embed(paths)``, ``.classify(paths)``, ``.search(query, table)`` and
``.info`` (``lib.use``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.use import Inside, Model

__version__ = "0.1.0"


def load(run: str, *, device: str | None = None, inside: Inside | None = None) -> Model:
    """The model of a finished run or of an exported folder, see ``lib.use.load``; here so that ``import lib`` starts nothing."""
    from lib import use

    return use.load(run, device=device, inside=inside)
