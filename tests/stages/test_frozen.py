"""Frozen encoders run once: the same numbers as running them at every step."""

import importlib
import json

import numpy as np
import pytest

from lab.corpora.score import read_embeddings, score_file
from lib.recipes.job import Job
from lib.stages.run import run

running = importlib.import_module("lib.stages.run")  # the module, which has the function's name
NEEDED = [("aiac_rank17", "finetune", "base")]


def _job(stage, arm="base"):
    return Job.load("aiac_rank17", stage, arm, 0, "smoke")


@pytest.fixture(scope="module")
def pretrained(home):
    for arm in ("base", "cross"):
        run(_job("pretrain", arm))
    return home


@pytest.fixture
def precomputed(monkeypatch):
    """Slots that each run of the test computes once."""
    seen = []
    original = running.precompute

    def spy(*arguments):
        found = original(*arguments)
        seen.append(set(found))
        return found

    monkeypatch.setattr(running, "precompute", spy)
    return seen


def _losses(folder):
    return [row["loss"] for row in folder.history.rows() if "loss" in row]


def test_same_losses_and_scores_as_running_the_encoders_at_every_step(pretrained, precomputed, monkeypatch):
    fast = run(_job("finetune"))
    scores, losses = json.loads(fast.metrics.read_text())["scores"]["validation"], _losses(fast)
    assert precomputed == [{"text", "frames"}]
    monkeypatch.setattr(running, "precompute", lambda *ignored: {})
    slow = run(_job("finetune"), again=True)
    assert losses == pytest.approx(_losses(slow), rel=1e-4)
    assert scores == pytest.approx(json.loads(slow.metrics.read_text())["scores"]["validation"], rel=1e-4)


def test_test_videos_are_handed_in_as_the_team_did(pretrained):
    """All of them, embedded by the frozen encoders, too; and the file scores itself against labels."""
    folder = run(_job("finetune"))
    test = pretrained.column("id")[pretrained.rows("test_a", "test_b")].astype(str).tolist()
    handed_in = read_embeddings(folder.path / "result.zip")
    assert list(handed_in) == test and len(test) > 2
    arrays = folder.read_arrays(folder.embeddings)
    vectors = dict(zip(arrays["ids"].tolist(), arrays["vectors"], strict=True))
    for name, vector in handed_in.items():
        length = np.linalg.norm(vectors[name])
        assert length != pytest.approx(1, abs=1e-3) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
        assert vector == pytest.approx(vectors[name] / length, abs=1e-3)  # half precision
    labels = folder.path / "label.tsv"
    unit = {name: vector / np.linalg.norm(vector) for name, vector in vectors.items()}
    cosine = [float(unit[test[0]] @ unit[name]) for name in test[1:]]
    labels.write_text("".join(f"{test[0]}\t{name}\t{c / 2 + 0.5}\n" for name, c in zip(test[1:], cosine, strict=True)))
    assert score_file(folder.path / "result.zip", labels)["spearman"] > 0.99


@pytest.mark.parametrize("arm", ["cross", "faithful"])
def test_nothing_is_precomputed_where_states_or_noise_matter(pretrained, precomputed, arm):
    """The cross-modal model reads all states; the published code leaves dropout on in the frozen encoders (C7-4)."""
    if arm == "faithful":
        run(_job("pretrain", arm))
    run(_job("finetune", arm))
    assert precomputed[-1] == set()
