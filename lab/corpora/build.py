"""Build a named corpus: generate its official files if it is a twin, then import them into a store.

``python -m lab.corpora.build twin_pairs --scale laptop``
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from lib.recipes.corpus import CorpusRef
from lib.recipes.errors import RecipeError
from lib.recipes.load import load
from lib.recipes.specs import CorpusSpec
from lib.runs import paths


def build(name: str, scale: str) -> Path:
    """Make the store of a corpus by name; returns its folder.

    Raises:
        RecipeError: unknown corpus or scale, or the official files are not where the corpus file says.
    """
    from lab.corpora.importing import import_corpus
    from lab.corpora.twin import generate

    ref = CorpusRef(name, scale)
    spec = load(CorpusSpec, name)
    if spec.source is not None:
        source = paths.home() / spec.source
        if not source.exists():
            raise RecipeError(
                f"corpus {name}: no files in {spec.source}; put the competition's files there or choose another corpus with CORPUS=<store>"
            )
    else:
        source = paths.raw(scale, name)
        shutil.rmtree(source, ignore_errors=True)
        generate(source, track=spec.track, **ref.arguments)
    ref.store.parent.mkdir(parents=True, exist_ok=True)
    import_corpus(source, ref.store, format=spec.format, overwrite=True)
    if spec.source is None:
        shutil.rmtree(source)  # the store holds everything; the official files are one command away
    return ref.store


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--scale", default="laptop")
    arguments = parser.parse_args()
    try:
        print(f"store: {paths.shown(build(arguments.name, arguments.scale))}")
    except RecipeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
