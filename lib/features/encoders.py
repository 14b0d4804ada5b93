"""Image encoders by name, all behind one call: pictures in, one vector each out.

==========================================  =========================================================================
``random-test_vit``                         a timm architecture with random weights from a fixed seed: tests, small scales
``swin_tiny_patch4_window7_224``            a timm name, with ``.<tag>`` where there are several weights
``openai/clip-vit-base-patch32``            a name of transformers: CLIP and its kin, or any model with a pooled output
a folder with ``config.json``               either of them, saved
==========================================  =========================================================================
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib.recipes.specs import ImagesSpec

RANDOM = "random-"


class ImageEncoder:
    """A frozen encoder on a device: uint8 pictures [B, 3, S, S] to float32 vectors [B, dim].

    Used by: the frame features of WeChat 2022 (official baseline and rank 72: Swin-T; most others: CLIP).

    Args:
        spec: what the pictures are like and which output is wanted.
        name: encoder instead of the spec's; its own weights and its pooled output are taken then.
        device: "cpu", "cuda", ...; by default CUDA where there is one.

    Raises:
        ValueError: unknown name, weights that cannot be found, or an output the encoder does not have.
    """

    def __init__(self, spec: ImagesSpec, name: str = "", device: str | None = None):
        spec = renamed(spec, name)
        self.spec, self.name = spec, spec.encoder
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model = load(spec).eval().requires_grad_(False).to(self.device)
        self._mean, self._std = (torch.tensor(v, device=self.device)[:, None, None] for v in (spec.mean, spec.std))
        self._type = getattr(torch, spec.precision)
        self.dim = int(self(torch.zeros(1, 3, spec.size, spec.size, dtype=torch.uint8)).shape[1])

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Tensor:
        """float32 [B, dim], on the CPU."""
        values = (pictures.to(self.device).float() / 255 - self._mean) / self._std
        with torch.autocast(self.device.type, self._type, enabled=self._type != torch.float32):
            return self._model(values).float().cpu()


def renamed(spec: ImagesSpec, name: str) -> ImagesSpec:
    """The same pictures for another encoder, with its own weights and its pooled output."""
    if not name or name == spec.encoder:
        return spec
    return spec.model_copy(update={"encoder": name, "weights": None, "output": "pooled"})


def load(spec: ImagesSpec, *, weights: bool = True, **options: Any) -> nn.Module:
    """The encoder as a module, normalised float [B, 3, S, S] to [B, dim].

    Args:
        weights: False leaves those of timm's encoders random, for counting parameters without a download.
        options: further arguments of timm's architectures (``drop_path_rate``).

    Raises:
        ValueError: unknown name, weights that cannot be found, options or an output the encoder does not have.
    """
    import timm

    name, folder = spec.encoder, Path(spec.encoder)
    config = json.loads((folder / "config.json").read_text("utf-8")) if (folder / "config.json").is_file() else {}
    architecture = name.removeprefix(RANDOM)
    if name.startswith(RANDOM):
        if not timm.is_model(architecture):
            raise ValueError(f"encoder {name}: timm has no {architecture!r}; take for example random-test_vit")
        with torch.random.fork_rng(devices=[]):  # the same weights whatever was drawn before
            torch.manual_seed(spec.seed)
            return _timm(architecture, spec, False, options)
    if "architecture" in config:
        return _timm(f"local-dir:{folder}", spec, weights, options)
    if not config and timm.is_model(name):
        return _timm(name, spec, weights, options)
    if config or "/" in name:
        if options:
            raise ValueError(
                f"encoder {name}: takes no {', '.join(options)}, which are for encoders of timm; leave them out"
            )
        return Pooled(_transformers(name), spec)
    raise ValueError(f"encoder {name}: neither a name of timm or transformers nor a folder with config.json")


def _timm(name: str, spec: ImagesSpec, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    import timm

    options = dict(options)
    if not name.startswith("local-dir:"):
        known = timm.get_pretrained_cfg(name)
        if known is None or known.fixed_input_size:  # transformers with positions of a fixed grid
            options["img_size"] = spec.size
    if spec.output == "pooled":
        options["num_classes"] = 0
    if spec.weights is not None and pretrained:
        if not Path(spec.weights).is_file():
            raise ValueError(f"weights: {spec.weights} is no file; give the encoder's checkpoint or leave weights out")
        options["pretrained_cfg_overlay"] = {"file": spec.weights}
    try:
        model = timm.create_model(name, pretrained=pretrained, **options)
    except TypeError as error:
        raise ValueError(f"encoder {name}: {error}; leave that option out") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(_not_found(name, error)) from error
    if spec.output == "projected" and "clip" not in name:
        raise ValueError(f"output: {name} has no projection into a space shared with text; set output: pooled")
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
    """The vision part of a transformers model: float [B, 3, S, S] to its pooled output or projection [B, D].

    Models without a pooled output (BEiT, Swin without pooling, ...) give the mean of their last states.

    Raises:
        ValueError: a projection is wanted, and the model has none.
    """

    def __init__(self, model: nn.Module, spec: ImagesSpec):
        super().__init__()
        self.vision = getattr(model, "vision_model", model)
        self.projection = getattr(model, "visual_projection", None) if spec.output == "projected" else None
        if spec.output == "projected" and self.projection is None:
            raise ValueError(f"output: {spec.encoder} has no projection; set output: pooled")

    def forward(self, values: Tensor) -> Tensor:
        result = self.vision(pixel_values=values)
        pooled = getattr(result, "pooler_output", None)
        if pooled is None:
            pooled = result.last_hidden_state.mean(dim=1)
        return (pooled if self.projection is None else self.projection(pooled)).flatten(1)
