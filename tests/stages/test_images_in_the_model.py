"""A model that encodes pictures itself: the same numbers as stored features, gradients where wanted, exact resumes."""

import json

import numpy as np
import pytest
import torch

from lib.data.store import Store
from lib.features.loader import Assembler, Items
from lib.features.pictures import Pictures
from lib.features.sets import TokenSet
from lib.models import ImageFrames
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet, ImagesSpec
from lib.stages import build
from lib.stages.inputs import frames_of
from lib.stages.run import run
from lib.training.seed import seed_everything

STORED, TRAINED = "frame_encoder_trained.frozen", "frame_encoder_trained.trained"
NEEDED = [("wechat_baseline", "finetune", STORED)]


def job(arm: str, recipe: str = "wechat_baseline", stage: str = "finetune", scale: str = "smoke") -> Job:
    return Job.load(recipe, stage, arm, 0, scale)


def parts(one: Job, store: Store):
    """Model and assembler of a job, from the same random numbers whatever the arm."""
    visual, token_set = frames_of(one, store), TokenSet(one.tokens.folder)
    sizes = build.Sizes.of(
        token_set, frame_dim=visual.frame_dim, num_tags=0, num_classes=len(store.manifest["categories"])
    )
    seed_everything(0)
    model = build.build_model(one, sizes)
    features = one.spec.features
    return (model, build.build_mix(one, model, sizes), Assembler(store, token_set, **features.batches, visual=visual))


def test_the_corpus_follows_the_recipe(home):
    assert job(TRAINED).corpus.name == job(STORED).corpus.name == "twin_pixels"
    assert job("base").corpus.name == "twin_classes"
    laptop = job("base", "wechat_rank72", scale="laptop")
    assert (laptop.corpus.name, laptop.frames.name) == ("twin_classes", "projected"), "as at full scale"
    assert [ref.name for ref in job(TRAINED).feature_sets] == ["tokens"], "nothing is extracted for a trained encoder"
    pixels = Job.load("wechat_rank72", "finetune", "base", 0, "laptop", "twin_pixels")
    assert pixels.frames is not None and pixels.frames.corpus.name == "twin_pixels"


def test_frozen_it_gives_what_the_set_stores(home):
    """Same frames by the same two rules, same vectors; other batches and half precision are the whole difference."""
    rows = np.arange(24)
    stored_model, _, stored = parts(job(STORED), home)
    model, _, live = parts(job(TRAINED), home)
    there, here = (assembler(Items(rows), train=False) for assembler in (stored, live))
    assert there.pictures is None and here.frames.shape == (*here.frame_mask.shape, 0)
    assert here.pictures.dtype == torch.uint8 and here.pictures.shape[:2] == here.frame_mask.shape
    torch.testing.assert_close(there.frame_mask, here.frame_mask)
    model.freeze(["images"])
    with torch.no_grad():
        vectors = model.train().images(here)
    torch.testing.assert_close(vectors, there.frames, atol=2e-3, rtol=2e-3)
    assert not vectors[~here.frame_mask].any()
    rest = {name: value for name, value in model.state_dict().items() if not name.startswith("images.")}
    stored_model.load_state_dict(rest)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(here).logits, stored_model.eval()(there).logits, atol=5e-3, rtol=5e-3)


def test_gradients_reach_a_trained_encoder_and_no_frozen_one(home):
    model, mix, assembler = parts(job(TRAINED), home)
    rows = np.flatnonzero(home.categories() >= 0)[:8]
    batch = assembler(Items(rows), train=True)
    mix(model, batch)[0].backward()
    grads = [parameter.grad for parameter in model.images.parameters()]
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)
    assert sum(grad.abs().sum() for grad in grads) > 0
    model.zero_grad()
    model.freeze(["images", "frames"])
    mix(model, batch)[0].backward()
    frozen = [*model.images.parameters(), *model.frames.parameters()]
    assert all(parameter.grad is None for parameter in frozen) and not model.images.encoder.training
    assert any(parameter.grad is not None for parameter in model.text.parameters())


def test_checkpointing_changes_memory_only(home):
    spec = job(TRAINED).frames.spec.images
    batch = parts(job(TRAINED), home)[2](Items(np.arange(4)), train=True)
    results = []
    for checkpointing in (False, True):
        encoder = ImageFrames(spec.encoding(), checkpointing=checkpointing)
        vectors = encoder(batch)
        vectors.square().sum().backward()
        results.append((vectors.detach(), next(encoder.parameters()).grad))
    torch.testing.assert_close(results[0], results[1])


