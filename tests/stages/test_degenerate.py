"""Corpora from which nothing can be learnt, or by which nothing can be judged: refused before anything is trained."""

import numpy as np
import pytest

from lab.corpora.importing import import_corpus
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.stages.problem import make_problem
from lib.stages.scoring import PairJudge
from tests.corpora import small


def problem(folder, recipe: str, scores=(), **fields):
    """Of 40 videos, and of pairs of neighbours with these scores. ``fields``: key -> value of video n."""
    items = [{"id": str(n), "frames": "a.npy"} | {k: value(n) for k, value in fields.items()} for n in range(40)]
    pairs = "".join(f"{5 * n % 40}\t{(5 * n + 5) % 40}\t{score}\n" for n, score in enumerate(scores))
    store = import_corpus(small.custom(folder / "corpus", items, pairs or None), folder / "store")
    return make_problem(Job.load(recipe, "finetune", scale="smoke", corpus=str(store.path)), store)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([0.5] * 60, "pairs of .* have the score 0.5"),
        ([0.25] * 4, "have the score 0.25"),
        ([1.0], "leaves no|have the score 1"),
    ],
)
def test_pairs_that_cannot_be_ranked(tmp_path, scores, words):
    with pytest.raises(RecipeError, match=words):
        problem(tmp_path, "aiac_rank1", scores, tags=lambda n: [n % 7])


@pytest.mark.parametrize(
    ("category", "words"),
    [(lambda n: None, "no video with a category"), (lambda n: "cats/a", r"one category \(cats/a\)")],
)
def test_categories_that_cannot_be_told_apart(tmp_path, category, words):
    with pytest.raises(RecipeError, match=words):
        problem(tmp_path, "wechat_baseline", category=category)


def test_a_model_that_says_the_same_of_every_video_is_scored_without_an_interval(tmp_path):
    found = problem(tmp_path, "aiac_rank1", np.linspace(0, 1, 60), tags=lambda n: [n % 7])
    judge = PairJudge(found, None, None)
    judge.predict = lambda model, rows=None: (np.arange(40), np.ones((40, 2), np.float32))
    metrics = judge.report(None, *judge.predict(None))
    assert metrics["intervals"] == {} and metrics["scores"]["validation"]["spearman"] == 0
