"""Frame features: a skewed random field over what is shown, with shots, fillers and re-used footage. A frame is swish(a
(exp(.429 g) - 1) / .429) of a linear field g: a bias per dimension, a noisy view of (y, .3 x) on key shots or one of
sixteen filler prototypes on others, and codes of the video, the shot and the frame. The scales were fitted to the
published marginal quantiles and cosines of real frames."""

import numpy as np

from lab.corpora.twin.random import DIM, facts, from_bins, integers, normals, positions, stream, uniform, uniforms, unit
from lab.corpora.twin.world import World

AMPLITUDE, SKEW, AMPLITUDE_SD = 0.537, 0.429, 0.193
FILLERS, REUSE = 16, 0.8
MOST = 32  # frames of a video
BLOCK = 512  # frames computed at a time: few enough to stay in the processor's cache


class Camera:
    """Films any videos of a world; a frame depends on seed, row and position alone. ``dim``: numbers per frame, 1536
    for AIAC 2021 and 768 for WeChat 2022. ``blank``: share of videos whose frames show another video."""

    def __init__(self, world: World, dim: int, *, blank: float = 0.0):
        self.world, self.dim, self.spec = world, dim, world.spec
        self.blank_share = blank
        spec, rng, norm = world.spec, stream(world.world_seed, "camera"), np.sqrt(1 + world.spec.leak**2)
        scales = (
            (2 * DIM, spec.meaning / norm),
            (spec.video_code, spec.video / np.sqrt(spec.video_code)),
            (spec.shot_code, spec.shot / np.sqrt(spec.shot_code)),
            (spec.frame_code, spec.frame / np.sqrt(spec.frame_code)),
        )
        field = np.concatenate([scale * rng.standard_normal((rows, dim)) for rows, scale in scales])
        self.field = (SKEW * field).astype(np.float32)
        self.bias = (SKEW * spec.bias * rng.standard_normal(dim)).astype(np.float32)
        self.amplitude = (AMPLITUDE / SKEW * np.exp(AMPLITUDE_SD * rng.standard_normal(dim))).astype(np.float32)
        self.filler = (unit(rng.standard_normal((FILLERS, 2 * DIM))) * norm).astype(np.float32)

    def count(self, rows: np.ndarray) -> np.ndarray:
        """Frames of each video: of 5 to 32 seconds, one in every ``spec.seconds``."""
        drawn = from_bins(uniform(self.world.seed, "frame count", rows), facts("aiac2021")["frame_count"])
        count = np.maximum(drawn, 5)
        seconds = np.where((count >= 30) & (uniform(self.world.seed, "cut at 32", rows) < 0.92), MOST, count)
        return -(-seconds // self.spec.seconds)

    def blank(self, rows: np.ndarray) -> np.ndarray:
        """bool [n]: videos whose frames say nothing of them."""
        return uniform(self.world.seed, "blank frames", rows) < self.blank_share

    def film(self, rows: np.ndarray) -> list[np.ndarray]:
        """float16 [frames, dim] of each video."""
        count = self.count(rows)
        inputs = self._inputs(rows, count)
        out = np.empty((len(inputs), self.dim), np.float16)
        for start in range(0, len(inputs), BLOCK):
            value = inputs[start : start + BLOCK] @ self.field
            value += self.bias
            np.exp(value, out=value)
            value -= 1
            value *= self.amplitude
            swish = np.negative(value)
            np.exp(swish, out=swish)
            swish += 1
            out[start : start + BLOCK] = np.divide(value, swish, out=value)
        return np.split(out, np.cumsum(count)[:-1])

    def _inputs(self, rows: np.ndarray, count: np.ndarray) -> np.ndarray:
        """float32 [all frames, K]: meaning, video code, shot code, frame code."""
        world, seed = self.world, self.world.seed
        of, position = np.repeat(np.arange(len(rows)), count), positions(count)
        begins = (uniforms(seed, "new shot", rows, count) < self.spec.new_shot) | (position == 0)
        shot, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
        owner = of[first]
        number = shot[first] - shot[np.cumsum(count) - count][owner]  # of the shot inside its video
        video, key = rows[owner], rows[owner] * MOST + number
        footage = world.footage[video]
        # re-uploads show the shots of their source
        reused = (world.source[footage] == video) | (uniform(seed, "reuse", key) < REUSE)
        of_footage = normals(seed, "shot of footage", footage * 8 + number % 8, self.spec.shot_code)
        code = np.where(reused[:, None], of_footage, normals(seed, "shot", key, self.spec.shot_code))
        shows = (uniform(seed, "key shot", key) < self.spec.key_shot) | (number == 0)
        filler = self.filler[integers(seed, "filler", key, 1)[:, 0] % FILLERS]
        meaning = np.where(shows[:, None], self._view(rows, self.blank(rows))[owner], filler)[shot]
        own = normals(seed, "video code", rows, self.spec.video_code)
        frame = normals(seed, "frame", rows[of] * MOST + position, self.spec.frame_code)
        return np.concatenate([meaning, own[of], code[shot], frame], axis=1)

    def _view(self, rows: np.ndarray, blank: np.ndarray) -> np.ndarray:
        """The blurred (y, leak x) that key shots show, of another video where ``blank`` [n], float32 [n, 48]."""
        seed, world = self.world.seed, self.world
        shown = np.where(blank, integers(seed, "shows another", rows, 1)[:, 0] % world.n, rows)
        scale = np.float32(DIM**-0.5)
        y = unit(world.y(shown) + self.spec.noise_y * scale * normals(seed, "blur y", rows, DIM))
        x = unit(world.x(shown) + self.spec.noise_x * scale * normals(seed, "blur x", rows, DIM))
        return np.concatenate([y, self.spec.leak * x], axis=1).astype(np.float32)
