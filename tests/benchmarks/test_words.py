"""Both sides of the benchmark of word models do the same work."""

import numpy as np
import pytest
import torch

from benchmarks import words as bench
from lib.data.schema import Video
from lib.data.writer import StoreWriter
from lib.features import words
from lib.features.loader import Assembler, Items
from lib.models.video_model import VideoModel
from lib.objectives import TagFocal

TITLES = ["家常 红烧肉", "红烧肉", "猫咪 红烧肉 家常", "没有"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    with StoreWriter(folder / "store", track="pairs", source="test") as writer:
        for number, title in enumerate(TITLES):
            frames = generator.standard_normal((1 + 4 * number, 12)).astype(np.float16)
            writer.add(Video(id=str(number), title=title, tags=(3,) if number else (), part="pointwise", frames=frames))
        store = writer.finish(tags=[3, 7], categories=None, twin=None, truth=None)
    vectors = {"dim": bench.DIM, "epochs": 1, "seed": 2020}
    return store, words.build(store, folder / "words", "digest", vectors=vectors, min_count=1)


def test_naive_items_are_our_batch(corpus):
    store, word_set = corpus
    rows = np.array([2, 0, 3, 1])
    rules = {"layout": "words", "text_length": bench.SLOTS, "frames_length": bench.SLOTS, "sample": "segment_centre"}
    ours = Assembler(store, word_set, **rules, pad_text=True, pad_frames=True, tags=True)(Items(rows), train=True)
    for place, item in enumerate(bench.NaiveVideos(store, word_set, rows)):
        for name, value in item.items():
            assert torch.equal(getattr(ours, name)[place], value), (name, place)


def test_losses_are_equal():
    torch.manual_seed(0)
    ours, naive = (bench.focal(kind, 9) for kind in (TagFocal, bench.PlainFocal))
    naive.load_state_dict(ours.state_dict())
    outputs = type("Outputs", (), {"embedding": torch.randn(5, 256)})()
    batch = type("Batch", (), {"tags": (torch.rand(5, 9) < 0.3).float()})()
    torch.testing.assert_close(ours.terms["tags"](outputs, batch), naive.terms["tags"](outputs, batch))


@pytest.mark.parametrize("kind", list(bench.FUSIONS))
def test_models_have_equal_weights(corpus, kind):
    sizes = []
    for masks in (True, False):
        model = bench.model_of(kind, 64, corpus[1], 1536, masks=masks)
        assert isinstance(model, VideoModel)
        sizes.append(sum(parameter.numel() for parameter in model.parameters()))
    assert sizes[0] == sizes[1]
