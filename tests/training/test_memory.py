"""A momentum copy, its queues and soft labels: resumed they are what they were, and two CPU processes learn what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lib.models import Classifier
from lib.objectives import ModalAlignment, SimCse, SoftLabels, VideoTextAlignment
from lib.objectives.mix import ObjectiveMix
from lib.training.checkpoint import Checkpointer
from lib.training.schedule import WarmupCosine
from lib.training.trainer import Settings, Task, Trainer
from tests.golden_rule import without_dropout
from tests.small import WIDTH, batch, single_stream
from tests.training.standin import accelerator

STEPS, VIDEOS, SIZE = 12, 24, 8


class Loader:
    """Batches of a few videos whose texts have three fields, each process with its share."""

    steps_per_epoch = VIDEOS // SIZE

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world, self.step = rank, world, 0
        self.videos = batch([9] * VIDEOS, [3, 2, 0, 4] * (VIDEOS // 4))
        place = torch.arange(self.videos.input_ids.shape[1])
        field = torch.where((place > 0) & (place % 4 > 0), place // 4, -1).expand(VIDEOS, -1)
        missing = (torch.arange(VIDEOS) % 5 == 0)[:, None] & (field == 1)  # some have no OCR
        soft = torch.randn(VIDEOS, 7, generator=torch.Generator().manual_seed(1))
        self.videos = self.videos.replace(field=field.masked_fill(missing, -1).to(torch.int8), soft=soft)

    def __iter__(self):
        while True:
            first = self.step % self.steps_per_epoch * SIZE
            index = torch.arange(first, first + SIZE)[self.rank :: self.world]
            self.step += 1
            yield self.videos._map(lambda tensor, index=index: tensor[index])

    def state_dict(self):
        return {"step": self.step}

    def load_state_dict(self, state):
        self.step = state["step"]


def taught(model):
    model.head = Classifier(WIDTH, 7)
    return SoftLabels(hard=0.25)


CASES = {
    "soft": taught,
    "queue": lambda model: VideoTextAlignment(
        WIDTH, WIDTH, WIDTH, dim=8, queue=16, momentum=0.9, soft=0.4, model=model
    ),
    "no_queue": lambda _: VideoTextAlignment(WIDTH, WIDTH, WIDTH, dim=8),
    "pairs": lambda model: ModalAlignment(WIDTH, dim=8, drop=0.0, queue=16, momentum=0.9, model=model),
    "six": lambda model: ModalAlignment(WIDTH, "combinatorial", dim=8, drop=0.0, queue=16, momentum=0.9, model=model),
    "tcl": lambda model: ModalAlignment(WIDTH, "tcl", dim=8, drop=0.0, queue=16, momentum=0.9, soft=0.4, model=model),
    "same_text": lambda _: SimCse(),
}


def train(name: str, folder: Path, steps: int = STEPS, rank: int = 0, world: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = single_stream()
    mix = ObjectiveMix({"term": (CASES[name](model), 1.0)})
    task, device = without_dropout(Task(model, mix)), accelerator()
    learns = [parameter for parameter in task.parameters() if parameter.requires_grad]
    trainer = Trainer(
        task, device, torch.optim.SGD(learns, lr=0.1), WarmupCosine(total_steps=STEPS, warmup=0.1),
        Settings(seed=1, save_every=5, progress="off"),
        checkpoint=Checkpointer(folder / "state", writes=device.is_main_process),
    )  # fmt: skip
    trainer.fit(Loader(rank, world), steps)
    return {name: value.clone() for name, value in task.state_dict().items()}


def main() -> None:
    """What each process of the launched pair does."""
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    for name in CASES:
        torch.save(train(name, folder / name, rank=rank, world=2), folder / f"{name}-{rank}.pt")


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    folder, root = tmp_path_factory.mktemp("pair"), Path(__file__).parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*command, "-m", "tests.training.test_memory", str(folder)],
        check=False, cwd=root, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one_and_a_resumed_run_is_the_same(name, pair, tmp_path):
    alone = train(name, tmp_path / "whole")
    both = [torch.load(pair / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1)]
    for key, value in alone.items():
        assert torch.equal(both[0][key], both[1][key]), key
        torch.testing.assert_close(both[0][key], value, rtol=0, atol=1e-6)
    train(name, tmp_path / "cut", steps=7)
    resumed = train(name, tmp_path / "cut")
    assert all(torch.equal(resumed[key], value) for key, value in alone.items())
    filled = [value for key, value in alone.items() if key.endswith(".real")]
    assert [bool(value.any()) for value in filled] == [True] * {"queue": 2, "pairs": 4, "six": 6, "tcl": 2}.get(name, 0)


if __name__ == "__main__":
    main()
