"""Feature sets by their spec: the one door ``01_features`` uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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


def examples(built: TokenSet | FrameSet, store: Store, count: int) -> list[dict[str, Any]]:
    """What became of the first videos: of a title its pieces, of pictures their number and how alike they are."""
    videos = [(row, store.video(row, frames=False)) for row in range(min(count, len(store)))]
    if isinstance(built, TokenSet):
        return [{"title": video.title, "pieces": " ".join(built.pieces(video.title))} for _, video in videos]
    return [
        {
            "title": video.title,
            "frames": int(built.n_frames[row]),
            "cosine of first and last": _first_to_last(built.frames(row)),
        }
        for row, video in videos
    ]


def _first_to_last(frames: np.ndarray) -> float:
    if not len(frames):
        return float("nan")
    first, last = frames[0].astype(np.float64), frames[-1].astype(np.float64)
    return round(float(first @ last / max(np.linalg.norm(first) * np.linalg.norm(last), 1e-9)), 3)


def check(built: TokenSet | FrameSet, store: Store) -> None:
    """Raises ValueError: the set is another corpus' or too little of what it was made from could be used."""
    about = built.about
    if len(built) != len(store) or about["corpus"] != store.fingerprint:
        raise ValueError(f"the set in {built.folder} was made from another corpus; delete its features.json")
    if isinstance(built, FrameSet):
        if about["rejected"] > 0.2 * len(store):
            raise ValueError(f"{about['rejected']} of {len(store)} videos have a damaged picture: see rejects.parquet")
        return
    own_vectors = built.vectors is not None  # then what is not in the vocabulary is left out, not mapped to one token
    known = about["tokens"] + (about["unknown_tokens"] if own_vectors else 0)
    if about["unknown_tokens"] > (0.7 if own_vectors else 0.2) * max(1, known):
        raise ValueError(
            f"{about['unknown_tokens']} of {known} tokens are unknown: the tokenizer does not fit this text"
        )
