"""A linear blend of several members' embeddings, learned from scored pairs. Used by: AIAC rank 6 (B5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.evaluation.metrics import spearman

Layout = Literal["reshape", "stack"]


class BlendMaps(nn.Module):
    """Three linear maps M -> width -> width -> 1 without biases and activations, the same at every position, and the
    result scaled to length one: [N, E, M] -> [N, E]. Together they are one M-vector (``weights``).
    """

    def __init__(self, members: int, width: int = 64) -> None:
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


class LinearBlend:
    """Members of one width, blended by linear maps that are learned from scored pairs. Used by: AIAC rank 6 (B5.1).

    Args:
        pairs: int [P, 2], rows of the members; scores: float [P]. They must not be the pairs it is judged by:
            ``lib.evaluation.crossfit`` hands in those of the other folds.
        layout: ``reshape`` as published or ``stack`` as intended, see ``blend_features``.
        folds, seed, width, epochs, patience, batch_size, lr, align_signs: of ``fit``; ``folds`` are its own, inside of
            the pairs given, for early stopping.
    """

    def __init__(
        self,
        *,
        pairs: np.ndarray,
        scores: np.ndarray,
        layout: Literal["reshape", "stack"] = "reshape",
        folds: int = 5,
        seed: int = 42,
        width: int = 64,
        epochs: int = 10,
        patience: int = 1,
        batch_size: int = 1024,
        lr: float = 1e-3,
        align_signs: bool = True,
    ):
        self.pairs, self.scores, self.layout, self.folds, self.seed = pairs, scores, layout, folds, seed
        self.training = {
            "width": width,
            "epochs": epochs,
            "patience": patience,
            "batch_size": batch_size,
            "lr": lr,
            "align_signs": align_signs,
        }

    def __call__(self, members: Sequence[np.ndarray]) -> np.ndarray:
        """Members: M arrays float [N, E]. Returns float32 [N, E], means of unit vectors, not scaled again.

        Raises:
            ValueError: members of different widths.
        """
        if len({member.shape for member in members}) != 1:
            raise ValueError("a linear blend needs members of one width; use ConcatSvd or CosineWeights")
        embeddings = np.stack(members, axis=1)
        return fit(embeddings, self.pairs, self.scores, self.layout, self.folds, self.seed, **self.training)


def blend_features(embeddings: np.ndarray, layout: Layout = "reshape") -> np.ndarray:
    """What the blend weighs: embeddings [N, M, E] -> [N, E, M].

    ``reshape`` cuts the concatenation of the members into pieces of M, as published: F[n, j, k] = concat[n, M·j + k],
    so that every number of the result comes from M neighbouring coordinates of one member. ``stack`` is what was
    meant, F[n, j, k] = coordinate j of member k, a weighted sum (quirk B7-8). The published one is the default here,
    as an exception: coordinates of independently trained members have nothing in common, so their sum is the worse
    of the two. Prefer ``ConcatSvd`` to both.

    Raises:
        ValueError: the array has not three dimensions, or an unknown layout.
    """
    if embeddings.ndim != 3:
        raise ValueError(f"blend_features: embeddings must be [videos, members, width], got shape {embeddings.shape}")
    if layout == "stack":
        return np.ascontiguousarray(embeddings.transpose(0, 2, 1))
    if layout != "reshape":
        raise ValueError(f"blend_features: layout must be reshape or stack, got {layout!r}")
    count, members, width = embeddings.shape
    return embeddings.reshape(count, members * width).reshape(count, width, members)


def fit(
    embeddings: np.ndarray,
    pairs: np.ndarray,
    scores: np.ndarray,
    layout: Layout = "reshape",
    folds: int | Sequence[int] | np.ndarray = 5,
    seed: int = 42,
    *,
    width: int = 64,
    epochs: int = 10,
    patience: int = 1,
    batch_size: int = 1024,
    lr: float = 1e-3,
    align_signs: bool = True,
) -> np.ndarray:
    """Blend the members of all videos with one ``BlendMaps`` per fold, trained on the pairs outside the fold.

    Args:
        embeddings: float [N, M, E], M members of one width. For an honest score each video's must come from members
            that did not train on its pairs (quirk B7-7).
        pairs: int [P, 2], rows of ``embeddings``.
        scores: float [P], compared with the cosines.
        layout: see ``blend_features``.
        folds: number of folds, grouped by the first video of a pair as published; or the fold of every pair, int [P].
        seed: of initial weights and order; fold f takes seed + f.
        width: of the hidden maps.
        epochs, patience, batch_size, lr: Adam on the squared error of the cosine, the state with the best Spearman on
            the held-out pairs; ``patience`` worse epochs in a row end it.
        align_signs: w and -w give the same cosines, so folds can cancel; true turns them the first fold's way, false is
            the original.

    Returns:
        float32 [N, E], the mean of the folds' unit vectors, not scaled again.

    Raises:
        ValueError: shapes that do not fit, or fewer than two folds.
    """
    embeddings, pairs, scores = np.asarray(embeddings), np.asarray(pairs), np.asarray(scores)
    features = torch.from_numpy(blend_features(embeddings.astype(np.float32), layout))
    if pairs.shape != (len(scores), 2):
        raise ValueError(f"blend: {len(scores)} scores need pairs of shape ({len(scores)}, 2), got {pairs.shape}")
    fold_of = _folds(folds, pairs)
    total = torch.zeros(features.shape[:2])
    numbers = np.unique(fold_of)
    reference: Tensor | None = None
    for fold in numbers:
        held_out = fold_of == fold
        blend = _train(features, pairs, scores, held_out, seed + int(fold), width, epochs, patience, batch_size, lr)
        with torch.no_grad():
            vectors = blend(features)
        reference = vectors if reference is None else reference
        total += -vectors if align_signs and float((vectors * reference).sum()) < 0 else vectors
    return (total / len(numbers)).numpy()


def _folds(folds: int | Sequence[int] | np.ndarray, pairs: np.ndarray) -> np.ndarray:
    if isinstance(folds, int):
        from sklearn.model_selection import GroupKFold

        groups = len(np.unique(pairs[:, 0]))
        if not 2 <= folds <= groups:
            raise ValueError(f"blend: folds must be between 2 and the {groups} first videos of pairs, got {folds}")
        fold_of = np.empty(len(pairs), dtype=np.int64)
        for fold, (_, held_out) in enumerate(GroupKFold(folds).split(pairs, groups=pairs[:, 0])):
            fold_of[held_out] = fold
        return fold_of
    fold_of = np.asarray(folds)
    if fold_of.shape != (len(pairs),) or len(np.unique(fold_of)) < 2:
        raise ValueError(f"blend: folds must be a number or the fold of each of the {len(pairs)} pairs, at least two")
    return fold_of


def _train(
    features: Tensor,
    pairs: np.ndarray,
    scores: np.ndarray,
    held_out: np.ndarray,
    seed: int,
    width: int,
    epochs: int,
    patience: int,
    batch_size: int,
    lr: float,
) -> BlendMaps:
    """One fold: the blend with the best Spearman on the held-out pairs; an equal one counts as better, as published."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        blend = BlendMaps(features.shape[2], width)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(blend.parameters(), lr=lr)
    index, target = torch.from_numpy(pairs), torch.from_numpy(scores.astype(np.float32))
    train = torch.from_numpy(np.flatnonzero(~held_out))
    best, best_state, worse = -np.inf, blend.state_dict(), 0
    for _ in range(epochs):
        for rows in train[torch.randperm(len(train), generator=order)].split(batch_size):
            optimizer.zero_grad()
            F.mse_loss(_cosine(blend, features, index[rows]), target[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            score = spearman(_cosine(blend, features, index[held_out]).numpy(), scores[held_out])
        if score >= best:
            best, worse = score, 0
            best_state = {name: value.clone() for name, value in blend.state_dict().items()}
        else:
            worse += 1
        if worse >= patience:
            break
    blend.load_state_dict(best_state)
    return blend


def _cosine(blend: BlendMaps, features: Tensor, pairs: Tensor) -> Tensor:
    return (blend(features[pairs[:, 0]]) * blend(features[pairs[:, 1]])).sum(dim=-1)
