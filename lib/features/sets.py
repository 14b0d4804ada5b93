"""Feature sets by their spec: the one door ``01_features`` uses."""

from __future__ import annotations

from pathlib import Path

from lib.data.store import Store
from lib.features import tokens, words
from lib.features.tokens import TokenSet
from lib.recipes.specs import FeatureSet


def build(store: Store, folder: Path, spec: FeatureSet, tokenizer: str, digest: str) -> TokenSet:
    """Build the set, or open it if one with this digest is there. ``tokenizer``: see ``tokens.build``."""
    if spec.use == "Words":
        return words.build(store, folder, spec, digest)
    return tokens.build(store, folder, spec, tokenizer, digest)
