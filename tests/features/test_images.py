"""Frame features from pixels: transforms, encoders, sets that resume after a kill, damaged pictures, sets in a batch."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from lib.data.checks import Wrong
from lib.data.importing import import_corpus
from lib.data.rejects import BadRecord, Rejects
from lib.data.schema import Video
from lib.data.store import Store
from lib.data.twin import generate
from lib.data.writer import StoreWriter
from lib.features import images, sets
from lib.features.encoders import ImageEncoder, Pooled
from lib.features.frame_sets import FrameSet, choose
from lib.features.loader import Assembler, Items
from lib.features.pictures import decode
from lib.features.tokens import build as build_tokens
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet, FramesSpec, ImagesSpec, TextSpec

ENCODER = "random-test_vit"


def spec_of(**changes) -> FeatureSet:
    pictures = ImagesSpec(
        **{"encoder": ENCODER, "size": 32, "length": 4, "sample": "bin_centre", "batch_size": 5, "shard": 4, **changes}
    )
    return FeatureSet(about="", use="Images", images=pictures)


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (32, 32), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def noise(width: int, height: int, kind: str = "JPEG") -> bytes:
    values = np.random.default_rng([width, height]).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def store_of(folder: Path, videos: list[list[bytes]]) -> Store:
    with StoreWriter(folder, track="classes", source="custom") as writer:
        for number, files in enumerate(videos):
            writer.add(Video(id=f"v{number}", title="标题", category="a/b", images=tuple(files)))
        return writer.finish(categories=["a/b"])


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Store:
    """Ten videos of 1 to 6 pictures; picture k of video n has red n, green k, blue 7."""
    videos = [[picture((n, k, 7)) for k in range(1 + n % 6)] for n in range(10)]
    return store_of(tmp_path_factory.mktemp("colours") / "store", videos)


class Mean:
    """An "encoder" whose features are the mean colour of a picture; remembers the sizes of its batches."""

    name, dim = "mean", 3

    def __init__(self, *_: object) -> None:
        self.sizes: list[int] = []

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(pictures))
        return pictures.float().mean(dim=(2, 3))


@pytest.fixture
def mean(monkeypatch) -> Mean:
    encoder = Mean()
    monkeypatch.setattr(images, "ImageEncoder", lambda *_: encoder)
    return encoder


# ---- pictures


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (224, 224), (256, 256), (100, 77), (1001, 333)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_wechat_1_2_transform_is_torchvisions_bit_for_bit(size, interpolation):
    transforms = pytest.importorskip("torchvision.transforms")
    data = noise(*size)
    published = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(224),
            transforms.PILToTensor(),
        ]
    )
    spec = ImagesSpec(encoder=ENCODER, resize=256, interpolation=interpolation)
    assert np.array_equal(decode(data, spec), published(Image.open(io.BytesIO(data)).convert("RGB")).numpy())


def test_published_presets():
    """§1.2 and §12.2: sizes, interpolation and the numbers that pictures are scaled by."""
    swin, clip = (load(FeatureSet, name).images for name in ("swin_tiny", "clip_b32"))
    assert (swin.resize, swin.size, swin.interpolation, swin.length, swin.sample) == (256, 224, "bilinear", 32, "head")
    assert swin.mean == (0.485, 0.456, 0.406) and swin.std == (0.229, 0.224, 0.225) and not swin.draft
    assert (clip.resize, clip.size, clip.interpolation) == (None, 224, "bicubic")
    assert clip.mean == (0.48145466, 0.4578275, 0.40821073) and clip.std == (0.26862954, 0.26130258, 0.27577711)


def test_draft_decodes_a_large_jpeg_to_nearly_the_same():
    y, x = np.mgrid[0:800, 0:1000] / 100
    smooth = (127 + 100 * np.sin(x + y))[..., None].repeat(3, axis=2).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(smooth).save(file, "JPEG", quality=95)
    exact, draft = (decode(file.getvalue(), ImagesSpec(encoder=ENCODER, size=96, draft=d)) for d in (False, True))
    assert 0 < np.abs(exact.astype(int) - draft).mean() < 2


def test_squash_keeps_the_edges_that_the_crop_cuts_off():
    canvas = Image.new("RGB", (96, 32), (0, 0, 0))
    canvas.paste((255, 0, 0), (0, 0, 16, 32))
    file = io.BytesIO()
    canvas.save(file, "PNG")
    cropped, squashed = (
        decode(file.getvalue(), ImagesSpec(encoder=ENCODER, size=32, crop=c)) for c in ("centre", "squash")
    )
    assert cropped[0].max() == 0 and squashed[0, :, 0].min() > 250


@pytest.mark.parametrize("kind", ["L", "P", "RGBA", "CMYK"])
def test_every_colour_mode_becomes_three_channels(kind):
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (204, 204, 204)).convert(kind).save(file, "JPEG" if kind == "CMYK" else "PNG")
    found = decode(file.getvalue(), ImagesSpec(encoder=ENCODER, size=32))
    assert found.shape == (3, 32, 32) and np.abs(found.astype(int) - 204).max() <= 2


@pytest.mark.parametrize("data", [noise(64, 64)[:900], b"", b"\xff\xd8nonsense", noise(64, 64, "PNG")[:500]])
def test_a_damaged_picture_is_named(data):
    with pytest.raises(Wrong) as caught:
        decode(data, ImagesSpec(encoder=ENCODER, size=32), "picture 2 of 3")
    assert caught.value.field == "picture 2 of 3" and f"{len(data)} bytes" in caught.value.value


# ---- encoders


def test_a_random_encoder_is_the_same_whatever_was_drawn_before():
    spec, pictures = spec_of().images, torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    first = ImageEncoder(spec, device="cpu")
    state = torch.random.get_rng_state()
    second = ImageEncoder(spec, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first(pictures), second(pictures)) and first(pictures).shape == (3, first.dim) == (3, 64)
    other = ImageEncoder(spec.model_copy(update={"seed": 1}), device="cpu")
    assert not torch.equal(first(pictures), other(pictures))


def test_pictures_are_scaled_by_mean_and_std():
    encoder = ImageEncoder(spec_of(mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 1.0)).images, device="cpu")
    encoder._model = torch.nn.Flatten()
    values = encoder(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)).reshape(3, -1)
    assert torch.equal(values[:, 0], torch.tensor([1.0, 1.5, 1.0]))


def test_wechat_12_2_parameters_and_widths():
    """Swin-T 27,519,354 without a classifier; the vision part of CLIP ViT-B/32 87,456,000, 768 wide, 512 projected."""
    import timm
    from transformers import CLIPConfig, CLIPModel

    with torch.device("meta"):
        swin = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, num_classes=0)
        clip = CLIPModel(CLIPConfig())
        pooled = Pooled(clip, spec_of().images)
        projected = Pooled(clip, spec_of(output="projected").images)
        values = torch.zeros(2, 3, 224, 224)
    assert sum(p.numel() for p in swin.parameters()) == 27_519_354
    assert sum(p.numel() for p in pooled.parameters()) == 87_456_000
    assert pooled(values).shape == (2, 768) and projected(values).shape == (2, 512)


def test_local_folders_of_transformers(tmp_path):
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**small, "vocab_size": 99},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=24,
    )
    model = CLIPModel(config).eval()
    model.save_pretrained(tmp_path / "clip")
    pictures = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    pixels = (pictures.float() / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    with torch.no_grad():
        pooled = model.vision_model(pixels).pooler_output
        expected = {"pooled": pooled, "projected": model.visual_projection(pooled)}
    for output, values in expected.items():
        encoder = ImageEncoder(spec_of(encoder=str(tmp_path / "clip"), output=output).images, device="cpu")
        torch.testing.assert_close(encoder(pictures), values)


def test_local_weights_of_a_timm_name(tmp_path):
    import timm

    torch.manual_seed(0)
    model = timm.create_model("test_convnext", pretrained=False).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    encoder = ImageEncoder(spec_of(encoder="test_convnext", weights=str(tmp_path / "w.pth")).images, device="cpu")
    assert torch.equal(encoder._model.stem[0].weight, model.stem[0].weight) and encoder.dim == 64


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"encoder": "nothing"}, "neither a name of timm or transformers"),
        ({"encoder": "random-nothing"}, "take for example random-test_vit"),
        ({"output": "projected"}, "set output: pooled"),
        ({"encoder": "test_vit", "weights": "/no/such.pth"}, "is no file"),
    ],
)
def test_encoders_that_cannot_be_had(changes, message):
    with pytest.raises(ValueError, match=message):
        ImageEncoder(spec_of(**changes).images, device="cpu")


@pytest.mark.parametrize(
    "changes", [{"resize": 20}, {"resize": 64, "crop": "squash"}, {"std": (1, 0, 1)}, {"sample": "random_bin"}]
)
def test_impossible_specs(changes):
    with pytest.raises(ValidationError):
        spec_of(**changes)


def test_a_set_takes_what_its_kind_needs():
    with pytest.raises(ValidationError, match="needs .encoder"):
        FeatureSet(about="", use="Images")
    with pytest.raises(ValidationError, match="sets of text need one"):
        FeatureSet(about="", use="Tokens")
    with pytest.raises(ValidationError, match="no other set takes it"):
        FeatureSet(about="", use="Tokens", tokenizer="corpus", images={"encoder": ENCODER})


# ---- sets


def test_values_by_hand(colours, mean, tmp_path):
    """Mean colours: video 5 has pictures 0 to 5, of which bin_centre takes 0, 2, 3 and 5."""
    found = images.build(colours, tmp_path / "set", spec_of(), "mean", "digest")
    assert found.n_frames.tolist() == [1, 2, 3, 4, 4, 4, 1, 2, 3, 4] and found.frame_dim == 3
    assert found.frames(5).tolist() == [[5, k, 7] for k in (0, 2, 3, 5)]
    assert found.frames(9)[:, 0].tolist() == [9] * 4 and found.frames(9).dtype == np.float16
    assert mean.sizes == [5, 5, 5, 5, 1, 5, 2]  # shards of 4, 4 and 2 videos: 10, 11 and 7 pictures, in batches of 5
    assert {path.name for path in (tmp_path / "set").iterdir()} == {"features.json", "frames.f16", "offsets.npy"}
    assert not (tmp_path / "set.partial").exists()
    stamp = (tmp_path / "set" / "frames.f16").stat().st_mtime_ns
    images.build(colours, tmp_path / "set", spec_of(), "mean", "digest")
    assert (tmp_path / "set" / "frames.f16").stat().st_mtime_ns == stamp
    other = images.build(colours, tmp_path / "set", spec_of(length=1), "mean", "another digest")
    assert other.n_frames.tolist() == [1] * 10


def test_overlapped_and_serial_give_the_same_bytes(colours, tmp_path):
    for workers in (0, 1, 3):
        sets_ = images.build(colours, tmp_path / str(workers), spec_of(), ENCODER, "d", workers=workers, device="cpu")
        assert np.isfinite(sets_.frames(0)).all() and sets_.frame_dim == 64
    files = [{file.name: file.read_bytes() for file in (tmp_path / str(w)).iterdir()} for w in (0, 1, 3)]
    assert files[0] == files[1] == files[2]


def test_decoding_runs_ahead_and_is_bounded(colours, monkeypatch):
    started = []
    monkeypatch.setattr(images, "read", lambda store, spec, row: started.append(row) or row)
    stream = images.decoded(colours, spec_of().images, range(1000), 2)
    assert next(stream) == 0
    time.sleep(0.1)
    assert 1 < len(started) <= 2 * images.AHEAD + 1
    stream.close()
    assert len(started) <= 2 * images.AHEAD + 1


KILLED = """
import os, sys
from pathlib import Path
from lib.data.store import Store
from lib.features import images
from lib.recipes.specs import FeatureSet
import tests.features.test_images as here