def test_decoding_does_not_depend_on_threads(home):
    spec, rows = job(TRAINED).frames.spec.images, list(range(9))
    chosen = [np.arange(min(int(count), 3)) for count in home.n_images[:9]]
    first, second = (Pictures(home, **spec.pictures, workers=workers).batch(rows, chosen, 4) for workers in (1, 4))
    np.testing.assert_array_equal(first, second)
    blank = np.round(255 * np.array(spec.mean)).astype(np.uint8)
    assert (first[:, 3] == blank[:, None, None]).all(), "padding is zero once it is normalised"


def test_a_trained_encoder_learns_and_resumes_exactly(home, monkeypatch):
    """Stopped in the middle, the run ends with the bytes of the uninterrupted one, its encoder's weights included."""
    one = job(TRAINED)
    folder = run(one)
    metrics, weights = folder.metrics.read_bytes(), folder.weights.read_bytes()
    from safetensors.torch import load as read

    state = read(weights)
    encoder = parts(one, home)[0].images.encoder.state_dict()
    assert any(not torch.equal(state[f"images.encoder.{name}"], value) for name, value in encoder.items())
    assert json.loads(metrics)["parameters"] > json.loads(run(job(STORED)).metrics.read_bytes())["parameters"]

    from lib.training.state import Resume

    class Stop(Exception):
        pass

    keep, steps = Resume.save, []

    def save_and_stop(self, *arguments):
        keep(self, *arguments)
        raise Stop

    monkeypatch.setattr(Resume, "due", lambda self, step, **_: step == 2)
    monkeypatch.setattr(Resume, "save", save_and_stop)
    with pytest.raises(Stop):
        run(one, again=True)
    monkeypatch.undo()
    assert folder.state.exists() and not folder.metrics.exists()
    restore = Resume.restore

    def restore_and_note(self, state, loader, device):
        restore(self, state, loader, device)
        steps.append(state.step)

    monkeypatch.setattr(Resume, "restore", restore_and_note)
    run(one)
    assert folder.metrics.read_bytes() == metrics and folder.weights.read_bytes() == weights and steps == [2]


def test_rank_72_freezes_it_in_pretraining_and_trains_it_then(home):
    """Published sizes with the encoder inside, and what each stage trains."""
    assert build.check(job("end_to_end", "wechat_rank72", scale="full")) + 7_087_872 == 213_229_634
    model = None
    for stage, trains in (("pretrain", False), ("finetune", True)):
        one = job("end_to_end", "wechat_rank72", stage)
        with torch.device("meta"):
            model = build.build_model(one, build.Sizes.published(one.spec.corpus))
        build.freeze(one, model)
        assert {parameter.requires_grad for parameter in model.images.parameters()} == {trains}
        assert all(parameter.requires_grad for parameter in model.frames.parameters())
    assert model.images.output_dim == model.frames.project.in_features


def test_frames_of_other_videos_bring_their_pictures(home):
    from lib.objectives import VideoTextMatching

    batch = parts(job(TRAINED), home)[2](Items(np.arange(6)), train=True)
    moved = VideoTextMatching(8, kind="reversed_half").corrupt(batch, torch.Generator().manual_seed(0))
    assert torch.equal(moved.pictures[3], batch.pictures[5]) and torch.equal(moved.frame_mask[3], batch.frame_mask[5])


def test_mistakes_say_what_to_do(home):
    with pytest.raises(RecipeError, match="learns from pictures, of which corpus twin_classes has none"):
        spec = load(FeatureSet, "pixels_small")
        assert spec.images is not None
        from lib.recipes.specs import Ablation

        ablation = load(Ablation, "frame_encoder_trained")
        ablation.arms["wrong"] = {"model.images": {"use": "ImageFrames"}}
        try:
            job("frame_encoder_trained.wrong")
        finally:
            del ablation.arms["wrong"]
    with pytest.raises(ValueError, match="leave that option out"):
        ImageFrames(ImagesSpec(encoder="random-vgg11", size=32).encoding(), drop_path=0.1)
    stored = parts(job(STORED), home)[2](Items(np.arange(2)), train=False)
    with pytest.raises(ValueError, match="the batch holds no pictures"):
        parts(job(TRAINED), home)[0](stored)
