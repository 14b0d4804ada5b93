"""Memory does not grow with the corpus, and what is generated can be imported."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from lab.corpora.importing import import_corpus
from lab.corpora.tfrecords import read_records

GROWTH = """
import sys
from lab.corpora.twin import generate
from lib.runs.provenance import peak_rss_mb as peak
generate(sys.argv[1] + "/small", track=sys.argv[2], videos=600, progress=False)
before = peak()
generate(sys.argv[1] + "/large", track=sys.argv[2], videos=3000, progress=False)
print(peak() - before)
"""


@pytest.mark.parametrize("track", ["pairs", "classes"])
def test_peak_memory_does_not_follow_the_number_of_videos(tmp_path, track):
    """2,400 more videos have 60 (768 wide) or 120 MB more of frames; 40 MB are allowed."""
    run = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path), track], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) < 40


def test_pairs_come_back_from_the_importer(pair_files, tmp_path):
    store = import_corpus(pair_files, tmp_path / "store")
    about = json.loads((pair_files / "twin.json").read_text())
    assert (
        len(store) == 300
        and store.manifest["twin"]["oracle"] == about["oracle"]
        and store.manifest["counts"]["parts"] == about["parts"]
    )
    _, example = next(iter(read_records(pair_files / "pairwise" / "pairwise.tfrecords")))
    row = int(store.row_of([example["id"][0].decode()])[0])
    video = store.video(row)
    assert video.title.encode() == example["title"][0] and list(video.tags) == example["tag_id"]
    assert video.frames.tobytes() == b"".join(example["frame_feature"])
    pairs, truth = store.pairs(), store.truth()
    assert pairs["score"].corr(truth["oracle"], method="spearman") == pytest.approx(
        about["oracle"]["spearman"], abs=1e-6
    )


def test_classes_come_back_from_the_importer(class_files, tmp_path):
    store = import_corpus(class_files, tmp_path / "store")
    assert len(store) == 60 and store.frame_dim == 768 and store.manifest["images"]
    labeled = store.rows("labeled")
    truth = store.truth()["true_category"].to_numpy()
    assert (truth >= 0).all() and (store.categories()[labeled] >= 0).all()
    assert np.mean(store.categories()[labeled] == truth[labeled]) > 0.6  # the labels' noise is 0.15
    assert len(store.images(0)) >= 5
