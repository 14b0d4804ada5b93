"""Twins: generated corpora in the official formats that match the published statistics of the real ones and know their truth."""

from lab.corpora.twin.write import generate

__all__ = ["generate"]
