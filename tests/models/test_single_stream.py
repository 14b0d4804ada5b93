"""The single-stream model: layouts, masks, padding."""

from functools import partial

import pytest
import torch

from lib.models import AttentionPool, MeanPool, Poolings, SingleStream
from lib.models.video_model import States
from tests.small import WIDTH, batch, single_stream

FIRST = partial(Poolings, of=["first"])
LAYOUTS = ["cls_first", "video_first"]


def _states(length: int, value: float) -> States:
    return States(torch.full((1, length, WIDTH), value), torch.ones(1, length, dtype=torch.bool))


@pytest.mark.parametrize(("layout", "first_token"), [("cls_first", 0), ("video_first", 32)])
def test_aiac_10_r1_4_layout(layout, first_token):
    """R1-4: 68 positions in both layouts; cls-first [CLS] v1..v32 [SEP] ..., video-first v1..v32 [CLS] ..."""
    joint = SingleStream("tiny-1x32", WIDTH, WIDTH, layout=layout).eval()(_states(36, 0.1), _states(32, 0.2))
    assert joint.hidden.shape == (1, 68, WIDTH)
    assert joint.text_index.tolist() == [first_token, *range(33, 68)]
    assert joint.frame_index.tolist() == [place for place in range(33) if place != first_token]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_state_stands_where_the_index_says(layout):
    """With no layers' mixing (weights zero, so that a layer is layer norm of its input) states can be told apart by
    sign."""
    fusion = SingleStream("tiny-1x32", WIDTH, WIDTH, layout=layout).eval()
    for parameter in fusion.parameters():
        if parameter.ndim > 1:
            parameter.data.zero_()
    ramp = torch.arange(WIDTH).float()
    text = States(ramp.expand(1, 4, WIDTH), torch.ones(1, 4, dtype=torch.bool))
    frames = States(-ramp.expand(1, 3, WIDTH), torch.ones(1, 3, dtype=torch.bool))
    joint = fusion(text, frames)
    rising = joint.hidden[0, :, -1] > joint.hidden[0, :, 0]
    assert rising[joint.text_index].all() and not rising[joint.frame_index].any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pooling", [MeanPool, AttentionPool, FIRST])
def test_padding_never_changes_the_result(layout, pooling):
    """Fixed path: a video alone, in a batch, or padded to the full lengths (with garbage in padded frames)."""
    model = single_stream(layout, pooling)
    with torch.no_grad():
        full = model(batch([7, 2, 0], [6, 1, 3], slots=(36, 32))).embedding
        snug = model(batch([7, 2, 0], [6, 1, 3])).embedding
        one = batch([7, 2, 0], [6, 1, 3])
        slots = {"input_ids": 5, "text_mask": 5, "token_types": 5, "frames": 1, "frame_mask": 1}
        alone = one.replace(**{name: getattr(one, name)[1:2, :slot] for name, slot in slots.items()})
        torch.testing.assert_close(full, snug, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(model(alone).embedding, snug[1:2], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("pooling", [MeanPool, AttentionPool])
def test_aiac_a7_1_quirk_depends_on_padding(pooling):
    model = single_stream(pooling=pooling, include_padding=True)
    with torch.no_grad():
        full = model(batch([7, 2, 0], [6, 1, 3], slots=(36, 32))).embedding
        snug = model(batch([7, 2, 0], [6, 1, 3])).embedding
    assert (full - snug).abs().max() > 1e-3


@pytest.mark.parametrize("pooling", [MeanPool, AttentionPool, FIRST])
def test_videos_without_a_valid_frame_or_token_stay_finite(pooling):
    """One video with neither, one without frames, one without text; forward and backward."""
    given = batch([3, 3, 3], [2, 2, 2])
    text, frames = given.text_mask.clone(), given.frame_mask.clone()
    text[0], frames[0], frames[1], text[2] = False, False, False, False
    model = single_stream(pooling=pooling)
    embedding = model(given.replace(text_mask=text, frame_mask=frames)).embedding
    embedding.sum().backward()
    assert embedding.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_masked_frames_are_not_read_whatever_they_hold():
    given = batch([3, 3], [4, 2])
    model = single_stream()
    with torch.no_grad():
        expected = model(given).embedding
        frames = given.frames.clone()
        frames[1, 2:] = 1e4
        torch.testing.assert_close(model(given.replace(frames=frames)).embedding, expected, atol=1e-6, rtol=1e-5)


def test_widths_are_checked():
    with pytest.raises(ValueError, match="text is 64 and frames are 32 wide, the backbone tiny-1x32 is 32"):
        SingleStream("tiny-1x32", 64, 32)


def test_position_tables_count_per_modality():
    """A2.1: [CLS] is text position 0 and the first frame is frame position 0 of its own table, in both layouts."""
    model = single_stream()
    given = batch([3], [2])
    with torch.no_grad():
        text = model.text(given).hidden
        words = model.text.embeddings
        summed = words.word_embeddings(given.input_ids) + words.position_embeddings.weight[: given.input_ids.shape[1]]
        torch.testing.assert_close(text, words.LayerNorm(summed + words.token_type_embeddings.weight[0]))
        frames = model.frames
        summed = frames.project(given.frames) + frames.position_embeddings.weight[:2]
        summed += frames.token_type_embeddings.weight[0]
        torch.testing.assert_close(frames(given).hidden, frames.LayerNorm(summed))
