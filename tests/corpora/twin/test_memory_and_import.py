"""Memory does not grow with the corpus, and what is generated can be imported."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from lab.corpora.importing import import_corpus
from lab.corpora.tfrecords import read_records

GROWTH = """
import sys
from lab.corpora.twin import generate
from lib.runs.machine import peak_rss_mb as peak
generate(sys.argv[1] + "/small", track=sys.argv[2], videos=600, progress=False)
before = peak()
generate(sys.argv[1] + "/large", track=sys.argv[2], videos=3000, progress=False)
print(peak() - before)
"""


@pytest.mark.parametrize("track", ["pairs", "classes"])
def test_peak_memory_does_not_follow_the_number_of_videos(tmp_path, track):
    """2,400 more videos have 60 (768 wide) or 120 MB more of frames; 40 MB are allowed."""
    command = [sys.executable, "-c", GROWTH, str(tmp_path), track]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(run.stdout) < 40


def test_pairs_come_back_from_the_importer_with_their_truth(pair_files, tmp_path):
    store = import_corpus(pair_files, tmp_path / "store")
    about = json.loads((pair_files / "twin.json").read_text())
    assert len(store) == 300 and store.manifest["twin"]["oracle"] == about["oracle"]
    assert store.manifest["counts"]["parts"] == about["parts"]
    _, example = next(iter(read_records(pair_files / "pairwise" / "pairwise.tfrecords")))
    video = store.video(store.column("id").tolist().index(example["id"][0].decode()))
    assert video.title.encode() == example["title"][0] and list(video.tags) == example["tag_id"]
    assert video.frames.tobytes() == b"".join(example["frame_feature"])
    pairs, truth, ids = store.pairs(), store.truth(), store.column("id")
    with pa.OSFile(str(pair_files / "truth.arrow")) as source:
        table = pa.ipc.open_file(source).read_pandas()
    known = {(a, b): value for a, b, value in zip(table["id1"], table["id2"], table["affinity"], strict=True)}
    assert len(truth) == len(pairs) == len(known)
    rows = zip(pairs["row1"], pairs["row2"], strict=True)
    assert truth["oracle"].tolist() == [known[ids[a], ids[b]] for a, b in rows]
    oracle = store.manifest["twin"]["oracle"]["spearman"]
    assert spearmanr(truth["oracle"], pairs["score"]).statistic == pytest.approx(oracle, abs=1e-6)
    assert oracle > 0.8  # 40 pairs; the tolerance of a large corpus is held elsewhere


def test_classes_import_with_their_truth(class_files, tmp_path):
    store = import_corpus(class_files, tmp_path / "store")
    with pa.OSFile(str(class_files / "truth.arrow")) as source:
        table = pa.ipc.open_file(source).read_pandas()
    known = dict(zip(table["id"], table["true_category"], strict=True))
    assert len(store) == 60 and store.frame_dim == 768 and len(store.images(0)) >= 5
    true = [store.manifest["categories"][k] for k in store.truth()["true_category"]]
    assert true == [known[name] for name in store.column("id")]
    rows = store.rows("labeled")
    agree = np.mean(store.categories()[rows] == store.truth()["true_category"].to_numpy()[rows])
    assert 0.55 < agree < 1  # 85 % of 24 labels are right, within four standard errors
