"""Two CPU processes learn what one learns from the same global batches, and either goes on from the other's checkpoint."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lib import objectives as of
from lib.data.batch import IGNORE, Batch
from lib.models import Classifier
from lib.models.frame_encoders import MeanFrames
from lib.objectives.mix import ObjectiveMix
from lib.runs.folder import History
from lib.training.adversarial import Fgm, Pgd
from lib.training.averaging import WeightEma
from lib.training.checkpoint import Checkpointer
from lib.training.divergence import Rewind
from lib.training.schedule import WarmupCosine
from lib.training.trainer import Settings, Task, Trainer
from tests.golden_rule import without_dropout
from tests.small import FRAME_DIM, SPECIAL, TAGS, VOCABULARY, WIDTH, batch, single_stream
from tests.training.standin import accelerator

STEPS, VIDEOS, SIZE = 12, 24, 8


class Loader:
    """Batches of a few videos whose texts have three fields; some have no OCR, some no known category."""

    steps_per_epoch = VIDEOS // SIZE

    def __init__(self, poison: int = 0) -> None:
        self.step, self.poison = 0, poison
        self.videos = batch([9] * VIDEOS, [3, 2, 0, 4] * (VIDEOS // 4))
        place, every_fifth = torch.arange(self.videos.input_ids.shape[1]), torch.arange(VIDEOS) % 5 == 0
        field = torch.where((place > 0) & (place % 4 > 0), place // 4, -1).expand(VIDEOS, -1)
        field = field.masked_fill(every_fifth[:, None] & (field == 1), -1).to(torch.int8)
        category = self.videos.category.masked_fill(torch.arange(VIDEOS) % 3 == 0, IGNORE)
        soft = torch.randn(VIDEOS, 7, generator=torch.Generator().manual_seed(1))
        self.videos = self.videos.replace(field=field, category=category, soft=soft)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            first = self.step % self.steps_per_epoch * SIZE
            self.step += 1
            one = self.videos._map(lambda tensor, first=first: tensor[first : first + SIZE])
            yield one.replace(tags=one.tags * float("nan")) if self.step == self.poison else one

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]


def aligned(model: Any = None, **options: Any) -> of.VideoTextAlignment:
    return of.VideoTextAlignment(WIDTH, WIDTH, WIDTH, dim=8, model=model, **options)


def labelled(model: Any) -> dict[str, Any]:
    model.head = Classifier(WIDTH, 7)
    return {"category": of.CategoryCE(), "soft": of.SoftLabels(hard=0.25), "twice": of.RDrop(7)}


CASES = {
    "labels": labelled,
    "hidden": lambda _: {
        "tokens": of.MaskedTokens(WIDTH, VOCABULARY, SPECIAL), "frames": of.MaskedFrames(WIDTH, FRAME_DIM, rate=0.3),
        "matching": of.VideoTextMatching(WIDTH), "caption": of.Caption(WIDTH, VOCABULARY, 16, depth=1, dropout=0.0),
    },
    "metric": lambda _: {
        "align": aligned(at="encoders", positives="category"), "hard": of.HardMatching(WIDTH), "picture": of.FirstPicture(WIDTH, FRAME_DIM),
        "alike": of.SupCon(), "arc": of.ArcFace(WIDTH, 7),
    },
    "queue": lambda model: {"align": aligned(model, queue=16, momentum=0.9, soft=0.4)},
    "parts": lambda model: {"parts": of.ModalAlignment(WIDTH, dim=8, drop=0.3, queue=16, momentum=0.9, model=model)},
    "six": lambda model: {"six": of.ModalAlignment(WIDTH, "combinatorial", 8, 0.0, queue=16, momentum=0.9, model=model)},
    "tcl": lambda model: {
        "tcl": of.ModalAlignment(WIDTH, "tcl", 8, queue=16, momentum=0.9, soft=0.4, model=model), "same": of.SimCse(),
    },
    "tricks": lambda _: {"tags": of.TagFocal(TAGS, {"cls": WIDTH})},
    "pgd": lambda _: {"tags": of.TagFocal(TAGS, {"cls": WIDTH})},
}  # fmt: skip
RESUMED = ("queue", "tricks")  # one process goes on where two were stopped, and the other way round
MORE = {
    "tricks": lambda: {
        "averaging": WeightEma(decay=0.5), "adversarial": Fgm(), "rewind": Rewind(window=3, snapshot_every=5), "score": error,
    },
    "pgd": lambda: {"adversarial": Pgd(steps=2)},
}  # fmt: skip


class Normed(nn.Module):
    """Frames that are standardised over the batch first."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.mean, self.encoder, self.output_dim = MeanFrames(FRAME_DIM, FRAME_DIM), encoder, WIDTH

    def forward(self, given: Batch):
        return self.encoder(given.replace(frames=given.frames + self.mean(given).hidden))


