"""A linear blend of several members' embeddings, learned from scored pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.evaluation.metrics import spearman


class BlendMaps(nn.Module):
    """Three linear maps M -> width -> width -> 1 without biases and activations, the same at every position, and the
    result scaled to length one: [N, E, M] -> [N, E]. Together they are one M-vector (``weights``)."""

    def __init__(self, members: int, width: int = 64):
        super().__init__()
        self.first = nn.Linear(members, width, bias=False)
        self.second = nn.Linear(width, width, bias=False)
        self.third = nn.Linear(width, 1, bias=False)

    @property
    def weights(self) -> Tensor:
        """The M numbers that the three maps amount to."""
        return (self.third.weight @ self.second.weight @ self.first.weight).squeeze(0)

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(self.third(self.second(self.first(features))).squeeze(-1), dim=-1)


@dataclass(kw_only=True)
class LinearBlend:
    """Members of one width, blended by linear maps that are learned from scored pairs: one ``BlendMaps`` per fold, trained
    on the pairs outside the fold. Used by: AIAC rank 6 (B5.1).

    For an honest score each video's vectors must come from members that did not train on its pairs (quirk B7-7).

    Args:
        pairs: int [P, 2], rows of the members; scores: float [P], compared with the cosines. They must not be the pairs it
            is judged by: ``crossfit`` hands in those of the other folds.
        folds: number of its own, inside of the pairs given, for early stopping; grouped by the first video of a pair, as
            published.
        epochs, patience, batch_size, lr: Adam on the squared error of the cosine, the state with the best Spearman on
            the held-out pairs; ``patience`` worse epochs in a row end it.
        align_signs: w and -w give the same cosines, so folds can cancel; true turns them the first fold's way, false is
            the original.
    """

    pairs: np.ndarray
    scores: np.ndarray
    layout: Literal["reshape", "stack"] = "reshape"
    folds: int = 5
    seed: int = 42
    width: int = 64
    epochs: int = 10
    patience: int = 1
    batch_size: int = 1024
    lr: float = 1e-3
    align_signs: bool = True

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """Members: M arrays float [N, E]. Returns float32 [N, E], means of the folds' unit vectors, not scaled again.
        Raises ValueError: members of different widths, shapes that do not fit, or fewer than two folds."""
        if len({member.shape for member in members}) != 1:
            raise ValueError("a linear blend needs members of one width; use ConcatSvd or CosineWeights")
        if self.pairs.shape != ((count := len(self.scores)), 2):
            raise ValueError(f"blend: {count} scores need pairs of shape ({count}, 2), got {self.pairs.shape}")
        features = torch.from_numpy(blend_features(np.stack(members, axis=1).astype(np.float32), self.layout))
        fold_of = self._fold_of()
        total, reference = torch.zeros(features.shape[:2]), None
        for fold in range(self.folds):
            blend = self._train(features, fold_of == fold, self.seed + fold)
            with torch.no_grad():
                vectors = blend(features)
            reference = vectors if reference is None else reference
            total += -vectors if self.align_signs and float((vectors * reference).sum()) < 0 else vectors
        return (total / self.folds).numpy()

    def _fold_of(self) -> np.ndarray:
        """int64 [P]."""
        from sklearn.model_selection import GroupKFold

        first = self.pairs[:, 0]
        groups = len(np.unique(first))
        if not 2 <= self.folds <= groups:
            raise ValueError(f"blend: folds must be between 2 and the {groups} first videos of pairs, got {self.folds}")
        fold_of = np.empty(len(first), dtype=np.int64)
        for fold, (_, held_out) in enumerate(GroupKFold(self.folds).split(first, groups=first)):
            fold_of[held_out] = fold
        return fold_of

    def _train(self, features: Tensor, held_out: np.ndarray, seed: int) -> BlendMaps:
        """One fold: the blend with the best Spearman on the held-out pairs; an equal one counts as better, as published."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            blend = BlendMaps(features.shape[2], self.width)
        order = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(blend.parameters(), lr=self.lr)
        index, target = torch.from_numpy(self.pairs), torch.from_numpy(self.scores.astype(np.float32))
        train = torch.from_numpy(np.flatnonzero(~held_out))
        best, best_state, worse = -np.inf, blend.state_dict(), 0
        for _ in range(self.epochs):
            for rows in train[torch.randperm(len(train), generator=order)].split(self.batch_size):
                optimizer.zero_grad()
                F.mse_loss(_cosine(blend, features, index[rows]), target[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                score = spearman(_cosine(blend, features, index[held_out]).numpy(), self.scores[held_out])
            if score >= best:
                best, worse = score, 0
                best_state = {name: value.clone() for name, value in blend.state_dict().items()}
            else:
                worse += 1
            if worse >= self.patience:
                break
        blend.load_state_dict(best_state)
        return blend


def blend_features(embeddings: np.ndarray, layout: Literal["reshape", "stack"] = "reshape") -> np.ndarray:
    """What the blend weighs: embeddings [N, M, E] -> [N, E, M].

    ``reshape`` cuts the concatenation of the members into pieces of M, as published: F[n, j, k] = concat[n, M·j + k],
    so that every number of the result comes from M neighbouring coordinates of one member. ``stack`` is what was
    meant, F[n, j, k] = coordinate j of member k, a weighted sum (quirk B7-8). The published one is the default:
    coordinates of independently trained members have nothing in common. Prefer ``ConcatSvd`` to both.
    """
    if layout == "stack":
        return np.ascontiguousarray(embeddings.transpose(0, 2, 1))
    count, members, width = embeddings.shape
    return embeddings.reshape(count, members * width).reshape(count, width, members)


def _cosine(blend: BlendMaps, features: Tensor, pairs: Tensor) -> Tensor:
    return (blend(features[pairs[:, 0]]) * blend(features[pairs[:, 1]])).sum(dim=-1)
