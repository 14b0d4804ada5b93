"""What a CPU cannot show: mixed precision, compilation, memory, a loop that never waits, the published job at its size."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from benchmarks.gpu import spike
from benchmarks.published import JOBS, PUBLISHED, TARGETS, Videos, run, trainer_of
from lib.recipes.job import Job
from lib.training.averaging import WeightEma
from lib.training.layers import prepare_layers
from lib.training.trainer import Trainer
from tests.training.standin import Rows

pytestmark = pytest.mark.gpu  # skipped, with the reason, where there is no CUDA device
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def job(stage: str = "pretrain") -> Job:
    return Job.load("aiac_rank1", stage, scale="gpu")


def trainer(precision: str = "no", dropout: bool = True) -> Trainer:
    """Of job 1 at scale gpu; without dropout two ways of computing a step can be compared."""
    AcceleratorState._reset_state(reset_partial_state=True)  # a process has one precision
    ours = trainer_of(job(), Accelerator(cpu=DEVICE == "cpu", mixed_precision=precision))
    for module in () if dropout else ours.task.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    ours.task.train()
    return ours


def batch(ours: Trainer, size: int = 32):
    given = Videos(job(), size, real=True, batches=1).batches[0]
    return ours.task.mix.corrupt(given, torch.Generator().manual_seed(0)).to(DEVICE)


def gradients(ours: Trainer, precision: torch.dtype | None = None) -> tuple[float, torch.Tensor]:
    ours.task.zero_grad()
    with torch.autocast(DEVICE, precision, enabled=precision is not None):
        total, _ = ours.task(batch(ours))
    total.backward()
    return total.item(), torch.cat([p.grad.flatten().double() for p in ours.task.parameters() if p.grad is not None])


def test_a_bf16_step_agrees_with_fp32():
    """bf16 keeps 8 bits, 0.4 %: loss within 1 %, gradient norm within 5 %, gradient direction within a cosine of 0.99."""
    ours = trainer(dropout=False)
    exact_loss, exact = gradients(ours)
    loss, found = gradients(ours, torch.bfloat16)
    assert loss == pytest.approx(exact_loss, rel=0.01)
    assert float(found.norm()) == pytest.approx(float(exact.norm()), rel=0.05)
    assert float(found @ exact / (found.norm() * exact.norm())) > 0.99


def test_bf16_training_descends():
    """Twenty steps on one batch through the trainer: parameters stay float32 and finite, the loss falls, the average of
    the weights lies on the device."""
    rows, ours = [], trainer("bf16")
    ours.history, ours.settings = Rows(rows), replace(ours.settings, log_every=5)
    ours.averaging = ours.state.averaging = WeightEma(decay=0.9)
    ours.averaging.start(ours.task)
    ours.schedule.warmup = 0
    ours.fit(Videos(job(), 32, real=True, batches=1), 20)
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in ours.task.parameters())
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {mean.device.type for mean in ours.averaging.state_dict()["mean"]} == {DEVICE}


@pytest.mark.parametrize("way", [{"compiled": True}, {"checkpointing": True}])
def test_layers_compiled_or_run_again_equal_eager(way):
    """In float32: same loss to 1e-4 and same gradient direction."""
    ours = trainer(dropout=False)
    loss, eager = gradients(ours)
    prepare_layers(ours.task, **way)
    other_loss, other = gradients(ours)
    assert other_loss == pytest.approx(loss, rel=1e-4)
    assert float(eager @ other / (eager.norm() * other.norm())) > 0.9999


def test_a_step_never_waits():
    ours = trainer("bf16")
    given = batch(ours)
    ours._update([given], 100)  # the first one makes the optimizer's state
    torch.cuda.set_sync_debug_mode("error")
    try:
        ours.rewind = None  # a snapshot is judged every hundred steps
        ours._update([given], 100)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_poisoned_batch_is_rewound():
    assert spike(DEVICE) == {"rewinds": 1, "finite": True}


@pytest.fixture(scope="module")
def published():
    """Job 1, 24 layers, 1024 wide, batch 128: the better of eager and compiled."""
    torch.set_float32_matmul_precision("high")
    rows = run(*JOBS[0], lengths=("full",))
    print(*rows, sep="\n")
    return max(rows, key=lambda row: row["per_second"])


def test_peak_memory_of_the_published_job(published):
    """The original asks for a card of 24 GB at this size."""
    assert published["parameters"] > 380e6 and published["peak_gb"] < TARGETS["peak_gb"]


def test_speed_of_the_published_job(published):
    """On an H200: 3,000 videos/s and half of the card's peak; on any card more than the winner's 258 videos/s on an A100."""
    assert published["per_second"] > PUBLISHED[JOBS[0][:2]]
    if "H200" not in torch.cuda.get_device_name():
        pytest.skip(f"the target is for an H200; here {published['per_second']} videos/s, MFU {published['mfu']}")
    assert published["per_second"] >= TARGETS["per_second"] and published["mfu"] >= TARGETS["mfu"]
