"""Systems: what they are made of, and every score, cost and published number where it belongs."""

import numpy as np
import pandas as pd
import pytest

from lab.show import runs, systems
from lab.show.plan import Plan
from lab.show.table import Picture, Table


@pytest.fixture(scope="module")
def board(world) -> pd.DataFrame:
    return runs.systems(world)


def row(label: str, seconds: float, score: float, **more) -> dict:
    recipe, stage = label.split()
    about = {"recipe": recipe, "stage": stage, "arm": "base", "metric": "spearman", "total_seconds": seconds}
    return {**about, "score": score, "low": score - 0.02, "high": score + 0.03, "oracle": np.nan, **more}


# ---- what a system is


@pytest.mark.parametrize(("name", "reads"), [("aiac_rank1", "title"), ("wechat_baseline", "title, OCR, ASR")])
def test_the_text_that_goes_in_is_what_the_recipe_lays_out(world, name, reads):
    assert f"Text: {reads}, layout" in systems.parts(world.job(name, "finetune")).caption


def test_parts_and_stages_are_those_of_the_resolved_job(world):
    job = world.job("aiac_rank1", "pretrain")
    parts = systems.parts(job).frame.set_index("slot")
    assert parts.loc["text", "arguments"].splitlines()[0] == "backbone: clear", "what the scale puts in its place"
    assert parts["use"].to_dict() == {slot: part.use for slot, part in job.spec.model.slots().items()}
    assert f"dim: {job.spec.model.head.arguments['dim']}" in parts.loc["head", "arguments"]
    stages = systems.stages(world, "aiac_rank1").frame.set_index("stage")
    assert list(stages.index) == job.spec.main_stages
    assert stages.loc["pretrain", "objectives"].splitlines()[1] == "0.26667 × MaskedTokens"
    assert f"batches of {job.stage_spec.data.batch_size}" in stages.loc["pretrain", "settings"]
    assert (
        "starts from pretrain" in stages.loc["finetune", "settings"]
        and "teacher finetune" in stages.loc["distill", "settings"]
    )
    assert systems.stages(world, "aiac_rank1").caption.endswith(
        "Every backbone is `clear` and starts from weights pretrained on the world's own language."
    )


def test_an_average_of_weights_is_told_as_the_run_has_it():
    settings = {
        scale: systems.stages(Plan.load(scale, systems=["wechat_rank72"]), "wechat_rank72").frame["settings"].iloc[-1]
        for scale in ("laptop", "full")
    }
    assert "EMA over 7.5% of the updates" in settings["laptop"] and "EMA 0.999" in settings["full"]


def test_about_names_source_and_code_and_says_how_small_this_is(world):
    told = systems.about(world.job("aiac_rank1", "finetune")).markdown()
    assert "| here | 1.23 M parameters; 160 videos of twin_pairs, 200 pairs to train on |" in told
    assert "[arXiv:2111.01677](https://arxiv.org/abs/2111.01677)" in told and "| rank | 1 |" in told


# ---- scores


def test_leaderboard_shows_each_number_under_its_head(board):
    own = board[board["recipe"] == "aiac_rank1"].reset_index(drop=True)
    table = systems.leaderboard(own, "scores_aiac_rank1")
    heads, _, first, *_ = table.markdown().splitlines()
    cells = dict(zip(heads.split(" | "), first.split(" | "), strict=True))
    base = own.iloc[0]
    assert cells["Spearman"] == f"**{base['score']:.3f}**<br>± {base['sd']:.4f}"
    assert cells["95 % interval"] == f"{base['low']:.3f} to {base['high']:.3f}"
    assert cells["unseen videos"] == f"{base['unseen']:.3f}" != cells["strict split"] == f"{base['strict']:.3f}"
    assert cells["oracle"] == f"{base['oracle']:.3f}" and cells["seeds"] == "3"
    assert cells["published"] == "0.886 / 0.836<br>validation / test"
    assert "[AIAC 1st](page:system/aiac_rank1)<br>single stream (job 1), finetune" in first
    assert table.name == "scores_aiac_rank1"
    assert "strict split" not in systems.leaderboard(own.assign(strict=None)).markdown()


