"""Frames as encoded images: from a folder of pictures, or from a video file at one frame a second."""

import io
import re
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose
from tqdm.auto import tqdm

from lib.data.rejects import Wrong, instead

FORMATS = ("JPEG", "PNG", "WEBP")  # as Pillow calls them
IMAGES = (".jpg", ".jpeg", ".png", ".webp")
OTHER_IMAGES = (".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jxl")
MOVIES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".flv", ".wmv", ".mpg", ".mpeg", ".3gp", ".ts")
LITTER = {
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "@eadir", "lost+found", "icon\r",
}  # fmt: skip
MARKS = (":zone.identifier", ":encryptable")  # of Windows, behind a name
# What Pillow raises for pictures that are cut short or damaged.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)
TURNS = {  # by EXIF's orientation
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
}  # fmt: skip
QUALITY = 90  # of the JPEG that a decoded frame is kept as


def is_litter(name: str) -> bool:
    """Whether a file or member is what macOS and Windows leave beside data.

    >>> [is_litter(name) for name in ("._1.jpg", "__MACOSX/a/1.jpg", "Thumbs.db", "a/1.jpg")]
    [True, True, True, False]
    """
    parts = PurePosixPath(name.lower()).parts
    return any(part.startswith((".", "~$")) or part in LITTER or part.endswith(MARKS) for part in parts)


def listed(folder: Path) -> list[Path]:
    """Files and folders in a folder by name, without litter; none where there is no such folder."""
    return sorted(file for file in folder.iterdir() if not is_litter(file.name)) if folder.is_dir() else []


def clips(path: Path) -> tuple[list[Path], list[Path]]:
    """Videos of a folder and of those below it, by name, and the files that belong to none. A folder without movies that
    holds pictures is one video; a file is a video, whatever it is. Raises FileNotFoundError: there is no such path."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path], []
    inside = listed(path)
    movies = [file for file in inside if file.suffix.lower() in MOVIES and file.is_file()]
    if not movies and any(file.suffix.lower() in IMAGES + OTHER_IMAGES for file in inside):
        return [path], []
    above = [path.resolve(), *path.resolve().parents]  # where a link that leads in a circle ends
    below = [clips(folder) for folder in inside if folder.is_dir() and folder.resolve() not in above]
    others = [file for file in inside if not file.is_dir() and file not in movies]
    return [*movies, *(v for found, _ in below for v in found)], [*others, *(o for _, left in below for o in left)]


def title_of(path: Path) -> str:
    """A video's title, where only its file has a name.

    >>> title_of(Path("pets/two_cats.mp4"))
    'two cats'
    """
    return (path.name if path.is_dir() else path.stem).replace("_", " ")


def frames_of(path: Path, most: int) -> tuple[bytes, ...]:
    """Those of a video file or of a folder of pictures, see ``from_movie`` and ``from_folder``."""
    return from_folder(path, most) if path.is_dir() else from_movie(path, most)


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of 0 .. count - 1: the middles of equal bins.

    >>> evenly(3, 5), evenly(8, 4)
    ([0, 1, 2], [1, 3, 5, 7])
    """
    return list(range(count)) if count <= most else [int((i + 0.5) * count / most) for i in range(most)]


def from_folder(folder: Path, most: int) -> tuple[bytes, ...]:
    """The images of a folder, numbers in their names counted as numbers (2.jpg before 10.jpg), at most ``most`` evenly
    spread. Raises Wrong: no image, or a file that is none."""
    files = sorted(
        listed(folder),
        key=lambda f: [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", f.name)],
    )
    for file in files:
        if file.suffix.lower() in OTHER_IMAGES:
            raise Wrong("frames", f"{folder.name}/{file.name}", f"only {', '.join(IMAGES)} are read; convert it")
    files = [file for file in files if file.suffix.lower() in IMAGES]
    if not files:
        remedy = f"a video needs at least one frame; put {', '.join(IMAGES)} files there"
        raise Wrong("frames", f"{folder.name}/ without images", remedy)
    images = []
    for index in evenly(len(files), most):
        data = files[index].read_bytes()
        picture(data, files[index].name)
        images.append(data)
    return tuple(images)


def from_movie(path: Path, most: int) -> tuple[bytes, ...]:
    """The first frame of every second that has one, at most ``most`` evenly spread, upright, as JPEG; memory does not grow
    with the length. Raises Wrong: not a readable video, or one without pictures."""
    import av.error
    from av.video.reformatter import VideoReformatter

    lost: list[Exception] = []
    try:
        with av.open(str(path)) as movie:
            seconds = _seconds(movie, _track(movie, path), lost)
        with av.open(str(path)) as movie:
            wanted = [seconds[index] for index in evenly(len(seconds), most)]
            to_rgb = VideoReformatter()  # one for all: making it takes longer than what it does
            track = _track(movie, path)
            frames = [_jpeg(frame, to_rgb) for frame in _chosen(_decoded(movie, track, lost), track, wanted)]
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, Wrong):
            raise
        value = f"{path.name} ({getattr(error, 'strerror', None) or error})"
        remedy = "not a readable video, or cut off; copy it again from its source, or encode it again"
        raise Wrong("frames", value, instead(path, remedy)) from None
    if not frames:
        raise Wrong("frames", path.name, "no frame could be decoded; encode the video again")
    if lost or len(frames) < len(wanted):
        some = f"{len(frames)} of {len(wanted)} pictures could be read"
        tqdm.write(f"{path}: damaged; {some} and are kept", file=sys.stderr)
    return tuple(frames)


