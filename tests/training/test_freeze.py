"""Parts that do not train: no gradient, no place in the optimizer, no dropout unless asked for."""

from types import SimpleNamespace

import pytest
import torch

from lib.models import BertText, FirstPooled, GatedSum, Identity, VideoTransformer
from lib.models.video_model import VideoModel
from lib.objectives import CosineRegression, NearestLevel
from lib.objectives.mix import ObjectiveMix
from lib.recipes.specs import DeviceSpec, StageSpec
from lib.stages.build import build_trainer
from lib.training.optimizers import build_optimizer
from lib.training.trainer import Task
from tests.small import FRAME_DIM, VOCABULARY, batch
from tests.training.standin import accelerator


def _model() -> VideoModel:
    torch.manual_seed(0)
    frames = VideoTransformer(FRAME_DIM, depth=2, heads=2, head_dim=8, ffn=24, dropout=0.5)
    text = BertText("tiny-1x32", VOCABULARY, pool="first")
    return VideoModel(text, frames, GatedSum(32, FRAME_DIM, 16), FirstPooled(16), Identity(16))


def _pairs():
    pair = torch.tensor([[0, 4], [1, 5], [2, 6], [3, 7]])
    return batch([3] * 8, [4] * 8).replace(pair=pair, score=torch.tensor([0.9, 0.1, 0.5, 0.4]))


class _Loader:
    steps_per_epoch = 2

    def __iter__(self):
        while True:
            yield _pairs()

    def state_dict(self):
        return {}


def _trained(tmp_path, freeze, mode, modes):
    """The trainer of a stage as ``run`` makes it, after four updates with two evaluations; the model before and after."""
    spec = StageSpec(
        data={"items": "pairs", "batch_size": 4, "epochs": 2}, objectives={"similarity": {"use": "CosineRegression"}},
        optimizer={"use": "BertAdam", "lr": 0.01, "no_decay": "names"},
        schedule={"use": "WarmupLinear", "warmup": 0.05, "whole": False}, max_grad_norm=None, rewind=None,
        freeze=freeze, freeze_mode=mode, evaluation={"select": "mse", "keep": "last"},
    )  # fmt: skip
    model = _model()
    model.freeze(spec.freeze, spec.freeze_mode)
    mix = ObjectiveMix({"similarity": (CosineRegression(), 1.0), "unlabelled": (NearestLevel(), 1.0)})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    class History:
        def append(self, row):
            modes.append((model.training, model.text.training, model.frames.layers[0].dropout.training))

        def truncate(self, step):
            pass

    def score(given):
        modes.append((given.training, given.text.training, given.frames.training))
        return {"mse": 0.0}

    given = {"steps": 4, "steps_per_epoch": 2, "seed": 0, "score": score}
    given["folder"] = SimpleNamespace(state=tmp_path, history=History())
    trainer = build_trainer(spec, Task(model, mix), accelerator(), device=DeviceSpec(), **given)
    trainer.fit(_Loader(), 4)
    return trainer, before, model


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_stage_with_frozen_encoders(tmp_path, mode):
    """Frozen parts keep their weights; the rest learns; after every evaluation the parts are where they were (C7-4)."""
    modes = []
    trainer, before, model = _trained(tmp_path, ("text", "frames"), mode, modes)
    for name, tensor in model.state_dict().items():
        if name == "fusion.gate.linear.bias":  # the batch norm behind it takes it out again: no gradient but rounding
            continue
        frozen = name.startswith(("text.", "frames."))
        assert torch.equal(before[name], tensor) == frozen, name
    assert set(modes) == {(False, False, False), (True, mode == "train", mode == "train")}
    listed = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert listed == {id(p) for p in model.fusion.parameters()}


def test_frozen_encoders_are_still_by_default():
    """eval: the same features twice, although the model trains; train: the original's noise."""
    still, noisy, given = _model(), _model(), _pairs()
    still.freeze(("text", "frames"))
    noisy.freeze(("text", "frames"), mode="train")
    for model, equal in ((still, True), (noisy, False)):
        model.train()
        assert torch.equal(model(given).frames.pooled, model(given).frames.pooled) == equal
        assert not model(given).text.pooled.requires_grad and model(given).embedding.requires_grad


def test_parts_below_a_slot():
    model = _model().train()
    model.freeze(("frames.layers.0", "text.embeddings", "frames.first"))
    below = ("frames.layers.0.", "text.embeddings.", "frames.first")
    assert all(p.requires_grad != name.startswith(below) for name, p in model.named_parameters())
    assert not model.frames.layers[0].dropout.training and model.frames.layers[1].dropout.training
    assert model.frames.training and not model.text.embeddings.training
    assert not model.eval().training and model.train().training and not model.frames.layers[0].training


def test_errors():
    model = _model()
    with pytest.raises(ValueError, match="freeze: the model has no part 'txt'; slots are text, frames, fusion"):
        model.freeze(("txt",))
    with pytest.raises(ValueError, match="no part 'frames.layers.7'"):
        model.freeze(("frames.layers.7",))
    model.freeze(("text", "frames", "fusion"))
    mix = ObjectiveMix({"similarity": (CosineRegression(), 1.0)})
    with pytest.raises(ValueError, match="every parameter of the stage is frozen"):
        build_optimizer(Task(model, mix).named_parameters(), lr={"backbone": 0.1, "rest": 0.1})
