"""Token sets: the text of a corpus tokenized once, memory-mapped by video row.

The originals tokenize every title again in every epoch; here a field of a video is one slice of one array. Fields are
kept apart and without special tokens, so that every layout (``lib.features.text``) can be laid out from one set.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from lib.data.store import Store
from lib.features import vocabulary
from lib.features.keywords import prepare
from lib.features.text import SpecialIds
from lib.recipes.specs import FeatureSet, FieldRules
from lib.runs.files import read_json, write_json

CHUNK = 4096  # videos tokenized at a time: bounds memory


class TokenSet:
    """A token set on disk: ``features.json``, ``tokens.i32``, ``offsets.npy`` [fields, N + 1], ``tokenizer.json``."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        if not (self.folder / "features.json").exists():
            raise FileNotFoundError(
                f"{folder}: no token set; make it with: papermill notebooks/01_features.ipynb out.ipynb -p corpus <corpus>"
            )
        self.about = read_json(self.folder / "features.json")
        self.names: list[str] = self.about["fields"]
        self.vocab_size: int = self.about["vocab_size"]
        self.special = SpecialIds(**self.about["special"])
        # plain views: slicing an np.memmap itself costs several times as much, and fields() slices a lot
        self._offsets = np.asarray(np.load(self.folder / "offsets.npy", mmap_mode="r"))
        size = int(self._offsets[-1, -1])
        self._tokens = (
            np.asarray(np.memmap(self.folder / "tokens.i32", dtype="<i4", mode="r", shape=(size,)))
            if size
            else np.zeros(0, "<i4")
        )

    def __len__(self) -> int:
        return self._offsets.shape[1] - 1

    def fields(self, row: int) -> dict[str, np.ndarray]:
        """Field name -> int32 ids of one video, without special tokens."""
        return {
            name: self._tokens[self._offsets[i, row] : self._offsets[i, row + 1]] for i, name in enumerate(self.names)
        }

    def lengths(self, field: str) -> np.ndarray:
        """Tokens of that field per video, int64 [N]."""
        return np.diff(self._offsets[self.names.index(field)])

    def spans(self, rows: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All token ids end to end, and where those of some videos begin and how many they are, int64 [fields, B]."""
        offsets = self._offsets[[self.names.index(name) for name in names]]
        return self._tokens, offsets[:, rows], offsets[:, rows + 1] - offsets[:, rows]

    @property
    def tokenizer(self):
        return vocabulary.read(self.folder)

    @property
    def vectors(self) -> np.ndarray | None:
        """float32 [V, D], a vector per token where the set has its own (words); else None."""
        file = self.folder / "vectors.npy"
        return np.load(file) if file.exists() else None

    def pieces(self, text: str) -> list[str]:
        """What a text is cut into; what is not in the vocabulary in brackets."""
        if self.vectors is None:
            return self.tokenizer.encode(text, add_special_tokens=False).tokens
        from lib.features.words import segment

        known = set((self.folder / "words.txt").read_text(encoding="utf-8").splitlines())
        return [word if word in known else f"[{word}]" for word in segment(text)]


def build(store: Store, folder: Path, spec: FeatureSet, tokenizer_name: str, digest: str) -> TokenSet:
    """Tokenize every field of every video; atomic, in constant memory.

    Args:
        tokenizer_name: "corpus" or a pretrained tokenizer's name or path.
        digest: what the set depends on; an existing set with the same digest is returned as it is.
    """
    folder = Path(folder)
    done = folder / "features.json"
    if done.exists() and read_json(done)["digest"] == digest:
        return TokenSet(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if tokenizer_name == "corpus":
        texts = (text for chunk in _texts(store, spec, spec.fields) for column in chunk.values() for text in column)
        tokenizer = vocabulary.from_corpus(texts, spec.min_count)
    else:
        tokenizer = vocabulary.pretrained(tokenizer_name)
    vocabulary.save(tokenizer, partial)
    special = vocabulary.special_ids(tokenizer)

    lengths = np.zeros((len(spec.fields), len(store)), dtype=np.int64)
    unknown = 0
    for number, field in enumerate(spec.fields):
        row = 0
        with (partial / f"{field}.i32").open("wb") as file:
            for chunk in tqdm(
                _texts(store, spec, (field,)), total=-(-len(store) // CHUNK), desc=f"tokenize {field}", unit="chunk"
            ):
                for encoding in tokenizer.encode_batch_fast(chunk[field], add_special_tokens=False):
                    ids = np.array(encoding.ids, dtype="<i4")
                    unknown += int((ids == special.unk).sum())
                    lengths[number, row] = len(ids)
                    file.write(ids.tobytes())
                    row += 1
    ends = lengths.reshape(-1).cumsum().reshape(lengths.shape)
    offsets = np.concatenate([np.concatenate([[0], ends[:-1, -1]])[:, None], ends], axis=1)
    np.save(partial / "offsets.npy", offsets)
    with (partial / "tokens.i32").open("wb") as file:
        for field in spec.fields:
            with (partial / f"{field}.i32").open("rb") as part:
                shutil.copyfileobj(part, file)
            (partial / f"{field}.i32").unlink()
    about = {
        "digest": digest, "fields": list(spec.fields), "tokenizer": tokenizer_name, "vocab_size": tokenizer.get_vocab_size(),
        "special": special.__dict__, "videos": len(store), "tokens": int(offsets[-1, -1]), "unknown_tokens": unknown,
        "corpus": store.fingerprint,
    }  # fmt: skip
    write_json(partial / "features.json", about)
    install(partial, folder, ("tokenizer.json", "tokens.i32", "offsets.npy", "features.json"))
    return TokenSet(folder)


def install(partial: Path, folder: Path, names: Sequence[str]) -> None:
    """Put a finished set in place, file by file, because the executed notebook may lie there; ``features.json`` is last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (partial / name).replace(folder / name)
    partial.rmdir()


def _texts(store: Store, spec: FeatureSet, fields: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Chunks of field texts; OCR lines in order of time, joined by a comma (as rank 72 of WeChat 2022 does)."""
    videos: list = []
    for video in store.iter_videos():
        videos.append(video)
        if len(videos) == CHUNK:
            yield _columns(videos, spec, fields)
            videos = []
    if videos:
        yield _columns(videos, spec, fields)


def _columns(videos: list, spec: FeatureSet, fields: Sequence[str]) -> dict[str, list[str]]:
    read = {
        "title": lambda video: video.title,
        "asr": lambda video: video.asr,
        "ocr": lambda video: ",".join(text for _, text in sorted(video.ocr, key=lambda line: line[0])),
    }
    if spec.rules is not None:
        read = {field: partial(_prepared, field, dict(read), spec.rules) for field in read}
    return {field: [read[field](video)[: spec.max_characters] for video in videos] for field in fields}


def _prepared(field: str, read: dict[str, Callable], rules: FieldRules, video) -> str:
    return prepare(field, {name: get(video) for name, get in read.items()}, rules)
