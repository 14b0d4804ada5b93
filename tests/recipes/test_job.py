"""Jobs: digests, folders, arms, parents."""

import pytest

from lab.flow.tasks import tasks_of
from lab.show.plan import Plan
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load, validate
from lib.recipes.resolve import overlay, resolved
from lib.recipes.specs import Recipe, Scale, SplitSpec


def smoke(stage, arm="base", seed=0, recipe="aiac_rank1"):
    return Job.load(recipe, stage, arm, seed, "smoke")


def test_an_arm_that_changes_nothing_gets_the_base_folder():
    assert smoke("finetune", "ema.without").digest == smoke("finetune").digest
    assert smoke("finetune", "ema.without").folder.path == smoke("finetune").folder.path
    assert smoke("finetune", "ema.with").folder.path != smoke("finetune").folder.path


def test_an_arm_of_finetuning_shares_the_base_pretraining():
    assert smoke("finetune", "ema.with").parents["init_from"].folder.path == smoke("pretrain").folder.path


def test_an_arm_of_pretraining_reaches_finetuning_through_its_parent():
    with_frames, without = smoke("finetune", "masked_frames.with"), smoke("finetune", "masked_frames.without")
    assert with_frames.digest == smoke("finetune").digest
    assert without.parents["init_from"].digest != smoke("pretrain").digest
    assert without.digest != with_frames.digest


def test_seed_scale_and_recipe_are_part_of_the_digest():
    jobs = smoke("finetune"), smoke("finetune", seed=1), Job.load("aiac_rank1", "finetune", scale="laptop")
    assert len({job.digest for job in jobs}) == 3


def test_weight_zero_is_the_same_as_leaving_the_objective_out():
    """A skipped term leaves no trace: the job's digest does not depend on the code that the term would have used."""
    assert "lib.objectives.similarity" not in smoke("pretrain", "masked_tokens.without").modules
    assert "lib.objectives.masking" in smoke("pretrain").modules
    assert "lib.objectives.masking" not in smoke("finetune").modules


def test_unknown_arm_stage_and_recipe_name_the_nearest():
    with pytest.raises(RecipeError, match="no ablation named 'emma' .* did you mean 'ema'"):
        Job.load("aiac_rank1", "finetune", "emma.with", 0, "smoke")
    with pytest.raises(RecipeError, match="did you mean 'finetune'"):
        Job.load("aiac_rank1", "fintune", scale="smoke")
    with pytest.raises(RecipeError, match="did you mean 'aiac_rank"):
        Job.load("aiac_rank", "finetune", scale="smoke")


def test_overlay_refuses_paths_that_do_not_exist():
    with pytest.raises(RecipeError, match=r"a.yaml: stages.fine.x: 'fine' does not exist.*did you mean 'finetune'"):
        overlay({"stages": {"finetune": {"x": 1}}}, {"stages.fine.x": 2}, "a.yaml")
    with pytest.raises(RecipeError, match="nothing can be set below"):
        overlay({"a": 1}, {"a.b": 2}, "a.yaml")


def test_overlay_replaces_a_component_whole_and_leaves_the_original_alone():
    tree = {"head": {"use": "A", "dim": 1}}
    assert overlay(tree, {"head": {"use": "B"}}, "f") == {"head": {"use": "B"}}
    assert tree == {"head": {"use": "A", "dim": 1}}


def test_a_variant_may_add_an_objective_and_nothing_else():
    tree = {"objectives": {"tokens": {"use": "A"}}, "model": {"text": {"use": "B"}}}
    found = overlay(tree, {"objectives.frames": {"use": "C", "weight": 0.5}}, "f")
    assert found["objectives"] == {"tokens": {"use": "A"}, "frames": {"use": "C", "weight": 0.5}}
    for path, value in (("objectives.frames", 0.0), ("objectives.frames.weight", 0.0), ("model.frames", {"use": "C"})):
        with pytest.raises(RecipeError, match="does not exist in the recipe"):
            overlay(tree, {path: value}, "f")


