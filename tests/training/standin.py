"""A tiny problem with the methods the trainer needs: two-feature "videos", a linear model with dropout, two objectives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lib.objectives.mix import Objective, ObjectiveMix
from lib.runs.folder import History
from lib.training.checkpoint import Checkpointer
from lib.training.schedule import WarmupCosine
from lib.training.trainer import Settings, Task, Trainer

WIDTH = 6


@dataclass
class Batch:
    x: Tensor  # [B, WIDTH]
    y: Tensor  # [B]

    own = None

    @property
    def samples(self) -> int:
        return len(self.y)

    def share(self, process: int, processes: int) -> Batch:
        return self

    def to(self, device: Any) -> Batch:
        return Batch(self.x.to(device), self.y.to(device))


class Loader:
    """Endless batches in an order that depends on seed and epoch only; remembers its position."""

    def __init__(self, videos: int = 64, batch_size: int = 8, *, poison: tuple[int, ...] = ()) -> None:
        generator = torch.Generator().manual_seed(7)
        self.x = torch.randn(videos, WIDTH, generator=generator)
        self.y = self.x @ torch.linspace(-1, 1, WIDTH) + 0.1 * torch.randn(videos, generator=generator)
        self.batch_size, self.poison = batch_size, poison
        self.steps_per_epoch = videos // batch_size
        self.step = 0

    def __iter__(self):
        while True:
            epoch, position = divmod(self.step, self.steps_per_epoch)
            order = torch.randperm(len(self.y), generator=torch.Generator().manual_seed(epoch))
            index = order[position * self.batch_size :][: self.batch_size]
            self.step += 1
            batch = Batch(self.x[index], self.y[index])
            yield replace(batch, y=batch.y * float("nan")) if self.step in self.poison else batch

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]


class Model(nn.Module):
    """Has a table called ``word_embeddings`` for the adversaries, dropout for the random streams."""

    def __init__(self, dropout: float = 0.2):
        super().__init__()
        self.word_embeddings = nn.Embedding(3, WIDTH)
        self.inner = nn.Linear(WIDTH, 16)
        self.drop = nn.Dropout(dropout)
        self.outer = nn.Linear(16, 1)

    def forward(self, batch: Batch) -> Tensor:
        x = batch.x + self.word_embeddings(torch.zeros(len(batch.x), dtype=torch.long))
        return self.outer(self.drop(torch.tanh(self.inner(x)))).squeeze(-1)


class Regression(Objective):
    def forward(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (outputs - batch.y).square().mean()


class Noisy(Objective):
    """Disturbs its input at random, owns a head, and counts steps in a buffer."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 1)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def corrupt(self, batch: Batch, generator: torch.Generator) -> Batch:
        return replace(batch, x=batch.x + 0.05 * torch.randn(batch.x.shape, generator=generator))

    def forward(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self.head(outputs.unsqueeze(-1)).square().mean()

    def after_step(self, model: nn.Module) -> None:
        self.steps += 1


class Rows:
    """A history in a list."""

    def __init__(self, rows: list):
        self.append = rows.append

    def truncate(self, step: int) -> None:
        pass


PARTS = ("averaging", "adversarial", "rewind", "score")  # of a trainer; everything else are its settings


def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


def trainer(
    folder: Path | None = None, *, steps: int = 40, lr: float = 1e-2, dropout: float = 0.2, noisy: bool = True,
    rows: list | None = None, **settings: Any,
) -> Trainer:  # fmt: skip
    """A trainer of the tiny problem; with a folder it checkpoints there and writes ``history.jsonl``."""
    torch.manual_seed(0)
    model = Model(dropout)
    device = accelerator()
    terms: dict[str, tuple[Objective, float]] = {"fit": (Regression(), 1.0)}
    if noisy:
        terms["noisy"] = (Noisy(), 0.1)
    mix = ObjectiveMix(terms)
    parts: dict[str, Any] = {name: settings.pop(name) for name in PARTS if name in settings}
    if folder is not None:
        parts["checkpoint"] = Checkpointer(folder / "state", writes=device.is_main_process)
        parts["history"] = History(folder / "history.jsonl")
    if rows is not None:
        parts["history"] = Rows(rows)
    schedule = settings.pop("schedule", None) or WarmupCosine(total_steps=steps, warmup=0.1)
    settings = {"primary": "error", "higher_is_better": False, "progress": "off"} | settings
    task = Task(model, mix)
    optimizer = torch.optim.AdamW(task.parameters(), lr=lr, fused=True)
    return Trainer(task, device, optimizer, schedule, Settings(**settings), **parts)


def error(model: nn.Module) -> dict[str, float]:
    """Mean squared error over all videos, in evaluation mode as the trainer leaves it."""
    loader = Loader()
    with torch.no_grad():
        return {"error": float((model(Batch(loader.x, loader.y)) - loader.y).square().mean())}
