"""A world's own language model: a small BERT that has read a generated world's text, and its tokenizer.

The originals start from a BERT that has read Chinese; recipes on generated corpora start from this one, by name
(``params/backbones``). It has read videos of other corpora of the same language, and no label.

- Words: those that the text has often enough, and the commonest characters of the others. A text is cut into the likeliest
  words (Kudo 2018, arXiv:1804.10959); what is left is [UNK].
- Word vectors: truncated SVD of the positive pointwise mutual information of words in one video (Levy and Goldberg 2014).
- Masked words (Devlin et al. 2018, arXiv:1810.04805), guessed from their places and a second time from the pooled first
  position alone. BERT's first position learns from the next sentence; here it learns what a text is about.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tqdm.auto import tqdm

from lab.corpora.twin.classes import ClassTwin
from lab.corpora.twin.pairs import PairTwin
from lib.features.text import lay_out
from lib.features.tokens import SPECIAL, special_ids
from lib.models.bert import init_like_bert, init_std
from lib.recipes.code_digest import code_digest
from lib.runs import machine
from lib.runs.files import replace_folder, write_json
from lib.training.optimizers import build_optimizer
from lib.training.schedule import WarmupLinear

PAIRS = 40  # a corpus of pairs needs some; they are not read
CHUNK = 2000  # videos written at a time
HIDDEN = 0.15  # share of the words that are masked
FIELDS = ("title", "asr", "ocr")
# what is read of a batch: whose videos, and how their fields are laid out; in turn
READ = (("pairs", "title_asr"), ("classes", "packed"), ("pairs", "cls_title"), ("classes", "packed"))
USED = {"title_asr": (0, 1), "cls_title": (0,), "packed": (0, 2, 1)}  # fields of a layout, in its order


def make(
    world: str,
    out: Path,
    *,
    videos: int = 40_000,
    seed: int = 1000,
    width: int = 64,
    layers: int = 1,
    min_count: int = 40,
    characters: int = 300,
    length: int = 48,
    steps: int = 800,
    batch_size: int = 256,
    lr: float = 2e-3,
) -> dict[str, Any]:
    """Train a backbone on one thread: the same arguments and versions give the same weights.

    Args:
        world: whose language (``lab.corpora.twin.worlds``).
        out: gets ``config.json``, ``model.safetensors``, ``tokenizer.json`` and ``provenance.json``; replaced when all is done.
        videos: how many of either track are read.
        seed: of those corpora and of the weights. Corpora of another seed share the language and no video.
        min_count: rarer words are not in the vocabulary.
        characters: how many single characters are.
        length: most tokens of a text.

    Returns:
        What ``provenance.json`` holds.
    """
    from transformers import BertConfig, BertForPreTraining

    arguments = {name: value for name, value in locals().items() if isinstance(value, str | int | float)}
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    texts = {track: read(world, track, videos, seed) for track in ("pairs", "classes")}
    tokenizer = vocabulary(
        [text for fields in texts.values() for field in fields for text in field], min_count, characters
    )
    tokens = {track: Tokens(tokenizer, fields) for track, fields in texts.items()}
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=width, num_hidden_layers=layers, num_attention_heads=max(1, width // 32),
        intermediate_size=4 * width, initializer_range=init_std(width),
    )  # fmt: skip
    model = BertForPreTraining(config)
    init_like_bert(model, config.initializer_range)
    with torch.no_grad():
        table = model.bert.embeddings.word_embeddings.weight
        vectors = torch.from_numpy(word_vectors(list(tokens.values()), len(table), width, seed))
        known = vectors.abs().amax(dim=1) > 1e-6
        table[known] = vectors[known] * (config.initializer_range / vectors[known].std())
    losses = train(
        model, tokens, special_ids(tokenizer), length=length, steps=steps, batch_size=batch_size, lr=lr, seed=seed
    )
    facts = {
        "arguments": arguments,
        "vocabulary": len(table),
        "loss": {name: round(value, 3) for name, value in losses.items()},
    }
    facts |= {"code": code_digest(["lab.backbone"]), "versions": machine.collect()["packages"]}
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save(str(partial / "tokenizer.json"))
    write_json(partial / "provenance.json", facts)
    for file in partial.iterdir():
        if file.name not in ("config.json", "model.safetensors", "tokenizer.json", "provenance.json"):
            file.unlink()
    replace_folder(partial, out)
    return facts


def read(world: str, track: str, videos: int, seed: int) -> list[list[str]]:
    """The texts of a corpus' videos, field by field in the order of ``FIELDS``."""
    twin = PairTwin(videos, seed, PAIRS, world=world) if track == "pairs" else ClassTwin(videos, seed, world=world)
    fields: list[list[str]] = [[] for _ in FIELDS]
    for start in range(0, videos, CHUNK):
        told = twin.texts(np.arange(start, min(videos, start + CHUNK)))
        for field, name in zip(fields, FIELDS, strict=True):
            field += told.get(name, [""] * len(told["title"]))
    return fields


