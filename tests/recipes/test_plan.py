"""What a plan asks: checks of the laboratory, more seeds for headlines, further questions."""

import shutil

import pytest

from lab.flow.tasks import tasks_of
from lab.show.plan import DEPTHS, Plan
from lab.show.runs import lineage
from lab.show.specs import ReportSpec
from lib.recipes.errors import RecipeError
from lib.recipes.load import load
from lib.recipes.specs import Ablation, Recipe, Scale
from lib.runs import paths
from tests.forget import forget


def test_checks_are_asked_on_the_scales_own_corpora_only():
    plan = Plan.load("laptop")
    assert {"placebo", "placebo_more"} <= set(plan.ablations)
    assert not set(Plan.load("smoke").ablations) & {"placebo", "placebo_more"}
    assert not {
        name for name, asked in Plan("laptop", "twin_classes", plan.systems, (0,)).ablations.items() if asked.check
    }
    assert all(load(Ablation, name).check for name in load(Scale, "laptop").checks)
    assert not any(load(Ablation, name).check for name in load(ReportSpec, "report").ablations)


def test_a_question_has_as_many_seeds_as_it_asks_for_unless_told():
    name = load(ReportSpec, "report").headline[0]
    assert Plan.load("laptop").seeds_of(name) == tuple(range(load(Ablation, name).seeds)) != (0, 1, 2)
    assert Plan.load("laptop").seeds_of("rank_labels") == load(Scale, "laptop").seeds
    assert Plan.load("smoke").seeds_of(name) == (0,), "the scale has one"
    assert Plan.load("laptop", seeds=1).seeds_of(name) == (0,)
    assert Plan.load("laptop", seeds=3).seeds_of(name) == (0, 1, 2)
    assert Plan.load("full", seeds=3).seeds == (2021, 2022, 2023), "the scale's own and those that follow"


def test_a_deeper_plan_holds_the_jobs_of_a_shallower_one():
    plans = [Plan.load("laptop", depth=depth) for depth in DEPTHS]
    questions, folders = [set(plan.ablations) for plan in plans], [{j.folder.path for j in plan.jobs} for plan in plans]
    assert questions[0] == set(load(ReportSpec, "report").headline) < questions[1] < questions[2]
    assert folders[0] < folders[1] < folders[2]
    assert all(load(Ablation, name).claimed or load(Ablation, name).depth for name in questions[1] - questions[0])
    with pytest.raises(RecipeError, match="DEPTH: 'al': did you mean 'all'"):
        Plan.load("laptop", depth="al")


def test_the_first_report_shows_every_model_of_every_system_once():
    plan, most = Plan.load("laptop", depth="first"), load(ReportSpec, "report").first_seeds
    assert plan.seeds == (0,) and {len(plan.seeds_of(name)) for name in plan.ablations} == {most}
    assert set(plan.member_jobs("aiac_rank6", "finetune")) == {"base", *load(Recipe, "aiac_rank6").members}
    assert set(plan.member_jobs("aiac_rank6", "distill")) == {"base"}, "every model would need teachers of its own"
    own = {job.folder.path for job in plan.system_jobs}
    assert plan.ensembles and all({j.folder.path for j in plan.ensemble_jobs(name)} <= own for name in plan.ensembles)
    deep = Plan.load("laptop", depth="all")
    assert {len(jobs) for jobs in deep.member_jobs("aiac_rank6", "distill").values()} == {3}


