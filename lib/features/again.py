"""Feature sets of further videos, as an earlier set would have held them: its tokenizer or words, its projection. In
memory, for the videos of a store."""

from pathlib import Path

import numpy as np

from lib.data.store import Store
from lib.features.fields import segment
from lib.features.sets import FrameSet, TokenSet
from lib.features.tokens import columns
from lib.recipes.specs import FeatureSet


class TokensAgain(TokenSet):
    """Texts of a store cut as those of a known set were; what its vocabulary lacks is unknown, or of words left out."""

    def __init__(self, known: TokenSet, spec: FeatureSet, store: Store):
        self.folder, self.names, self.about = known.folder, known.names, known.about | {"videos": len(store)}
        self.vocab_size, self.special = known.vocab_size, known.special
        encode = self._words if spec.use == "Words" else known.tokenizer().encode
        rules = None if spec.rules is None else spec.rules.model_dump()
        found: dict[str, list[np.ndarray]] = {name: [] for name in self.names}
        for chunk in columns(store, self.names, spec.max_characters, rules):
            for name, texts in chunk.items():
                found[name] += [np.array(ids, "<i4") for ids in encode(texts)]
        lengths = np.array([[len(ids) for ids in found[name]] for name in self.names], np.int64)
        ends = lengths.reshape(-1).cumsum().reshape(lengths.shape)
        self._offsets = np.concatenate([np.r_[0, ends[:-1, -1]][:, None], ends], axis=1)
        self._tokens = np.concatenate([np.zeros(0, "<i4"), *(ids for name in self.names for ids in found[name])])

    def _words(self, texts: list[str]) -> list[list[int]]:
        listed = (self.folder / "words.txt").read_text(encoding="utf-8").split("\n")
        number = {word: place for place, word in enumerate(listed, start=1)}  # 0 is padding
        return [[number[word] for word in segment(text) if word in number] for text in texts]


class FramesAgain(FrameSet):
    """Frame features of a store, projected as those of a known set were (``lib.features.projected``)."""

    def __init__(self, store: Store, projection: Path):
        with np.load(projection) as found:
            self._mean, self._scale, self._components = (found[name] for name in ("mean", "scale", "components"))
        if store.frame_dim != len(self._mean):
            raise ValueError(
                f"{store.path}: {store.frame_dim or 'no'} numbers per frame, but the model was trained on frame features of "
                f"{len(self._mean)} numbers; extract them with the same encoder and import them as .npy"
            )
        self.store, self.n_frames, self.frame_dim = store, store.n_frames, len(self._components)

    def frames(self, row: int) -> np.ndarray:
        """float16 [n, D]."""
        scaled = (self.store.frames(row).astype(np.float32) - self._mean) / self._scale
        return (scaled @ self._components.T).astype("<f2")

    def read_frames(self, row: int, out: np.ndarray) -> None:
        out[:] = self.frames(row)
