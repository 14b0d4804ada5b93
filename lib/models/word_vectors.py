"""Text encoders on word vectors: ``batch.input_ids`` number the words of a word vocabulary, 0 is padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.models import bert
from lib.models.pretrained import resolve_backbone
from lib.models.sequences import InceptionStack, SpatialDropout, masked_mean, nonempty, recurrent, run_recurrent
from lib.models.video_model import States


class WordTable(nn.Module):
    """Trainable word vectors with dropout of whole channels: ids [B, T] -> [B, T, dim].

    Row 0 starts at zero and is trained like the others: a title without a known word is a row of zeros (B7-15).
    Without given vectors the table starts from N(0, 1).

    Raises:
        ValueError: the given vectors have another shape.
    """

    def __init__(self, vocab_size: int, dim: int, dropout: float, word_vectors: Tensor | None) -> None:
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
    """What the encoders below share: the table, and the weights that heads may borrow from it."""

    def __init__(self, vocab_size: int, dim: int, dropout: float, word_vectors: Tensor | None) -> None:
        super().__init__()
        self.words = WordTable(vocab_size, dim, dropout, word_vectors)
        self.output_dim = dim

    @property
    def word_table(self) -> Tensor:
        return self.words.table.weight


class WordVectors(_Words):
    """The words' vectors, nothing else: states [B, T, dim].

    Used by: AIAC rank 6 (``erc``, ``esim``, ``lstm``, ``gru_lxmert``).

    Args:
        vocab_size: rows of the table, padding included.
        dim: width of a word vector.
        dropout: of whole channels.
        word_vectors: float [vocab_size, dim] to start from, for example word2vec's; None starts at random.
    """

    def __init__(
        self, vocab_size: int, dim: int = 300, dropout: float = 0.2, word_vectors: Tensor | None = None
    ) -> None:
        super().__init__(vocab_size, dim, dropout, word_vectors)

    def forward(self, batch: Batch) -> States:
        return States(self.words(batch.input_ids), batch.text_mask)


class RecurrentWords(_Words):
    """A BiLSTM over word vectors; ``pooled`` is the mean of its states. States [B, T, output_dim].

    Used by: AIAC rank 6 (``lstm_nextvlad``).

    Args:
        vocab_size, dim, dropout, word_vectors: see ``WordVectors``.
        output_dim: both directions together.
        mask_padding: leave padded words out of the LSTM and of the mean; the original reads all 32 slots (B7-11).
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int = 300,
        output_dim: int = 512,
        dropout: float = 0.2,
        mask_padding: bool = True,
        word_vectors: Tensor | None = None,
    ) -> None:
        super().__init__(vocab_size, dim, dropout, word_vectors)
        if output_dim % 2:
            raise ValueError(f"RecurrentWords: output_dim {output_dim} must be even, half for either direction")
        self.lstm = recurrent("lstm", dim, output_dim // 2)
        self.mask_padding, self.output_dim = mask_padding, output_dim

    def forward(self, batch: Batch) -> States:
        mask = nonempty(batch.text_mask) if self.mask_padding else None
        hidden = run_recurrent(self.lstm, self.words(batch.input_ids), mask)
        return States(hidden, batch.text_mask, masked_mean(hidden, mask))


class InceptionWords(_Words):
    """Two Inception blocks over word vectors: states [B, T, hidden].

    Used by: AIAC rank 6 (``inception_lxmert``).

    Args:
        vocab_size, dim, dropout, word_vectors: see ``WordVectors``.
        hidden: width of the states, that of the fusion's backbone.
        mask_padding: padded words are zeros to the convolutions and do not count in the batch norms; the original
            convolves and counts them (B7-11).
    """

    def __init__(
        self,
        vocab_size: int,
        hidden: int,
        dim: int = 300,
        dropout: float = 0.2,
        mask_padding: bool = True,
        word_vectors: Tensor | None = None,
    ) -> None:
        super().__init__(vocab_size, dim, dropout, word_vectors)
        self.inception = InceptionStack(dim, hidden)
        self.mask_padding, self.output_dim = mask_padding, hidden

    def forward(self, batch: Batch) -> States:
        mask = nonempty(batch.text_mask) if self.mask_padding else None
        return States(self.inception(self.words(batch.input_ids), mask), batch.text_mask)


class TransformerWords(_Words):
    """Word vectors, a linear map to the backbone's width, the backbone's layers; no positions. States [B, T, width].

    Without positions the result does not depend on the order of the words, except through the position that is
    pooled. Used by: AIAC rank 6 (``light_lxmert``, one layer).

    Args:
        vocab_size, dim, dropout, word_vectors: see ``WordVectors``.
        backbone: which layers (see ``pretrained``); its embeddings are not used.
        mask_padding: padded words cannot be attended to; the original attends to them (B7-11).
    """

    def __init__(
        self,
        vocab_size: int,
        backbone: str = "random-1x768",
        dim: int = 300,
        dropout: float = 0.2,
        mask_padding: bool = True,
        word_vectors: Tensor | None = None,
    ) -> None:
        super().__init__(vocab_size, dim, dropout, word_vectors)
        resolved = resolve_backbone(backbone)
        self.project = nn.Linear(dim, resolved.config.hidden_size)
        self.encoder = bert.encoder(resolved.config)
        resolved.load_into(self.encoder, "bert.encoder.")
        self.mask_padding, self.output_dim = mask_padding, int(resolved.config.hidden_size)

    def forward(self, batch: Batch) -> States:
        mask = bert.key_mask(nonempty(batch.text_mask)) if self.mask_padding else None
        hidden = self.project(self.words(batch.input_ids))
        return States(self.encoder(hidden, attention_mask=mask).last_hidden_state, batch.text_mask)