def test_later_systems_wait_for_the_default_report_and_have_one_seed_there():
    later = load(ReportSpec, "report").later
    plans = {depth: Plan.load("laptop", depth=depth) for depth in DEPTHS}
    assert later and not set(later) & set(plans["first"].systems) and set(later) < set(plans["default"].systems)
    assert plans["default"].at("first").systems == plans["first"].systems
    for name in later:
        assert Plan.load("laptop", systems=[name], depth="first").at("first").systems == (name,), "asked for by name"
        for depth, seeds in (("default", (0,)), ("all", (0, 1, 2))):
            jobs = plans[depth].member_jobs(name, "finetune")
            assert {tuple(job.seed for job in group) for group in jobs.values()} == {seeds}
        assert Plan.load("laptop", systems=[name], seeds=2, depth="default").seeds_for(name) == (0, 1)
    assert plans["default"].seeds_for("wechat_rank72") == (0, 1, 2)
    for name, arms in (("wechat_rank1", ["base", "joint", "cross"]), ("wechat_rank3", ["base", "alpro", "single"])):
        for plan in (plans["default"], plans["all"]):
            assert [(job.arm, job.seed) for job in plan.ensemble_jobs(name)] == [(arm, 0) for arm in arms]
    assert [job.seed for job in plans["all"].ensemble_jobs("wechat_rank1_single")] == [0, 1, 2]
    assert "wechat_rank1_single" not in plans["default"].ensembles, "one model is no ensemble"


def test_what_tells_most_comes_first():
    """What the default report shows is there before all others; in it the first seed of every system, then of its further
    models, the headline questions, all others, then the second seed."""
    plan = Plan.load("laptop")
    usual = plan.at("default")
    assert [job.folder.path for job in plan.jobs[: len(usual.jobs)]] == [job.folder.path for job in usual.jobs]
    place = {job.folder.path: at for at, job in enumerate(plan.jobs)}
    bases = [job for name in plan.at("first").systems for job in plan.member_jobs(name, "finetune")["base"][:1]]
    assert max(place[job.folder.path] for job in bases) < place[plan.job("aiac_rank1", "finetune", "job2").folder.path]
    last = [max(place[job.folder.path] for job in usual._of_systems(seed)) for seed in range(3)]
    headline = [job for jobs in plan.ablation_jobs("ema").values() for job in jobs]
    other = [job for jobs in plan.ablation_jobs("quirks_aiac_rank1").values() for job in jobs]
    for seed, before in enumerate(last):
        places = [[place[j.folder.path] for j in jobs if j.seed == seed] for jobs in (headline, other)]
        assert before < max(places[0]) < max(places[1])
        assert all(after > before for after in last[seed + 1 :])


def test_members_of_an_ensemble_have_one_fold():
    plan = Plan.load("emoji")
    assert len(plan.seeds) == 5 and {job.seed for job in plan.ensemble_jobs("aiac_rank17_sum")} == {0}
    assert "wechat_baseline_mean" not in plan.ensembles, "seeds of one model, each scored on its own fold"


@pytest.mark.parametrize("depth", ["first", "default", "all"])
def test_the_first_report_has_its_questions_before_further_models(depth):
    """Also as a part of what takes longer."""
    plan = Plan.load("laptop", depth="first")
    place = {job.folder.path: at for at, job in enumerate(Plan.load("laptop", depth=depth).jobs)}
    asked = [place[j.folder.path] for name in plan.ablations for g in plan.ablation_jobs(name).values() for j in g]
    models = [place[plan.job("aiac_rank1", "finetune", f"job{number}").folder.path] for number in range(2, 7)]
    assert asked and max(asked) < min(models)


def test_arms_that_only_finetune_share_the_pretraining():
    plan = Plan.load("laptop")
    shared = 0
    for name, asked in plan.ablations.items():
        later = {
            arm: all(path.startswith(("stages.finetune", "stages.distill")) for path in asked.arms[arm])
            for arm in asked.arms
        }
        for (recipe, arm), jobs in plan.ablation_jobs(name).items():
            for job in (one for one in jobs if later[arm] and asked.member_of(arm) == "base"):
                known = {
                    one.folder.path for one in lineage(plan.job(recipe, job.stage, "base", job.seed, job.corpus_given))
                }
                first = [one for one in lineage(job) if one.phase == "pretrain" and one.stage == "pretrain"]
                assert {one.folder.path for one in first} <= known, f"{name}.{arm}"
                shared += len(first)
    assert shared > 100


