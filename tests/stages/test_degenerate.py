"""Corpora from which nothing can be learnt, or by which nothing can be judged: refused before anything is trained."""

import numpy as np
import pytest

from lab.corpora.importing import import_corpus
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.stages.floors import floors
from lib.stages.problem import make_problem
from lib.stages.scoring import PairJudge
from tests.corpora import small


def problem(folder, recipe: str, score=None, **fields):
    """Of 40 videos, and of each with the third after it. ``score``, ``fields``: value by the number of the (first) video."""
    items = [{"id": str(n), "frames": "a.npy"} | {k: value(n) for k, value in fields.items()} for n in range(40)]
    pairs = score and "".join(f"{n}\t{(n + 3) % 40}\t{score(n)}\n" for n in range(40))
    store = import_corpus(small.custom(folder / "corpus", items, pairs), folder / "store")
    return make_problem(Job.load(recipe, "finetune", scale="smoke", corpus=str(store.path)), store)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (lambda n: 0.5, "one score for all pairs"),
        (lambda n: n / 40 if n % 3 else 0.5, "all selection pairs .* have the score 0.5"),
        (lambda n: 0.25 if n % 3 or n > 36 else n / 40, "all training pairs .* have the score 0.25"),
    ],
)
def test_pairs_that_cannot_be_ranked(tmp_path, score, words):
    """Videos of numbers that three divides are held out."""
    with pytest.raises(RecipeError, match=words):
        problem(tmp_path, "aiac_rank1", score)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "has no categories"),
        ({"category": lambda n: "ab"[n % 2], "part": lambda n: "test_a"}, "has videos of test parts only"),
        ({"category": lambda n: "cats/a"}, r"has one category \(cats/a\)"),
        ({"category": lambda n: "ab"[n < 9], "part": lambda n: "test" if n < 9 else None}, "of the category 'a'"),
    ],
)
def test_categories_that_cannot_be_told_apart(tmp_path, fields, words):
    with pytest.raises(RecipeError, match=words):
        problem(tmp_path, "wechat_baseline", **fields)


def test_floors_where_training_videos_are_of_one_category(tmp_path):
    """The only video of the other is held back: what is fitted can say one thing, as the constant answer does."""
    held = problem(tmp_path, "wechat_baseline", category=lambda n: "ab"[n % 2]).parts["validation"].rows[0]
    items = [{"id": str(n), "frames": "a.npy", "category": "ab"[int(n == held)]} for n in range(40)]
    store = import_corpus(small.custom(tmp_path / "other", items), tmp_path / "one")
    found = floors(Job.load("wechat_baseline", "finetune", scale="smoke", corpus=str(store.path)), store)
    assert found["score"].nunique() == 1 and "linear" in set(found["floor"])


def test_a_model_that_says_the_same_of_every_video_is_scored_without_an_interval(tmp_path):
    found = problem(tmp_path, "aiac_rank1", lambda n: n / 40)
    judge = PairJudge(found, None, None)
    judge.predict = lambda model, rows=None: (np.arange(40), np.ones((40, 2), np.float32))
    metrics = judge.report(None, *judge.predict(None))
    assert metrics["intervals"] == {} and metrics["scores"]["validation"]["spearman"] == 0
