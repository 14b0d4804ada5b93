"""Image encoders by name, all behind one call: pictures in, one vector each out.

==========================================  =========================================================================
``random-test_vit``                         a timm architecture with random weights from a fixed seed: tests, small scales
``swin_tiny_patch4_window7_224``            a timm name, with ``.<tag>`` where there are several weights
``openai/clip-vit-base-patch32``            a name of transformers: CLIP and its kin, or any model with a pooled output
a folder with ``config.json``               either of them, saved
==========================================  =========================================================================
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib.runs.machine import keep_memory

RANDOM = "random-"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class ImageEncoder:
    """A frozen encoder on a device: uint8 pictures [B, 3, S, S] to float32 vectors [B, dim].

    Raises ValueError: unknown name, weights that cannot be found, or an output the encoder does not have. Used by: the
    frame features of WeChat 2022 (official baseline and rank 72: Swin-T; most others: CLIP). ``precision``: of the
    forward pass: float32, bfloat16 or float16.
    """

    def __init__(
        self,
        encoder: str,
        *,
        size: int = 224,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
        precision: str = "float32",
        device: str | None = None,
        **options: Any,
    ):
        keep_memory()
        self.name = encoder
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model = Normalised(load(encoder, size, **options), mean, std)
        self.module = model.eval().requires_grad_(False).to(self.device)
        self._type = getattr(torch, precision)
        self.dim = int(self(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1])

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Tensor:
        """float32 [B, dim], on the CPU."""
        with torch.autocast(self.device.type, self._type, enabled=self._type != torch.float32):
            return self.module(pictures.to(self.device).float()).float().cpu()


class Normalised(nn.Module):
    """An encoder of pictures as they are decoded: float32 [B, 3, S, S] in 0..255."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.encoder = encoder
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(value)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        return self.encoder((pictures / 255 - self.mean) / self.std)


def load(
    encoder: str,
    size: int = 224,
    *,
    output: str = "pooled",
    weights: str | None = None,
    seed: int = 0,
    pretrained: bool = True,
    **options: Any,
) -> nn.Module:
    """The encoder as a module, normalised float [B, 3, S, S] to [B, dim], or [B, P, dim] of its patches. Raises ValueError:
    unknown name, weights that cannot be found, options or an output the encoder does not have.

    Args:
        output: pooled; projected: CLIP's space shared with text; patches: the last states of the class token and the grid.
        weights: local file of weights for a timm name, instead of those timm would fetch.
        pretrained: False leaves the weights of timm's encoders random, for counting parameters without a download.
    """
    import timm

    folder, of_timm = Path(encoder), partial(_timm, size=size, output=output, weights=weights, options=options)
    config = json.loads((folder / "config.json").read_text("utf-8")) if (folder / "config.json").is_file() else {}
    architecture = encoder.removeprefix(RANDOM)
    if encoder.startswith(RANDOM):
        if not timm.is_model(architecture):
            raise ValueError(f"encoder {encoder}: timm has no {architecture!r}; take for example random-test_vit")
        with torch.random.fork_rng(devices=[]):  # the same weights whatever was drawn before
            torch.manual_seed(seed)
            return of_timm(architecture, pretrained=False)
    if "architecture" in config:
        known = timm.get_pretrained_cfg(config["architecture"])
        sized = {"img_size": size} if known is not None and known.fixed_input_size else {}
        return of_timm(f"local-dir:{folder}", pretrained=pretrained, options=options | sized)
    if not config and timm.is_model(encoder):
        return of_timm(encoder, pretrained=pretrained)
    if config or "/" in encoder:
        if options:
            raise ValueError(f"encoder {encoder}: takes no {', '.join(options)}, which are timm's; leave them out")
        return Pooled(_transformers(encoder), output, encoder)
    raise ValueError(f"encoder {encoder}: neither a name of timm or transformers nor a folder with config.json")


def _timm(
    name: str, *, size: int, output: str, weights: str | None, options: Mapping[str, Any], pretrained: bool
) -> nn.Module:
    import timm

    options = dict(options)
    if not name.startswith("local-dir:"):
        known = timm.get_pretrained_cfg(name)
        if known is None or known.fixed_input_size:  # transformers with positions of a fixed grid
            options["img_size"] = size
    if output != "projected":
        options["num_classes"] = 0
    if weights is not None and pretrained:
        if not Path(weights).is_file():
            raise ValueError(f"weights: {weights} is no file; give the encoder's checkpoint or leave weights out")
        options["pretrained_cfg_overlay"] = {"file": weights}
    try:
        model: Any = timm.create_model(name, pretrained=pretrained, **options)
    except TypeError as error:
        raise ValueError(f"encoder {name}: {error}; leave that option out") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(_not_found(name, error)) from error
    if output == "projected" and "clip" not in name:
        raise ValueError(f"output: {name} has no projection into a space shared with text; set output: pooled")
    if output == "patches":
        model.forward = model.forward_features
    return model


def _transformers(name: str) -> nn.Module:
    from transformers import AutoModel

    try:
        return AutoModel.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise ValueError(_not_found(name, error)) from error


def _not_found(name: str, error: Exception) -> str:
    return (
        f"encoder {name}: no weights found ({str(error).splitlines()[0]}). Give a folder with config.json and weights, "
        "`weights: <file>` for a timm name, or random-test_vit to try the rest without weights"
    )


class Pooled(nn.Module):
    """The vision part of a transformers model: float [B, 3, S, S] to its pooled output or projection [B, D] or, with
    ``patches``, its last states [B, P, D]. Models without a pooled output (BEiT, Swin without pooling, ...) give the mean
    of their last states. Raises ValueError: a projection is wanted, and the model has none."""

    def __init__(self, model: nn.Module, output: str = "pooled", name: str = "this encoder"):
        super().__init__()
        self.vision = getattr(model, "vision_model", model)
        self.projection = getattr(model, "visual_projection", None) if output == "projected" else None
        self.patches = output == "patches"
        if output == "projected" and self.projection is None:
            raise ValueError(f"output: {name} has no projection; set output: pooled")

    def forward(self, values: Tensor) -> Tensor:
        result = self.vision(pixel_values=values)
        if self.patches:
            return result.last_hidden_state
        pooled = getattr(result, "pooler_output", None)
        if pooled is None:
            pooled = result.last_hidden_state.mean(dim=1)
        return (pooled if self.projection is None else self.projection(pooled)).flatten(1)