def test_a_question_can_be_asked_of_a_corpus_for_each_seed(tmp_path, monkeypatch):
    """Arms of one seed share their corpus; runs, features and digests of two corpora lie apart, and only the usual one has a page."""
    shutil.copytree(paths.params(), tmp_path / "params")
    file = tmp_path / "params/ablations/rank_labels.yaml"
    file.write_text(file.read_text() + "corpora: per_seed\n")
    monkeypatch.setenv("VIDLAB_PARAMS", str(tmp_path / "params"))
    forget()
    try:
        plan = Plan.load("laptop", questions=["rank_labels"], seeds=2)
        groups = plan.ablation_jobs("rank_labels")
        for jobs in groups.values():
            assert [job.corpus.name for job in jobs] == ["twin_pairs", "twin_pairs@1"]
            assert jobs[1].folder.path.is_relative_to(paths.runs("laptop", "twin_pairs@1"))
            assert jobs[0].parents["init_from"].digest != jobs[1].parents["init_from"].digest
        steps = {task.step for task in tasks_of(plan)}
        assert {"corpus/twin_pairs", "corpus/twin_pairs@1", "features/twin_pairs@1-tokens"} <= steps
        assert "eda/twin_pairs" in steps and "eda/twin_pairs@1" not in steps
    finally:
        monkeypatch.undo()
        forget()


def test_a_question_can_be_asked_of_another_corpus_with_all_its_seeds():
    """Its file says what differs from the question that it is like."""
    plan = Plan.load("laptop", depth="all")
    usual, other = (plan.ablation_jobs(name)["aiac_rank17", "other_order"] for name in ("placebo", "placebo_corpus2"))
    assert [job.corpus.name for job in other] == ["twin_pairs@2"] * 3 and [job.seed for job in other] == [0, 1, 2]
    assert {job.corpus.name for job in usual} == {"twin_pairs"} and usual[0].spec.stages == other[0].spec.stages
    steps = [task.step for task in tasks_of(plan)]
    assert len(steps) == len(set(steps)), "what is trained on two corpora is two steps"
    like, own = load(Ablation, "placebo"), load(Ablation, "placebo_corpus2")
    assert own.model_dump(exclude={"question", "depth", "corpora", "recipes"}) == like.model_dump(
        exclude={"question", "depth", "corpora", "recipes"}
    )


def test_a_question_outside_the_report_can_be_asked_too():
    plan = Plan("smoke", "", ("wechat_baseline",), (0,), more=("swa",))
    assert "swa" not in load(ReportSpec, "report").ablations
    assert any(task.name == "swa" and task.rule == "ablation" for task in tasks_of(plan))
    assert Plan.load("smoke").question("swa").question == load(Ablation, "swa").question
    with pytest.raises(KeyError, match="no ablation 'soup' in this plan"):
        plan.question("soup")  # about none of its systems
    with pytest.raises(KeyError, match="no ablation 'nothing'"):
        plan.question("nothing")


def test_questions_of_ones_own_take_the_place_of_those_of_the_report():
    plan = Plan.load("laptop", systems=["wechat_baseline"], questions=["ema", "swa"])
    assert list(plan.ablations) == ["ema", "swa"]  # neither the others of the report nor the scale's checks
    report = next(task for task in tasks_of(plan) if task.rule == "report")
    assert {"--questions=ema,swa", "--systems=wechat_baseline", "--seeds=0", "--depth=all"} <= set(report.command)
    assert list(plan.ensembles) == ["wechat_baseline_mean"]  # of seeds of one model
    assert not Plan.load("laptop", systems=["wechat_baseline"], seeds=1).ensembles, "one model is no ensemble"
    one = Plan.load("laptop", systems=["aiac_rank1"], questions=["ema"], seeds=3)
    assert not one.ensembles and list(one.member_jobs("aiac_rank1", "finetune")) == ["base"]
    arms = {"base", "ema.with"}
    assert {job.arm for job in one.jobs} == arms and {job.seed for job in one.jobs} == {0, 1, 2}
    with pytest.raises(RecipeError, match="QUESTIONS: 'emma': did you mean 'ema'"):
        Plan.load("laptop", questions=["emma"])
    with pytest.raises(
        RecipeError, match="QUESTIONS: nextvlad_mask is about wechat_baseline, the report about aiac_rank1"
    ):
        Plan.load("laptop", systems=["aiac_rank1"], questions=["nextvlad_mask"])


