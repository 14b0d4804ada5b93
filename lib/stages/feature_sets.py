"""Feature sets by name: from what ``params/features`` says of one to the set itself; the one door ``01_features`` uses."""

from __future__ import annotations

from lib.data.store import Store
from lib.features import images, tokens, words
from lib.features.sets import FrameSet, TokenSet
from lib.recipes.corpus import FeatureRef


def build(store: Store, ref: FeatureRef, *, quarantine: bool = False) -> TokenSet | FrameSet:
    """Build the set of a corpus, or open it if one with its digest is there.

    Args:
        quarantine: images only; videos with a damaged picture are listed instead of stopping the build.
    """
    arguments = ref.spec.arguments(ref.tokenizer)
    if ref.spec.use == "Images":
        return images.build(store, ref.folder, ref.digest, **arguments, quarantine=quarantine)
    builder = words.build if ref.spec.use == "Words" else tokens.build
    return builder(store, ref.folder, ref.digest, **arguments)
