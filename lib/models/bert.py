"""BERT: what a backbone's name means, its parts built from transformers' own modules, and their weights.

==============================  ===================================================================================
``tiny-2x64``, ``small-4x256``  2 layers 64 wide, 4 layers 256 wide, ...; random weights, for tests and small scales
``random-24x1024``              the same rule under an honest name for large ones, for benchmarks without weights
``clear``                       a folder of ``params/backbones``: a small model of a generated world's own language
anything else                   a local folder or a name that transformers can resolve; its weights are loaded
==============================  ===================================================================================

transformers is imported inside the functions: it takes seconds, and NeXtVLAD does not need it.
"""

from __future__ import annotations

import copy
import fnmatch
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from lib.runs import backbones

if TYPE_CHECKING:
    from transformers import BertConfig

RANDOM = re.compile(r"(tiny|small|random)(?:-(\d+)x(\d+))?")
DEFAULT_SIZE = {"tiny": (2, 64), "small": (4, 256), "random": (12, 768)}
PUBLISHED_STD, PUBLISHED_WIDTH = 0.02, 1024
Kind = Literal["embeddings", "encoder", "pooler"]

# Architectures of the checkpoints that recipes name, so that widths and parameter counts need no network.
KNOWN = {
    "bert-base-chinese": (12, 768, 21128),
    "hfl/chinese-roberta-wwm-ext-large": (24, 1024, 21128),
    "hfl/chinese-roberta-wwm-ext": (12, 768, 21128),
    "hfl/chinese-macbert-base": (12, 768, 21128),
    "hfl/chinese-macbert-large": (24, 1024, 21128),
}


