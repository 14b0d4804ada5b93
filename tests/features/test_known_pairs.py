"""The label table: hand-made labels, any two videos of a batch, and nothing but training pairs in it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.corpora.importing import import_corpus
from lab.corpora.twin import generate
from lib.data.store import Store
from lib.features.loader import Assembler, EvalLoader, Items, KnownPairs, TrainLoader
from lib.features.tokens import build
from lib.objectives import CosineRegression, NearestLevel
from lib.objectives.mix import ObjectiveMix
from lib.recipes.job import Job
from lib.stages.problem import make_problem, split_pairs
from tests.small import outputs

NAN = float("nan")


def test_among_by_hand():
    """5-8 twice (0.2 and 0.4), 8-3 once, 9-9 is nothing; 3 stands twice in the batch, 7 is in no pair."""
    table = KnownPairs(np.array([[5, 8], [8, 3], [8, 5], [9, 9], [1, 5]]), np.array([0.2, 1.0, 0.4, 0.7, 0.6]))
    found = table.among(np.array([3, 8, 5, 3, 7, 9]))
    expected = torch.full((6, 6), NAN)
    for left, right, score in ((1, 2, 0.3), (0, 1, 1.0), (3, 1, 1.0)):
        expected[left, right] = expected[right, left] = score
    assert found.dtype == torch.float32 and torch.allclose(found, expected, equal_nan=True)


def test_empty_tables_and_batches():
    none = KnownPairs(np.zeros((0, 2), np.int64), np.zeros(0))
    assert none.among(np.array([4, 2])).isnan().all()
    assert KnownPairs(np.array([[1, 2]]), np.array([0.5])).among(np.zeros(0, np.int64)).shape == (0, 0)
    with pytest.raises(ValueError, match="2 pairs have 1 scores"):
        KnownPairs(np.array([[1, 2], [3, 4]]), np.array([0.5]))


VIDEOS = st.integers(0, 12)


@given(st.lists(st.tuples(VIDEOS, VIDEOS), max_size=40), st.lists(VIDEOS, max_size=15))
def test_among_against_a_dictionary(pairs, batch):
    scores = np.arange(len(pairs)) / 40
    known: dict[frozenset, list[float]] = {}
    for (left, right), score in zip(pairs, scores, strict=True):
        if left != right:
            known.setdefault(frozenset((left, right)), []).append(score)
    found = KnownPairs(np.array(pairs, np.int64).reshape(-1, 2), scores).among(np.array(batch, np.int64))
    expected = [[np.mean(known.get(frozenset((a, b)), [NAN])) if a != b else NAN for b in batch] for a in batch]
    assert np.allclose(found, np.array(expected).reshape(len(batch), len(batch)), equal_nan=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """A generated corpus in which many a video is in several of the 400 pairs."""
    home = tmp_path_factory.mktemp("known")
    generate(home / "raw", track="pairs", videos=500, pairs=400)
    import_corpus(home / "raw", home / "store")
    return Store.open(home / "store")


def test_only_an_objective_that_reads_it_asks():
    """What the code of AIAC rank 17 does needs no labels, and a term of weight 0 is not there at all."""
    regression = CosineRegression()
    for scope, weight, asked in (("all", 1.0, True), ("within_side", 1.0, False), ("all", 0.0, False)):
        mix = ObjectiveMix({"a": (regression, 1.0), "b": (NearestLevel(scope=scope), weight)})
        assert any(term.needs_known for _, term in mix.active()) is asked
    recipe = Job.load("aiac_rank17", "finetune", "base", 0, "smoke").stage_spec
    assert recipe.objectives["nearest"].arguments["scope"] == "all"


@pytest.mark.parametrize(
    ("recipe", "arm"), [("aiac_rank17", "base"), ("aiac_rank17", "strict_split"), ("aiac_rank6", "base")]
)
def test_no_label_of_validation_is_in_the_table(store, recipe, arm):
    job = Job.load(recipe, "finetune", arm, 0, "laptop")
    problem = make_problem(job, store)
    split = split_pairs(job, store)
    rows, score, train, select, val = split.pairs, split.score, split.train, split.select, split.val
    everything = np.unique(rows)
    table = problem.known_pairs().among(everything)
    trained = {frozenset(pair) for pair in rows[train].tolist()}
    known = {frozenset((int(everything[i]), int(everything[j]))) for i, j in (~table.isnan()).nonzero().tolist()}
    assert known == {pair for pair in trained if len(pair) == 2} and val.any()
    hidden = [pair for pair in rows[val | select].tolist() if frozenset(pair) not in trained]
    places = np.searchsorted(everything, np.array(hidden))
    assert len(hidden) > 10 and table[places[:, 0], places[:, 1]].isnan().all()
    left, right = np.searchsorted(everything, rows[train][0])
    assert float(table[left, right]) == pytest.approx(score[train][0])


def test_batches_carry_it_where_asked_and_the_loss_reads_it(store, tmp_path):
    """Three training pairs a-b, c-d, b-c: a batch of the first two knows the third."""
    tokens = build(store, tmp_path / "tokens", "digest")
    rules = {"layout": "cls_title", "text_length": 24, "frames_length": 8}
    rows, score = np.array([[0, 1], [2, 3], [1, 2]]), np.array([0.9, 0.1, 0.3], np.float32)
    items = Items(rows, score=score)
    asked, plain = (Assembler(store, tokens, **rules, known=known) for known in (KnownPairs(rows, score), None))
    two = items.take(np.arange(2))
    batch = asked(two, train=True)
    assert batch.rows.tolist() == [0, 2, 1, 3]
    expected = torch.full((4, 4), NAN)
    for left, right, value in ((0, 2, 0.9), (1, 3, 0.1), (1, 2, 0.3)):
        expected[left, right] = expected[right, left] = value
    assert torch.allclose(batch.known, expected, equal_nan=True)
    assert plain(two, train=True).known is None and asked(two, train=False).known is None
    assert next(iter(TrainLoader(asked, items, 2, seed=0, bucket=False))).known is not None
    assert all(batch.known is None for batch in EvalLoader(asked, np.arange(6), 4))

    embedding = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [1.0, 0.0]])
    with_table, without = (NearestLevel()(outputs(embedding=embedding), b) for b in (batch, batch.replace(known=None)))
    # cosine of videos 2 and 1 is 0.8: pulled to its label 0.3, not to the level 1; two of twelve ordered pairs
    assert float(with_table - without) == pytest.approx(2 / 12 * (0.5**2 - 0.2**2), rel=1e-4)
