"""Two CPU processes learn what one learns from the same global batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lib.training.adversarial import Fgm, Pgd
from lib.training.averaging import WeightEma
from lib.training.divergence import Rewind
from tests.training.standin import Loader, error, trainer

STEPS = 16
CASES = {
    "everything": lambda: {
        "averaging": WeightEma(decay=0.5), "adversarial": Fgm(), "rewind": Rewind(window=3, snapshot_every=5), "score": error,
    },
    "pgd": lambda: {"adversarial": Pgd(steps=2), "max_grad_norm": None},
}  # fmt: skip


def train(name: str, folder: Path, rank: int = 0, world: int = 1) -> dict[str, torch.Tensor]:
    """The tiny problem without dropout and noise, whose draws depend on how the batch is shared out; in a folder that it
    has been trained in, from the checkpoint."""
    poison = (7,) if name == "everything" else ()
    ours = trainer(folder, dropout=0.0, noisy=False, unused=True, log_every=1, save_every=5, **CASES[name]())
    result = ours.fit(Loader(rank=rank, world=world, poison=poison), STEPS)
    assert result.samples == 8 * STEPS
    return ours.task.state_dict()


def main() -> None:
    """What each process of the launched pair does."""
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    for name in CASES:
        state = train(name, folder / name, rank, int(os.environ["WORLD_SIZE"]))
        torch.save(state, folder / name / f"rank{rank}.pt")
        again = train(name, folder / name, rank, int(os.environ["WORLD_SIZE"]))
        assert all(torch.equal(state[parameter], again[parameter]) for parameter in state), "resumed, it is the same"


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    folder, root = tmp_path_factory.mktemp("pair"), Path(__file__).parents[2]
    for name in CASES:
        (folder / name).mkdir()
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m",
        "tests.training.test_processes", str(folder),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, check=False, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one(pair, tmp_path, name):
    alone = train(name, tmp_path)
    both = [torch.load(pair / name / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    for parameter, value in alone.items():
        assert torch.equal(both[0][parameter], both[1][parameter])
        torch.testing.assert_close(both[0][parameter], value, rtol=0, atol=1e-6)
    texts = [(folder / "history.jsonl").read_text() for folder in (pair / name, tmp_path)]
    rows = [[json.loads(line) for line in text.splitlines()] for text in texts]
    assert [sorted(row) for row in rows[0]] == [sorted(row) for row in rows[1]], "one history, written once"
    assert [row.get("event") for row in rows[0]].count("rewind") == (1 if name == "everything" else 0)
    for ours, theirs in zip(*rows, strict=True):
        if ours.get("loss") is not None:
            assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-6)
            assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], abs=1e-5)


if __name__ == "__main__":
    main()
