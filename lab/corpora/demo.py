"""Videos to try the commands on: drawn shapes that move, in folders by shape, each named after what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lib.runs.files import new_folder

COLOURS = {"red": (214, 69, 65), "green": (38, 166, 91), "blue": (65, 131, 215), "yellow": (247, 202, 24), "white": (236, 236, 236)}  # fmt: skip
MOVES = {"rising": (0, -1), "falling": (0, 1), "drifting": (1, 0), "rolling": (1, 1)}
SHAPES = ("circle", "square", "stripe", "ring", "cross")
WIDTH, HEIGHT, FPS = 160, 120, 10


def write(out: Path, count: int = 60, seconds: int = 4, seed: int = 0) -> list[Path]:
    """``count`` mp4 files in a folder per shape below ``out``; the same ones for the same seed. Raises FileExistsError: there is
    something in ``out``. Every seventh name does not tell the shape, so the pictures have to."""
    random, files = np.random.default_rng(seed), []
    with new_folder(out) as partial:
        for number in range(count):
            shape = SHAPES[number % len(SHAPES)]
            colour, move = random.choice(list(COLOURS)), random.choice(list(MOVES))
            said = "thing" if number % 7 == 3 else shape
            files.append(Path(shape) / f"{colour}_{said}_{move}_{number:03d}.mp4")
            (partial / shape).mkdir(exist_ok=True)
            _encode(partial / files[-1], _frames(shape, COLOURS[colour], MOVES[move], seconds * FPS, random))
    return [out / file for file in files]


def _frames(shape: str, colour: tuple, move: tuple, count: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """uint8 [H, W, 3] each, with a background of its own."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    behind = random.integers(20, 90, 3) + 15 * np.sin(x / random.uniform(9, 30) + y / random.uniform(9, 30))[..., None]
    start, size = random.uniform(0.3, 0.7, 2) * (WIDTH, HEIGHT), random.uniform(18, 30)
    for time in range(count):
        place = (start + 2.0 * time * np.array(move)) % (WIDTH, HEIGHT)
        dx, dy = np.abs(x - place[0]), np.abs(y - place[1])
        far = np.hypot(dx, dy)
        inside = {
            "circle": far < size, "square": np.maximum(dx, dy) < size, "stripe": dy < size / 3,
            "ring": (far < size) & (far > 0.6 * size), "cross": (np.minimum(dx, dy) < size / 4) & (np.maximum(dx, dy) < size),
        }[shape]  # fmt: skip
        noise = random.integers(-8, 9, (HEIGHT, WIDTH, 1))
        yield (np.where(inside[..., None], colour, behind) + noise).clip(0, 255).astype(np.uint8)


def _encode(file: Path, frames: Iterator[np.ndarray]) -> None:
    import av

    with av.open(str(file), "w") as movie:
        stream = movie.add_stream("libx264", rate=FPS, options={"crf": "30", "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for pixels in frames:
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        movie.mux(stream.encode())
