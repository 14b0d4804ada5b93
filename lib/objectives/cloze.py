"""Texts that find their own: one field the others, or a text itself under other dropout."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lib.data.batch import Batch, View
from lib.models.sequences import masked_mean
from lib.models.video_model import Outputs
from lib.objectives.contrast import Contrast, Keys, unit
from lib.objectives.mix import needed


class _Means(Contrast):
    """Compares the means of the states [B, L, D] that the views have after fusion, at a fixed temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__((), nn.Identity(), 0, temperature=temperature, learned=False)

    def vectors(self, seen: Mapping[str, Outputs], project: nn.Module) -> dict[str, Keys]:
        real = self.real(seen)
        return {name: unit(masked_mean(one.joint.hidden, one.joint.mask), real) for name, one in seen.items()}

    def real(self, seen: Mapping[str, Outputs]) -> Tensor:
        """bool [B]: the videos that take part."""
        return torch.stack([one.batch.text_mask.any(dim=1) for one in seen.values()]).all(dim=0)  # pyright: ignore


class SimCse(_Means):
    """Unsupervised SimCSE (Gao et al. 2021, arXiv:2104.08821): a text twice, its states [B, L, D] differing by dropout alone.

    Reconstruction for the first place of the WeChat 2022 final, whose fourth task the survey leaves out.

    Args:
        temperature: divides the cosines; the paper's.
    """

    def __init__(self, temperature: float = 0.05) -> None:
        super().__init__(temperature)

    def views(self, clean: Batch, batch: Batch, generator: torch.Generator) -> dict[str, View]:
        return {"first": View(clean, "text"), "second": View(clean, "text", 1)}

    def forward(self, outputs: Mapping[str, Outputs], batch: Batch, /) -> Tensor:
        """Cross entropy of the rows only: the first among all second ones."""
        found = self.keyed(outputs)
        return self.ask(found.own["first"], found.keys["second"])


class InverseCloze(_Means):
    """Inverse cloze task (Lee et al. 2019, arXiv:1906.00300): one field of a video finds the others, means of states [B, L, D].

    The query is a random field of those that are not empty; videos with less than two are left out. Reconstruction for the
    first place of the WeChat 2022 final: the temperature is inference, the frames beside the other fields are those of a
    neighbour in the contest.

    Args:
        temperature: divides the cosines.
        frames: the other fields are read with the frames.
    """

    def __init__(self, temperature: float = 0.05, frames: bool = True) -> None:
        super().__init__(temperature)
        self.frames = frames

    def views(self, clean: Batch, batch: Batch, generator: torch.Generator) -> dict[str, View]:
        field = needed(clean.field, "InverseCloze", "batch.field (features.text.layout: packed)")
        has = torch.stack([(field == number).any(dim=1) for number in range(3)], dim=1)
        chance = torch.rand(has.shape, generator=generator).masked_fill(~has, -1.0)
        asks = field == chance.argmax(dim=1, keepdim=True)
        query = clean.keep_tokens(asks | (field < 0))
        return {"query": View(query, "text"), "rest": View(clean.keep_tokens(~asks), "both" if self.frames else "text")}

    def real(self, seen: Mapping[str, Outputs]) -> Tensor:
        return torch.stack([(one.batch.field >= 0).any(dim=1) for one in seen.values()]).all(dim=0)  # pyright: ignore

    def forward(self, outputs: Mapping[str, Outputs], batch: Batch, /) -> Tensor:
        """Half the sum of both directions."""
        own, keys, _, _ = self.keyed(outputs)
        return (self.ask(own["query"], keys["rest"]) + self.ask(own["rest"], keys["query"])) / 2
