"""Procedural JPEG frames: a moving texture with shapes, whose look tells the class as far as pictures can. The hue
follows the level-1 class; texture, orientation, frequency, shape, number, size and motion follow the class. A fifth of
the videos has another texture, another fifth another shape; hue, angle, brightness and layout vary per video."""

import colorsys
import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from lab.corpora.twin.random import stream

SIZE, DRAWN, QUALITY = 224, 112, 80  # pixels of a frame, pixels of its texture, JPEG quality
TEXTURES = SHAPES = 5
OTHER_LOOK = 0.2  # videos that do not keep to the texture, or the shape, of their class
NEW_SHOT, FILLER = 0.27, 0.35
TURN = np.float32(2 * np.pi)


@dataclass(frozen=True)
class Style:
    """How a class, or a video of it, looks."""

    hue: float
    hue_of_shapes: float
    texture: int
    angle: float
    frequency: float
    brightness: float
    shape: int
    count: int
    size: float
    direction: float
    speed: float


@dataclass(frozen=True)
class Shot:
    """Layout between two cuts; ``filler`` shots show neither texture nor shapes."""

    start: int
    phase: np.ndarray
    places: np.ndarray
    zoom: np.float32
    filler: bool


def render(seed: int, video: int, category: str, frames: int, *, world: int = 0, blank: bool = False) -> list[bytes]:
    """JPEG files of a video's frames in order; a pure function of the arguments.

    Args:
        category: class id; the level-1 class is the id without its last two characters.
        world: seed of what classes look like.
        blank: show filler only, in a hue that says nothing.
    """
    rng = stream(seed, "pixels", video)
    style = _of_video(_of_class(world, category), rng)
    if blank:
        style = Style(**{**style.__dict__, "hue": float(rng.random())})
    palette, paint = _palette(style), _colour(style.hue_of_shapes, 0.8, 0.95)
    result, shot = [], None
    for number in range(frames):
        if shot is None or rng.random() < NEW_SHOT:
            shot = _shot(number, rng, blank)
        value = _filler(shot) if shot.filler else _texture(style, shot, number)
        corner = rng.integers(0, DRAWN, 2)
        pixels = palette[(np.clip(value, 0, 1) * 255).astype(np.uint8)]
        pixels = pixels + _grain()[corner[0] : corner[0] + DRAWN, corner[1] : corner[1] + DRAWN]
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        if not shot.filler:
            _draw(ImageDraw.Draw(image), style, shot, number, paint)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY)
        result.append(buffer.getvalue())
    return result


@cache
def _of_class(seed: int, category: str) -> Style:
    coarse, fine = stream(seed, "look", category[:-2]), stream(seed, "look", category)
    return Style(
        hue=coarse.random(), texture=int(coarse.integers(TEXTURES)), hue_of_shapes=fine.random(), angle=fine.random() * np.pi,
        frequency=2 + 8 * fine.random(), brightness=0.75, shape=int(fine.integers(SHAPES)), count=int(fine.integers(2, 7)),
        size=0.08 + 0.16 * fine.random(), direction=fine.random() * 2 * np.pi, speed=0.01 + 0.05 * fine.random(),
    )  # fmt: skip


def _of_video(style: Style, rng: np.random.Generator) -> Style:
    return Style(
        hue=style.hue + 0.06 * rng.standard_normal(), hue_of_shapes=style.hue_of_shapes + 0.08 * rng.standard_normal(),
        texture=style.texture if rng.random() >= OTHER_LOOK else int(rng.integers(TEXTURES)),
        angle=style.angle + 0.2 * rng.standard_normal(), frequency=style.frequency * np.exp(0.15 * rng.standard_normal()),
        brightness=0.55 + 0.4 * rng.random(),
        shape=style.shape if rng.random() >= OTHER_LOOK else int(rng.integers(SHAPES)),
        count=style.count, size=style.size, direction=style.direction, speed=style.speed,
    )  # fmt: skip