def test_floors_stand_among_the_systems_and_who_is_below_is_told(world, board):
    own = board[board["recipe"] == "aiac_rank1"].sort_values("score", ascending=False, ignore_index=True)
    own["below_floor"] = own.index == 1
    known = pd.DataFrame({"floor": ["untrained", "oracle"], "label": ["cosines", "truth"], "metric": "spearman"})
    known = known.assign(score=[own["score"][:2].mean(), 0.97], low=0.1, high=1.0, n=300, scored_on="test", digest="x")
    elsewhere = known.assign(corpus="other", score=0.5)
    known = pd.concat([known.assign(corpus=own["corpus"][0]), elsewhere])
    table = systems.leaderboard(own, "x", known)
    assert (
        table.frame["floor"].fillna("").tolist()[:4] == ["oracle", "", "untrained", ""]
        and len(table.frame) == len(own) + 2
    )
    assert table.frame["score"].is_monotonic_decreasing and 'class="reference"' in table.html()
    lines = table.markdown().splitlines()
    assert lines[2].startswith("| oracle<br>truth | **0.970** |") and "below the untrained floor" in lines[5]
    assert "below the untrained floor" not in lines[3]


def test_rows_of_one_seed_are_grey_among_rows_of_several_and_added_stages_are_marked(board):
    own = board[board["recipe"] == "aiac_rank1"].reset_index(drop=True)
    own = own.assign(seeds=own["seeds"].where(own["arm"] == "base", 1))
    table = systems.leaderboard(own, "scores_aiac_rank1")
    looks = {(row["arm"], row["stage"]): table.emphasis(row) for row in own.to_dict("records")}
    assert looks["base", "finetune"] == "" and looks["job2", "finetune"] == "single"
    assert '<tr class="single">' in table.html()
    assert "<br>Job 2, distill, added here |" in table.markdown() and "finetune, added here" not in table.markdown()
    alone = systems.leaderboard(own[own["seeds"] == 1].reset_index(drop=True), "x")
    assert 'class="single"' not in alone.html()


def test_stages_on_demand_are_shown_where_the_system_comes_from_them():
    plan = Plan.load("laptop", systems=["wechat_rank1"])
    stages = systems.stages(plan, "wechat_rank1").frame.set_index("stage")
    assert list(stages.index) == ["teach", "labels1", "pretrain1", "finetune1", "labels2", "pretrain", "finetune"]
    assert stages.loc["labels1", "objectives"] == "pseudo labels: EverySoft"
    assert stages.loc["labels1", "settings"] == "asks teach of base, joint, cross; trains nothing"


def test_what_was_assumed_is_shown_with_its_keys():
    table = systems.assumed("wechat_rank2")
    row = next(line for line in table.markdown().splitlines() if "three kinds" in line)
    assert "U1" in row and "stages.pretrain.objectives.alignment.kinds" in row and "reconstruction" in table.caption
    assert systems.assumed("aiac_rank1").caption.startswith("Nothing is assumed")


def test_published_scores_name_their_model_where_there_are_several():
    table = systems.published("aiac_rank1")
    assert "| the recipe itself | finetune | validation | Spearman | 0.886031 |" in table.markdown()
    assert list(table.frame) == ["stage", "arm", "split", "metric", "value", "source", "note"]
    assert "the recipe itself" not in systems.published("wechat_baseline").markdown()
    assert systems.published("aiac_rank17").caption == "No score of its models was published."


def test_cost_is_the_mean_over_seeds(world, monkeypatch):
    frame = pd.DataFrame(
        {
            "metric": "spearman", "score": [0.2, 0.4], "steps": 80, "train_items": 200, "seconds": [60.0, 90.0],
            "samples_per_second": 640.0, "parameters": 1000, "peak_rss_mb": [500.0, 700.0], "unseen": [None, None],
        }
    )  # fmt: skip
    monkeypatch.setattr(systems.runs, "rows", lambda jobs: frame)
    table = systems.cost(world, "wechat_baseline")
    assert table.frame.iloc[0].drop(["unseen", "stage", "metric"]).tolist() == pytest.approx(
        [0.3, 80, 200, 75, 640, 1000, 600]
    )
    assert "| 0.300<br>Spearman | 80 | 200 | 1 min 15 s | 640 | 1 k | 600 MB |" in table.markdown()


def test_errors_are_those_of_the_track_and_first_seed(world):
    for name, first in (("aiac_rank1", "predicted_"), ("wechat_baseline", "confusion_")):
        shown = [one for group in systems.errors(world, name).values() for one in group]
        assert shown[0].name == first + name and all(isinstance(one, Picture | Table) for one in shown)
        assert len({one.name for one in shown}) == len(shown)
    found = systems.scored_job(world, "aiac_rank1")
    assert (found.stage, found.seed) == ("finetune", world.seeds[0])
