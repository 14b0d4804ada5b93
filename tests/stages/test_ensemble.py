"""Ensembles without runs, by hand: who beats whom on which pairs, what is cross-fitted, what cannot be joined."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lab.corpora.score import read_embeddings
from lib.evaluation import intervals
from lib.evaluation.compare import HELPS, HURTS, NOT_IN_PLAY
from lib.evaluation.ensemble import pair_folds
from lib.evaluation.metrics import spearman
from lib.recipes.bind import arguments
from lib.recipes.errors import RecipeError
from lib.recipes.load import load, names
from lib.recipes.specs import Component, EnsembleSpec
from lib.stages import ensemble
from lib.stages.ensemble import Judged, joiner, label

PAIRS = 120


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Intervals are not what these tests are about."""
    monkeypatch.setattr(intervals, "DRAWS", 200)


EASY = {"use": "Concat"}


def world(seen: int = 60, noise: float = 1.0, width: int = 2) -> tuple[Judged, list[np.ndarray]]:
    """Pairs of plane vectors whose cosine is the truth plus a member's own noise; the first ``seen`` pairs are seen."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(-0.5, 0.5, PAIRS)

    def member(size: float) -> np.ndarray:
        cosine = np.clip(truth + size * rng.normal(size=PAIRS), -0.99, 0.99)
        vectors = np.zeros((2 * PAIRS, width))
        vectors[::2, 0] = 1
        vectors[1::2, 0], vectors[1::2, 1] = cosine, np.sqrt(1 - cosine**2)
        return vectors

    rows = np.arange(2 * PAIRS)
    judged = Judged(rows, rows.astype(str), truth, rows.reshape(-1, 2), np.arange(PAIRS) < seen)
    return judged, [member(0.25 * noise) for _ in range(5)]


def spec(combine=EASY, also=()) -> EnsembleSpec:
    return EnsembleSpec(title="t", recipe="r", combine=combine, also=also)


def judge(judged, members, **given):
    return ensemble.judge(spec(**given), judged, [f"m{number}" for number in range(len(members))], members)


def test_concatenation_of_independent_members_helps_on_all_and_on_unseen_videos():
    """Cosines of a concatenation are means of cosines, so everything can be computed without vectors."""
    judged, members = world()
    found = judge(judged, members)
    cosine = np.stack([judged.predicted(member) for member in members])
    first = found.kinds.iloc[0]
    for part, mask in (("", slice(None)), ("unseen", slice(60, None))):
        alone = [spearman(row[mask], judged.truth[mask]) for row in cosine]
        mean = spearman(cosine.mean(axis=0)[mask], judged.truth[mask])
        assert first[part or "score"] == pytest.approx(mean)
        assert first[f"{part}_difference" if part else "difference"] == pytest.approx(mean - max(alone))
        assert first[f"{part}_best" if part else "best"] == f"m{int(np.argmax(alone))}"
        assert first[f"{part}_verdict" if part else "verdict"] == HELPS
    assert found.metrics["items"] == {"validation": 120, "unseen": 60} and "folds_of" not in found.metrics


def test_clones_are_not_in_play_and_noise_hurts():
    judged, members = world()
    assert judge(judged, [members[0]] * 3).kinds.iloc[0][["verdict", "difference"]].tolist() == [NOT_IN_PLAY, 0.0]
    _, noise = world(noise=40)
    assert judge(judged, [members[0], *noise[1:]]).kinds.iloc[0]["verdict"] == HURTS


def test_growth_and_members_by_hand():
    judged, members = world()
    rows = judge(judged, members).members
    cosine = {f"m{number}": judged.predicted(member) for number, member in enumerate(members)}
    assert rows["score"].is_monotonic_decreasing and (rows["low"] < rows["score"]).all()
    for number in range(len(rows)):
        first = np.mean([cosine[name] for name in rows["member"][: number + 1]], axis=0)
        assert rows["growth"][number] == pytest.approx(spearman(first, judged.truth))
        assert rows["growth_low"][number] < rows["growth"][number] < rows["growth_high"][number]
        others = np.mean([cosine[name] for name in rows["member"].drop(number)], axis=0)
        assert rows["without"][number] == pytest.approx(spearman(others, judged.truth))
    assert rows["growth_difference"][0] == 0 and rows["growth_verdict"].iloc[-1] == HELPS


def test_a_weight_stays_with_its_member_whatever_the_order_and_who_is_left_out():
    judged, members = world()
    weights = {f"m{number}": weight for number, weight in enumerate([0.05, 3.0, 1.0, 0.4, 2.0])}
    cosine = {f"m{number}": judged.predicted(member) for number, member in enumerate(members)}

    def score(kept) -> float:
        return spearman(sum(weights[name] * cosine[name] for name in kept), judged.truth)

    way = {"use": "Concat", "weights": list(weights.values())}
    found = judge(judged, members, also=[way])
    names = list(found.members["member"])
    assert names != list(weights), "members are shown best first, weights are given as they are listed"
    assert found.kinds["score"][1] == pytest.approx(score(weights))
    rows = judge(judged, members, combine=way).members
    for number, name in enumerate(rows["member"]):
        assert rows["growth"][number] == pytest.approx(score(rows["member"][: number + 1]))
        assert rows["without"][number] == pytest.approx(score(set(weights) - {name}))
    with pytest.raises(ValueError, match="2 for 5 members"):
        judge(judged, members, combine={"use": "Concat", "weights": [1.0, 2.0]})


def test_too_few_unseen_pairs_and_none_seen():
    judged, members = world(seen=115)
    assert "unseen" not in judge(judged, members).kinds
    judged, members = world(seen=0)
    assert judge(judged, members).metrics["items"] == {"validation": 120, "unseen": 120}


def test_what_is_learned_from_pairs_is_cross_fitted_and_its_in_sample_score_is_labelled():
    judged, members = world()
    also = ({"use": "CosineWeights"}, {"use": "LinearBlend", "layout": "stack", "batch_size": 16, "folds": 2})
    found = judge(judged, members, also=also)
    learned = found.kinds[found.kinds["role"] == "also"]
    assert learned["inside"].notna().all() and found.kinds["inside"].notna().sum() == 2
    assert found.metrics["folds_of"] == "components of videos"


def test_a_fit_never_sees_the_scores_it_is_judged_by():
    """Scores of one fold are changed: the weights its pairs are judged with stay the same, all others change."""
    judged, members = world()
    join = joiner(Component(use="CosineWeights"), judged, "here")
    fold = pair_folds(judged.pairs).of == 0
    truth = np.where(fold, -judged.truth, judged.truth)
    other = joiner(Component(use="CosineWeights"), Judged(judged.rows, judged.ids, truth, judged.pairs), "here")
    before, after = join(members).predicted, other(members).predicted
    assert before[fold] == pytest.approx(after[fold], abs=1e-12)
    assert (np.abs(before[~fold] - after[~fold]) > 1e-6).mean() > 0.9


def test_with_a_test_part_members_and_weights_are_chosen_on_validation():
    """Validation and test are halves of one world; on validation the best member of test is the worst."""
    whole, members = world(seen=0)
    halves = [np.arange(PAIRS) < 60, np.arange(PAIRS) >= 60]
    validation, test = (
        Judged(whole.rows, whole.ids, whole.truth[half], whole.pairs[half], whole.seen[half]) for half in halves
    )
    by_test = np.argsort([-test.score(test.predicted(member)) for member in members])
    best = members[by_test[0]]
    turned = np.where(np.isin(whole.rows, validation.pairs[:, 1])[:, None], -best, best)
    members = [turned if member is best else member for member in members]
    judged = replace(test, validation=validation)
    found = judge(judged, members, also=({"use": "CosineWeights"},))
    assert found.members["member"].iloc[-1] == f"m{by_test[0]}", "ordered by validation, where it is turned round"
    by_validation = max(range(5), key=lambda m: validation.score(validation.predicted(members[m])))
    assert found.kinds["best"].eq(f"m{by_validation}").all() and found.kinds["role"].iloc[-1] == "best member"
    assert found.kinds["score"].iloc[-1] == test.score(test.predicted(members[by_validation]))
    order = [int(name[1:]) for name in found.members["member"]]
    learned = joiner(Component(use="CosineWeights"), judged, "here")([members[m] for m in order])
    assert learned.inside is None and found.kinds["score"].iloc[1] == test.score(learned.predicted)
    changed = replace(judged, truth=-judged.truth)
    again = joiner(Component(use="CosineWeights"), changed, "here")([members[m] for m in order])
    np.testing.assert_array_equal(again.predicted, learned.predicted)
    assert found.metrics["scores"].keys() == {"test"} and found.metrics["items"] == {"test": 60, "unseen": 60}
    assert "unseen" not in found.kinds


def test_kinds_that_members_do_not_allow_say_why_and_the_specified_one_stops():
    judged, members = world()
    wide = [*members[:2], np.pad(members[2], ((0, 0), (0, 3)))]
    found = judge(judged, wide, also=({"use": "MeanEmbedding"}, {"use": "LinearBlend"}))
    refused = found.kinds[found.kinds["role"] == "also"]
    assert refused["score"].isna().all() and refused["note"].str.contains("one width").all()
    with pytest.raises(ValueError, match="one width"):
        judge(judged, wide, combine={"use": "MeanEmbedding"})


def test_classes_have_no_pairs_to_learn_from_and_no_unseen_videos():
    rng = np.random.default_rng(0)
    truth, level1 = rng.integers(0, 6, 90), np.array([0, 0, 0, 1, 1, 1])
    members = [2 * np.eye(6)[truth] + rng.normal(size=(90, 6)) for _ in range(3)]
    judged = Judged(np.arange(90), np.arange(90).astype(str), truth, level1=level1)
    ways = {"combine": {"use": "WeightedLogits"}, "also": ({"use": "WeightedLogits", "of": "logs"},)}
    found = judge(judged, members, **ways)
    assert found.metrics["primary"] == "mean_f1" and "unseen" not in found.kinds and len(found.kinds) == 3
    with pytest.raises(RecipeError, match="learns from scored pairs"):
        judge(judged, members, combine={"use": "CosineWeights"})


def test_raw_sums_differ_from_sums_of_unit_vectors():
    """Ten times as long, one member outweighs the other."""
    judged, members = world()
    found = judge(judged, [10 * members[0], members[1]], also=({"use": "MeanEmbedding", "normalise": False},))
    raw = found.kinds[found.kinds["role"] == "also"]["score"].iloc[0]
    total = 10 * members[0] + members[1]
    assert raw == pytest.approx(spearman(judged.predicted(total), judged.truth))
    assert label(Component(use="MeanEmbedding", normalise=False)) == "MeanEmbedding, normalise no"


def test_written_and_read_tables_are_the_same(tmp_path):
    judged, members = world()
    found = judge(judged, members, also=({"use": "CosineWeights"},))
    ensemble.write(found, tmp_path)
    again = pd.read_csv(tmp_path / "kinds.csv", float_precision="round_trip").fillna({"note": ""})
    pd.testing.assert_frame_equal(again, found.kinds, check_dtype=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        "metrics.json", "members.csv", "kinds.csv", "similarity.csv", "embeddings.npz", "files.json",
    }  # fmt: skip


@pytest.mark.parametrize("scaled", [False, True])
def test_joined_test_videos_are_handed_in_as_the_team_did(tmp_path, scaled):
    """As they were joined, or, as AIAC rank 17 did with its sum (C5), scaled to length one."""
    judged, members = world()
    found = judge(judged, members, combine={"use": "MeanEmbedding"})
    found.metrics.update(submission={"member": "submit/result.json", "precision": "float16"}, scaled=scaled)
    found.arrays["test"] = np.isin(np.arange(len(judged.ids)), [5, 2])
    ensemble.write(found, tmp_path)
    handed_in = read_embeddings(tmp_path / "result.zip")
    assert list(handed_in) == judged.ids[[2, 5]].tolist()
    joined = found.arrays["vectors"][5]
    assert np.linalg.norm(joined) < 0.9999
    expected = joined / np.linalg.norm(joined) if scaled else joined
    assert handed_in[judged.ids[5]].tolist() == expected.astype(np.float16).astype(float).tolist()
    assert load(EnsembleSpec, "aiac_rank17_sum").scaled and not load(EnsembleSpec, "aiac_rank1_jobs").scaled


@pytest.mark.parametrize("name", names(EnsembleSpec))
def test_every_file_binds(name):
    spec = load(EnsembleSpec, name)
    for way in (spec.combine, *spec.also):
        arguments("evaluation", way, name)
    assert spec.also, "an ensemble shows other ways of joining its members"


def test_rank_6_compares_what_its_authors_did_with_what_was_meant_and_what_is_better():
    ways = [(way.use, way.arguments.get("layout")) for way in load(EnsembleSpec, "aiac_rank6_folds").also]
    assert {("LinearBlend", "reshape"), ("LinearBlend", "stack"), ("CosineWeights", None)} <= set(ways)
