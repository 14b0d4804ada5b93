"""Tag pretraining of the AIAC rank 6 models over words, in videos per second: ``python -m benchmarks.words``.

Ours is the trainer over the loader, as recipes use them: batches of alike lengths, padding left out of every recurrence
and attention. Naive does what the originals do: every item a dictionary, its tags made multi-hot by a
``MultiLabelBinarizer`` of one sample, words and frames padded to 32 and read like everything else, the focal loss as a
chain of elementwise operations, a plain loop that fetches the loss each time. Same dimensions, words, loss and optimizer.
Target: 3 times the samples per second.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from accelerate import Accelerator
from sklearn.preprocessing import MultiLabelBinarizer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.corpus import prepare, prepare_words
from benchmarks.measure import keep, race
from lib.data.batch import Batch
from lib.data.store import Store
from lib.features.loader import Assembler, Items, TrainLoader
from lib.features.sets import TokenSet
from lib.models import CrossModal, EarlyFusion, Esim, FirstPooled, FrameLinear, FrameVectors, Projection, WordVectors
from lib.models.video_model import VideoModel
from lib.objectives import TagFocal
from lib.objectives.mix import ObjectiveMix
from lib.training.divergence import Rewind
from lib.training.schedule import Constant
from lib.training.trainer import Settings, Task, Trainer

TARGET = 3.0
SLOTS = 32  # words and frames, as published
DIM = 300
FUSIONS = {  # name -> fusion of width D, with or without masks
    "gru_lxmert": lambda width, masks: CrossModal(
        DIM, DIM, f"small-3x{width}", recurrent="gru", mask="neg_inf" if masks else "none"
    ),
    "esim": lambda width, masks: Esim(DIM, DIM, width, mask="lengths" if masks else "ones"),
    "lstm": lambda width, masks: EarlyFusion(DIM, 1536, width, mask_padding=masks),
}


def model_of(kind: str, width: int, words: TokenSet, frame_dim: int, *, masks: bool) -> VideoModel:
    torch.manual_seed(0)
    vectors = torch.from_numpy(np.asarray(words.vectors, np.float32))
    fusion = FUSIONS[kind](width, masks)
    return VideoModel(
        text=WordVectors(words.vocab_size, DIM, word_vectors=vectors),
        frames=FrameVectors(frame_dim) if kind == "lstm" else FrameLinear(frame_dim, DIM),
        fusion=fusion,
        pooling=FirstPooled(fusion.output_dim),
        head=Projection(fusion.output_dim, 256),
    )


class PlainFocal(TagFocal):
    """The same loss, one elementwise operation after the other."""

    def forward(self, outputs, batch: Batch) -> Tensor:
        assert batch.tags is not None
        probability = torch.sigmoid(self.head(outputs)).clamp(self.clamp, 1 - self.clamp)
        positive = -0.99 * (1 - probability) ** self.gamma * batch.tags * torch.log(probability)
        negative = -0.01 * probability**self.gamma * (1 - batch.tags) * torch.log(1 - probability)
        return self.scale * (positive + negative).mean()


def focal(kind: type[TagFocal], num_tags: int) -> ObjectiveMix:
    loss = kind(num_tags, {"embedding": 256}, input="embedding", activation="none", alpha=0.99, scale=100.0, clamp=1e-4)
    return ObjectiveMix({"tags": (loss, 1.0)})


class NaiveVideos(Dataset):
    """Items as dictionaries; words of a title are kept padded, as in the originals."""

    def __init__(self, store: Store, words: TokenSet, rows: np.ndarray) -> None:
        self.tags = MultiLabelBinarizer(classes=store.manifest["tags"]).fit([store.manifest["tags"]])
        known = set(store.manifest["tags"])
        rules = {
            "layout": "words",
            "text_length": SLOTS,
            "pad_text": True,
            "frames_length": 1,
            "sample": "segment_centre",
        }
        batch = Assembler(store, words, **rules)(Items(rows), train=False)
        self.records = []
        for row, ids, mask in zip(rows.tolist(), batch.input_ids.tolist(), batch.text_mask, strict=True):
            video = store.video(row)
            tags = [tag for tag in video.tags or () if tag in known]
            self.records.append((row, ids, int(mask.sum()), tags, np.asarray(video.frames)))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        row, ids, count, tags, frames = self.records[index]
        frames = frames[:SLOTS].astype(np.float32)
        real = len(frames)
        padded = np.concatenate([frames, np.zeros((SLOTS - real, frames.shape[1]), np.float32)])
        return {
            "rows": torch.tensor(row),
            "input_ids": torch.tensor(ids),
            "text_mask": torch.arange(SLOTS) < count,
            "token_types": torch.zeros(SLOTS, dtype=torch.long),
            "frames": torch.tensor(padded),
            "frame_mask": torch.arange(SLOTS) < real,
            "tags": torch.tensor(self.tags.transform([tags])[0], dtype=torch.float32),
        }


class Ours:
    def __init__(self, kind: str, width: int, store: Store, words: TokenSet, rows, batch_size: int) -> None:
        rules = {"layout": "words", "text_length": SLOTS, "frames_length": SLOTS, "sample": "segment_centre"}
        assembler = Assembler(store, words, **rules, tags=True)
        self.loader = TrainLoader(assembler, Items(rows), batch_size, seed=0, bucket=True)
        model = model_of(kind, width, words, store.frame_dim, masks=True)
        task = Task(model, focal(TagFocal, len(store.manifest["tags"])))
        self.trainer = Trainer(
            task, Accelerator(cpu=True), torch.optim.Adam(task.parameters(), lr=1e-4, fused=True), Constant(),
            Settings(progress="off"), rewind=Rewind(),
        )  # fmt: skip

    def __call__(self, steps: int) -> int:
        before = self.trainer.state.samples
        self.trainer.fit(self.loader, self.trainer.state.step + steps)
        return self.trainer.state.samples - before


class Naive:
    def __init__(self, kind: str, width: int, store: Store, words: TokenSet, rows, batch_size: int) -> None:
        self.stream = self._endless(
            DataLoader(NaiveVideos(store, words, rows), batch_size, shuffle=True, drop_last=True)
        )
        model = model_of(kind, width, words, store.frame_dim, masks=False)
        self.task = Task(model, focal(PlainFocal, len(store.manifest["tags"]))).train()
        self.optimizer = torch.optim.Adam(self.task.parameters(), lr=1e-4, foreach=False, fused=False)

    @staticmethod
    def _endless(loader: DataLoader) -> Iterator[Batch]:
        while True:
            for items in loader:
                yield Batch(**items)

    def __call__(self, steps: int) -> int:
        samples = 0
        for _ in range(steps):
            batch = next(self.stream)
            total, _ = self.task(batch)
            self.optimizer.zero_grad()
            total.backward()
            self.optimizer.step()
            total.item()
            samples += len(batch)
        return samples


def run(kind: str, width: int, arguments: argparse.Namespace) -> dict:
    store, _ = prepare(arguments.videos)
    words = prepare_words(arguments.videos)
    rows = store.rows("pointwise", "pairwise")
    rows = rows[store.tags_csr()[2][rows]]
    given = kind, width, store, words, rows, arguments.batch_size
    ours, naive = Ours(*given), Naive(*given)
    result = race(lambda: ours(arguments.steps), lambda: naive(max(1, arguments.steps // 4)), rounds=arguments.rounds)
    parameters = sum(parameter.numel() for parameter in naive.task.parameters())
    return {
        "model": kind, "width": width, "parameters": parameters, "tags": len(store.manifest["tags"]),
        "batch": arguments.batch_size, **result, "target": TARGET,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=list(FUSIONS), default=list(FUSIONS))
    parser.add_argument(
        "--widths", nargs="+", type=int, default=[64, 256], help="of the fusion; words have 300 numbers"
    )
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="of ours in a round; naive takes a quarter of them")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [run(kind, width, arguments) for kind in arguments.models for width in arguments.widths]
    path = keep("words", "cpu", rows, {"corpus": f"generated pairs, {arguments.videos} videos", "word vectors": DIM})
    for row in rows:
        print(
            f"{row['model']} {row['width']}: {row['ours_per_second']:,.0f} against {row['naive_per_second']:,.0f} videos/s: "
            f"{row['ratio']} times (target {TARGET:g})"
        )
    print(path.name)


if __name__ == "__main__":
    main()
