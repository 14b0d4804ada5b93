"""From a picture's bytes to one vector: published transforms, damaged files, encoders by name."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from lib.data.rejects import Wrong
from lib.features.encoders import ImageEncoder, Pooled
from lib.features.pictures import decode
from lib.recipes.load import load
from lib.recipes.specs import FeatureSet
from tests.features.small_pictures import ENCODER, noise, spec_of

# ---- pictures


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (224, 224), (256, 256), (100, 77), (1001, 333)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_wechat_1_2_transform_is_torchvisions_bit_for_bit(size, interpolation):
    from torchvision import transforms

    data = noise(*size)
    published = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode(interpolation)),
            transforms.CenterCrop(224),
            transforms.PILToTensor(),
        ]
    )
    found = decode(data, size=224, resize=256, interpolation=interpolation)
    assert np.array_equal(found, published(Image.open(io.BytesIO(data)).convert("RGB")).numpy())


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
    exact, draft = (decode(file.getvalue(), size=96, draft=d) for d in (False, True))
    assert 0 < np.abs(exact.astype(int) - draft).mean() < 2


def test_squash_keeps_the_edges_that_the_crop_cuts_off():
    canvas = Image.new("RGB", (96, 32), (0, 0, 0))
    canvas.paste((255, 0, 0), (0, 0, 16, 32))
    file = io.BytesIO()
    canvas.save(file, "PNG")
    cropped, squashed = (decode(file.getvalue(), size=32, crop=c) for c in ("centre", "squash"))
    assert cropped[0].max() == 0 and squashed[0, :, 0].min() > 250


@pytest.mark.parametrize("kind", ["L", "P", "RGBA", "CMYK"])
def test_every_colour_mode_becomes_three_channels(kind):
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (204, 204, 204)).convert(kind).save(file, "JPEG" if kind == "CMYK" else "PNG")
    found = decode(file.getvalue(), size=32)
    assert found.shape == (3, 32, 32) and np.abs(found.astype(int) - 204).max() <= 2


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_sixteen_bits_of_grey_become_eight(dtype):
    file = io.BytesIO()
    Image.fromarray(np.arange(0, 1 << 16, 64).astype(dtype).reshape(32, 32)).save(file, "PNG")
    found = decode(file.getvalue(), size=32)
    assert np.array_equal(found, np.broadcast_to(np.arange(1024).reshape(32, 32) // 4, (3, 32, 32)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_says(kind, orientation):
    """As EXIF numbers them: where row 0 and column 0 of the file are seen."""
    rows = dict(enumerate(("top left", "top right", "bottom right", "bottom left", "left top", "right top", "right bottom", "left bottom"), 1))  # fmt: skip
    row, column = rows[orientation].split()
    values = np.zeros((32, 32, 3), np.uint8)
    values[:8, :, 0] = values[:, :8, 2] = 255  # row 0 is red, column 0 blue
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(file, kind, exif=exif, **({} if kind == "PNG" else {"quality": 95, "subsampling": 0}))
    red, _, blue = decode(file.getvalue(), size=32, draft=True)
    sides = {"top": np.s_[:6, 8:24], "bottom": np.s_[-6:, 8:24], "left": np.s_[8:24, :6], "right": np.s_[8:24, -6:]}
    for plane, side in ((red, row), (blue, column)):
        assert {name for name, part in sides.items() if plane[part].mean() > 200} == {side}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_damaged_camera_data_is_seen_as_it_lies(kind):
    plain, odd, values = (
        io.BytesIO(),
        io.BytesIO(),
        Image.effect_mandelbrot((32, 32), (-2, -1, 1, 1), 50).convert("RGB"),
    )
    values.save(plain, kind)
    values.save(odd, kind, exif=b"Exif\0\0no such thing")
    assert np.array_equal(decode(odd.getvalue(), size=32), decode(plain.getvalue(), size=32))


def test_sixteen_bits_are_turned_too():
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray((np.arange(32, dtype="<u2") << 11)[:, None].repeat(32, 1)).save(file, "PNG", exif=exif)
    assert np.array_equal(decode(file.getvalue(), size=32)[0], np.broadcast_to(np.arange(31, -1, -1) * 8, (32, 32)))


@pytest.mark.parametrize("data", [noise(64, 64)[:900], b"", b"\xff\xd8nonsense", noise(64, 64, "PNG")[:500]])
def test_a_damaged_picture_is_named(data):
    with pytest.raises(Wrong) as caught:
        decode(data, "picture 2 of 3", size=32)
    assert caught.value.field == "picture 2 of 3" and f"{len(data)} bytes" in caught.value.value


# ---- encoders


def test_a_random_encoder_is_the_same_whatever_was_drawn_before():
    spec, pictures = spec_of().images.encoding(), torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    first = ImageEncoder(**spec, device="cpu")
    state = torch.random.get_rng_state()
    second = ImageEncoder(**spec, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first(pictures), second(pictures)) and first(pictures).shape == (3, first.dim) == (3, 64)
    other = ImageEncoder(**spec | {"seed": 1}, device="cpu")
    assert not torch.equal(first(pictures), other(pictures))


def test_pictures_are_scaled_by_mean_and_std():
    encoder = ImageEncoder(**spec_of(mean=(0.5, 0.25, 0.0), std=(0.5, 0.5, 1.0)).images.encoding(), device="cpu")
    encoder.module.encoder = torch.nn.Flatten()
    values = encoder(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)).reshape(3, -1)
    assert torch.equal(values[:, 0], torch.tensor([1.0, 1.5, 1.0]))


def test_wechat_12_2_parameters_and_widths():
    """Swin-T 27,519,354 without a classifier; the vision part of CLIP ViT-B/32 87,456,000, 768 wide, 512 projected."""
    import timm
    from transformers import CLIPConfig, CLIPModel

    with torch.device("meta"):
        swin = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False, num_classes=0)
        clip = CLIPModel(CLIPConfig())
        pooled = Pooled(clip)
        projected = Pooled(clip, "projected")
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
        encoder = ImageEncoder(**spec_of(encoder=str(tmp_path / "clip"), output=output).images.encoding(), device="cpu")
        torch.testing.assert_close(encoder(pictures), values)


def test_local_weights_of_a_timm_name(tmp_path):
    import timm

    torch.manual_seed(0)
    model = timm.create_model("test_convnext", pretrained=False).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    encoder = ImageEncoder(
        **spec_of(encoder="test_convnext", weights=str(tmp_path / "w.pth")).images.encoding(), device="cpu"
    )
    assert torch.equal(encoder.module.encoder.stem[0].weight, model.stem[0].weight) and encoder.dim == 64


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
        ImageEncoder(**spec_of(**changes).images.encoding(), device="cpu")


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