@dataclass(frozen=True)
class Backbone:
    """An architecture and, unless it is a random stand-in, its checkpoint."""

    name: str
    config: BertConfig
    pretrained: bool

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The checkpoint in transformers' naming (``bert.…``, ``cls.predictions.…``), float32. Raises ValueError: the
        checkpoint cannot be found."""
        from transformers import BertForPreTraining

        try:
            loaded: Any = BertForPreTraining.from_pretrained(
                backbones.found(self.name), dtype=torch.float32, output_loading_info=True
            )
            model, info = loaded
        except OSError as error:
            raise ValueError(
                f"backbone {self.name}: no weights found ({str(error).splitlines()[0]}). "
                "Give the path of a folder that holds config.json and the weights, or use a scale with random backbones"
            ) from error
        absent = set(info["missing_keys"])  # transformers fills these with random numbers; we want to hear of them
        return {key: value for key, value in model.state_dict().items() if key not in absent}

    def part(self, kind: Kind) -> Any:
        """A part with its weights (see ``part``). Raises ValueError: the checkpoint does not have them."""
        module = part(kind, self.config)
        self.load_into(module, f"bert.{kind}.")
        return module

    def layers(self, start: float, *, cross: bool = False) -> nn.ModuleList:
        """The layers from this share of the stack up, with their weights, so that stand-ins of another depth are cut alike;
        ``cross``: with cross-attention besides, whose weights are random (see ``layers``)."""
        first = round(start * self.config.num_hidden_layers)
        built = layers(self.config, self.config.num_hidden_layers - first, cross=cross)
        for number, layer in enumerate(built, first):
            for name in ("attention", "intermediate", "output"):
                self.load_into(getattr(layer, name), f"bert.encoder.layer.{number}.{name}.")
        return built

    def load_into(
        self, module: nn.Module, prefix: str, *, rename: Mapping[str, str] | None = None, ignore: Sequence[str] = ()
    ) -> None:
        """Copy the part of the checkpoint below ``prefix`` into ``module``; nothing to do for random backbones. Raises
        ValueError: a parameter of the module is not in the checkpoint or has another shape.

        Args:
            rename: checkpoint name below the prefix -> name in the module, where they differ; others keep theirs.
            ignore: patterns of names, after renaming, that the module may leave in the checkpoint.
        """
        if not self.pretrained or any(parameter.is_meta for parameter in module.parameters()):
            return
        rename = rename or {}
        below = {key.removeprefix(prefix): value for key, value in self.weights.items() if key.startswith(prefix)}
        renamed = {rename.get(key, key): value for key, value in below.items()}
        load_state(module, renamed, allow_unexpected=ignore, source=f"checkpoint {self.name}")


def resolve_backbone(name: str, *, vocab_size: int | None = None, dropout: float | None = None) -> Backbone:
    """What a backbone's name means. Raises ValueError: unknown name, or a checkpoint made for another vocabulary.

    Args:
        vocab_size: size of the token set; random backbones take it over, a checkpoint must agree with it.
        dropout: replaces hidden and attention dropout, 0.1 in all published checkpoints.
    """
    shape = _random_shape(name)
    pretrained = shape is None
    if shape is not None:
        config = _config(*shape, vocab_size or 21128)
    elif name in KNOWN and not Path(name).exists():
        config = _config(*KNOWN[name])
    else:
        config = _load_config(name)
    if vocab_size is not None and config.vocab_size != vocab_size:
        raise ValueError(
            f"backbone {name}: made for {config.vocab_size} tokens, the token set has {vocab_size}; "
            "name the tokenizer that belongs to it"
        )
    if dropout is not None:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    return Backbone(name, config, pretrained)


def stand_in(named: str, by: str | None) -> str | None:
    """What a scale's backbone puts in the place of the one that a recipe names: itself, or, where the recipe starts
    from random weights, random weights of its size. None: nothing."""
    if by is None or _random_shape(named) is None:
        return by
    config = resolve_backbone(by).config
    return f"random-{config.num_hidden_layers}x{config.hidden_size}"


def init_std(width: int) -> float:
    """Standard deviation of BERT's initial weights: the published 0.02 from 768 upwards, and for small random stand-ins
    the same signal size, which goes with 1/sqrt(width) (0.08 at 64)."""
    return PUBLISHED_STD if width >= 768 else PUBLISHED_STD * math.sqrt(PUBLISHED_WIDTH / width)


def init_like_bert(module: nn.Module, std: float) -> None:
    """N(0, std²) for every linear map and table, zero for biases and padding rows; layer norms stay at (1, 0)."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, 0.0, std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            with torch.no_grad():
                part.weight[part.padding_idx].zero_()


def part(kind: Kind, config: BertConfig) -> Any:
    """A part of BERT, initialised as BERT is. Embeddings: word, position and token-type tables, summed, layer norm,
    dropout; encoder: the stack of post-norm layers, on torch's fused attention; pooler: tanh of a linear map of the
    first position."""
    from transformers.models.bert import modeling_bert

    module = getattr(modeling_bert, f"Bert{kind.capitalize()}")(config)
    init_like_bert(module, config.initializer_range)
    return module


def stack_config(width: int, heads: int | None = None, ffn: int | None = None, dropout: float = 0.1) -> BertConfig:
    """Configuration of layers as BERT's, of any width, without words. Left out, heads are 64 wide (in small models 32) and
    ``ffn`` is four times the width."""
    config = _config(1, width, 1)
    if heads is not None:
        config.num_attention_heads = heads
    config.intermediate_size = ffn or config.intermediate_size
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    return config


def layers(config: BertConfig, count: int, *, cross: bool = False, key_width: int | None = None) -> nn.ModuleList:
    """BERT's post-norm layers; with ``cross`` each is self-attention, cross-attention, feed-forward (Li et al. 2021, ALBEF).
    ``key_width``: of what cross-attention reads; None: that of the layers."""
    from transformers.models.bert.modeling_bert import BertLayer

    own = copy.deepcopy(config)
    own.is_decoder = own.add_cross_attention = cross  # no causal mask: ``run_layers`` always gives one of its own
    built = nn.ModuleList(BertLayer(own) for _ in range(count))
    for layer in built if key_width is not None else ():
        reads: Any = layer.get_submodule("crossattention.self")
        reads.key, reads.value = (nn.Linear(key_width or 0, config.hidden_size) for _ in range(2))
    init_like_bert(built, config.initializer_range)
    return built


