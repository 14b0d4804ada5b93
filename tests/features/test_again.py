"""What an earlier set learnt, asked of the same videos again, says the same."""

import numpy as np
import pytest

from lib.data.schema import FIELDS_OF_LAYOUT, Video
from lib.data.writer import StoreWriter
from lib.features import projected, tokens, words
from lib.features.again import FramesAgain, TokensAgain
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet

TITLES = ["家常红烧肉", "家常红烧肉的做法 with RICE", "红烧肉！家常", "健身教程", "", "rice rice rice"]
ALL = FIELDS_OF_LAYOUT["packed"]


def corpus(folder, titles):
    with StoreWriter(folder, track="pairs", source="aiac2021") as writer:
        for number, title in enumerate(titles):
            frames = np.random.default_rng([3, number]).normal(size=(1 + number % 3, 6)).astype(np.float16)
            texts = {"title": title, "asr": "嗯嗯嗯好" * number, "ocr": ((2.0, "字幕"), (1.0, title))}
            writer.add(Video(id=str(number), tags=(7,), part="pointwise", frames=frames, **texts))
        return writer.finish(tags=[7])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("again") / "store", TITLES)


@pytest.mark.parametrize("name", ["tokens", "tokens_blocks", "tokens_words", "words"])
def test_texts_are_cut_as_before(store, name, tmp_path):
    spec = load(FeatureSet, name)
    spec = spec.model_copy(update={"word_min_count": 2} if spec.word_min_count else {"min_count": 1})
    made = (words if spec.use == "Words" else tokens).build(
        store, tmp_path / name, "digest", **spec.arguments("corpus")
    )
    again = TokensAgain(made, spec, store)
    assert len(again) == len(made) and (again.vocab_size, again.special) == (made.vocab_size, made.special)
    for row in range(len(store)):
        old, new = made.fields(row), again.fields(row)
        assert old.keys() == new.keys() and all(np.array_equal(old[field], new[field]) for field in old)
    assert sum(len(ids) for ids in again.fields(1).values()) > 1


def test_other_videos_have_no_new_tokens(store, tmp_path):
    """The vocabulary stays that of the videos it was read off."""
    made = tokens.build(store, tmp_path / "set", "digest", tokenizer="corpus")
    other = corpus(tmp_path / "other", ["家猫", "rice"])
    again = TokensAgain(made, load(FeatureSet, "tokens"), other)
    first = again.fields(0)["title"].tolist()
    assert len(first) == 2 and first[1] == again.special.unk != first[0]
    assert np.array_equal(again.fields(1)["title"], made.fields(5)["title"][:1])
    assert again.lengths("ocr").tolist() == [5, 4] and len(again) == 2


def test_frames_are_projected_as_before(store, tmp_path):
    made = projected.build(store, tmp_path / "set", "digest", dim=4)
    again = FramesAgain(store, tmp_path / "set" / "projection.npz")
    out = np.empty((2, 4), "<f2")
    again.read_frames(1, out)
    assert again.frame_dim == 4 and np.array_equal(out, again.frames(1))
    assert all(np.allclose(again.frames(row), made.frames(row), atol=2e-3) for row in range(len(store)))
    assert not np.allclose(again.frames(0), again.frames(3)[:1], atol=0.1)


def test_frames_of_another_encoder_are_refused(store, tmp_path):
    projected.build(corpus(tmp_path / "store", TITLES[:2]), tmp_path / "set", "digest", dim=2)
    with np.load(tmp_path / "set" / "projection.npz") as found:
        np.savez(
            tmp_path / "narrow.npz",
            mean=found["mean"][:5],
            scale=found["scale"][:5],
            components=found["components"][:, :5],
        )
    with pytest.raises(ValueError, match="6 numbers per frame, but the model was trained on frame features of 5"):
        FramesAgain(store, tmp_path / "narrow.npz")
