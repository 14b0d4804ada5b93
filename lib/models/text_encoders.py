"""Text encoders, from token ids to states: BERT, or its embeddings alone; encoders on word vectors, where
``batch.input_ids`` number words and 0 is padding; and a bag of n-grams, against which a system trained from random
weights should be held."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models import bert
from lib.models.sequences import InceptionStack, SpatialDropout, masked_mean, nonempty, recurrent, run_recurrent
from lib.models.video_model import States, from_vector

PRIME = 1_000_003  # spreads the ids of an n-gram over the buckets


class Embeddings(nn.Module):
    """BERT's embedding block alone: the text half of a single-stream model, whose layers are the fusion's. States are
    [B, T, D]. Positions count within the text, wherever the fusion puts it. Used by: AIAC rank 1."""

    def __init__(
        self,
        backbone: str,
        vocab_size: int,
        dropout: float | None = None,
        word_pieces: Sequence[Sequence[int]] | None = None,
    ):
        super().__init__()
        resolved = bert.resolve_backbone(backbone, vocab_size=vocab_size - len(word_pieces or ()), dropout=dropout)
        self.embeddings = bert.with_words(resolved.part("embeddings"), word_pieces)
        self.output_dim: int = resolved.config.hidden_size

    @property
    def word_table(self) -> Tensor:
        return self.embeddings.word_embeddings.weight

    def forward(self, batch: Batch) -> States:
        return States(self.embeddings(input_ids=batch.input_ids, token_type_ids=batch.token_types), batch.text_mask)


class BertText(nn.Module):
    """The whole BERT on the text alone: states [B, T, D].

    ``pooled`` [B, D] is the tanh pooler's output of the first token or that token's state itself; None without the
    pooler. Used by: the WeChat baseline; AIAC rank 6 (``lxmert``); AIAC rank 17 takes the first state in its first
    model and a layer norm without token types in its second; WeChat rank 72 takes the states alone.

    Args:
        pooler: whether to make the pooled vector; without it the encoder carries no pooler weights.
        pool: what ``pooled`` is: tanh for the pooler's output, first for the first token's state (no pooler weights).
        second_mask_value: value of the text mask m of the second video of every pair. AIAC rank 6 has 2 there (B7-5):
            BERT's own term (1 - m)·(-10000) becomes +10000 for real tokens, which float32 rounds visibly, and a fusion
            that adds the mask itself (``CrossModal`` with ``additive01``) adds 2. Batches without pairs are unaffected.
        still_first_rows: position 0 and token type 0 get no gradient, as if they were padding (WeChat rank 72, R10).
        layers: share of the layers, from below; those above may be the fusion's (``SplitStream``).
    """

    def __init__(
        self,
        backbone: str,
        vocab_size: int,
        pooler: bool = True,
        dropout: float | None = None,
        pool: Literal["tanh", "first"] = "tanh",
        norm: bool = False,
        token_types: bool = True,
        second_mask_value: PositiveInt = 1,
        still_first_rows: bool = False,
        layers: float = 1.0,
        word_pieces: Sequence[Sequence[int]] | None = None,
    ):
        super().__init__()
        resolved = bert.resolve_backbone(backbone, vocab_size=vocab_size - len(word_pieces or ()), dropout=dropout)
        if second_mask_value != 1:  # fused attention rounds differently, which shows at 10000
            resolved.config._attn_implementation = "eager"
        self.second_mask_value = second_mask_value
        self.embeddings = bert.with_words(resolved.part("embeddings"), word_pieces)
        self.encoder = resolved.part("encoder")
        self.encoder.layer = self.encoder.layer[: round(layers * len(self.encoder.layer))]
        self.pooler = resolved.part("pooler") if pooler and pool == "tanh" else None
        if still_first_rows:  # set after the weights, so that the rows keep their numbers
            self.embeddings.position_embeddings.padding_idx = self.embeddings.token_type_embeddings.padding_idx = 0
        self.norm = nn.LayerNorm(resolved.config.hidden_size, eps=1e-5) if norm else None
        self.pool, self.token_types = pool, token_types
        self.output_dim: int = resolved.config.hidden_size

    @property
    def word_table(self) -> Tensor:
        return self.embeddings.word_embeddings.weight

    def forward(self, batch: Batch) -> States:
        types = batch.token_types if self.token_types else torch.zeros_like(batch.token_types)
        hidden = self.embeddings(input_ids=batch.input_ids, token_type_ids=types)
        value = None if self.second_mask_value == 1 else self._mask_value(batch)
        mask = bert.key_mask(batch.text_mask) if value is None else ((1.0 - value) * -10000.0)[:, None, None, :]
        hidden = self.encoder(hidden, attention_mask=mask).last_hidden_state
        if self.norm is not None:
            hidden = self.norm(hidden)
        first = hidden[:, 0] if self.pool == "first" else None
        pooled = self.pooler(hidden) if self.pooler is not None else first
        return States(hidden, batch.text_mask, pooled, mask_value=value)

    def _mask_value(self, batch: Batch) -> Tensor:
        """The mask as numbers: 0, 1, and for second videos the given value."""
        value = batch.text_mask.float()
        if batch.pair is None:
            return value
        second = torch.zeros(len(batch), dtype=torch.bool, device=value.device)
        second[batch.pair[:, 1]] = True
        return torch.where(second.unsqueeze(1), value * self.second_mask_value, value)


class WordTable(nn.Module):
    """Trainable word vectors with dropout of whole channels: ids [B, T] -> [B, T, dim]. Row 0 starts at zero and is
    trained like the others: a title without a known word is a row of zeros (B7-15). Without given vectors the table
    starts from N(0, 1). Raises ValueError: the given vectors have another shape."""

    def __init__(self, vocab_size: int, dim: int, dropout: float, word_vectors: Tensor | None):
        super().__init__()
        self.table = nn.Embedding(vocab_size, dim)
        with torch.no_grad():
            if word_vectors is None:
                self.table.weight[0].zero_()
            elif tuple(word_vectors.shape) != (vocab_size, dim):
                raise ValueError(
                    f"word vectors of shape {tuple(word_vectors.shape)} do not fit a vocabulary of {vocab_size} and "
                    f"dim {dim}; make them for this vocabulary"
                )
            else:
                self.table.weight.copy_(word_vectors)
        self.dropout = SpatialDropout(dropout)

    def forward(self, ids: Tensor) -> Tensor:
        return self.dropout(self.table(ids))


class _Words(nn.Module):
    """What the encoders below share: the table, ids [B, T] -> [B, T, dim], and its weights, which heads may borrow. They hand
    on to it what they are given as ``words``."""

    def __init__(self, vocab_size: int, dim: int = 300, *, dropout: float = 0.2, word_vectors: Tensor | None = None):
        super().__init__()
        self.words = WordTable(vocab_size, dim, dropout, word_vectors)
        self.output_dim = dim

    @property
    def word_table(self) -> Tensor:
        return self.words.table.weight


class WordVectors(_Words):
    """The words' vectors, nothing else: states [B, T, dim]. Used by: AIAC rank 6 (``erc``, ``esim``, ``lstm``,
    ``gru_lxmert``). ``word_vectors``: float [vocab_size, dim] to start from, for example word2vec's; None starts at
    random."""

    def forward(self, batch: Batch) -> States:
        return States(self.words(batch.input_ids), batch.text_mask)


class RecurrentWords(_Words):
    """A BiLSTM over word vectors; ``pooled`` is the mean of its states. States [B, T, output_dim]. Used by: AIAC rank 6
    (``lstm_nextvlad``). ``mask_padding``: leave padded words out of the LSTM and of the mean; the original reads all 32
    slots (B7-11)."""

    def __init__(self, vocab_size: int, dim: int = 300, output_dim: int = 512, mask_padding: bool = True, **words: Any):
        super().__init__(vocab_size, dim, **words)
        if output_dim % 2:
            raise ValueError(f"RecurrentWords: output_dim {output_dim} must be even, half for either direction")
        self.lstm = recurrent("lstm", dim, output_dim // 2)
        self.mask_padding, self.output_dim = mask_padding, output_dim

    def forward(self, batch: Batch) -> States:
        mask = nonempty(batch.text_mask) if self.mask_padding else None
        hidden = run_recurrent(self.lstm, self.words(batch.input_ids), mask)
        return States(hidden, batch.text_mask, masked_mean(hidden, mask))


class InceptionWords(_Words):
    """Two Inception blocks over word vectors: states [B, T, hidden]. Used by: AIAC rank 6 (``inception_lxmert``).
    ``mask_padding``: padded words are zeros to the convolutions and do not count in the batch norms; the original
    convolves and counts them (B7-11)."""

    def __init__(self, vocab_size: int, hidden: int, dim: int = 300, mask_padding: bool = True, **words: Any):
        super().__init__(vocab_size, dim, **words)
        self.inception = InceptionStack(dim, hidden)
        self.mask_padding, self.output_dim = mask_padding, hidden

    def forward(self, batch: Batch) -> States:
        mask = nonempty(batch.text_mask) if self.mask_padding else None
        return States(self.inception(self.words(batch.input_ids), mask), batch.text_mask)


class TransformerWords(_Words):
    """Word vectors, a linear map to the backbone's width, the backbone's layers; no positions. States [B, T, width].

    Without positions the result does not depend on the order of the words, except through the position that is pooled.
    Used by: AIAC rank 6 (``light_lxmert``, one layer). ``mask_padding``: padded words cannot be attended to; the
    original attends to them (B7-11).
    """

    def __init__(
        self, vocab_size: int, backbone: str = "random-1x768", dim: int = 300, mask_padding: bool = True, **words: Any
    ):
        super().__init__(vocab_size, dim, **words)
        resolved = bert.resolve_backbone(backbone)
        self.project = nn.Linear(dim, resolved.config.hidden_size)
        self.encoder = resolved.part("encoder")
        self.mask_padding, self.output_dim = mask_padding, int(resolved.config.hidden_size)

    def forward(self, batch: Batch) -> States:
        mask = bert.key_mask(nonempty(batch.text_mask)) if self.mask_padding else None
        hidden = self.project(self.words(batch.input_ids))
        return States(self.encoder(hidden, attention_mask=mask).last_hidden_state, batch.text_mask)


class NgramBag(nn.Module):
    """The sum of the vectors of a text's token n-grams, hashed into a table of fixed size; ``pooled`` [B, output_dim].

    Special tokens count as tokens, so n-grams know where a field begins and ends. Source: Joulin et al. 2017, Bag of
    tricks for efficient text classification (fastText); the layer norm stands in for its average. No competition's
    system had it. Used by: a variant of the WeChat baseline (``bags``). Raises ValueError: an order below 1, or fewer
    than 2 buckets. ``buckets``: rows of the table; n-grams that fall into one row share a vector.
    """

    def __init__(
        self, output_dim: int = 256, orders: Sequence[int] = (1, 2, 3), buckets: int = 32_768, dropout: float = 0.3
    ):
        super().__init__()
        if not orders or min(orders) < 1 or buckets < 2:
            raise ValueError(f"NgramBag: orders of 1 or more and 2 buckets or more, got {list(orders)} and {buckets}")
        self.table = nn.EmbeddingBag(buckets, output_dim, mode="sum")
        nn.init.normal_(self.table.weight, std=0.1)
        self.norm, self.dropout = nn.LayerNorm(output_dim), nn.Dropout(dropout)
        self.orders, self.output_dim = tuple(orders), output_dim

    def forward(self, batch: Batch) -> States:
        rows, real = self.rows(batch.input_ids, batch.text_mask)
        share = real / real.sum(dim=1, keepdim=True).clamp(min=1).sqrt()
        pooled = self.dropout(self.norm(self.table(rows, per_sample_weights=share.to(self.table.weight.dtype))))
        return from_vector(pooled)

    def rows(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the table, int64 [B, N], and which of them are n-grams of real tokens only, bool [B, N]."""
        rows, real = [], []
        for order in self.orders:
            places = max(ids.shape[1] - order + 1, 0)
            hashed, whole = ids.new_full((len(ids), places), order), mask.new_ones(len(ids), places)
            for step in range(order):
                hashed = hashed * PRIME + ids[:, step : step + places]  # int64 wraps around, alike on every device
                whole = whole & mask[:, step : step + places]
            rows.append((hashed ^ (hashed >> 17)).remainder(self.table.num_embeddings))
            real.append(whole)
        return torch.cat(rows, dim=1), torch.cat(real, dim=1)
