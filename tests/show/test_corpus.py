"""A corpus counted: frames against the store, and figures that draw them."""

import numpy as np
import pandas as pd
import pytest

from lab.corpora import describe
from lab.corpora.emoji.packages import NOTICE, PACKAGES, attributions
from lab.corpora.importing import import_corpus
from lab.show import corpus, floors
from lib.data.splits import both_mod_k
from lib.data.store import Store
from lib.recipes.corpus import CorpusRef
from lib.recipes.load import load
from lib.recipes.specs import CorpusSpec
from tests.corpora import small
from tests.show import drawn


@pytest.fixture(scope="module")
def stores(world):
    return {ref.track: Store.open(ref.store) for ref in world.corpora}


def test_histograms_count_videos_that_have_the_field(stores):
    texts = describe.texts(stores["pairs"])
    picture = corpus.histograms(texts, "x")
    assert [axis.get_title(loc="left") for axis in picture.figure.axes] == ["title", "asr", "frames"]
    for axis, (field, part) in zip(picture.figure.axes, picture.frame.groupby("field", sort=False), strict=True):
        assert drawn.heights(axis) == part["videos"].tolist()
        assert part["videos"].sum() == (texts[field] > 0).sum()
        assert [patch.get_x() for patch in axis.patches] == pytest.approx(part["from"].tolist())
    frames = picture.frame[picture.frame["field"] == "frames"].set_index("from")["videos"]
    assert frames[1.5] == (texts["frames"] == 2).sum()


@pytest.mark.parametrize(
    ("items", "pairs", "why"),
    [
        ([{}] * 40, None, "the corpus has no categories"),
        ([{"category": "a"}, {"category": "b"}], None, "corpus store has 1 training items"),
        ([{"category": "ab"[n % 2]} for n in range(20)], None, ""),  # not one text, all frames the same
        ([{}] * 40, "".join(f"{n}\t{n + 3}\t0.5\n" for n in range(37)), "the corpus has one score for all pairs"),
        ([{}] * 40, "0\t3\t0.5\n0\t6\t0.7\n1\t2\t0.1\n4\t5\t1\n", ""),
    ],
)
def test_a_corpus_from_which_nothing_can_be_learnt_is_drawn_as_it_is(tmp_path, items, pairs, why):
    items = [item | {"id": str(n), "frames": "a.npy"} for n, item in enumerate(items)]
    store = import_corpus(small.custom(tmp_path / "in", items, pairs), tmp_path / "store")
    tail = corpus.long_tail(store, "x")
    assert len(tail.frame) == (0 if store.track == "pairs" else len(store.manifest["categories"] or ()))
    if not len(tail.frame):
        assert tail.caption.startswith("No video has a ") and tail.figure.axes[0].get_xscale() == "linear"
    corpus.splits(store, "smoke", "x")
    found = floors.of_corpus(str(store.path), "smoke", tmp_path)
    assert found.empty == bool(why) and why in floors.table(found, "x").caption


@pytest.mark.parametrize("track", ["pairs", "classes"])
def test_long_tail_is_counts_by_rank(stores, track):
    picture = corpus.long_tail(stores[track], "x")
    counts = describe.tag_counts(stores[track]) if track == "pairs" else describe.class_counts(stores[track])
    axis = picture.figure.axes[0]
    assert axis.lines[0].get_xydata() == pytest.approx(picture.frame.to_numpy(float))
    assert picture.frame["videos"].tolist() == counts[counts > 0].tolist()
    assert (
        axis.get_xlabel() == f"rank of the {'tag' if track == 'pairs' else 'class'}" and axis.get_ylabel() == "videos"
    )
    assert axis.get_xscale() == axis.get_yscale() == "log"


def test_long_curves_are_thinned_and_short_ones_are_not(stores, monkeypatch):
    for sizes, most in (
        (pd.Series(np.arange(5000, 0, -1)), 300),
        (pd.Series([3, 2, 1]), 3),
        (pd.Series([], dtype=int), 0),
    ):
        monkeypatch.setattr(corpus.describe, "pair_graph", lambda store, sizes=sizes: sizes)
        frame = corpus.components(stores["pairs"], "x").frame
        assert len(frame) <= most and frame["pairs in it"].tolist() == [sizes[rank - 1] for rank in frame["rank"]]
        if most:
            assert frame["rank"].iloc[0] == 1 and frame["rank"].iloc[-1] == len(sizes)


def test_labels_are_counted_in_steps_of_a_twentieth(stores):
    picture = corpus.labels(stores["pairs"], "x")
    score = stores["pairs"].pairs()["score"]
    assert picture.frame["pairs"].sum() == len(score) and len(picture.frame) == 21
    assert picture.frame.set_index("similarity")["pairs"][0.25] == np.isclose(score, 0.25).sum()
    assert drawn.heights(picture.figure.axes[0]) == picture.frame["pairs"].tolist()
    assert (picture.frame["to"] + picture.frame["from"]).tolist() == pytest.approx([n / 10 for n in range(21)])
    assert [p.get_x() for p in picture.figure.axes[0].patches] == pytest.approx(picture.frame["from"].tolist())


