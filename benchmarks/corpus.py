"""A generated corpus of pairs for the benchmarks: its store and its token set, made once and kept under ``data/bench``."""

from __future__ import annotations

from pathlib import Path

from lib.data.store import Store
from lib.features import tokens, words
from lib.features.sets import TokenSet
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet
from lib.runs import paths

SEED = 7


def prepare(videos: int, given: str = "") -> tuple[Store, TokenSet]:
    """Store and tokens of a twin with so many videos, or of the store at ``given``."""
    folder = _folder(videos, given)
    path = Path(given) if given else folder / "store"
    if not path.exists():
        from lab.corpora.importing import import_corpus
        from lab.corpora.twin import generate

        if not (folder / "raw" / "twin.json").exists():
            generate(folder / "raw", track="pairs", videos=videos, seed=SEED)
        import_corpus(folder / "raw", path)
    store = Store.open(path)
    return store, tokens.build(store, folder / "tokens", store.fingerprint)


def prepare_words(videos: int) -> TokenSet:
    """Words of the same twin, with vectors of the published 300 numbers."""
    store, _ = prepare(videos)
    return words.build(
        store, _folder(videos) / "words", store.fingerprint, **load(FeatureSet, "words").arguments("jieba")
    )


def _folder(videos: int, given: str = "") -> Path:
    return paths.home() / "data" / "bench" / (Path(given).name if given else f"pairs-{videos}")
