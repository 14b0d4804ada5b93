"""From the name or path of a corpus to its store."""

from lib.runs.paths import store_path

__all__ = ["store_path"]