def _track(movie, path: Path):
    """The first track of moving pictures; a cover is none."""
    for track in movie.streams.video:
        if not track.disposition & track.disposition.attached_pic:
            return track
    raise Wrong("frames", path.name, "the file has no picture track; give a video")


def _timed(items: Iterable, track) -> Iterator[tuple[Any, float]]:
    """Packets or frames with their seconds after the first, by the track's own clock, which need not start at 0."""
    base, rate, start = Fraction(track.time_base), track.average_rate or 1, None
    above, below = base.as_integer_ratio()  # fractions take longer than some frames take to decode
    for number, item in enumerate(items):
        stamp = item.dts if item.pts is None else item.pts
        time = float(number / rate) if stamp is None else stamp * above / below
        start = time if start is None else start
        yield item, time - start


def _packets(movie, track, lost: list[Exception]) -> Iterator:
    """Those before a place, if there is one, where the file is too damaged to find the next."""
    from av.error import FFmpegError

    try:
        yield from movie.demux(track)
    except FFmpegError as error:
        lost.append(error)


def _seconds(movie, track, lost: list[Exception]) -> list[int]:
    """The seconds that have a frame, by the packets alone."""
    packets = (packet for packet in _packets(movie, track, lost) if packet.size and not packet.is_discard)
    return sorted({int(max(time, 0) + 1e-6) for _, time in _timed(packets, track)})


def _decoded(movie, track, lost: list[Exception]) -> Iterator:
    """Frames of the packets that can be decoded, as players show them."""
    from av.error import FFmpegError

    for packet in _packets(movie, track, lost):
        try:
            yield from packet.decode()
        except FFmpegError as error:
            lost.append(error)


def _chosen(frames: Iterable, track, wanted: list[int]) -> Iterator:
    """The first frame of each wanted second or, where it was lost, the next. ``wanted``: ascending."""
    place = 0
    for frame, time in _timed(frames, track):
        if place == len(wanted):
            return
        if time + 1e-6 >= wanted[place]:
            yield frame
            place += sum(second <= time + 1e-6 for second in wanted[place:])


def upright(picture: Image.Image, matrix: np.ndarray) -> Image.Image:
    """A frame as it is to be shown. ``matrix`` [3, 3]: x' = m00 x + m10 y, y' = m01 x + m11 y with y down (ISO 14496-12)."""
    (a, b, _), (c, d, _), _ = matrix
    if abs(b) > abs(a):
        picture, a, d = picture.transpose(Transpose.TRANSPOSE), c, b
    for negative, turn in ((a < 0, Transpose.FLIP_LEFT_RIGHT), (d < 0, Transpose.FLIP_TOP_BOTTOM)):
        picture = picture.transpose(turn) if negative else picture
    return picture


def _jpeg(frame, to_rgb) -> bytes:
    picture = to_rgb.reformat(frame, format="rgb24", threads=1).to_image()
    turned = frame.side_data.get("DISPLAYMATRIX")
    if turned is not None:
        picture = upright(picture, np.frombuffer(turned, "<i4").reshape(3, 3))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def as_seen(picture: Image.Image) -> Image.Image:
    """A picture turned as its EXIF data say where they can be read, 16 bits of grey scaled to 8, which ``convert`` would cut
    off at white."""
    picture.load()
    turn = None
    with suppress(*DAMAGED):
        turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    picture = picture if turn is None else picture.transpose(turn)
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)) if picture.mode.startswith("I;16") else picture


def picture(data: bytes, name: str) -> None:
    """Raises Wrong: not a JPEG, PNG or WebP image that can be decoded to its end."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            opened.draft("L", (1, 1))  # an eighth of the pixels of a JPEG tell as much
            opened.load()
    except UnidentifiedImageError:
        remedy = instead(data, "not a JPEG, PNG or WebP image; extract the frames again")
        raise Wrong(name, data[:12], remedy) from None
    except Exception as error:  # Pillow raises many kinds
        what = f"{len(data)} bytes ({str(error).split(' <_io')[0] or type(error).__name__})"
        raise Wrong(name, what, "the picture cannot be decoded to its end; extract the frames again") from None
