"""What objectives see besides the corrupted batch: one side alone, a second draw of dropout, equal views once."""

import pytest
import torch

from lib.data.batch import IGNORE, View
from lib.models import BertText, CrossModalEncoder, FrameLinear, MeanPool, Projection
from lib.models.video_model import VideoModel
from lib.objectives import MaskedTokens
from lib.objectives.mix import Objective, ObjectiveMix
from tests.small import FRAME_DIM, SPECIAL, VOCABULARY, WIDTH, batch, single_stream


def cross_modal() -> VideoModel:
    torch.manual_seed(0)
    backbone = f"tiny-1x{WIDTH}"
    fusion = CrossModalEncoder(WIDTH, WIDTH, backbone, depth=1, last_frames=True)
    text, frames = BertText(backbone, VOCABULARY, pooler=False), FrameLinear(FRAME_DIM, WIDTH)
    return VideoModel(text, frames, fusion, MeanPool(WIDTH), Projection(WIDTH, 16)).eval()


class Looks(Objective):
    """Sees what it is told; its value is the sum of the pooled vectors, and it remembers them."""

    passes = 0

    def __init__(self, **wanted):
        super().__init__()
        self.wanted, self.seen = wanted, {}

    def views(self, clean, batch, generator):
        return {name: View(clean, *how) for name, how in self.wanted.items()}

    def forward(self, outputs, batch):
        self.seen = outputs
        return torch.stack([seen.pooled.sum() for seen in outputs.values()]).sum()


def run(model, given, **terms):
    """The mix's forward pass and how often the model ran."""
    calls = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    mix = ObjectiveMix({name: (term, 1.0) for name, term in terms.items()})
    mix(model, mix.corrupt(given, torch.Generator().manual_seed(0)).to("cpu"))
    hook.remove()
    return len(calls)


def tokens():
    return MaskedTokens(WIDTH, VOCABULARY, SPECIAL, rate=0.5)


def test_equal_views_run_once():
    model, given = single_stream(), batch([5, 3], [4, 2])
    first, second = Looks(text=("text",), frames=("frames",)), Looks(words=("text",), again=("text", 1))
    assert run(model, given, first=first, second=second) == 3, (
        "text, text again, frames; the batch itself is not needed"
    )
    assert first.seen["text"] is second.seen["words"] is not second.seen["again"]


def test_what_is_not_corrupted_is_the_batch_itself():
    model, given, clean = single_stream(), batch([5, 3], [4, 2]), Looks(clean=())
    assert run(model, given, clean=clean) == 1
    assert run(model, given, tokens=tokens(), clean=clean) == 2
    assert torch.equal(clean.seen["clean"].pooled, model(given).pooled), "and a view is what was there before masking"


@pytest.mark.parametrize("model", [single_stream(), single_stream("video_first"), cross_modal()])
@pytest.mark.parametrize(("sees", "hidden"), [("text", "frames"), ("frames", "input_ids")])
def test_a_view_knows_nothing_of_the_other_side(model, sees, hidden):
    given, other = batch([5, 3, 4], [4, 2, 0]), batch([5, 3, 4], [4, 2, 0], seed=1)
    changed = given.replace(**{hidden: getattr(other, hidden)})
    with torch.no_grad():
        one, two, three = (model(b, s) for b, s in ((given, sees), (changed, sees), (changed, "both")))
    real = one.joint.mask
    assert torch.equal(one.joint.hidden[real], two.joint.hidden[real]) and torch.equal(one.pooled, two.pooled)
    assert not torch.equal(one.pooled, three.pooled)
    assert real.sum() == (given.text_mask if sees == "text" else given.frame_mask).sum(), "nothing else is attended to"


def test_kept_tokens_close_up():
    given = batch([5, 3], [1, 1])
    given = given.replace(
        field=torch.where(given.input_ids > 4, 1, -1).to(torch.int8),
        token_labels=torch.where(given.input_ids > 4, given.input_ids, IGNORE),
    )
    keep = given.input_ids != given.input_ids[:, 3:4]
    kept = given.keep_tokens(keep)
    assert kept.input_ids.shape == (2, 7) and given.input_ids.shape == (2, 8)
    for name in ("input_ids", "field", "token_labels", "token_types"):
        for row in range(2):
            wanted = getattr(given, name)[row][(keep & given.text_mask)[row]]
            assert torch.equal(getattr(kept, name)[row][kept.text_mask[row]], wanted), name
    assert (kept.token_labels[~kept.text_mask] == IGNORE).all() and (kept.field[~kept.text_mask] == -1).all()


def test_a_term_with_views_leaves_the_masks_of_the_others():
    given = batch([9, 6], [7, 5])

    class Drawing(Looks):
        def views(self, clean, batch, generator):
            return {
                "text": View(clean.keep_tokens(torch.rand(clean.input_ids.shape, generator=generator) < 0.5), "text")
            }

    both = ObjectiveMix({"look": (Drawing(), 1.0), "tokens": (tokens(), 1.0)})
    alone = ObjectiveMix({"look": (Drawing(), 0.0), "tokens": (tokens(), 1.0)})
    one, two = (mix.corrupt(given, torch.Generator().manual_seed(3)) for mix in (both, alone))
    assert torch.equal(one.token_labels, two.token_labels) and two.views is None and one.views is not None


def test_batches_move_with_their_views_and_shared_tensors_move_once():
    given, moved = batch([5, 3], [4, 2]), []
    same = View(given, "text")
    viewed = given.replace(views={"a": {"x": same, "own": None}, "b": {"y": same}})
    copied = viewed._map(lambda tensor: moved.append(tensor) or tensor.clone())
    assert len(moved) == sum(value is not None for value in vars(given).values())
    assert copied.views["a"]["x"] is copied.views["b"]["y"] and copied.views["a"]["own"] is None
    assert copied.views["a"]["x"].batch.input_ids is copied.input_ids is not given.input_ids


def test_views_are_asked_for():
    with pytest.raises(ValueError, match="look: what it compares is not there"):
        ObjectiveMix({"look": (Looks(), 1.0)})(single_stream(), batch([1], [1]))
