"""Feature sets on disk: folders whose ``features.json``, written last, names the digest of what the set depends on, the
corpus, and the checksum of every file; and the two kinds that are read, tokens and frames."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np

from lib.data.batch import SpecialIds
from lib.data.store import FrameFile, Store
from lib.features.fields import segment
from lib.runs.files import checksum, damaged, read_object, write_json
from lib.runs.paths import shown


class SetOnDisk(ABC):
    """A finished set. Raises FileNotFoundError: there is no finished set; says how to make one; ValueError: a file has
    changed since it was written."""

    names: Sequence[str]  # fields that have a length per video

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        if not (self.folder / "features.json").exists():
            raise FileNotFoundError(
                f"{shown(self.folder)}: no feature set; make it with: papermill notebooks/01_features.ipynb out.ipynb "
                f"-p corpus <corpus> -p features {self.folder.name}"
            )
        self.about: dict[str, Any] = read_object(self.folder / "features.json")
        problem = damaged(self.folder, self.about.get("checksums", {}))
        if problem is None and "digest" not in self.about:
            problem = f"{shown(self.folder / 'features.json')} has no digest"
        if problem:
            raise ValueError(f"{problem}; delete {shown(self.folder / 'features.json')} and build the set again")

    def __len__(self) -> int:
        return self.about["videos"]

    @abstractmethod
    def lengths(self, field: str) -> np.ndarray:
        """How much of that field each video has, int [N]."""


class WordPieces:
    """Words of a list stay whole, with ids behind the tokenizer's; it cuts what is between them. After WoBERT (Su 2020), which
    5th of the WeChat final is taken to have used (U9)."""

    def __init__(self, base: Any, words: Sequence[str]):
        self.base, self.words = base, list(words)
        self.ids = {word: number for number, word in enumerate(words, base.get_vocab_size())}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        if not self.ids:
            return [each.ids for each in self.base.encode_batch_fast(texts, add_special_tokens=False)]
        cut = [
            [(number, list(run)) for number, run in groupby(segment(text.lower(), unknown=False), self.ids.get)]
            for text in texts
        ]
        between = ["".join(run) for parts in cut for number, run in parts if number is None]
        encoded = iter(self.base.encode_batch_fast(between, add_special_tokens=False))
        ids = [[next(encoded).ids if number is None else [number] * len(run) for number, run in parts] for parts in cut]
        return [list(chain.from_iterable(parts)) for parts in ids]


class TokenSet(SetOnDisk):
    """``tokens.i32``, ``offsets.npy`` [fields, N + 1], and ``tokenizer.json``, with ``words.txt`` where whole words join its
    tokens, or, of words alone, ``words.txt`` and ``vectors.npy``."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.names = self.about["fields"]
        self.vocab_size: int = self.about["vocab_size"]
        self.special = SpecialIds(**self.about["special"])
        # plain views: slicing an np.memmap itself costs several times as much, and fields() slices a lot
        self._offsets = np.asarray(np.load(self.folder / "offsets.npy", mmap_mode="r"))
        size, file = int(self._offsets[-1, -1]), self.folder / "tokens.i32"
        self._tokens = np.asarray(np.memmap(file, "<i4", "r", shape=(size,))) if size else np.zeros(0, "<i4")

    def fields(self, row: int) -> dict[str, np.ndarray]:
        """Field name -> int32 ids of one video, without special tokens."""
        return {n: self._tokens[self._offsets[i, row] : self._offsets[i, row + 1]] for i, n in enumerate(self.names)}

    def lengths(self, field: str) -> np.ndarray:
        """Tokens of that field per video, int64 [N]."""
        return np.diff(self._offsets[self.names.index(field)])

    def spans(self, rows: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All token ids end to end, and where those of some videos begin and how many they are, int64 [fields, B]."""
        offsets = self._offsets[[self.names.index(name) for name in names]]
        return self._tokens, offsets[:, rows], offsets[:, rows + 1] - offsets[:, rows]

    @property
    def vectors(self) -> np.ndarray | None:
        """float32 [V, D], a vector per token where the set has its own (words); else None."""
        file = self.folder / "vectors.npy"
        return np.load(file) if file.exists() else None

    def tokenizer(self) -> WordPieces:
        """Its tokenizer, with the whole words that join its tokens."""
        from tokenizers import Tokenizer

        words = self.folder / "words.txt"
        known = words.read_text(encoding="utf-8").splitlines() if words.exists() else []
        return WordPieces(Tokenizer.from_file(str(self.folder / "tokenizer.json")), known)

    @property
    def word_pieces(self) -> list[list[int]] | None:
        """Of each whole word, in order of their ids, the tokens that it would be cut into; None where none joins."""
        if self.vectors is not None or not (self.folder / "words.txt").exists():
            return None
        made = self.tokenizer()
        return [each.ids for each in made.base.encode_batch_fast(made.words, add_special_tokens=False)]

    def pieces(self, text: str) -> list[str]:
        """What a text is cut into; what is not in the vocabulary of words in brackets."""
        if self.vectors is None:
            made, first = self.tokenizer(), self.vocab_size - len(self.word_pieces or ())
            return [made.words[i - first] if i >= first else made.base.id_to_token(i) for i in made.encode([text])[0]]
        known = set((self.folder / "words.txt").read_text(encoding="utf-8").splitlines())
        return [word if word in known else f"[{word}]" for word in segment(text)]


class FrameSet(FrameFile, SetOnDisk):
    """Frame features apart from their corpus: ``frames.f16``, all frames end to end, and ``offsets.npy`` int64 [N + 1].
    Videos in quarantine have no frames; ``rejects.parquet`` says why."""

    names, _remedy = ("frames",), "delete the set's features.json and build it again"

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.path, self.frame_dim = self.folder, self.about["frame_dim"]
        self._frame_offset = np.load(self.folder / "offsets.npy")
        self.n_frames = np.diff(self._frame_offset).astype(np.int32)

    def lengths(self, field: str = "frames") -> np.ndarray:
        """Frames per video, int32 [N]."""
        return self.n_frames


Frames = Store | FrameSet  # what holds frame features: n_frames, frame_dim, frames(row), read_frames(row, out)


def choose(store: Store, folder: Path | None) -> Frames:
    """The frame set of that folder, or, without one, the corpus' own features. Raises ValueError: the set was made from
    another corpus, or there is no set and the corpus has only pictures; FileNotFoundError: there is no finished set in
    the folder."""
    if folder is None:
        if not store.frame_dim:
            raise ValueError(
                f"{shown(store.path)}: holds pictures but no frame features; name a set of images with "
                "features.frames.set (params/features/) and build it with notebooks/01_features.ipynb"
            )
        return store
    frames = FrameSet(folder)
    if frames.about["corpus"] != store.fingerprint:
        raise ValueError(f"{shown(folder)}: made from another corpus than {shown(store.path)}; build the set again")
    return frames


def is_made(folder: Path, digest: str) -> bool:
    """Whether the finished set with that digest is there."""
    done = Path(folder) / "features.json"
    return done.exists() and read_object(done).get("digest") == digest


@contextmanager
def building(folder: Path, store: Store, digest: str, *, resume: bool = False) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder to write a set's files into, and the facts to add to ``features.json``; put in place at the end. File by
    file, because the executed notebook may lie there; ``features.json`` is first taken away, so that it never vouches
    for files of another set, and written last. ``resume``: keep what an earlier, killed build left in the folder."""
    partial = folder.with_name(folder.name + ".partial")
    if not resume:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {}
    yield partial, facts
    files = sorted(file for file in partial.iterdir() if file.is_file())
    about = {"digest": digest, "videos": len(store), "corpus": store.fingerprint, **facts}
    about["checksums"] = {file.name: checksum(file) for file in files}
    folder.mkdir(parents=True, exist_ok=True)
    for stale in ("features.json", "rejects.parquet"):
        (folder / stale).unlink(missing_ok=True)
    for file in files:
        file.replace(folder / file.name)
    write_json(folder / "features.json", about)
    shutil.rmtree(partial)


def examples(built: TokenSet | FrameSet, store: Store, count: int) -> list[dict[str, Any]]:
    """What became of the first videos: of a title its pieces, of pictures their number and how alike they are."""
    videos = [(row, store.video(row, frames=False).title) for row in range(min(count, len(store)))]
    if isinstance(built, TokenSet):
        return [{"title": title, "pieces": " ".join(built.pieces(title))} for _, title in videos]
    return [
        {
            "title": title,
            "frames": int(built.n_frames[row]),
            "cosine of first and last": _first_to_last(built.frames(row)),
        }
        for row, title in videos
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
        raise ValueError(f"the set in {shown(built.folder)} was made from another corpus; delete its features.json")
    if isinstance(built, FrameSet):
        if about["rejected"] > 0.2 * len(store):
            raise ValueError(f"{about['rejected']} of {len(store)} videos have a damaged picture: see rejects.parquet")
        return
    own_vectors = built.vectors is not None  # then what is not in the vocabulary is left out, not mapped to one token
    known = about["tokens"] + (about["unknown_tokens"] if own_vectors else 0)
    if about["unknown_tokens"] > (0.7 if own_vectors else 0.2) * max(1, known):
        raise ValueError(f"{about['unknown_tokens']} of {known} tokens unknown: the tokenizer does not fit this text")
