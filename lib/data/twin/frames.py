"""Frame features: a skewed random field over what is shown, with shots, fillers and re-used footage.

A frame is swish(a (exp(.429 g) - 1) / .429) of a linear field g: a bias per dimension, a noisy view of (y, .3 x) on key
shots or one of sixteen filler prototypes on others, and codes of the video, the shot and the frame. The scales were fitted
to the published marginal quantiles and cosines of real frames.
"""

from __future__ import annotations

import numpy as np

from lib.data.twin.random import DIM, facts, from_bins, stream, unit
from lib.data.twin.world import World

BIAS, MEANING, VIDEO, SHOT, FRAME, AMPLITUDE, SKEW, AMPLITUDE_SD = 0.409, 0.294, 0.305, 0.405, 0.197, 0.537, 0.429, 0.193
VIDEO_CODE, SHOT_CODE, FRAME_CODE, FILLERS = 24, 48, 24, 16
NEW_SHOT, KEY_SHOT, REUSE = 0.27, 0.55, 0.8


class Camera:
    """Films the videos of a world.

    Args:
        dim: numbers per frame, 1536 for AIAC 2021 and 768 for WeChat 2022.
        noise_y, noise_x: how blurred the view of what is shown and of what is told is.
        blank: share of videos whose frames say nothing of them.
    """

    def __init__(self, world: World, dim: int, *, noise_y: float = 0.42, noise_x: float = 1.2, leak: float = 0.30, blank: float = 0.0):
        self.world, self.dim = world, dim
        rng = stream(world.seed, "camera")
        norm = np.sqrt(1 + leak**2)
        parts = ((2 * DIM, MEANING / norm), (VIDEO_CODE, VIDEO / np.sqrt(VIDEO_CODE)), (SHOT_CODE, SHOT / np.sqrt(SHOT_CODE)), (FRAME_CODE, FRAME / np.sqrt(FRAME_CODE)))
        self.field = np.concatenate([scale * rng.standard_normal((rows, dim)) for rows, scale in parts]).astype(np.float32)
        self.bias = (BIAS * rng.standard_normal(dim)).astype(np.float32)
        self.amplitude = (AMPLITUDE / SKEW * np.exp(AMPLITUDE_SD * rng.standard_normal(dim))).astype(np.float32)
        self.filler = (unit(rng.standard_normal((FILLERS, 2 * DIM))) * norm).astype(np.float32)
        self.count = np.maximum(from_bins(rng, facts("aiac2021")["frame_count"], world.n), 5)
        self.count[(self.count >= 30) & (rng.random(world.n) < 0.92)] = 32
        self.blank = rng.random(world.n) < blank
        shown = np.where(self.blank, rng.permutation(world.n), np.arange(world.n))
        self._y, self._x, self._leak, self._noise = world.y[shown], world.x[shown], leak, (noise_y, noise_x)

    def film(self, video: int) -> np.ndarray:
        """float16 [n, dim]; a pure function of seed and video."""
        world = self.world
        n = int(self.count[video])
        rng, footage = stream(world.seed, "film", int(video)), stream(world.seed, "footage", int(world.footage[video]))
        shot = np.cumsum(rng.random(n) < NEW_SHOT)
        shot -= shot[0]
        shots = int(shot[-1]) + 1
        code = rng.standard_normal((shots, SHOT_CODE), dtype=np.float32)
        original = footage.standard_normal((8, SHOT_CODE), dtype=np.float32)  # re-uploads show the shots of their source
        reuse = rng.random(shots) < REUSE
        code[reuse] = original[np.arange(shots) % 8][reuse]
        key = rng.random(shots) < KEY_SHOT
        key[0] = True
        y = unit(self._y[video] + self._noise[0] * rng.standard_normal(DIM) / np.sqrt(DIM))
        x = unit(self._x[video] + self._noise[1] * rng.standard_normal(DIM) / np.sqrt(DIM))
        view = np.concatenate([y, self._leak * x]).astype(np.float32)
        meaning = np.where(key[:, None], view, self.filler[rng.integers(0, FILLERS, shots)])
        own = np.broadcast_to(rng.standard_normal(VIDEO_CODE, dtype=np.float32), (n, VIDEO_CODE))
        inputs = np.concatenate([meaning[shot], own, code[shot], rng.standard_normal((n, FRAME_CODE), dtype=np.float32)], axis=1)
        field = (inputs @ self.field + self.bias) * np.float32(SKEW)
        field = np.expm1(field, out=field) * self.amplitude
        return (field / (1 + np.exp(-field))).astype(np.float16)
