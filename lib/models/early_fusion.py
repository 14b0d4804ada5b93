"""Early fusion: words and frames joined position by position before anything reads them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.models.matching import as_joint
from lib.models.sequences import masked_max, masked_mean, nonempty, recurrent, run_recurrent
from lib.models.video_model import Joint, States


class EarlyFusion(nn.Module):
    """A BiLSTM over [word i; frame i], then mean and maximum over the positions: [B, 4·width].

    Used by: AIAC rank 6 (``lstm``). The original owns a linear map of the frames that nothing uses; it is left out.

    Args:
        text_dim, frames_dim: widths of what comes in.
        width: of the LSTM in either direction.
        mask_padding: a position counts if it has a word or a frame, and what is padded is zero. The original reads,
            averages and maximises over all 32 positions (B7-11); false needs as many text as frame slots.
    """

    def __init__(self, text_dim: int, frames_dim: int, width: int = 512, mask_padding: bool = True) -> None:
        super().__init__()
        self.lstm = recurrent("lstm", text_dim + frames_dim, width)
        self.mask_padding = mask_padding
        self.output_dim = 4 * width

    def forward(self, text: States, frames: States) -> Joint:
        if self.mask_padding:
            length = max(text.mask.shape[1], frames.mask.shape[1])
            mask = nonempty(_stretch(text.mask, length) | _stretch(frames.mask, length))
            sides = [
                _stretch(side.hidden.masked_fill(~side.mask.unsqueeze(-1), 0.0), length) for side in (text, frames)
            ]
        else:
            if text.mask.shape != frames.mask.shape:
                raise ValueError(
                    f"EarlyFusion: {text.mask.shape[1]} text slots and {frames.mask.shape[1]} frame slots; without "
                    "mask_padding both must be padded to the same length (features.*.pad: full, equal lengths)"
                )
            mask, sides = None, [text.hidden, frames.hidden]
        hidden = run_recurrent(self.lstm, torch.cat(sides, dim=-1), mask)
        return as_joint(torch.cat([masked_mean(hidden, mask), masked_max(hidden, mask)], dim=-1))


def _stretch(x: Tensor, length: int) -> Tensor:
    """Zeros behind, so that dimension 1 has ``length`` positions."""
    return F.pad(x, (0, 0) * (x.ndim - 2) + (0, length - x.shape[1]))