def vocabulary(texts: Sequence[str], min_count: int, characters: int) -> Tokenizer:
    """Words are those of jieba's dictionary, which the worlds are written with; deterministic for equal text."""
    from lab.corpora.twin.words import COMMA, HOOKS, SPOKEN, dictionary

    words = sorted({COMMA, *HOOKS, *SPOKEN, *(word for kind in dictionary().values() for word in kind)})
    every = _tokenizer({word: -1.0 for word in words})  # fewest words first
    counts: Counter[int] = Counter()
    for start in range(0, len(texts), CHUNK):
        for encoding in every.encode_batch_fast(
            [t for t in texts[start : start + CHUNK] if t], add_special_tokens=False
        ):
            counts.update(encoding.ids)
    found = {str(every.id_to_token(number)): count for number, count in counts.items() if number >= len(SPECIAL)}
    kept = {word: count for word, count in found.items() if count >= min_count}
    single: Counter[str] = Counter()
    for word, count in found.items():
        if word not in kept:
            single.update({character: count for character in word})
    common = sorted((c for c in single if c not in kept), key=lambda c: (-single[c], c))[:characters]
    kept |= {character: 1 for character in common}  # so rare that no word is cut up for their sake
    total = sum(kept.values())
    ordered = sorted(kept, key=lambda word: (-kept[word], word))
    return _tokenizer({word: float(np.log(kept[word] / total)) for word in ordered})


def _tokenizer(scores: dict[str, float]) -> Tokenizer:
    """Words of ``scores``, log probabilities, behind BERT's special tokens."""
    lowest = min(scores.values()) - 10.0
    pieces = [(token, lowest) for token in SPECIAL] + list(scores.items())
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=SPECIAL.index("[UNK]"), byte_fallback=False))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


class Tokens:
    """Texts as ids, end to end: field ``f`` of video ``n`` has ``lengths[f, n]`` from ``starts[f, n]`` on."""

    def __init__(self, tokenizer: Tokenizer, fields: Sequence[Sequence[str]]):
        ids = [
            encoding.ids
            for field in fields
            for encoding in tokenizer.encode_batch_fast(field, add_special_tokens=False)
        ]
        lengths = np.array([len(one) for one in ids])
        self.flat = np.concatenate([np.zeros(0, np.int64), *ids]).astype(np.int64)
        self.lengths = lengths.reshape(len(fields), -1)
        self.starts = (np.cumsum(lengths) - lengths).reshape(len(fields), -1)


def word_vectors(tokens: Sequence[Tokens], size: int, dim: int, seed: int) -> np.ndarray:
    """float32 [size, dim]; words that say nothing of their company have zeros."""
    together = csr_matrix((size, size), dtype=np.float32)
    share, videos = np.zeros(size), 0
    for one in tokens:
        n = one.lengths.shape[1]
        owner = np.concatenate([np.repeat(np.arange(n), lengths) for lengths in one.lengths])
        said = csr_matrix((np.ones(len(owner), np.float32), (owner, one.flat)), shape=(n, size))
        said.data[:] = 1
        together = together + said.T @ said
        share += np.asarray(said.sum(axis=0)).ravel()
        videos += n
    pairs = together.tocoo()
    apart = (pairs.row != pairs.col) & (pairs.row >= len(SPECIAL)) & (pairs.col >= len(SPECIAL)) & (pairs.data >= 3)
    row, col, data = pairs.row[apart], pairs.col[apart], pairs.data[apart]
    information = np.log(data * videos / (share[row] * share[col]))
    good = information > 0
    matrix = csr_matrix((information[good], (row[good], col[good])), shape=(size, size))
    u, s, _ = randomized_svd(matrix, dim, n_iter=cast(Any, 4), random_state=seed)
    return (u * np.sqrt(s)).astype(np.float32)


def train(
    model: Any,
    tokens: dict[str, Tokens],
    special: Any,
    *,
    length: int,
    steps: int,
    batch_size: int,
    lr: float,
    seed: int,
) -> dict[str, float]:
    """Masked words, from their places and from the pooled first position; returns the mean losses of the last tenth."""
    optimizer = build_optimizer(model.named_parameters(), lr=lr, weight_decay=0.01)
    schedule, rng = WarmupLinear(total_steps=steps, warmup=0.05), np.random.default_rng(seed)
    generator, size = torch.Generator().manual_seed(seed), model.config.vocab_size
    history = []
    model.train()
    for step in tqdm(range(steps), desc="masked words", unit="step", mininterval=10):
        track, layout = READ[step % len(READ)]
        one, used = tokens[track], list(USED[layout])
        rows = rng.integers(one.lengths.shape[1], size=batch_size)
        laid = lay_out(one.flat, one.starts[used][:, rows], one.lengths[used][:, rows], layout, length, special)
        ids, mask, types = (torch.from_numpy(part) for part in laid)
        chosen = mask & (ids >= len(SPECIAL)) & (torch.rand(ids.shape, generator=generator) < HIDDEN)
        fate = torch.rand(ids.shape, generator=generator)
        read = torch.where(chosen & (fate < 0.8), special.mask, ids)
        read = torch.where(
            chosen & (fate >= 0.9), torch.randint(len(SPECIAL), size, ids.shape, generator=generator), read
        )
        states = model.bert(read, attention_mask=mask.long(), token_type_ids=types)
        video, place = chosen.nonzero(as_tuple=True)
        wanted = ids[video, place]
        head = model.cls.predictions
        here = F.cross_entropy(head(states.last_hidden_state[video, place]), wanted)
        about = F.cross_entropy(head(states.pooler_output)[video], wanted)
        (here + about).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = lr * schedule.multiplier(step)
        optimizer.step()
        optimizer.zero_grad()
        history.append((here.item(), about.item()))
    tail = np.array(history[-max(1, steps // 10) :]).mean(axis=0)
    return {"masked words": float(tail[0]), "masked words from the first position": float(tail[1])}
