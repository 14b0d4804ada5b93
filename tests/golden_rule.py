"""Recorded outputs of the original implementations, and the rule that makes their weights from parameter names.
``tests/golden/<system>/<case>.npz`` holds inputs, outputs and settings of one run of original competition code on small
shapes. No weights are stored: both sides fill every parameter from its *original* name, so ``golden_models.py`` and its
kin say what each original name is called here."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lib.training.optimizers import param_groups

FOLDER = Path(__file__).parent / "golden"


class Case:
    """One recorded run: ``case["out/hidden"]`` as a tensor, ``case.settings``, ``case.json("train")``."""

    def __init__(self, name: str):
        self.name = name
        with np.load(FOLDER / f"{name}.npz") as file:
            self._arrays = {key: file[key] for key in file.files}

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(np.array(self._arrays[key]))

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def keys(self, begin: str) -> list[str]:
        """Names of the arrays that begin like this."""
        return [key for key in self._arrays if key.startswith(begin)]

    def array(self, key: str) -> np.ndarray:
        return self._arrays[key]

    def json(self, key: str) -> Any:
        return json.loads(str(self._arrays[f"json/{key}"]))

    @property
    def settings(self) -> dict[str, Any]:
        return self.json("settings")

    @property
    def weights(self) -> dict[str, Tensor]:
        """Every parameter and running statistic of the original under its own name, filled by the rule."""
        names = [*self.json("parameters"), *self.json("buffers")]
        return {name: torch.from_numpy(np.asarray(fill(name, tuple(shape)))) for name, shape in names}


def load_case(name: str) -> Case:
    """A recorded case by its path below ``tests/golden``, for example ``r1/job1``."""
    return Case(name)


def load_renamed(module: nn.Module, weights: Mapping[str, Tensor], names: Mapping[str, str | None]) -> dict[str, str]:
    """Put the original's weights into our module; every parameter of both must be accounted for. ``names``: original
    name, or beginning of it, -> ours; None for what we do not have. The longest match counts. Returns original name ->
    ours, for the parameters that exist on both sides."""
    own, renamed, state = module.state_dict(), {}, {}
    for name, value in weights.items():
        begins = max((begin for begin in names if name.startswith(begin)), key=len)
        if names[begins] is None:
            continue
        renamed[name] = names[begins] + name.removeprefix(begins)
        state[renamed[name]] = value.reshape(own[renamed[name]].shape) if value.shape[:1] == (1,) else value
    module.load_state_dict(state, strict=True)
    return renamed


def gradient_norms(module: nn.Module, names: list[str]) -> Tensor:
    """L2 norms of the gradients of these parameters, float64."""
    parameters = dict(module.named_parameters())
    return torch.stack([parameters[name].grad.double().norm() for name in names])


def check_step(
    case: Case, module: nn.Module, loss: Tensor, key: str = "", renamed: dict[str, str] | None = None
) -> None:
    """The loss of a recorded training step and its gradients' norms; ``key`` begins their names."""
    assert float(loss.detach()) == pytest.approx(float(case[f"train/{key}loss"]), rel=1e-5)
    names = [(renamed or module.renamed)[name] for name in case.json("train")[f"{key}grad_names"]]
    torch.testing.assert_close(gradient_norms(module, names), case[f"train/{key}grad_norms"], rtol=1e-4, atol=0)


def check_decay(case: Case, module: nn.Module, **options: Any) -> dict[str, float]:
    """What decays, by our names, is what the original's optimizer decays."""
    groups = param_groups(module.named_parameters(), lr=1e-3, **options)
    found = {name: group["weight_decay"] for group in groups for name in group["names"]}
    expected = {
        module.renamed[name]: group["weight_decay"]
        for group in case.json("param_groups")
        for name in group["parameters"]
        if name in module.renamed
    }
    assert found == expected
    return found


def without_dropout(module: nn.Module) -> nn.Module:
    """The module in train mode with every dropout probability at 0, as the training steps were recorded."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return module.train()


def fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Value of the parameter or buffer that the original calls ``name``."""
    z = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    if name.endswith("running_var"):
        x = 1 + 0.1 * np.abs(z)
    elif name.endswith("running_mean"):
        x = 0.1 * z
    elif len(shape) >= 2:  # matrices, tables, convolutions, class tokens, cluster centres
        fan_in = int(np.prod(shape[1:]))
        x = z / np.sqrt(fan_in if fan_in > 1 else shape[0])
    elif name.endswith("weight"):  # the scale of a normalisation layer
        x = 1 + 0.1 * z
    else:
        x = 0.1 * z
    return np.asarray(x, np.float32)


def _stream(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(f"input:{key}".encode())))


def draw(key: str, shape: tuple[int, ...], step: float = 1 / 16, std: float = 1.0) -> np.ndarray:
    """Normal numbers rounded to multiples of ``step``, exact in float16."""
    return (np.round(_stream(key).standard_normal(shape) * std / step) * step).astype(np.float32)


def draw_ints(key: str, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    return _stream(key).integers(low, high, shape)


def draw_uniform(key: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.round(_stream(key).random(shape), 3).astype(np.float32)
