"""A fourth system needs one YAML file when its parts exist; folds, held-out pairs and fold teachers do what they say."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lab.corpora import importing as corpus
from lib.data.store import Store
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.runs import paths
from lib.stages.inputs import build_features
from lib.stages.problem import make_problem, split_pairs
from lib.stages.run import run
from tests.forget import forget

NEW = """
title: Words beside a video transformer
summary: A system nobody sent in, made of parts of ranks 6 and 17.
origin: {contest: none}
corpus: aiac2021
features:
  text: {set: words, layout: words, length: 12}
  frames: {set: given, length: 6, sample: segment_centre}
model:
  text: {use: RecurrentWords, dim: 300, output_dim: 32}
  frames: {use: VideoTransformer, depth: 1, heads: 2, head_dim: 8, ffn: 16}
  fusion: {use: GatedSum, output_dim: 16}
  pooling: {use: FirstPooled}
  head: {use: Identity}
stages:
  pretrain:
    data: {items: videos, parts: [pointwise, pairwise], batch_size: 16, epochs: 1}
    objectives:
      from_words: {use: TagBCE, input: text}
      seen: {use: TagBCE, input: frames}
    optimizer: {lr: 1.0e-3}
    schedule: {use: Constant}
    evaluation: {select: tag_loss}
  finetune:
    init_from: pretrain
    data: {items: pairs, parts: [pairwise], split: {use: both_mod_k, k: 3}, batch_size: 16, epochs: 1}
    objectives:
      similarity: {use: CosineRegression}
    optimizer: {lr: 1.0e-3}
    schedule: {use: Constant}
    evaluation: {select: spearman}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with the smoke pair corpus and its word set, and params of its own that hold one more recipe."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDLAB_HOME", str(folder))
        params = Path(shutil.copytree(paths.PROJECT / "params", folder / "params"))
        (params / "recipes" / "fourth.yaml").write_text(NEW)
        patch.setenv("VIDLAB_PARAMS", str(params))
        forget()
        first = Job.load("fourth", "pretrain", scale="smoke")
        corpus.build(first.corpus.name, "smoke")
        store = Store.open(first.corpus.store)
        build_features(store, first.tokens)
        yield folder
    forget()


def test_a_new_system_is_one_file(home):
    run(Job.load("fourth", "pretrain", scale="smoke"))
    wanted = Job.load("fourth", "finetune", scale="smoke")
    scores = run(wanted).read_metrics(wanted.digest)["scores"]
    assert -1 <= scores["validation"]["spearman"] <= 1


def rank6(stage: str, arm: str = "base") -> Job:
    return Job.load("aiac_rank6", stage, arm, 0, "smoke")


def test_folds_cut_what_is_not_held_out(home):
    store = Store.open(rank6("finetune").corpus.store)
    every = [split_pairs(one, store) for one in rank6("finetune").in_folds()]
    held = every[0].val
    assert held.any()
    for split in every:
        train, select = split.train, split.select
        assert np.array_equal(split.val, held)
        assert not (train & select).any() and not (held & (train | select)).any()
        assert not (split.test & (train | select | held)).any()
        assert np.array_equal(train | select, ~(held | split.test))
    assert np.array_equal(np.sum([split.select for split in every], axis=0), (~(held | every[0].test)).astype(int))


def test_pretraining_is_shared_by_all_folds(home):
    assert rank6("pretrain", "base@1").folder.path == rank6("pretrain").folder.path
    assert rank6("finetune", "base@0").folder.path == rank6("finetune").folder.path
    assert rank6("finetune", "base@1").folder.path != rank6("finetune").folder.path


def test_b7_6_an_out_of_fold_teacher_has_not_seen_the_pair(home):
    """Each pair's soft label is that of the fold it was kept from."""
    run(rank6("pretrain"))
    for fold in rank6("finetune").in_folds():
        run(fold)
    student = rank6("distill")
    store = Store.open(student.corpus.store)
    problem = make_problem(student, store)
    assert len(student.teachers) == 3 and problem.train.soft is not None
    for teacher in student.teachers:
        arrays = teacher.folder.read_arrays(teacher.folder.embeddings)
        place = {row: number for number, row in enumerate(arrays["rows"].tolist())}
        kept_from = {tuple(pair) for pair in make_problem(teacher, store).select[0].tolist()}
        unit = arrays["vectors"] / np.linalg.norm(arrays["vectors"], axis=1, keepdims=True)
        found = [number for number, pair in enumerate(problem.train.rows.tolist()) if tuple(pair) in kept_from]
        cosines = [float(unit[place[a]] @ unit[place[b]]) for a, b in problem.train.rows[found].tolist()]
        assert problem.train.soft[found] == pytest.approx(cosines, abs=1e-5)


def test_unknown_fold_is_an_error(home):
    with pytest.raises(jobs.RecipeError, match="folds are 0 to 2"):
        rank6("finetune", "base@3")
    with pytest.raises(jobs.RecipeError, match="no stage is in folds"):
        Job.load("aiac_rank17", "finetune", "base@0", 0, "smoke")
