"""What all tests share: one thread, no network, one seed, and the markers' rules."""

import os

# Before anything imports torch: the thread count is part of every result, and spinning threads slow the machine down.
os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
os.environ.setdefault("MPLBACKEND", "agg")
# A workflow that runs the tests must not lend its own progress display to them.
os.environ.pop("VIDLAB_PROGRESS", None)

import multiprocessing  # noqa: E402
import random  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

os.fsync = lambda handle: None  # no test outlives its machine, and a tenth of all time went into waiting for the disk


@pytest.fixture(autouse=True)
def _one_seed():
    """A test that draws without a generator of its own draws the same every time, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)


# What a process of the fixture below need not import once more: seconds each.
HEAVY = ["lib.stages.run", "lib.features.images", "transformers.models.bert.modeling_bert", "sklearn.metrics"]


@pytest.fixture(scope="session")
def processes():
    """Makes fresh processes, to be killed in the middle of work; unlike a plain fork they share nothing with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    return context


LONGEST = (  # minutes to seconds
    "test_smoke.py", "test_reproduce.py", "test_processes.py", "test_run.py", "test_cluster.py", "test_gpu.py", "test_pseudo_labels.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that no process is left alone with one at the end. ``gpu`` tests skip where there is
    no GPU, and say so; torch is asked only if there are any."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and this machine shows none"))
