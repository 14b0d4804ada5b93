"""Emoji: a corpus of real pictures, words and judgements that anyone can rebuild from freely licensed public packages."""

from lab.corpora.emoji.fetch import fetch

__all__ = ["fetch"]
