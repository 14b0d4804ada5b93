"""Importing takes constant memory: 100,000 videos need little more than 20,000."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.corpora.tfrecords import write_records
from tests.corpora import small

ROOT = Path(__file__).resolve().parents[2]
MEASURE = """
import json, sys
from lab.corpora.importing import import_corpus
from lib.runs.provenance import peak_rss_mb
store = import_corpus(sys.argv[1], sys.argv[2])
print(json.dumps({"videos": len(store), "peak": peak_rss_mb()}))
"""


def peak(folder: Path, videos: int) -> float:
    """Megabytes that importing so many videos of one frame takes at most, in a process of its own."""
    frame = [small.matrix(1, small.AIAC_WIDTH)[0].tobytes()]

    def records() -> Iterator[dict[str, list]]:
        for number in range(videos):
            yield small.record(str(10**17 + 16 * number), frame_feature=frame, tag_id=[11, number % 9000])

    small.aiac(folder / "corpus", [])
    write_records(folder / "corpus" / "pointwise" / "pretrain_0.tfrecords", records())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder / "corpus"), str(folder / "store")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["videos"] == videos + 4  # those of the other parts
    return measured["peak"]


@pytest.mark.slow
def test_import_in_constant_memory(tmp_path: Path):
    small_peak, large_peak = peak(tmp_path / "a", 20_000), peak(tmp_path / "b", 100_000)
    assert large_peak < 1500
    assert large_peak - small_peak < 200
