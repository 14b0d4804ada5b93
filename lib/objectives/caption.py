"""Writing a video's text again from what the model has made of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.batch import IGNORE, Batch
from lib.models.bert import init_like_bert, init_std
from lib.models.sequences import nonempty
from lib.models.video_model import Outputs
from lib.objectives.masking import PredictionHead
from lib.objectives.mix import Objective, needed


class Caption(Objective):
    """Cross entropy of each token [B, T] given those before it and the fused states [B, L, D] (Luo et al. 2020, UniVL,
    arXiv:2002.06353).

    The text is as it was before tokens were hidden, the states are of what was left: without ``MaskedTokens`` beside it
    the decoder can copy (quirk M4q). Videos that lost their own frames are left out. 6th of the WeChat final; depth and
    decoder by UniVL (U10), the positions' table is its own here.

    Args:
        depth, heads: layers of the decoder, and attention heads; None: as many as a BERT of that width has.
    """

    def __init__(
        self, hidden: int, vocab_size: int, num_text_slots: int, depth: int = 3, heads: int | None = None,
        dropout: float = 0.1,
    ):  # fmt: skip
        super().__init__()
        heads = hidden // (64 if hidden >= 512 else 32) if heads is None else heads
        self.position_embeddings = nn.Embedding(num_text_slots, hidden)
        self.LayerNorm, self.dropout = nn.LayerNorm(hidden, eps=1e-12), nn.Dropout(dropout)
        options = {"activation": F.gelu, "layer_norm_eps": 1e-12, "batch_first": True}
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(hidden, heads, 4 * hidden, dropout, **options) for _ in range(depth)
        )
        self.head = PredictionHead(hidden, vocab_size, own_table=False)
        init_like_bert(self, init_std(hidden))

    def guessed(self, batch: Batch) -> Tensor:
        later = batch.text_mask[:, 1:]
        return later if batch.matched is None else later & batch.matched.bool().unsqueeze(1)

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        labels, ids = batch.token_labels, batch.input_ids
        ids = ids if labels is None else torch.where(labels == IGNORE, ids, labels)
        video, token = self.places(batch)
        states = self.states(outputs, ids[:, :-1], batch.text_mask[:, :-1])
        scores = self.head(states[video, token], outputs.word_table).float()
        return F.cross_entropy(scores, ids[video, token + 1], reduction="sum") / max(1, len(scores))

    def states(self, outputs: Outputs, ids: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D] of a text, each of which knows the tokens up to its own and all of the video."""
        table = needed(outputs.word_table, "Caption", "an encoder's word table")
        x = F.embedding(ids, table) + self.position_embeddings.weight[: ids.shape[1]]
        x = self.dropout(self.LayerNorm(x))
        later = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).triu(1)
        seen = {"memory_key_padding_mask": ~nonempty(outputs.joint.mask), "tgt_key_padding_mask": ~nonempty(mask)}
        for layer in self.layers:
            x = layer(x, outputs.joint.hidden, tgt_mask=later, **seen)
        return x