def test_splits_are_those_of_the_recipes_at_this_scale(stores, world):
    store = stores["pairs"]
    frame = corpus.splits(store, "laptop", "x").frame.set_index("")
    split = world.job("aiac_rank1", "finetune").stage_spec.data.split
    row = frame.loc["both_mod_k"]
    assert row["k"] == split.k == 3 and "aiac_rank1" in row["recipes"]
    pairs, ids = store.pairs(), store.column("id")
    both = ids[pairs["row1"]], ids[pairs["row2"]]
    expected = both_mod_k(*both, k=3)
    assert (row["training pairs"], row["validation pairs"]) == (expected.train.sum(), expected.val.sum())
    assert row["touch training"] == pytest.approx(expected.leak(*both), abs=1e-4)
    classes = corpus.splits(stores["classes"], "laptop", "x").frame.set_index("")
    assert classes.loc["random", "training videos"] + classes.loc["random", "validation videos"] == len(
        stores["classes"]
    )
    assert "wechat_baseline" in classes.loc["random", "recipes"]
    split = world.job("wechat_baseline", "finetune").stage_spec.data.split
    assert (classes.loc["random", "k"], split.k) == (10, 10)
    assert classes.loc["random", "validation videos"] == len(stores["classes"]) // 10


def test_a_title_on_both_sides_is_a_leak_and_no_title_is_none(stores, monkeypatch):
    store = stores["classes"]
    monkeypatch.setattr(Store, "column", lambda self, name: np.array([""] * len(self), object))
    assert corpus.splits(store, "laptop", "x").frame["touch training"].tolist()[0] == 0
    monkeypatch.setattr(Store, "column", lambda self, name: np.array(["same"] * len(self), object))
    assert corpus.splits(store, "laptop", "x").frame["touch training"].tolist()[0] == 1


def test_statistics_of_both_worlds_stand_beside_the_published_ones(stores, monkeypatch):
    store = stores["pairs"]
    rows = [
        dict(statistic="title length, mean", target=20.0, low=18.0, high=22.0, calibrated=21.0, clear=21.5),
        {"statistic": "distinct tags", "target": 1.0, "low": 0.5, "high": 1.5, "calibrated": 0.9, "clear": 0.3},
    ]
    monkeypatch.setattr("lab.corpora.twin.calibration.of_worlds", lambda track: rows)
    here = [{"statistic": "title length, mean", "measured": 25.0}, {"statistic": "distinct tags", "measured": None}]
    monkeypatch.setitem(store.manifest, "twin", {"calibration": here})
    table, worlds = corpus.generator(store, "x")
    assert "| title length, mean | 20 | 18 to 22 | 21 | 21.5 | 25 | – |" in table.markdown()
    assert "| distinct tags | 1 | 0.5 to 1.5 | 0.9 | 0.3 | – | fewer tags, so that" in table.markdown()
    assert "the calibrated world keeps 2 within what is tolerated, the clear one 1," in table.caption
    assert "| titles that say nothing of their video | 0.06 | 0 |" in worlds.markdown()
    monkeypatch.setitem(store.manifest, "twin", None)
    (sentence,) = corpus.generator(store, "x")
    assert sentence.data == "This corpus is not generated."


def test_whose_work_a_fetched_corpus_is_stands_on_its_page(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path))
    file = tmp_path / load(CorpusSpec, "emoji_pairs").source / "../LICENCES.txt"
    file.resolve().parent.mkdir(parents=True)
    assert corpus.credits(CorpusRef("emoji_pairs", "emoji")) == []
    file.resolve().write_text(attributions(), encoding="utf-8")
    for name in ("emoji_pairs", "emoji_classes"):
        (table,) = corpus.credits(CorpusRef(name, "emoji"))
        assert table.frame["licence"].tolist() == [package.licence for package in PACKAGES]
        assert table.frame["work"].tolist() == [package.credit for package in PACKAGES]
        assert table.frame["package"][1] == "npm @iconify-json/noto 1.2.9" and NOTICE in table.notes[0]
    assert (
        corpus.credits(CorpusRef("twin_pairs", "laptop")) == corpus.credits(CorpusRef("./stores/own", "laptop")) == []
    )


def test_parts_and_lengths_are_those_of_describe(stores):
    texts = describe.texts(stores["pairs"])
    parts, lengths = corpus.parts(stores["pairs"], texts, "x"), corpus.lengths(texts, "x")
    assert (parts.name, lengths.name) == ("x_missing", "x_lengths")
    assert parts.frame["videos"].sum() == len(texts)
    assert lengths.frame.set_index("").loc["title", "max"] == texts["title"].max()
    assert parts.frame["no asr"].tolist()[0] == pytest.approx(
        (texts.loc[texts["part"] == parts.frame[""][0], "asr"] == 0).mean(), abs=1e-3
    )