store, folder, log, stop = Store.open(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
plain = images.read

def read(store, spec, row):
    with log.open("a") as file:
        file.write(f"{row}\\n")
    if row == stop:
        os.kill(os.getpid(), 9)
    return plain(store, spec, row)

images.read = read
images.build(store, folder, here.spec_of(), here.ENCODER, "digest", workers=0, device="cpu")
"""


def test_a_killed_build_goes_on_after_the_last_shard(colours, tmp_path):
    """kill -9 at video 9, in the third shard of 4: videos 0 to 7 are not decoded again, and the bytes are the same."""
    images.build(colours, tmp_path / "whole", spec_of(), ENCODER, "digest", device="cpu")

    def run(stop: int) -> list[int]:
        log = tmp_path / f"log{stop}"
        arguments = [sys.executable, "-c", KILLED, str(colours.path), str(tmp_path / "set"), str(log), str(stop)]
        child = subprocess.run(arguments, env={**os.environ, "PYTHONPATH": os.getcwd()}, capture_output=True)
        assert child.returncode == (0 if stop < 0 else -signal.SIGKILL), child.stderr.decode()
        return [int(line) for line in log.read_text().split()]

    assert run(9) == list(range(10)) and not (tmp_path / "set").exists()
    partial = tmp_path / "set.partial"
    with (partial / "frames.f16").open("ab") as file:  # as if the kill had come between features and their line
        file.write(b"torn")
    with (partial / "shards.jsonl").open("a") as file:
        file.write('{"counts": [1, 2')
    assert run(-1) == [8, 9]
    for name in ("frames.f16", "offsets.npy", "features.json"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_partial_set_of_another_digest_is_thrown_away(colours, mean, tmp_path):
    progress = images.Progress(tmp_path / "set.partial", "old", 3, 10)
    with progress:
        progress.append(np.ones((2, 3), "<f2"), [1, 1], [])
    found = images.build(colours, tmp_path / "set", spec_of(), "mean", "new")
    assert found.frames(1)[0].tolist() == [1, 0, 7]


@pytest.fixture
def damaged(tmp_path) -> Store:
    videos = [[noise(64, 64), noise(64, 48)] for _ in range(6)]
    videos[4][1] = videos[4][1][:1000]
    return store_of(tmp_path / "damaged", videos)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_picture_stops_the_build_and_is_named(damaged, mean, tmp_path, workers):
    with pytest.raises(BadRecord) as caught:
        images.build(damaged, tmp_path / "set", spec_of(), "mean", "digest", workers=workers)
    for part in ("images.bin", "video v4", "picture 2 of 2", "1000 bytes", "cannot be decoded", "quarantine"):
        assert part in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_in_quarantine_it_has_no_frames_and_is_listed(damaged, mean, tmp_path):
    with pytest.raises(BadRecord):
        images.build(damaged, tmp_path / "set", spec_of(), "mean", "digest")
    mean.sizes.clear()
    found = images.build(damaged, tmp_path / "set", spec_of(), "mean", "digest", quarantine=True)
    assert sum(mean.sizes) == 2  # the first shard was kept; of the second, video 5
    assert found.n_frames.tolist() == [2, 2, 2, 2, 0, 2] and found.frames(4).shape == (0, 3)
    assert found.about["rejected"] == 1
    (row,) = pq.read_table(tmp_path / "set" / "rejects.parquet").to_pylist()
    assert row["record"] == "video v4" and row["field"] == "picture 2 of 2"


def test_rejects_survive_a_kill(damaged, mean, tmp_path):
    """What was listed before the kill is listed after it."""
    spec = spec_of(shard=1)
    with images.Progress(tmp_path / "set.partial", "digest", 3, 6) as progress:
        full = type(damaged).open(damaged.path)
        bounded = Rejects(True)
        with pytest.raises(StopIteration), pytest.MonkeyPatch.context() as patch:
            patch.setattr(images, "decoded", lambda s, i, rows, w: (images.read(s, i, row) for row in range(5)))
            images.encode_all(full, spec.images, mean, progress, bounded, 0)
    assert len(bounded) == 1
    found = images.build(damaged, tmp_path / "set", spec, "mean", "digest", quarantine=True)
    assert found.about["rejected"] == 1 and found.n_frames.tolist() == [2, 2, 2, 2, 0, 2]


def test_features_that_do_not_fit_half_precision_are_named(colours, mean, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Mean, "__call__", lambda self, x: x.float().mean(dim=(2, 3)) * (1e5 if x[0, 0, 0, 0] == 6 else 1)
    )
    with pytest.raises(ValueError, match="video v6: a feature does not fit half precision"):
        images.build(colours, tmp_path / "set", spec_of(batch_size=1), "mean", "digest")


def test_a_corpus_without_pictures_says_what_to_do(tmp_path):
    with StoreWriter(tmp_path / "store", track="classes", source="custom") as writer:
        writer.add(Video(id="1", category="a", frames=np.ones((2, 4), np.float16)))
        store = writer.finish(categories=["a"])
    with pytest.raises(ValueError, match="without pictures; import one that has them"):
        images.build(store, tmp_path / "set", spec_of(), ENCODER, "digest")


# ---- in a batch


def test_a_batch_takes_its_frames_from_the_set(damaged, mean, tmp_path):
    frames = images.build(damaged, tmp_path / "set", spec_of(), "mean", "digest", quarantine=True)
    text = FeatureSet(about="", use="Tokens", tokenizer="corpus")
    tokens = build_tokens(damaged, tmp_path / "tokens", text, "corpus", "digest")
    rules = FramesSpec(set="colours", length=3)
    layout = TextSpec(layout="cls_title", length=8)
    with pytest.raises(ValueError, match="colours is not open"):
        Assembler(damaged, tokens, layout, rules)
    batch = Assembler(damaged, tokens, layout, rules, visual=frames)(Items(np.array([4, 0])), train=False)
    assert batch.frames.shape == (2, 2, 3) and batch.frame_mask.tolist() == [[False, False], [True, True]]
    assert torch.equal(batch.frames[1], torch.from_numpy(frames.frames(0)).float()) and not batch.frames[0].any()
    alone = Assembler(damaged, tokens, layout, rules, visual=frames)(Items(np.array([4])), train=False)
    assert alone.frames.shape == (1, 1, 3) and not alone.frame_mask.any()


def test_choose(damaged, colours, mean, tmp_path):
    made = images.build(colours, tmp_path / "set", spec_of(), "mean", "digest")
    assert isinstance(choose(colours, tmp_path / "set"), FrameSet)
    with pytest.raises(ValueError, match="made from another corpus"):
        choose(damaged, tmp_path / "set")
    with pytest.raises(ValueError, match="holds pictures but no frame features"):
        choose(colours, None)
    with pytest.raises(FileNotFoundError, match="-p features nothing"):
        choose(colours, tmp_path / "nothing")
    sets.check(made, colours)
    with pytest.raises(ValueError, match="another corpus"):
        sets.check(made, damaged)


def test_twin_through_the_door(tmp_path):
    """The generator's JPEGs through the random encoder: frames of one video are nearer than those of two videos."""
    generate(tmp_path / "raw", track="classes", videos=60, frames="both", progress=False)
    store = import_corpus(tmp_path / "raw", tmp_path / "store")
    spec = load(FeatureSet, "pixels_small")
    found = sets.build(store, tmp_path / "set", spec, ENCODER, "digest")
    assert np.array_equal(found.n_frames, np.minimum([len(store.images(row)) for row in range(60)], 8))
    assert len(sets.examples(found, store, 5)) == 5
    several = [found.frames(row).astype(np.float32) for row in range(60) if found.n_frames[row] > 1]
    within = np.mean([np.linalg.norm(v[0] - v[1]) for v in several])
    between = np.mean([np.linalg.norm(a[0] - b[0]) for a, b in zip(several, several[1:], strict=False)])
    assert within < 0.7 * between
