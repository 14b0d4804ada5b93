"""Pseudo labels from end to end at smoke scale: teachers, soft and hard labels, an iterated loop, and what is refused."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from lab.corpora import importing as corpus
from lab.use.choose import missing
from lib.data.items import rows_of_test, split_rows
from lib.data.store import Store
from lib.evaluation import TailExpert
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.runs import paths
from lib.stages import pseudo
from lib.stages.inputs import Inputs, build_features
from lib.stages.problem import make_problem
from lib.stages.pseudo import refuse_held_out, unlabelled
from lib.stages.run import build_parts, repeats, run
from lib.training.checkpoint import Checkpointer
from lib.training.state import Resume
from tests.forget import forget

LEARN = {
    "data": {"items": "videos", "parts": ["labeled"], "split": {"use": "stratified", "k": 10}, "batch_size": 16, "epochs": 1, "frames": 6},
    "objectives": {"category": {"use": "CategoryCE"}},
    "optimizer": {"lr": 1.0e-3},
    "schedule": {"use": "Constant"},
    "evaluation": {"select": "mean_f1", "every": 4, "mean_of": 2},
}  # fmt: skip
SOFT = dict(
    items="videos", parts=["unlabeled"], unlabeled=True, split={"use": "random", "k": 20}, batch_size=16, epochs=1
)
RECIPE = {
    "title": "A teacher loop",
    "summary": "A baseline that learns from itself.",
    "origin": {"contest": "none"},
    "corpus": "wechat2022",
    "features": {"text": {"set": "tokens", "layout": "packed", "length": 24}, "frames": {"length": 6}},
    "model": {
        "text": {"use": "BertText", "backbone": "tiny-1x32", "pooler": False},
        "frames": {"use": "FrameLinear", "dropout": 0.0},
        "fusion": {"use": "CrossTransformer", "depth": 1, "heads": 1, "positions": 0},
        "pooling": {"use": "MeanPool"},
        "head": {"use": "Classifier"},
    },
    "stages": {
        "teach": {"phase": "finetune", **LEARN},
        "says": {"init_from": "teach", "pseudo": {"use": "EverySoft", "arms": ["base", "both"]}},
        "pretrain": {
            **LEARN,
            "data": {**SOFT, "pseudo": "says", "frames": [2, 6]},
            "objectives": {
                "soft": {"use": "SoftLabels"},
                "bank": {"use": "ModalAlignment", "dim": 8, "queue": 32, "soft": 0.4},
            },
            "evaluation": {"select": "loss"},
        },
        "vote": {"init_from": "teach", "pseudo": {"use": "NeighbourVote", "neighbours": 5, "confidence": 0.4}},
        "rare": {"phase": "finetune", "init_from": "pretrain", **LEARN, "data": {**LEARN["data"], "tail": 2}},
        "finetune": {
            **LEARN,
            "init_from": "pretrain",
            "data": {**LEARN["data"], "pseudo": "vote", "fill": 12},
            "expert": {"stage": "rare", "use": "TailExpert", "below": 2, "share": 0.25},
        },
    },
    "variants": {
        "both": {"model.pooling": {"use": "Poolings", "of": ["text", "frames"]}},
        "other_split": {"stages.finetune.data.split.seed": 1},
    },
    "members": {"both": "means of both sides"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDLAB_HOME", str(folder))
        params = Path(shutil.copytree(paths.PROJECT / "params", folder / "params"))
        (params / "recipes" / "loop.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
        patch.setenv("VIDLAB_PARAMS", str(params))
        forget()
        first = job("teach")
        corpus.build(first.corpus.name, "smoke")
        store = Store.open(first.corpus.store)
        build_features(store, first.tokens)
        for stage in ("teach", "teach both", "says", "pretrain", "vote", "rare"):
            run(job(*stage.split()))
        yield store
    forget()


def job(stage, arm="base", recipe="loop"):
    return Job.load(recipe, stage, arm, 0, "smoke")


def test_soft_labels_are_the_mean_of_both_models(home):
    says = job("says")
    assert [labeller.arm for labeller in says.labellers] == ["base", "both"] and says.stage_spec.data.epochs == 0
    arrays = says.folder.read_arrays(says.folder.labels)
    assert np.array_equal(arrays["rows"], unlabelled(home)) and len(arrays["rows"]) > 50
    parts = [build_parts(labeller, Inputs.open(labeller), _accelerator()) for labeller in says.labellers]
    rows, mean = arrays["rows"][:20], 0
    for labeller, part in zip(says.labellers, parts, strict=True):
        part.model.load_state_dict(load_file(labeller.folder.weights))
        _, logits = part.judge.predict(part.model, rows)
        mean = mean + torch.from_numpy(logits).softmax(dim=1).numpy() / 2
    np.testing.assert_allclose(arrays["probabilities"][:20], mean, atol=1e-3)
    metrics = says.folder.read_metrics(says.digest)
    assert (
        metrics["steps"] == 0 and metrics["pseudo"]["given"] == len(arrays["rows"]) and metrics["pseudo"]["models"] == 2
    )
    truth = home.truth()["true_category"].to_numpy()[arrays["rows"]]
    assert metrics["pseudo"]["right"] == pytest.approx(np.mean(truth == arrays["category"]))


def _accelerator():
    from accelerate import Accelerator

    return Accelerator(cpu=True)


def test_students_learn_the_soft_labels_with_few_or_many_frames(home):
    student = job("pretrain")
    assert [p.stage for p in student.parents.values()] == ["says"] and student.most_frames == 6
    parts = build_parts(student, Inputs.open(student), _accelerator())
    seen = [next(iter(parts.loader)).frames.shape[1] for _ in range(12)]
    assert seen.count(2) > 2 and max(seen) == 6, "one of both lengths for each batch"
    batch = next(iter(parts.loader))
    says = job("says").folder
    arrays = says.read_arrays(says.labels)
    place = np.searchsorted(arrays["rows"], batch.rows.numpy())
    assert (batch.category.numpy() == arrays["category"][place]).all() and batch.soft.shape[1] == len(
        home.manifest["categories"]
    )
    parts.loader.load_state_dict({"step": 3})
    again = [next(iter(parts.loader)).frames.shape[1] for _ in range(6)]
    parts.loader.load_state_dict({"step": 3})
    assert again == [next(iter(parts.loader)).frames.shape[1] for _ in range(6)], "a resumed run draws the same"


def test_votes_join_the_labelled_videos_and_nothing_that_is_held_out(home):
    finetune, vote = job("finetune"), job("vote").folder
    arrays = vote.read_arrays(vote.labels)
    assert 0 < len(arrays["rows"]) < len(unlabelled(home)) and (arrays["confidence"] >= 0.4 - 1e-6).all()
    problem = make_problem(finetune, home)
    train, held = split_rows(home, ["labeled"], k=3)
    counts = np.bincount(home.categories()[problem.train.rows[: -len(arrays["rows"])]])
    assert np.array_equal(problem.train.rows[-len(arrays["rows"]) :], arrays["rows"])
    assert counts[np.unique(home.categories()[train])].min() >= 12 and len(np.unique(problem.rows)) == len(held)
    assert not np.isin(problem.train.rows, np.concatenate([held, rows_of_test(home)])).any()
    assert np.array_equal(
        problem.class_counts, np.bincount(home.categories()[train], minlength=len(problem.class_counts))
    )
    data, labelled = finetune.stage_spec.data, problem.class_counts.sum()
    assert repeats(data, problem) == len(problem.train) / (labelled + len(arrays["rows"]))  # what is drawn again
    assert repeats(data.model_copy(update={"resample_steps": "same"}), problem) == len(problem.train) / labelled
    run(finetune)


@pytest.mark.parametrize("kind", ["validation", "test"])
def test_a_planted_video_is_refused(home, monkeypatch, kind):
    held = job("finetune"), split_rows(home, ["labeled"], k=3)[1]
    planted = held[1][:1] if kind == "validation" else rows_of_test(home)[:1]
    rows = np.sort(np.concatenate([unlabelled(home)[:5], planted]))
    with pytest.raises(RecipeError, match=f"1 labelled or test videos, the first {home.column('id')[planted[0]]}"):
        refuse_held_out(home, rows, "pseudo labels")
    real = type(held[0].folder).read_arrays
    monkeypatch.setattr(
        type(held[0].folder), "read_arrays",
        lambda self, path: {**real(self, path), "rows": rows, "category": np.zeros(len(rows), int)},
    )  # fmt: skip
    with pytest.raises(RecipeError, match="are among the pseudo labels of loop vote"):
        make_problem(held[0], home)


def test_a_round_on_another_split_is_refused(home):
    with pytest.raises(RecipeError, match="one split goes through all rounds"):
        make_problem(job("finetune", "other_split"), home)


def test_labels_are_the_same_when_made_again(home):
    says = job("says")
    before = says.folder.read_arrays(says.folder.labels)
    run(says, again=True)
    after = says.folder.read_arrays(says.folder.labels)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def make(home: str, params: str, recipe: str, stage: str, killed: bool) -> None:
    """What a process of the test below does; to be killed, it saves after every step."""
    os.environ |= {"VIDLAB_HOME": home, "VIDLAB_PARAMS": params}

    def counted(ask, limit):
        times = []

        def call(*given):
            if len(times) == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            times.append(1)
            return ask(*given)

        return call

    if killed:
        Resume.due = lambda *_, **__: True
        Resume.save, pseudo.predict = counted(Resume.save, 3), counted(pseudo.predict, 1)
    run(job(stage, recipe=recipe))


@pytest.mark.parametrize(
    ("recipe", "stage", "file"),
    [
        ("loop", "says", "labels"), ("loop", "pretrain", "objective_weights"),
        ("wechat_rank1", "labels2", "labels"), ("wechat_rank1", "pretrain", "objective_weights"),
    ],
)  # fmt: skip
def test_a_killed_round_goes_on_to_the_same_bytes(home, processes, recipe, stage, file):
    """kill -9 between two teachers' answers, and in a stage that learns them; the first loop has a queue and a momentum
    copy, the other is the second round of the winner."""
    for one in missing(job(stage, recipe=recipe)):
        for ref in one.feature_sets:
            build_features(home, ref)
        run(one)
    folder = job(stage, recipe=recipe).folder
    kept = [folder.metrics, getattr(folder, file), folder.weights]
    expected = [path.read_bytes() for path in kept]
    shutil.rmtree(folder.path)
    for killed in (True, False):
        child = processes.Process(
            target=make, args=(*(os.environ[f"VIDLAB_{x}"] for x in ("HOME", "PARAMS")), recipe, stage, killed)
        )
        child.start()
        child.join()
        assert child.exitcode == (-signal.SIGKILL if killed else 0) and folder.metrics.exists() != killed
        if killed and stage == "pretrain":
            assert Checkpointer(folder.state).step() == 3
    assert [path.read_bytes() for path in kept] == expected


def test_an_expert_for_rare_categories_joins_in(home):
    """It learns all videos of rare categories and as many others; the mixture is what is judged and kept."""
    rare, finetune = job("rare"), job("finetune")
    problem, counts = make_problem(rare, home), make_problem(finetune, home).class_counts
    labels = home.categories()[problem.train.rows]
    assert (counts[labels] < 2).sum() * 2 == len(labels) and (counts[labels] < 2).sum() == counts[counts < 2].sum()
    parts = build_parts(finetune, Inputs.open(finetune), _accelerator())
    rows, mixed = parts.judge.predict(parts.model)
    expert = build_parts(rare, Inputs.open(rare), _accelerator())
    expert.model.load_state_dict(load_file(rare.folder.weights))
    (_, said), parts.judge.expert = expert.judge.predict(expert.model, rows), None
    _, own = parts.judge.predict(parts.model, rows)
    np.testing.assert_allclose(mixed, TailExpert(counts, below=2, share=0.25)(own, said), atol=1e-4)
