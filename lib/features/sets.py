"""Feature sets by their spec: the one door ``01_features`` uses."""

from __future__ import annotations

from pathlib import Path

from lib.data.store import Store
from lib.features import images, tokens, words
from lib.features.frame_sets import FrameSet
from lib.features.tokens import TokenSet
from lib.recipes.specs import FeatureSet


def build(
    store: Store, folder: Path, spec: FeatureSet, model: str, digest: str, *, quarantine: bool = False
) -> TokenSet | FrameSet:
    """Build the set, or open it if one with this digest is there.

    Args:
        model: name of the tokenizer (``tokens.build``) or, for images, of the encoder (``images.build``).
        quarantine: images only; videos with a damaged picture are listed instead of stopping the build.
    """
    if spec.use == "Images":
        return images.build(store, folder, spec, model, digest, quarantine=quarantine)
    if spec.use == "Words":
        return words.build(store, folder, spec, digest)
    return tokens.build(store, folder, spec, model, digest)
