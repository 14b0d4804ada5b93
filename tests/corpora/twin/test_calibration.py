"""A medium twin against the published statistics; targets, tolerances and sources are in ``lab/corpora/twin/facts.json``."""

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from lab.corpora.twin import calibration
from lab.corpora.twin import text as texts
from lab.corpora.twin.random import facts, targets


@pytest.fixture(scope="module")
def measured(pair_twin, class_twin) -> dict[str, dict]:
    rows = calibration.of_pairs(pair_twin) + calibration.of_classes(class_twin)
    return {row["statistic"]: row for row in rows}


@pytest.mark.parametrize("statistic", [*targets("aiac2021"), *targets("wechat2022")])
def test_twin_has_the_published_statistic(measured, statistic):
    row = measured[statistic]
    assert row["low"] <= row["measured"] <= row["high"], (
        f"{statistic}: {row['measured']:.4f}, target {row['target']}, allowed {row['low']} to {row['high']}"
    )


def test_titles_have_the_lengths_that_were_drawn_for_them(pair_twin):
    """The histogram is taken of the drawn lengths; the strings follow them unless 40 words are too few."""
    rows = np.arange(0, 20_000, 40)
    lengths = texts.title_lengths(0, rows)
    written = np.array([len(title) for title in pair_twin.writer.titles(pair_twin.writer.told(rows), lengths)])
    assert (written == lengths).mean() > 0.98 and (written <= lengths).all()
    asr = texts.asr_lengths(0, rows)
    assert [len(text) for text in pair_twin.writer.speech(pair_twin.writer.told(rows), asr)] == asr.tolist()


def test_both_modalities_carry_part_of_the_score(pair_twin):
    """Raw baselines of the calibration at this size: mean-frame cosine .34, bag-of-words cosine of titles .44, oracle
    .945. Character bigrams stand in for words here, so the text is given more room."""
    chosen = np.random.default_rng(0).permutation(len(pair_twin.i))[:1200]
    i, j = pair_twin.i[chosen], pair_twin.j[chosen]
    rows, flat = np.unique(np.concatenate([i, j]), return_inverse=True)
    mean = np.stack([film.astype(np.float32).mean(axis=0) for film in pair_twin.camera.film(rows)])
    mean -= mean.mean(axis=0)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    titles = pair_twin.writer.titles(pair_twin.writer.told(rows), texts.title_lengths(0, rows))
    bigrams = [{title[k : k + 2] for k in range(len(title) - 1)} for title in titles]
    a, b = flat[: len(i)], flat[len(i) :]
    seen = (mean[a] * mean[b]).sum(axis=1)
    read = [len(bigrams[p] & bigrams[q]) / max(1, len(bigrams[p] | bigrams[q])) for p, q in zip(a, b, strict=True)]
    score = pair_twin.score[chosen]
    assert spearmanr(seen, score).statistic == pytest.approx(0.34, abs=0.08)
    assert spearmanr(read, score).statistic == pytest.approx(0.44, abs=0.10)


def test_planted_effects_have_the_stated_shares(pair_twin, class_twin):
    """Shares of the generative model: titles .06, careless tags .21, categories .085 (half of them perhaps to themselves);
    class corpus: titles .35, frames .10, humming .15 of the .70 that speak (facts.json, missing_shares)."""
    rows = np.arange(20_000)
    share = {name: flag.mean() for name, flag in pair_twin.effects(rows).items()}
    assert share["uninformative_title"] == pytest.approx(0.06, abs=0.01)
    assert share["careless_tags"] == pytest.approx(0.21, abs=0.015)
    assert 0.05 < share["wrong_category"] <= 0.085
    share = {name: flag.mean() for name, flag in class_twin.effects(rows).items()}
    assert share["uninformative_title"] == pytest.approx(0.35, abs=0.015)
    assert share["uninformative_frames"] == pytest.approx(0.10, abs=0.01)
    assert share["filler_speech"] == pytest.approx(0.15 * 0.70, abs=0.01)
    assert share["speech_missing"] == pytest.approx(0.30, abs=0.015)


def test_flagged_titles_never_name_their_story(pair_twin):
    rows = np.arange(2000)
    told, blank = pair_twin.writer.told(rows), pair_twin.writer.blank(rows)
    named = (pair_twin.writer._title_words(told) == told.event_name[:, None]).any(axis=1)
    assert blank.sum() > 50 and not named[blank].any() and named[~blank].mean() > 0.5


def test_flagged_frames_say_nothing_of_their_video(class_twin):
    """Cosine of what the camera is shown with the truth: high unless flagged."""
    rows = np.arange(4000)
    blank = class_twin.camera.blank(rows)
    view = class_twin.camera._view(rows, blank)[:, :24]
    agreement = (view * class_twin.world.y(rows)).sum(axis=1)
    assert agreement[~blank].mean() > 0.8 and abs(agreement[blank].mean()) < 0.15


# ---- the same statistics again, by other means: dictionaries, union-find, scikit-learn


def variation(a: Counter | list, b: dict | list) -> float:
    a, b = (dict(enumerate(x)) if isinstance(x, list) else {int(k): v for k, v in x.items()} for x in (a, b))
    return 0.5 * sum(abs(a.get(k, 0) / sum(a.values()) - b.get(k, 0) / sum(b.values())) for k in a.keys() | b.keys())


def binned(values: list[int], histogram: dict) -> float:
    counts = Counter(values)
    inside = [sum(counts[v] for v in range(low, high + 1)) for low, high in histogram["bins_inclusive"]]
    return variation(inside, list(histogram["fractions"]))


