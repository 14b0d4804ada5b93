"""What a CPU cannot show: mixed precision, compilation, memory, and the published job at its published size."""

import pytest
import torch
from accelerate import Accelerator

from benchmarks.published import SPECIAL, TARGETS, FullVideos, build, run
from benchmarks.training import unibert
from lib.training.trainer import Task

pytestmark = pytest.mark.gpu  # skipped, with the reason, where there is no CUDA device


def small(backbone: str = "random-4x256") -> Task:
    """UniBERT without dropout, so that two ways of computing a step can be compared."""
    task = unibert(backbone, frame_dim=1536, num_tags=10_000, special=SPECIAL)
    for module in task.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    return task.cuda().train()


def corrupted(task: Task, size: int = 32):
    return task.mix.corrupt(FullVideos(size, batches=1).batches[0], torch.Generator().manual_seed(0)).to("cuda")


def gradients(task: Task, *, bf16: bool) -> tuple[float, torch.Tensor]:
    task.zero_grad()
    with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
        total, _ = task(corrupted(task))
    total.backward()
    return total.item(), torch.cat([p.grad.flatten().double() for p in task.parameters() if p.grad is not None])


def test_a_bf16_step_agrees_with_fp32():
    """bf16 keeps 8 bits, 0.4 %: loss within 1 %, gradient norm within 5 %, gradient direction within a cosine of 0.99."""
    task = small()
    exact_loss, exact = gradients(task, bf16=False)
    loss, ours = gradients(task, bf16=True)
    assert loss == pytest.approx(exact_loss, rel=0.01)
    assert float(ours.norm()) == pytest.approx(float(exact.norm()), rel=0.05)
    assert float(ours @ exact / (ours.norm() * exact.norm())) > 0.99


def test_bf16_training_descends():
    """Twenty steps on one batch through the trainer: parameters stay float32 and finite, the loss falls."""
    accelerator = Accelerator(mixed_precision="bf16")
    rows = []
    trainer = build("random-4x256", accelerator, compiled=False)
    trainer.log, trainer.log_every = rows.append, 5
    trainer.fit(FullVideos(32, batches=1), 20)
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in trainer.task.parameters())
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_compiled_equals_eager():
    """torch.compile in float32: same loss to 1e-4 and same gradient direction."""
    task = small()
    loss, eager = gradients(task, bf16=False)
    task.model.fusion.encoder.compile()
    compiled_loss, compiled = gradients(task, bf16=False)
    assert compiled_loss == pytest.approx(loss, rel=1e-4)
    assert float(eager @ compiled / (eager.norm() * compiled.norm())) > 0.9999


def test_averages_and_rewinds_on_the_device():
    """A poisoned batch is rewound on CUDA as on a CPU; the average lives on the device."""
    from lib.training.averaging import WeightEma
    from lib.training.divergence import Rewind

    class Poisoned(FullVideos):
        def __iter__(self):
            for batch in super().__iter__():
                yield batch.replace(frames=batch.frames * float("nan")) if self.step == 12 else batch

    rows = []
    trainer = build("random-2x128", Accelerator(mixed_precision="bf16"), compiled=False)
    trainer.log, trainer.log_every, trainer.rewind = rows.append, 5, Rewind(snapshot_every=5)
    trainer.averaging = trainer.learned.averaging = WeightEma(decay=0.9)
    trainer.averaging.start(trainer.task)
    trainer.fit(Poisoned(8), 20)
    assert [row["event"] for row in rows if "event" in row] == ["rewind"]
    assert all(torch.isfinite(p).all() and p.is_cuda for p in trainer.task.parameters())


@pytest.fixture(scope="module")
def published():
    """Job 1, 24 layers, 1024 wide, batch 128: the better of eager and compiled."""
    torch.set_float32_matmul_precision("high")
    rows = [run(compiled=compiled) for compiled in (False, True)]
    print(*rows, sep="\n")
    return max(rows, key=lambda row: row["videos_per_second"])


def test_peak_memory_of_the_published_job(published):
    """The original asks for a card of 24 GB at this size."""
    assert published["parameters"] > 380e6 and published["peak_gb"] < 24


def test_speed_of_the_published_job(published):
    """On an H200: 3,000 videos/s and half of the card's peak; on any card more than the winner's 258 videos/s on an A100."""
    assert published["videos_per_second"] > published["published_a100"]
    if "H200" not in torch.cuda.get_device_name():
        pytest.skip(
            f"the target is for an H200; here {published['videos_per_second']} videos/s, MFU {published['mfu']}"
        )
    assert published["videos_per_second"] >= TARGETS["videos_per_second"] and published["mfu"] >= TARGETS["mfu"]