def run_layers(
    stack: nn.ModuleList, hidden: Tensor, mask: Tensor, keys: Tensor | None = None, keys_mask: Tensor | None = None
) -> Tensor:
    """States [B, L, D] through the layers. ``mask``: bool [B, L], or [B, 1, L, L] where positions see different keys;
    ``keys`` [B, K, D'] and ``keys_mask`` bool [B, K] are what cross-attention reads."""
    own = key_mask(mask) if mask.ndim == 2 else mask
    other = None if keys_mask is None else key_mask(keys_mask)
    for layer in stack:
        hidden = layer(hidden, own, keys, encoder_attention_mask=other)
    return hidden


def with_words(embeddings: Any, word_pieces: Sequence[Sequence[int]] | None) -> Any:
    """The embeddings with a row more for each word, which begins as the mean of the rows of its tokens."""
    if word_pieces:
        table = embeddings.word_embeddings
        with torch.no_grad():
            words = torch.stack([table.weight[list(pieces)].mean(dim=0) for pieces in word_pieces])
            rows = torch.cat([table.weight, words])
        embeddings.word_embeddings = nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=table.padding_idx)
    return embeddings


def key_mask(mask: Tensor) -> Tensor:
    """Which keys may be attended to, as fused attention wants it: bool [B, L] -> bool [B, 1, 1, L]. A row without a
    single valid key would divide zero by zero; it attends everywhere instead, and the pooling, which has the true mask,
    drops it. Equal to the originals' additive (1 - m)·(-10000) for every row that has a valid key."""
    return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :]


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], *, allow_unexpected: Sequence[str] = (), source: str = "weights"
) -> None:
    """Load a state dict and account for every key. Raises ValueError: lists every key that is missing, left over or of
    another shape. ``allow_unexpected``: shell patterns (``head.*``) of keys that may be left over."""
    own = module.state_dict().keys()
    spare = {key for key in state if key not in own and any(fnmatch.fnmatchcase(key, p) for p in allow_unexpected)}
    try:
        module.load_state_dict({key: value for key, value in state.items() if key not in spare})
    except RuntimeError as error:
        raise ValueError(f"{source}: cannot be loaded: {error}") from None


def _random_shape(name: str) -> tuple[int, int] | None:
    found = RANDOM.fullmatch(name)
    if found is None:
        if name.split("-")[0] in DEFAULT_SIZE and not Path(name).exists():
            raise ValueError(f"backbone {name!r}: random backbones are written like tiny-2x64 (layers x width)")
        return None
    layers, width = (int(found[2]), int(found[3])) if found[2] else DEFAULT_SIZE[found[1]]
    if width % 32:
        raise ValueError(f"backbone {name!r}: the width must be a multiple of 32")
    return layers, width


def _config(layers: int, width: int, vocab_size: int) -> BertConfig:
    from transformers import AutoConfig

    config: Any = AutoConfig.for_model(
        "bert",
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // (64 if width >= 512 else 32),
        intermediate_size=4 * width,
        initializer_range=init_std(width),
        attn_implementation="sdpa",  # without it bare modules fall back to eager attention
    )
    return config


def _load_config(name: str) -> BertConfig:
    from transformers import AutoConfig

    try:
        config: Any = AutoConfig.from_pretrained(backbones.found(name), attn_implementation="sdpa")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"backbone {name}: neither a folder nor a model that can be fetched ({str(error).splitlines()[0]})"
        ) from error
    if config.model_type != "bert":
        raise ValueError(f"backbone {name}: a {config.model_type} model; these slots are made for BERT")
    return config