def components(i: list[int], j: list[int]) -> dict[int, int]:
    """Video -> name of its component, by union-find."""
    parent = {v: v for v in (*i, *j)}

    def root(v: int) -> int:
        while parent[v] != v:
            parent[v] = parent[parent[v]]
            v = parent[v]
        return v

    for a, b in zip(i, j, strict=True):
        parent[root(a)] = root(b)
    return {v: root(v) for v in parent}


def correlation_inside(groups: dict[int, list[float]]) -> float:
    """ICC(1) from one-way analysis of variance."""
    values = np.concatenate([np.array(group) for group in groups.values()])
    n, k = len(groups), len(values) / len(groups)
    between = sum(len(g) * (np.mean(g) - values.mean()) ** 2 for g in groups.values()) / (n - 1)
    within = sum(np.var(g) * len(g) for g in groups.values()) / (len(values) - n)
    return (between - within) / (between + (k - 1) * within)


def graph(twin) -> dict[str, float]:
    known, i, j, score = facts("aiac2021"), twin.i.tolist(), twin.j.tolist(), twin.score
    component = components(i, j)
    sizes = Counter(component.values())
    giant, videos = sizes.most_common(1)[0]
    ids = [int(name) for name in twin.ids]
    held = [ids[a] % 5 == 0 and ids[b] % 5 == 0 for a, b in zip(i, j, strict=True)]
    seen = {v for a, b, h in zip(i, j, held, strict=True) if not h for v in (a, b)}
    queries: dict[int, list[float]] = {}
    for k in np.flatnonzero(twin.by_query):
        queries.setdefault(i[k], []).append(score[k])
    touching = [a in seen or b in seen for a, b, h in zip(i, j, held, strict=True) if h]
    levels = Counter(np.round(score * 20).astype(int).tolist())
    small = Counter(size for size in sizes.values() if size < videos)
    return {
        "score histogram, total variation": variation(levels, list(known["score_counts"])),
        "degrees, total variation": variation(Counter(Counter([*i, *j]).values()), known["degrees"]),
        "small components, total variation": variation(small, known["component_sizes"]),
        "giant component, share of videos": videos / len(component),
        "giant component, share of pairs": np.mean([component[a] == giant for a in i]),
        "mod-5 validation share": np.mean(held),
        "mod-5 validation pairs touching training": np.mean(touching),
        "intra-class correlation of a query's scores": correlation_inside(queries),
    }


def judgement(twin) -> dict[str, float]:
    score, names = twin.score, np.array(twin.world.class_ids)
    tags = [set(found.tolist()) for rows in np.split(np.arange(20_000), 10) for found in twin.tagger.tags(rows)]
    shared = np.array([len(tags[a] & tags[b]) for a, b in zip(twin.i, twin.j, strict=True)])
    left, right = (names[twin.annotators.classes(rows)] for rows in (twin.i, twin.j))
    upper = np.array([a[:-2] == b[:-2] for a, b in zip(left, right, strict=True)])
    return {
        "Spearman of score and shared tags": pd.Series(score).corr(pd.Series(shared), method="spearman"),
        "Spearman of score and same level-1 category": spearmanr(score, upper).statistic,
        "Spearman of score and same level-2 category": spearmanr(score, left == right).statistic,
        "shared tags at score 0, mean": shared[score == 0].mean(),
        "shared tags above score 0.5, mean": shared[score > 0.5].mean(),
        "oracle Spearman": pd.Series(twin.affinity).corr(pd.Series(score), method="spearman"),
    }


def content(twin) -> dict[str, float]:
    """Lengths of all videos and the frames of 200, so close to the statistics of samples, not equal."""
    known, rows = facts("aiac2021"), np.arange(20_000)
    films = [film.astype(np.float64) for film in twin.camera.film(rows[::100])]
    unit = [film / np.linalg.norm(film, axis=1, keepdims=True) for film in films]
    mean = np.array([film.mean(axis=0) / np.linalg.norm(film.mean(axis=0)) for film in films])
    values, asr = pd.Series(np.concatenate([film.ravel() for film in films[:40]])), texts.asr_lengths(0, rows)
    return {
        "title length histogram, total variation": binned(texts.title_lengths(0, rows).tolist(), known["title_length"]),
        "frame count histogram, total variation": binned(twin.camera.count(rows).tolist(), known["frame_count"]),
        "ASR length, mean": asr.mean(),
        "ASR length, standard deviation": asr.std(),
        "frame features, standard deviation": values.std(),
        "frame features, skew": values.skew(),
        "cosine of adjacent frames": np.mean(np.concatenate([np.einsum("fd,fd->f", u[1:], u[:-1]) for u in unit])),
        "cosine of mean frames of two videos": np.mean([a @ b for a, b in combinations(mean, 2)]),
    }


def test_pairs_by_other_means(pair_twin, measured):
    for name, value in (graph(pair_twin) | judgement(pair_twin)).items():
        assert measured[name]["measured"] == pytest.approx(value, abs=2e-3), name
    for name, value in content(pair_twin).items():
        assert measured[name]["measured"] == pytest.approx(value, rel=0.08, abs=0.02), name


def test_classes_by_other_means(class_twin, measured):
    labels, true, level1 = class_twin.labels(np.arange(25_000)), class_twin.world.cls, class_twin.world.level1
    present = np.union1d(labels, true)
    scores = [f1_score(labels, true, average="micro"), f1_score(labels, true, labels=present, average="macro")]
    scores += [f1_score(level1[labels], level1[true], average=kind) for kind in ("micro", "macro")]
    assert measured["oracle mean F1"]["measured"] == pytest.approx(np.mean(scores), abs=1e-9)
    written = [class_twin.texts(rows) for rows in np.split(np.arange(4000), 8)]
    for name in ("title", "asr", "ocr"):
        mean = np.mean([len(line) for chunk in written for line in chunk[name]])
        assert measured[f"{name} length, mean"]["measured"] == pytest.approx(mean, rel=0.06), name
