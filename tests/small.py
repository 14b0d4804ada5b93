"""Small batches and models for tests of models and objectives."""

import torch
from torch import Tensor

from lib.data.batch import Batch, SpecialIds
from lib.models import Embeddings, FrameProjection, MeanPool, Projection, SingleStream
from lib.models.video_model import Joint, Outputs, VideoModel

SPECIAL = SpecialIds(pad=0, unk=1, cls=2, sep=3, mask=4)
VOCABULARY, WIDTH, FRAME_DIM, TAGS = 120, 32, 12, 9


def batch(tokens: list[int], frames: list[int], *, slots: tuple[int, int] | None = None, seed: int = 0) -> Batch:
    """Videos with these numbers of title pieces ([CLS], [SEP], [SEP] come on top) and frames, padded to the longest or
    to ``slots``; padded frames hold garbage, which nothing may read."""
    generator = torch.Generator().manual_seed(seed)
    size = len(tokens)
    text_slots, frame_slots = slots or (max(tokens) + 3, max(frames))
    ids = torch.full((size, text_slots), SPECIAL.pad)
    features = torch.randn(size, 64, FRAME_DIM, generator=generator)[:, :frame_slots].clone()
    garbage = torch.randn(features.shape, generator=torch.Generator().manual_seed(seed + frame_slots)) * 5
    for row, count in enumerate(tokens):
        words = torch.randint(5, VOCABULARY, (64,), generator=generator)[:count].tolist()
        ids[row, : count + 3] = torch.tensor([SPECIAL.cls, SPECIAL.sep, *words, SPECIAL.sep])
    mask = torch.arange(frame_slots) < torch.tensor(frames).unsqueeze(1)
    return Batch(
        rows=torch.arange(size), input_ids=ids, text_mask=ids != SPECIAL.pad, token_types=torch.zeros_like(ids),
        frames=torch.where(mask.unsqueeze(-1), features, garbage), frame_mask=mask,
        tags=(torch.rand(size, TAGS, generator=generator) < 0.3).float(),
        category=torch.randint(7, (size,), generator=generator),
    )  # fmt: skip


def single_stream(layout: str = "cls_first", pooling=MeanPool, **options) -> VideoModel:
    """A one-layer model of the AIAC rank 1 kind, in eval mode."""
    torch.manual_seed(0)
    return VideoModel(
        text=Embeddings(f"tiny-1x{WIDTH}", VOCABULARY),
        frames=FrameProjection(FRAME_DIM, WIDTH),
        fusion=SingleStream(f"tiny-1x{WIDTH}", WIDTH, WIDTH, layout=layout),
        pooling=pooling(WIDTH, **options),
        head=Projection(WIDTH, 16),
    ).eval()


def outputs(
    hidden: Tensor | None = None,
    *,
    embedding: Tensor | None = None,
    logits: Tensor | None = None,
    pooled: Tensor | None = None,
) -> Outputs:
    """Outputs made of what a test gives: ``hidden`` [B, T + F, D] with T tokens first, of which the first half are
    text."""
    given = next(x for x in (hidden, embedding, logits, pooled) if x is not None)
    hidden = torch.zeros(len(given), 2, 1) if hidden is None else hidden
    length = hidden.shape[1] // 2
    text, frames = torch.arange(length), torch.arange(length, hidden.shape[1])
    joint = Joint(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), text_index=text, frame_index=frames)
    return Outputs(joint, text, frames, hidden[:, 0] if pooled is None else pooled, embedding, logits)
