"""Importing and iterating needs the same memory for ten times the videos."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from lab.corpora.tfrecords import write_records

CODE = """
import sys
from lab.corpora.importing import import_corpus
from lib.runs.machine import peak_rss_mb
store = import_corpus(sys.argv[1], sys.argv[2])
print(sum(1 for _ in store), peak_rss_mb())
"""


def peak(folder: Path, videos: int) -> float:
    """Megabytes at the most, in a process of its own, for a corpus of that many videos of 32 frames (98 kB each)."""
    rng = np.random.default_rng(0)
    frames = [row.tobytes() for row in rng.random((32, 1536)).astype("<f2")]
    (folder / "pointwise").mkdir(parents=True)
    write_records(
        folder / "pointwise" / "pretrain_0.tfrecords",
        ({"id": [b"%d" % (10**15 + k)], "title": ["标题".encode() * 15], "asr_text": ["说话".encode() * 40], "frame_feature": frames, "tag_id": [k % 50], "category_id": [10101]} for k in range(videos)),
    )  # fmt: skip
    (folder / "tag_list.txt").write_text("".join(f"{tag}\n" for tag in range(50)))
    command = [sys.executable, "-c", CODE, str(folder), str(folder / "store")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    count, megabytes = done.stdout.split()
    assert int(count) == videos
    return float(megabytes)


def test_memory_does_not_grow(tmp_path: Path):
    """3,000 videos are 290 MB of frames; holding them, or a table that grows with them, would show."""
    small, large = peak(tmp_path / "small", 300), peak(tmp_path / "large", 3000)
    assert large - small < 20, f"{small} MB for 300 videos, {large} MB for 3,000"
    assert large < 400
