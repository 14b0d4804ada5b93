"""Frames as encoded images: from a folder of pictures, or from a video file at one frame a second."""

import io
import math
import re
from pathlib import Path, PurePosixPath

from lib.data.rejects import Wrong

IMAGES = (".jpg", ".jpeg", ".png")
MOVIES = (".mp4", ".mov", ".mkv", ".webm", ".avi")
LITTER = {"__macosx", "thumbs.db", "desktop.ini"}
QUALITY = 90  # of the JPEG that a decoded frame is kept as


def is_litter(name: str) -> bool:
    """Whether a file or member is what macOS and Windows leave beside data.

    >>> [is_litter(name) for name in ("._1.jpg", "__MACOSX/a/1.jpg", "Thumbs.db", "a/1.jpg")]
    [True, True, True, False]
    """
    return any(part.startswith(".") or part.lower() in LITTER for part in PurePosixPath(name).parts)


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
    if not movies and any(file.suffix.lower() in IMAGES for file in inside):
        return [path], []
    below = [clips(folder) for folder in inside if folder.is_dir()]
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
    files = [file for file in listed(folder) if file.suffix.lower() in IMAGES]
    files.sort(key=lambda file: _natural(file.name))
    if not files:
        remedy = f"a video needs at least one frame; put {', '.join(IMAGES)} files there"
        raise Wrong("frames", f"{folder.name}/ without images", remedy)
    images = []
    for index in evenly(len(files), most):
        data = files[index].read_bytes()
        picture(data, files[index].name)
        images.append(data)
    return tuple(images)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def from_movie(path: Path, most: int) -> tuple[bytes, ...]:
    """One frame a second from the start, at most ``most`` evenly spread, as JPEG; memory does not grow with the length.
    Raises Wrong: not a readable video, or one without pictures."""
    import av.error

    try:
        with av.open(str(path)) as movie:
            if not movie.streams.video:
                raise Wrong("frames", path.name, "the file has no picture track; give a video")
            seconds = _seconds(movie)
            wanted = None if seconds is None else set(evenly(seconds, most))
            frames = _sample(movie, wanted, most)
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, Wrong):
            raise
        value = f"{path.name} ({str(error).split(':')[0]})"
        raise Wrong("frames", value, "not a readable video; encode it again") from None
    if not frames:
        raise Wrong("frames", path.name, "no frame could be decoded; encode the video again")
    return tuple(frames)


def _seconds(movie) -> int | None:
    """Whole seconds that have a frame, as the container says; None if it does not say."""
    stream = movie.streams.video[0]
    if stream.duration is not None and stream.time_base is not None:
        return max(1, math.ceil(stream.duration * stream.time_base - 1e-6))
    return None if movie.duration is None else max(1, math.ceil(movie.duration / 1_000_000 - 1e-6))


def _sample(movie, wanted: set[int] | None, most: int) -> list[bytes]:
    frames: list[bytes] = []
    second, stride, start = 0, 1, None
    for frame in movie.decode(video=0):
        time = float(frame.time) if frame.time is not None else float(second)
        start = time if start is None else start
        if time - start + 1e-6 < second:
            continue
        if (second in wanted) if wanted is not None else (second % stride == 0):
            frames.append(_jpeg(frame))
            if wanted is None and len(frames) == 2 * most:  # length unknown: keep every other, go on half as dense
                frames, stride = frames[::2], stride * 2
        second = max(second + 1, math.ceil(time - start - 1e-6) if time - start > second + 1 else second + 1)
    return [frames[i] for i in evenly(len(frames), most)]


def _jpeg(frame) -> bytes:
    buffer = io.BytesIO()
    frame.to_image().save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def picture(data: bytes, name: str) -> None:
    """Raises Wrong: the header is not that of a JPEG or PNG image. Pixels are not decoded."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")):
            pass
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Wrong(name, data[:12], "not a JPEG or PNG image; extract the frames again") from None
