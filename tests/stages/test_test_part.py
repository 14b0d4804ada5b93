"""A corpus whose test part has labels: nothing there trains or selects, and the run is scored there."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lab.show import predictions, runs
from lib.data.schema import CategoryTree
from lib.data.store import Store
from lib.evaluation.intervals import interval, mean_f1_draws, spearman_draws
from lib.evaluation.metrics import mean_f1, spearman
from lib.recipes.job import Job
from lib.runs.kinds import score_of
from lib.stages.inputs import build_features
from lib.stages.problem import make_problem, split_pairs
from lib.stages.run import run
from tests.stages.conftest import prepare
from tests.stages.labelled import with_test_part

NEEDED = [("aiac_rank1", "finetune", "base"), ("wechat_baseline", "finetune", "base")]


@pytest.fixture(scope="module")
def corpora(home, tmp_path_factory):
    """Recipe -> store with a labelled test part."""
    return {one[0]: with_test_part(prepare(one), tmp_path_factory.mktemp("stores") / one[0]) for one in NEEDED}


def job(recipe: str, stage: str, store: Store) -> Job:
    one = Job.load(recipe, stage, "base", 0, "smoke", str(store.path))
    for ref in one.feature_sets:
        if not (ref.folder / "features.json").exists():
            build_features(store, ref)
    return one


@pytest.fixture(scope="module")
def trained(corpora):
    for stage in ("pretrain", "finetune"):
        run(job("aiac_rank1", stage, corpora["aiac_rank1"]))
    run(job("wechat_baseline", "finetune", corpora["wechat_baseline"]))
    return corpora


def test_no_pair_with_a_test_video_trains_selects_or_validates(corpora):
    store = corpora["aiac_rank1"]
    test = store.rows("test_b")
    for recipe in ("aiac_rank1", "aiac_rank6"):
        split = split_pairs(job(recipe, "finetune", store), store)
        touches = np.isin(split.pairs, test).any(axis=1)
        assert 30 < touches.sum() < len(touches) / 2 and (split.test == touches).all()
        assert not (touches & (split.train | split.select | split.val)).any()
        assert split.train.any() and split.val.any() and (split.train | split.val | split.select)[~touches].mean() > 0.5
    problem = make_problem(job("aiac_rank1", "finetune", store), store)
    assert not np.isin(problem.train.rows, test).any() and not problem.parts["test"].seen.any()


def test_a_pair_half_in_the_test_part_is_used_for_nothing(corpora):
    store = corpora["aiac_rank1"]
    table, one = store.pairs(), job("aiac_rank1", "finetune", store)
    table.loc[0, ["row1", "row2"]] = [store.rows("pairwise")[0], store.rows("test_b")[0]]
    odd = SimpleNamespace(pairs=lambda: table, column=store.column, parts=store.parts, rows=store.rows)
    split = split_pairs(one, odd)
    assert not (split.train | split.select | split.val | split.test)[0]


def test_no_labelled_test_video_trains_selects_or_counts(corpora):
    store = corpora["wechat_baseline"]
    problem, test = make_problem(job("wechat_baseline", "finetune", store), store), store.rows("test_b")
    assert not np.isin(np.concatenate([problem.train.rows, problem.rows]), test).any()
    assert problem.parts["test"].rows.tolist() == test.tolist() and len(test) > 30
    assert problem.class_counts.sum() == len(np.unique(problem.train.rows))


def test_pairs_are_scored_on_the_test_part(trained):
    store, one = trained["aiac_rank1"], job("aiac_rank1", "finetune", trained["aiac_rank1"])
    metrics, found = one.folder.read_metrics(), predictions.of_pairs(one.folder)
    split, truth = split_pairs(one, store), store.truth()
    assert found.pairs.tolist() == split.pairs[split.test].tolist() and not found.seen.any()
    value, scores = spearman(found.cosine, found.score), metrics["scores"]
    assert scores["test"]["spearman"] == value == score_of(metrics) != scores["validation"]["spearman"]
    draws = spearman_draws(found.cosine, found.score, found.pairs)
    assert metrics["intervals"]["spearman"] == list(interval(draws))
    assert metrics["oracle"]["spearman"] == spearman(truth["oracle"].to_numpy()[split.test], found.score)
    assert metrics["items"]["test"] == split.test.sum() and metrics["items"]["validation"] == split.val.sum()
    arrays = one.folder.read_arrays(one.folder.path / "pairs.npz")
    assert arrays["pairs"][~arrays["test"]].tolist() == split.pairs[split.val].tolist()
    row = runs.rows([one]).iloc[0]
    assert (row["score"], row["scored_on"], row["scored_items"]) == (value, "test", split.test.sum())


def test_classes_are_scored_on_the_test_part_and_handed_in(trained):
    store = trained["wechat_baseline"]
    one = job("wechat_baseline", "finetune", store)
    metrics, found = one.folder.read_metrics(), predictions.of_classes(one.folder)
    problem = make_problem(one, store)
    tree = CategoryTree(store.manifest["categories"]).level1_of_level2
    assert found.rows.tolist() == store.rows("test_b").tolist()
    assert metrics["scores"]["test"] == mean_f1(found.truth, found.predicted, tree)
    assert metrics["intervals"]["mean_f1"] == list(interval(mean_f1_draws(found.predicted, found.truth, tree)))
    assert metrics["oracle"]["mean_f1"] == 1.0, "this part is labelled with what is meant"
    names = np.array(store.manifest["categories"])
    handed_in = dict(line.split(",") for line in (one.folder.path / "result.csv").read_text().splitlines())
    assert handed_in == dict(zip(store.column("id")[found.rows], names[found.predicted], strict=True))
    arrays = one.folder.read_arrays(one.folder.predictions)
    held = arrays["rows"][~arrays["test"]]
    assert held.tolist() == np.sort(problem.rows).tolist() and (np.diff(arrays["rows"]) > 0).all()
    validation = mean_f1(arrays["truth"][~arrays["test"]], arrays["logits"][~arrays["test"]].argmax(axis=1), tree)
    assert metrics["scores"]["validation"] == validation


def test_a_checkpoint_is_selected_without_the_test_part(trained, tmp_path):
    """Other labels in the test part change no weight, and no score but the one there."""
    for recipe, store in trained.items():
        other = with_test_part(store, tmp_path / f"{recipe}_spoilt", spoil=True)
        for stage in ("pretrain", "finetune") if recipe == "aiac_rank1" else ("finetune",):
            run(job(recipe, stage, other))
        first, second = (job(recipe, "finetune", s).folder for s in (store, other))
        weights = load_file(second.weights)
        for name, tensor in load_file(first.weights).items():
            assert torch.equal(tensor, weights[name]), name
        assert score_of(first.read_metrics()) != score_of(second.read_metrics())
        assert first.read_metrics()["scores"]["validation"] == second.read_metrics()["scores"]["validation"]
