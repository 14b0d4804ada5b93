"""A GPU never waits for the loop: a step asks the device for no number, and finds positions on the CPU beforehand. Seen on
a CPU by the operations that would make the host wait on a GPU (sizes or numbers that depend on the content of tensors)."""

from itertools import repeat
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch.utils._python_dispatch import TorchDispatchMode

from lib.data.batch import Batch
from lib.recipes.job import Job
from lib.recipes.specs import DeviceSpec
from lib.stages import build
from lib.training.trainer import Task

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2", "unique_dim")


class Waits(TorchDispatchMode):
    """Names of the operations that would wait, in ``seen``."""

    def __init__(self):
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        picks = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in WAITS or any(pick is not None and pick.dtype == torch.bool for pick in picks):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class Same:
    """One batch, endlessly."""

    def __init__(self, batch: Batch):
        self.batch = batch

    def __iter__(self):
        return repeat(self.batch)

    def state_dict(self):
        return {}


def videos(job: Job, sizes: build.Sizes, count: int = 6) -> Batch:
    """Random videos of different lengths that carry whatever an objective may ask for; the first has no frame."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 2000, (count, 12), generator=generator)
    ids[:, 0], ids[:, 1], ids[:, -1] = 101, 102, 102
    text = torch.arange(12) < torch.arange(12, 12 - count, -1)[:, None]
    batch = Batch(
        rows=torch.arange(count), input_ids=ids * text, text_mask=text, token_types=torch.zeros_like(ids),
        frames=torch.randn(count, 6, sizes.frame_dim, generator=generator),
        frame_mask=torch.arange(6) < torch.arange(count)[:, None], field=(text.int() - 1).to(torch.int8),
        category=torch.arange(count) if sizes.num_classes else None,
    )  # fmt: skip
    if job.kind.name == "pairs":
        pairs = torch.arange(count).reshape(2, -1).T
        return batch.replace(pair=pairs, score=torch.linspace(0, 1, len(pairs)))
    return batch.replace(tags=(torch.rand(count, sizes.num_tags) < 0.01).float()) if sizes.num_tags else batch


JOBS = [
    ("aiac_rank1", "pretrain", "base"), ("aiac_rank1", "finetune", "base"), ("wechat_rank72", "pretrain", "base"),
    ("wechat_rank72", "finetune", "base"), ("wechat_rank72", "finetune", "r_drop.with"), ("wechat_rank6", "pretrain", "base"),
]  # fmt: skip


@pytest.mark.parametrize("recipe, stage, arm", JOBS)
def test_a_step_never_waits(tmp_path, monkeypatch, recipe, stage, arm):
    # torch looks at the numbers of a one-hot only where they are on a CPU
    monkeypatch.setattr(F, "one_hot", lambda index, count: (index.unsqueeze(-1) == torch.arange(count)).long())
    job = Job.load(recipe, stage, arm, 0, "smoke")
    sizes = build.Sizes.published(job.spec.track)
    model = build.build_model(job, sizes)
    mix = build.build_mix(job, model, sizes, np.full(sizes.num_classes, 9))
    mix.start(model)
    batch = videos(job, sizes)
    spec = job.stage_spec.model_copy(update={"rewind": None})  # a snapshot is judged every hundred steps
    trainer = build.build_trainer(
        spec, Task(model, mix), Accelerator(cpu=True), steps=4, steps_per_epoch=4, seed=0, score=None,  # type: ignore[arg-type]
        folder=SimpleNamespace(state=tmp_path, history=None), device=DeviceSpec(accumulate=2),  # type: ignore[arg-type]
    )  # fmt: skip
    update, waits = trainer._update, Waits()

    def watched(*given):
        with waits:
            update(*given)

    trainer._update = watched
    trainer.fit(Same(batch), 4)
    assert trainer.state.step == 4 and trainer.state.samples == 8 * batch.samples
    assert waits.seen == []


def test_what_would_wait_is_seen():
    with Waits() as waits:
        x = torch.arange(4.0)
        x[x > 1].sum().item()
    assert waits.seen == ["index", "_local_scalar_dense"]