def test_every_compared_arm_of_the_report_has_a_name_of_its_own_in_words():
    for name in load(ReportSpec, "report").ablations:
        spec = load(Ablation, name)
        compared = {arm for arm in spec.arms if arm != spec.reference}
        assert set(spec.called) == compared, name
        assert len(set(spec.called.values())) == len(compared) and not any("_" in text for text in spec.called.values())


def test_a_name_for_an_arm_that_is_not_there_is_refused():
    about = {"question": "?", "family": "x", "stage": "finetune", "recipes": ("r",), "reference": "without"}
    arms = {"without": {}, "with": {}}
    assert Ablation(**about, arms=arms, called={"with": "EMA"}).name_of("with") == "EMA"
    with pytest.raises(ValueError, match="called: 'wiht' is not an arm; arms: without, with"):
        Ablation(**about, arms=arms, called={"wiht": "EMA"})


def test_a_scale_may_ask_some_of_the_questions_and_its_checks():
    scale, asked = load(Scale, "emoji"), set(Plan.load("emoji").ablations)
    assert asked == {*scale.questions, *scale.checks} and len(asked) < len(Plan.load("laptop").ablations)
    assert set(Plan.load("emoji", questions=["bags"]).ablations) == {"bags"}, "asked for by name, any is asked"


def test_a_scale_may_give_a_question_more_seeds_than_it_asks_for():
    few, many = (Plan.load("emoji", depth=depth) for depth in ("default", "all"))
    assert len(few.seeds_of("ema")) == len(few.seeds_of("fgm")) == len(many.seeds_of("fgm")) == 5
    assert many.seeds_of("ema") == tuple(range(load(Scale, "emoji").more_seeds["ema"]))
    own_folds = [job.spec.stages["finetune"].data.split for job in many.ablation_jobs("ema")["aiac_rank6", "with"]]
    assert own_folds[5] == own_folds[0] != own_folds[1], "a sixth seed has the first fold again"


def test_pages_that_tell_of_another_report_are_made_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    table = tmp_path / "reports" / "laptop" / "tables" / "comparisons.csv"
    table.parent.mkdir(parents=True)

    def digests() -> dict[str, str]:
        steps = tasks_of(Plan.load("emoji", systems=["wechat_baseline"], questions=["ema"]))
        return {task.step: task.digest for task in steps}

    found = []
    for text in ("ablation\n", "ablation\nema\n"):
        table.write_text(text)
        found.append(digests())
    changed = {step for step in found[0] if found[0][step] != found[1][step]}
    assert changed == {"index/index", "system/wechat_baseline", "claims/claims", "report/report"}


@pytest.mark.parametrize("depth", ["default", "all"])
def test_the_notebook_of_an_ensemble_reads_the_runs_that_its_step_waits_for(depth):
    plan = Plan.load("laptop", depth=depth)
    steps = {task.name: task.parameters for task in tasks_of(plan) if task.rule == "ensemble"}
    assert steps.keys() == plan.ensembles.keys()
    for name, given in steps.items():
        read = Plan.load(given["scale"], given["corpus"] or None, given["systems"].split(","), given["seeds"])
        assert [j.folder.path for j in read.ensemble_jobs(name)] == [j.folder.path for j in plan.ensemble_jobs(name)]
