"""Corpora: videos in. Generated twins, importers of the official formats and of own videos, the writer, checks, descriptions."""
