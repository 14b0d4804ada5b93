"""Floors and ceiling: on the items that runs are scored on, and nothing of them is learnt."""

from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lib.evaluation.metrics import spearman
from lib.recipes.job import Job
from lib.stages import floors as module
from lib.stages.floors import Inputs, character_pairs, floors
from lib.stages.problem import make_problem
from tests.stages.conftest import prepare
from tests.stages.labelled import with_test_part

NEEDED = [("aiac_rank1", "finetune", "base"), ("wechat_baseline", "finetune", "base")]


@pytest.fixture(scope="module")
def corpora(home, tmp_path_factory):
    """Jobs with a store that has a labelled test part."""
    folder = tmp_path_factory.mktemp("stores")
    made = {one[0]: with_test_part(prepare(one), folder / one[0]) for one in NEEDED}
    return [(Job.load(name, "finetune", scale="smoke", corpus=str(store.path)), store) for name, store in made.items()]


def test_character_pairs_by_counting():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("甲乙丙𠀀 \n"), rng.integers(0, 30))) for _ in range(40)]
    counted = [
        Counter(a + b for a, b in zip(t, t[1:], strict=False) if not (a + b).isspace() and (a + b).split() == [a + b])
        for t in texts
    ]
    found = character_pairs(texts)
    names = sorted(set().union(*counted), key=lambda pair: [ord(c) for c in pair])
    assert found.toarray().tolist() == [[counts[name] for name in names] for counts in counted]


def test_every_floor_is_scored_on_the_test_part_and_twice_the_same(corpora):
    for job, store in corpora:
        found, problem = floors(job, store), make_problem(job, store)
        assert found["n"].eq(len(problem.parts["test"])).all() and found["scored_on"].eq("test").all()
        assert set(found["floor"]) >= {"constant", "untrained", "linear", "oracle"}
        assert found.equals(floors(job, store))
        drawn = found.dropna(subset=["low"])
        assert (drawn["low"] <= drawn["score"]).all() and (drawn["score"] <= drawn["high"]).all()
        assert found["score"].idxmax() == found.index[-1] == found.index[found["floor"] == "oracle"][0]


def test_untrained_floor_of_pairs_by_other_means(corpora):
    """scikit-learn's own character pairs of title and ASR; these texts hold no blanks."""
    job, store = corpora[0]
    problem = make_problem(job, store)
    part, train = problem.parts["test"], problem.train.rows
    texts = [f"{title}\n{asr}" for title, asr in zip(store.column("title"), store.column("asr"), strict=True)]

    def analyzer(text: str) -> list[str]:
        return [pair for pair in (text[i : i + 2] for i in range(len(text) - 1)) if "\n" not in pair]

    weigh, rows = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True), np.unique(train)
    weigh.fit([texts[row] for row in [*rows, *np.unique(part.pairs)]])
    weigh.idf_ = _idf(weigh, [texts[row] for row in rows])
    vectors = weigh.transform(texts)
    cosine = np.asarray(vectors[part.pairs[:, 0]].multiply(vectors[part.pairs[:, 1]]).sum(axis=1)).ravel()
    found = floors(job, store).set_index("floor")["score"]
    assert found["untrained text"] == pytest.approx(spearman(cosine, part.score), abs=1e-9)


def _idf(weigh: TfidfVectorizer, texts: list[str]) -> np.ndarray:
    counts = sum((Counter(set(weigh.build_analyzer()(text))) for text in texts), Counter())
    return np.array([np.log((1 + len(texts)) / (1 + counts[name])) + 1 for name in weigh.get_feature_names_out()])


def test_nothing_is_learnt_from_the_test_part(corpora, tmp_path, monkeypatch):
    """Other labels there change no prediction."""
    said = {}
    for name in ("spearman_draws", "mean_f1_interval"):
        plain = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda predicted, *rest, plain=plain: said[key].append(predicted) or plain(predicted, *rest)
        )
    for job, store in corpora:
        other = with_test_part(store, tmp_path / f"{job.recipe}_spoilt", spoil=True)
        for key, one in (("plain", store), ("spoilt", other)):
            said[key] = []
            floors(job, one)
        assert len(said["plain"]) == len(said["spoilt"]) >= 4
        assert all(np.array_equal(a, b) for a, b in zip(said["plain"], said["spoilt"], strict=True))


def test_without_frames_there_is_text_alone(corpora, monkeypatch):
    job, store = corpora[0]
    monkeypatch.setattr(store, "frame_dim", 0)
    found = floors(job, store).set_index("floor")["score"]
    assert "untrained frames" not in found and found["untrained"] == pytest.approx(found["untrained text"])
    assert Inputs(store, np.arange(5), np.ones(5, bool)).frames is None
