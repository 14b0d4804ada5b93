"""An image encoder inside the model: from pictures to frame features, with or without gradient."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.features import encoders

CHUNK = 256  # pictures encoded at a time where none has a gradient


class ImageFrames(nn.Module):
    """The encoder of a set of images as a part of the model: pictures uint8 [B, F, 3, S, S] to vectors [B, F,
    output_dim] or, with ``tokens: patches``, the last states of all patches [B, F, P, output_dim], class token first.

    Which encoder, and how pictures are decoded and normalised, says the set that ``features.frames.set`` names; a scale
    may replace the encoder. Frozen and in eval mode (``freeze: [images]``) the vectors are those that the set would
    have stored, but for their rounding to half precision. Slots beyond a video's last frame are not encoded, their
    vectors are zero, unless an objective unmasks them. Used by: WeChat rank 72 (Swin-T, frozen in pretraining, trained
    with the rest in finetuning). Raises ValueError: an encoder or weights that cannot be had, or an option the encoder
    does not know.

    Args:
        drop_path: stochastic depth while training; Swin-T's own value is 0.1.
        checkpointing: keep fewer activations and compute them twice: less memory, a third more time.
        tokens: ``pooled``, one vector a picture as the set says, or ``patches`` (see ``PatchFrames``).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        images: Mapping[str, Any],
        drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        checkpointing: bool = False,
        tokens: Literal["pooled", "patches"] = "pooled",
    ):
        super().__init__()
        options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
        plain = {name: value for name, value in images.items() if name not in ("mean", "std", "precision")}
        if tokens == "patches":
            plain["output"] = tokens
        known = torch.get_default_device().type != "meta"  # without memory there is nothing to load weights into
        self.encoder: Any = encoders.load(**plain, pretrained=known, **options)
        if checkpointing:
            if not hasattr(self.encoder, "set_grad_checkpointing"):
                raise ValueError(f"ImageFrames: {images['encoder']} cannot checkpoint; set checkpointing: false")
            self.encoder.set_grad_checkpointing(True)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(images[name])[:, None, None], persistent=False)
        with torch.no_grad():
            self.shape = tuple(self.encoder.eval()(torch.zeros(1, 3, images["size"], images["size"])).shape[1:])
        self.output_dim = self.shape[-1]
        self.encoder.train()

    def forward(self, batch: Batch) -> Tensor:
        if batch.pictures is None:
            raise ValueError(
                "ImageFrames: the batch holds no pictures; name a set of images with features.frames.set, and a corpus that "
                "has pictures"
            )
        count, slots = batch.frame_mask.shape
        real = batch.frame_mask.flatten()
        pictures = batch.pictures.flatten(0, 1)[real]
        vectors = torch.zeros(count * slots, *self.shape, device=pictures.device)
        if len(pictures):
            vectors[real] = self._encode(pictures).float()
        return vectors.unflatten(0, (count, slots))

    def _encode(self, pictures: Tensor) -> Tensor:
        trains = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.encoder.parameters())
        parts = [pictures] if trains else pictures.split(CHUNK)
        return torch.cat([self.encoder((part.float() / 255 - self.mean) / self.std) for part in parts])
