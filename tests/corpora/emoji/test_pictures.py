"""Drawings are not stretched; frames follow each other as they should; features are as wide as the competitions'."""

import numpy as np
import pytest
from PIL import Image

from lab.corpora.emoji.pictures import SIZE, Drawings, Network, checkpoint, frames


def drawings(colour: str, **more) -> Drawings:
    icon = {"body": f'<rect width="100" height="100" fill="{colour}"/>', **more}
    return Drawings({"icons": {"square": icon}, "width": 16, "height": 16}, {"1f600-fe0f": "square"})


def test_a_drawing_fills_the_picture_and_a_flat_one_has_white_above_and_below():
    whole = np.asarray(drawings("#ff0000").picture("1F600"))
    assert whole.shape == (SIZE, SIZE, 3) and (whole == [255, 0, 0]).all()
    flat = np.asarray(drawings("#ff0000", height=8).picture("1F600"))
    red = (flat == [255, 0, 0]).all(2)
    assert red[SIZE // 2].all() and (flat[0] == 255).all() and (flat[-1] == 255).all()
    assert red.mean() == pytest.approx(0.5, abs=0.03)


def test_every_vendor_once_and_the_middle_of_the_first():
    vendors = [drawings(colour) for colour in ("red", "lime", "blue")] + [Drawings({"icons": {}}, {"1f600": "none"})]
    shown = [np.asarray(frame)[0, 0].tolist() for frame in frames("1F600", vendors, np.random.default_rng(0))]
    assert len(shown) == 4 and shown[0] == shown[1]
    assert {tuple(one) for one in shown} == {(255, 0, 0), (0, 255, 0), (0, 0, 255)}


@pytest.fixture(scope="module")
def network():
    return Network(checkpoint())


def test_features_have_the_official_widths_and_do_not_depend_on_the_neighbours(network):
    pictures = [
        drawings(colour, height=height).picture("1F600") for colour, height in (("red", 16), ("blue", 8), ("lime", 4))
    ]
    wide, narrow = network(pictures)
    assert wide.shape == (3, 1536) and narrow.shape == (3, 768) and wide.dtype == narrow.dtype == np.float16
    assert np.isfinite(wide).all() and np.linalg.norm(wide[:, :1280].astype(float), axis=1) == pytest.approx(
        10, abs=0.02
    )
    assert np.abs(network(pictures[1:2])[0] - wide[1]).max() < 0.01 < np.abs(wide[0] - wide[1]).max()


def test_the_weights_know_what_is_on_a_photograph(network):
    """A temple and a flower: the right layers in the right order, and numbers scaled as in training."""
    import torch
    from sklearn.datasets import load_sample_images

    found = []
    for photograph in load_sample_images().images:
        middle = photograph[:, photograph.shape[1] // 2 - 213 :][:426, :426]
        picture = Image.fromarray(middle).resize((224, 224), Image.Resampling.BICUBIC)
        x = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            found.append(int(network._model(x).argmax()))
    assert found == [698, 985]  # of ImageNet: palace, daisy