def error(model: nn.Module) -> dict[str, float]:
    with torch.no_grad():
        return {"error": float(model(Loader().videos).embedding.square().mean())}


def train(name: str, folder: Path, steps: int = STEPS) -> dict[str, torch.Tensor]:
    """In a folder that has been trained in, from the checkpoint. Without dropout, whose draws are each process's own."""
    torch.manual_seed(0)
    model = single_stream()
    model.frames = Normed(model.frames)
    task = without_dropout(Task(model, ObjectiveMix({key: (term, 1.0) for key, term in CASES[name](model).items()})))
    task.mix.start(model)
    device, more = accelerator(), MORE.get(name, dict)()
    settings = Settings(
        primary="error", higher_is_better=False, seed=1, save_every=5, log_every=1, progress="off",
        max_grad_norm=None if name == "pgd" else 1.0,
    )  # fmt: skip
    learns = [parameter for parameter in task.parameters() if parameter.requires_grad]
    trainer = Trainer(
        task, device, torch.optim.SGD(learns, lr=0.1), WarmupCosine(total_steps=STEPS, warmup=0.1), settings,
        checkpoint=Checkpointer(folder / "state", writes=device.is_main_process),
        history=History(folder / "history.jsonl"), **more,
    )  # fmt: skip
    result = trainer.fit(Loader(poison=7 if name == "tricks" else 0), steps)
    assert result.samples == SIZE * steps
    return {key: value.clone() for key, value in task.state_dict().items()}


def main() -> None:
    """What each process of the launched pair does."""
    folder, rank = Path(sys.argv[1]), os.environ["RANK"]
    for name in CASES:
        torch.save(train(name, folder / name), folder / name / f"rank{rank}.pt")
    for name in RESUMED:
        torch.save(train(name, folder / f"{name}-cut"), folder / name / f"resumed{rank}.pt")
        train(name, folder / f"{name}-first", steps=6)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    folder, root = tmp_path_factory.mktemp("pair"), Path(__file__).parents[2]
    for name in CASES:
        (folder / name).mkdir()
    for name in RESUMED:
        train(name, folder / f"{name}-cut", steps=6)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m",
        "tests.training.test_processes", str(folder),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, check=False, cwd=root, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one(pair, tmp_path, name):
    alone = train(name, tmp_path)
    found = [torch.load(pair / name / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(found[0][key], found[1][key]) for key in alone)
    if name in RESUMED:
        found += [torch.load(pair / name / "resumed0.pt", weights_only=True), train(name, pair / f"{name}-first")]
    for key, value in alone.items():
        for state in found:
            torch.testing.assert_close(state[key], value, rtol=0, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")
    texts = [(folder / "history.jsonl").read_text() for folder in (pair / name, tmp_path)]
    rows = [[json.loads(line) for line in text.splitlines()] for text in texts]
    assert [sorted(row) for row in rows[0]] == [sorted(row) for row in rows[1]], "one history, written once"
    assert [row.get("event") for row in rows[0]].count("rewind") == (1 if name == "tricks" else 0)
    for ours, theirs in zip(*rows, strict=True):
        if ours.get("loss") is not None:
            assert ours["terms"] == pytest.approx(theirs["terms"], rel=1e-6)
            assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-5)
    train(name, tmp_path / "cut", steps=6)
    resumed = train(name, tmp_path / "cut")
    assert all(torch.equal(resumed[key], value) for key, value in alone.items())
    filled = [value for key, value in alone.items() if key.endswith(".real")]
    assert [bool(value.any()) for value in filled] == [True] * {"queue": 2, "parts": 4, "six": 6, "tcl": 2}.get(name, 0)


if __name__ == "__main__":
    main()
