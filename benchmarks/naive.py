"""What the original implementations do, for comparison: everything in Python objects, every item worked out on its own.

The whole data set is held as dictionaries of strings, lists and bytes; each item is tokenized when it is asked for, its
frames are converted and padded to 32, its title to 36 pieces, its tags made multi-hot by a ``MultiLabelBinarizer`` of one
sample; a ``DataLoader`` stacks the items. Written anew after the specification of AIAC 2021 rank 1, not copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.preprocessing import MultiLabelBinarizer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lib.data.batch import IGNORE, Batch
from lib.data.store import Store
from lib.features.sets import TokenSet
from lib.models.video_model import Outputs
from lib.objectives import MaskedTokens

FRAMES, TOKENS = 32, 36


class NaiveVideos(Dataset):
    """Items as dictionaries of tensors, each made when asked for."""

    def __init__(self, store: Store, tokens: TokenSet, rows: np.ndarray) -> None:
        from transformers import PreTrainedTokenizerFast

        special = {
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        }
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tokens.folder / "tokenizer.json"), **special)
        self.special = tokens.special
        self.tags = MultiLabelBinarizer(classes=store.manifest["tags"]).fit([store.manifest["tags"]])
        self.known = set(store.manifest["tags"])
        self.width = store.frame_dim
        videos = (store.video(int(row)) for row in rows)
        self.records = [
            {
                "row": int(row),
                "title": video.title,
                "tags": list(video.tags or ()),
                "frames": [frame.tobytes() for frame in (() if video.frames is None else video.frames)],
            }
            for row, video in zip(rows, videos, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        record = self.records[index]
        pieces = self.tokenizer(record["title"], add_special_tokens=False, max_length=TOKENS - 3, truncation=True)[
            "input_ids"
        ]
        ids = [self.special.cls, self.special.sep, *pieces, self.special.sep]
        mask = [True] * len(ids) + [False] * (TOKENS - len(ids))
        frames = [np.frombuffer(frame, dtype=np.float16).astype(np.float32) for frame in record["frames"][:FRAMES]]
        real = len(frames)
        frames += [np.zeros(self.width, np.float32)] * (FRAMES - real)
        return {
            "rows": torch.tensor(record["row"]),
            "input_ids": torch.tensor(ids + [self.special.pad] * (TOKENS - len(ids))),
            "text_mask": torch.tensor(mask),
            "token_types": torch.zeros(TOKENS, dtype=torch.long),
            "frames": torch.tensor(np.stack(frames)),
            "frame_mask": torch.tensor([True] * real + [False] * (FRAMES - real)),
            "tags": torch.tensor(
                self.tags.transform([[tag for tag in record["tags"] if tag in self.known]])[0], dtype=torch.float32
            ),
        }


class NaiveLoader:
    """Endless shuffled batches of ``NaiveVideos``, with the few methods the trainer wants of a loader."""

    def __init__(self, videos: NaiveVideos, batch_size: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.loader = DataLoader(videos, batch_size, shuffle=True, drop_last=True, generator=generator)
        self.steps_per_epoch = len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            for items in self.loader:
                yield Batch(**items)

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class EveryPositionMaskedTokens(MaskedTokens):
    """The same loss with logits over the whole vocabulary at every position of every title."""

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        logits = self.head(outputs.joint.hidden.index_select(1, outputs.text_index), outputs.word_table)
        assert batch.token_labels is not None
        return F.cross_entropy(logits.transpose(1, 2).float(), batch.token_labels, ignore_index=IGNORE)


def resident_mb() -> float:
    """Memory of this process now, in MB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