def test_a_scale_sets_sizes_only():
    """Every override of every scale ends in a size or budget; the loader refuses others."""
    for name in ("smoke", "laptop", "full"):
        load(Scale, name)
        resolved("aiac_rank1", "base", name)
    base, small = (resolved("aiac_rank1", "base", name)[0] for name in ("full", "smoke"))
    for stage in base.stages:
        assert base.stages[stage].objectives == small.stages[stage].objectives


def test_plan_trains_nothing_twice_and_parents_come_first():
    plan = Plan.load("laptop")
    folders = [job.folder.path for job in plan.jobs]
    assert len(folders) == len(set(folders))
    for position, job in enumerate(plan.jobs):
        assert all(parent.folder.path in folders[:position] for parent in job.parents.values())
    outputs = [output for task in tasks_of(plan) for output in task.outputs]
    assert len(outputs) == len(set(outputs))
    made = set(outputs)
    files = {file for task in tasks_of(plan) for file in task.inputs if not file.startswith("notebooks/")}
    assert files <= made


def test_systems_narrow_the_plan():
    plan = Plan.load("smoke", systems=["wechat_baseline"], seeds=2)
    assert {job.recipe for job in plan.jobs} == {"wechat_baseline"}
    assert set(plan.ensembles) == {"wechat_baseline_mean"}
    with pytest.raises(RecipeError, match="did you mean 'wechat_baseline'"):
        Plan.load("smoke", systems=["wechat_base"])


def test_folds_of_a_stratified_split():
    """A stage whose videos are split into stratified folds has each as an arm of its own; the official split has none."""
    job = Job.load("wechat_rank72", "finetune", "base", 0, "smoke")
    folds = job.in_folds()
    assert [one.stage_spec.data.split.fold for one in folds] == list(range(job.stage_spec.data.split.k))
    assert len({one.digest for one in folds}) == len(folds) and folds[0].digest == job.digest
    with pytest.raises(RecipeError, match="not in folds, its split is random"):
        Job.load("wechat_baseline", "finetune", "base", 0, "smoke").in_folds()


def test_a_split_has_no_fold_beyond_its_last():
    split = {"use": "stratified", "k": 5, "seed": 802}
    assert SplitSpec(**split, fold=4).in_folds
    with pytest.raises(ValueError, match="folds of k = 5 are 0 to 4, got 5"):
        SplitSpec(**split, fold=5)


def test_a_stage_is_what_it_declares_whatever_its_name():
    tree = load(Recipe, "aiac_rank1").model_dump(mode="json")
    for name in ("distill_or_not", "warmup"):
        stages = {**tree["stages"], name: {**tree["stages"]["finetune"], "phase": "pretrain"}}
        assert validate(Recipe, {**tree, "stages": stages}, "some.yaml").stages[name].phase == "pretrain"
    assert (smoke("finetune_soup").phase, smoke("pretrain_pairwise").notebook) == (
        "finetune",
        smoke("pretrain").notebook,
    )
    assert {load(Recipe, name).track for name in ("aiac_rank1", "wechat_rank72")} == {"pairs", "classes"}


def test_a_scale_may_give_each_seed_a_fold_of_its_own():
    def fold(seed: int, scale: str = "emoji", arm: str = "base") -> int:
        return Job.load("wechat_baseline", "finetune", arm, seed, scale).stage_spec.data.split.fold

    assert [fold(seed) for seed in (0, 3, 7)] == [0, 3, 2] and fold(3, "laptop") == 0
    job = Job.load("aiac_rank6", "distill", "base@1", 3, "emoji")
    assert job.stage_spec.data.split.fold == 1, "a fold that is named stays"
    assert (
        Job.load("wechat_rank72", "finetune", "base", 4, "emoji").parents["init_from"].stage_spec.data.split.fold == 4
    )