def _shot(number: int, rng: np.random.Generator, blank: bool) -> Shot:
    phase, places = rng.random(2).astype(np.float32) * TURN, rng.random((9, 2))
    zoom = np.float32(0.7 + 0.6 * rng.random())
    return Shot(number, phase, places, zoom, blank or (rng.random() < FILLER and number > 0))


@cache
def _grid() -> np.ndarray:
    """float32 [2, DRAWN, DRAWN]: y and x in [0, 1)."""
    return np.mgrid[0:DRAWN, 0:DRAWN].astype(np.float32) / DRAWN


@cache
def _grain() -> np.ndarray:
    """int16 [2 DRAWN, 2 DRAWN, 1]: camera noise, of which every frame shows another part."""
    return (9 * stream(0, "grain").standard_normal((2 * DRAWN, 2 * DRAWN, 1))).astype(np.int16)


def _filler(shot: Shot) -> np.ndarray:
    y, x = _grid()
    return 0.5 + 0.3 * np.sin(3 * x + shot.phase[0]) * np.cos(2 * y + shot.phase[1])


def _texture(style: Style, shot: Shot, number: int) -> np.ndarray:
    """float32 [DRAWN, DRAWN], about 0 to 1: stripes, checks, rings, waves or a ramp, drifting since the cut."""
    y, x = _grid()
    wave, drift = TURN * np.float32(style.frequency), np.float32(style.speed * (number - shot.start))
    cos, sin = np.float32(np.cos(style.angle)), np.float32(np.sin(style.angle))
    along, across = (cos * x + sin * y) * shot.zoom + drift, (cos * y - sin * x) * shot.zoom
    if style.texture == 0:
        return 0.5 + 0.5 * np.sin(wave * along + shot.phase[0])
    if style.texture == 1:
        return (np.sin(wave * along + shot.phase[0]) * np.sin(wave * across + shot.phase[1]) > 0).astype(np.float32)
    if style.texture == 2:
        centre = shot.places[0].astype(np.float32)
        return 0.5 + 0.5 * np.sin(wave * shot.zoom * np.hypot(x - centre[0], y - centre[1]) - np.float32(0.5 * number))
    if style.texture == 3:
        bent = np.sin(wave * along + 2 * np.sin(np.float32(0.4) * wave * across) + shot.phase[0])
        return 0.5 + 0.25 * bent + 0.25 * np.sin(np.float32(0.7) * wave * across + shot.phase[1])
    return along - along.min()


def _draw(canvas: ImageDraw.ImageDraw, style: Style, shot: Shot, number: int, paint: tuple[int, ...]) -> None:
    """Discs, boxes, triangles, rings or strokes, moving since the cut."""
    moved = 2 * style.speed * (number - shot.start) * np.array([np.cos(style.direction), np.sin(style.direction)])
    for place in shot.places[: style.count]:
        x, y = (((place + moved) % 1) * SIZE).tolist()
        reach = style.size * SIZE * (0.7 + 0.6 * float(place[0]))
        box = [x - reach, y - reach, x + reach, y + reach]
        if style.shape == 0:
            canvas.ellipse(box, fill=paint)
        elif style.shape == 1:
            canvas.rectangle(box, fill=paint)
        elif style.shape == 2:
            canvas.polygon([(x, y - reach), (x - reach, y + reach), (x + reach, y + reach)], fill=paint)
        elif style.shape == 3:
            canvas.ellipse(box, outline=paint, width=max(3, int(reach / 4)))
        else:
            canvas.line(box, fill=paint, width=max(3, int(reach / 3)))


def _palette(style: Style) -> np.ndarray:
    """int16 [256, 3]: dark to bright in the video's hue."""
    steps = np.arange(256) / 255
    colours = [_colour(style.hue + 0.12 * (q - 0.5), 0.35 + 0.4 * q, style.brightness * (0.5 + 0.5 * q)) for q in steps]
    return np.array(colours, np.int16)


def _colour(hue: float, saturation: float, value: float) -> tuple[int, ...]:
    return tuple(int(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, min(saturation, 1), min(value, 1)))
