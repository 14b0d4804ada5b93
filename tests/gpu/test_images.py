"""Image encoders on the device: the features of the CPU, also in half precision, and a set built there."""

import numpy as np
import pytest
import torch

from lib.features import images
from lib.features.encoders import ImageEncoder
from tests.features.small_pictures import arguments, noise, spec_of, store_of

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision, tolerance", [("float32", 2e-3), ("bfloat16", 0.1), ("float16", 0.02)])
def test_features_are_those_of_the_cpu(precision, tolerance):
    pictures = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = ImageEncoder(**spec_of().images.encoding(), device="cpu")(pictures)
    found = ImageEncoder(**spec_of(precision=precision).images.encoding(), device="cuda")(pictures)
    assert found.device.type == "cpu" and found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


def test_a_set_built_on_the_device(tmp_path):
    store = store_of(tmp_path / "store", [[noise(64, 48), noise(48, 64)] for _ in range(9)])
    there, here = (
        images.build(store, tmp_path / device, "digest", **arguments(), device=device) for device in ("cuda", "cpu")
    )
    for row in range(9):
        np.testing.assert_allclose(there.frames(row), here.frames(row), atol=5e-3, rtol=5e-3)
