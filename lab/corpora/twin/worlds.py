"""The named worlds: every number in which they differ, for each track.

``calibrated`` has the published marginals of the real corpora. ``clear`` keeps their pair graph, score histogram, class
curve, text lengths and missing modalities, and lets a small model read it; what it gives up for that stands beside the
published value in ``00_data_eda``.

A world decides what things mean: the tree of classes and topics, concepts and words, tags, the camera. Its ``world seed``
is fixed (0 by default), so that corpora of other seeds speak the same language, as long as neither ``topics`` nor ``sets``
follows the size of the corpus.
"""

from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class WorldSpec:
    """How one track of a world is made; the defaults are the calibrated pair corpus. Shares of a mix or of a variance
    add up to one; other shares lie in 0 to 1."""

    # what is told and shown
    x: tuple[float, ...] = (0.05, 0.10, 0.25, 0.35, 0.25)  # variance told by level 1, class, topic, event, video
    y: tuple[float, ...] = (0.10, 0.30, 0.35, 0.25)  # variance shown by class, theme, visual event, video
    told: float = 0.55  # weight of what is told in the affinity of two videos
    classes: int | None = None  # so many of the most frequent; None: all of the contest
    topics: int | None = None  # about, at least one a class; None: grows as the number of distinct tags does
    # Twenty cut-points on the affinity per kind of pair, estimated on several independent corpora so that the 21 levels
    # get the real shares; frozen, so that a score depends on two videos and its noise, never on the rest of a corpus.
    query_cuts: tuple[float, ...] = (
        0.1981, 0.2399, 0.2681, 0.2897, 0.3068, 0.3223, 0.3359, 0.3512, 0.3653, 0.3785,
        0.4125, 0.4349, 0.4582, 0.4807, 0.5026, 0.5215, 0.5392, 0.5583, 0.5771, 0.596,
    )  # fmt: skip
    star_cuts: tuple[float, ...] = (
        0.2214, 0.2423, 0.2625, 0.2836, 0.2897, 0.292, 0.3008, 0.3231, 0.347, 0.3647,
        0.4641, 0.4943, 0.5348, 0.5755, 0.5897, 0.5947, 0.6056, 0.6404, 0.6822, 0.7277,
    )  # fmt: skip
    # words
    sets: int | None = None  # synonym sets, at least 60; None: grows as a vocabulary does (Heaps)
    words_a_set: tuple[int, int] = (1, 3)  # fewest and most words of one meaning, as many sets of each size
    vagueness: float = 0.08  # noise in which sets are closest to a meaning, beside cosines of 0 to 1
    named: int = 1  # of four words of a story, so many are its name, which no other story need have
    spread: float = 3.0  # how far a video's own direction bends its choice among the words of its topic, 0: not
    # texts: kinds of words in a title, and in the part of a transcript that is no filler
    title: tuple[tuple[str, float], ...] = (
        ("hook", 0.16), ("event", 0.26), ("topic", 0.30), ("class", 0.12), ("theme", 0.06), ("comma", 0.06), ("adjective", 0.02), ("idiom", 0.02),
    )  # fmt: skip
    speech: tuple[tuple[str, float], ...] = (("topic", 0.32), ("event", 0.16), ("class", 0.24), ("error", 0.28))
    uninformative: float = 0.06  # share of titles that carry nothing specific
    filler: float = 0.50  # share of filler in transcripts and text on screen
    # tags: how many candidates a class and a topic have, and how many entities a topic has, of which a story uses two
    tags_of_class: int = 5
    tags_of_topic: int = 5
    entities: int = 8
    # camera: scales of the parts of a frame (bias of a dimension; meaning, codes of video, shot and frame by numbers)
    bias: float = 0.409
    meaning: float = 0.294
    video: float = 0.305
    shot: float = 0.405
    frame: float = 0.197
    video_code: int = 24  # rank of what all frames of a video have in common beside their meaning
    shot_code: int = 48
    frame_code: int = 24
    noise_y: float = 0.42  # blur of the view of what is shown, beside a norm of 1
    noise_x: float = 1.2  # blur of the view of what is told
    leak: float = 0.30  # how much of what is told can be seen
    new_shot: float = 0.27  # chance that a frame begins a shot
    key_shot: float = 0.55  # share of the shots that show the video, where others show one of sixteen fillers
    seconds: int = 1  # between two frames; a video of 5 to 32 s has a frame for each so many begun


CALIBRATED = {
    "pairs": WorldSpec(),
    "classes": WorldSpec(
        x=(0.14, 0.17, 0.22, 0.20, 0.27), y=(0.32, 0.26, 0.21, 0.21), uninformative=0.35, filler=0.82, noise_y=0.55, noise_x=1.4,
    ),
}  # fmt: skip
# Words have many synonyms, which untrained overlap cannot see and a language model can. Of pairs, what a frame means lies in a
# plane beside a strong code of its shot, which an untrained cosine cannot tell from meaning and a learnt projection can. The
# code is the shot's and not the video's: else masked frames are guessed by it, and learning them unlearns what frames mean.
_READABLE = {
    "sets": 500, "words_a_set": (6, 10), "named": 0, "uninformative": 0.0, "filler": 0.10,
    "frame": 0.10, "noise_y": 0.05, "noise_x": 0.3, "leak": 0.7, "key_shot": 0.95, "seconds": 4,
}  # fmt: skip
CLEAR = {
    "pairs": replace(
        CALIBRATED["pairs"],
        classes=60, topics=250, tags_of_class=4, tags_of_topic=4, entities=4,
        x=(0.06, 0.14, 0.36, 0.36, 0.08), y=(0.12, 0.48, 0.32, 0.08), told=0.45,
        query_cuts=(
            0.267, 0.3248, 0.3642, 0.3923, 0.4171, 0.4407, 0.4601, 0.4809, 0.501, 0.5187,
            0.5555, 0.5779, 0.5997, 0.6228, 0.6414, 0.6569, 0.6713, 0.6874, 0.7083, 0.7268,
        ),
        star_cuts=(
            0.3141, 0.3434, 0.3744, 0.4047, 0.4113, 0.4131, 0.4249, 0.4542, 0.4828, 0.5019,
            0.6019, 0.6293, 0.6633, 0.6972, 0.7071, 0.7095, 0.7186, 0.7508, 0.787, 0.8403,
        ),
        title=(
            ("hook", 0.04), ("event", 0.36), ("topic", 0.40), ("class", 0.08), ("theme", 0.08), ("comma", 0.02), ("adjective", 0.01), ("idiom", 0.01),
        ),
        speech=(("topic", 0.48), ("event", 0.32), ("class", 0.15), ("error", 0.05)),
        video=0.2, shot=0.75, shot_code=80, new_shot=0.9, **_READABLE,
    ),
    "classes": replace(
        CALIBRATED["classes"],
        topics=400, x=(0.22, 0.42, 0.18, 0.10, 0.08), y=(0.72, 0.14, 0.07, 0.07),
        title=(
            ("hook", 0.04), ("event", 0.16), ("topic", 0.34), ("class", 0.36), ("theme", 0.06), ("comma", 0.02), ("adjective", 0.01), ("idiom", 0.01),
        ),
        speech=(("topic", 0.36), ("event", 0.10), ("class", 0.50), ("error", 0.04)),
        video=0.2, shot=0.15, **_READABLE,
    ),
}  # fmt: skip
WORLDS = {"calibrated": CALIBRATED, "clear": CLEAR}

# For readers: what the fields of ``WorldSpec`` say, and why the clear world gives up a statistic, by how its name begins.
IN_WORDS = {
    "x": "variance told by level 1 / class / topic / story / video",
    "y": "variance shown by class / theme / visual story / video",
    "told": "weight of what is told in the affinity of two videos",
    "classes": "categories, the most frequent ones",
    "topics": "topics, about",
    "query_cuts": "affinities at which similarities of a query's candidates go up by 0.05",
    "star_cuts": "the same of other pairs",
    "sets": "meanings that words can have",
    "words_a_set": "words of one meaning, fewest / most",
    "vagueness": "noise in which meanings are closest to a topic",
    "named": "words of a story that are its name, of four",
    "spread": "how far a video bends the choice among words of its topic",
    "title": "words of a title by kind",
    "speech": "words of speech by kind, filler aside",
    "uninformative": "titles that say nothing of their video",
    "filler": "filler in speech and text on screen",
    "tags_of_class": "tags of a class",
    "tags_of_topic": "tags of a topic",
    "entities": "entities of a topic, of which a story has two",
    "bias": "scale of what all frames have in common",
    "meaning": "scale of what a frame means",
    "video": "scale of what frames of a video share beside their meaning",
    "shot": "scale of what frames of a shot share",
    "frame": "scale of what is a frame's own",
    "video_code": "dimensions of what frames of a video share",
    "shot_code": "dimensions of what frames of a shot share",
    "frame_code": "dimensions of what is a frame's own",
    "noise_y": "blur of what is shown",
    "noise_x": "blur of what is told, as far as it can be seen",
    "leak": "how much of what is told can be seen",
    "new_shot": "chance that a frame begins a shot",
    "key_shot": "shots that show their video",
    "seconds": "seconds between two frames",
}
GIVEN_UP = {
    "distinct tags": "fewer tags, so that each has enough videos to be learnt from",
    "frame count": "fewer frames, so that more videos fit on a disk",
    "frame features": "marginals of frames, for what they mean to weigh more",
    "cosine of": "how alike frames are, for what they mean to weigh more",
}


def why_given_up(statistic: str) -> str:
    """Why the clear world need not keep a statistic; no reason is known of those that it must keep."""
    return next((words for start, words in GIVEN_UP.items() if statistic.startswith(start)), "no reason known")


def differences(track: str) -> list[tuple[str, Any, Any]]:
    """What differs between the worlds of a track: words, calibrated, clear."""
    one, other = CALIBRATED[track], CLEAR[track]
    values = [(IN_WORDS[field.name], getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return [row for row in values if row[1] != row[2]]


def world_spec(name: str, track: str) -> WorldSpec:
    """Raises ValueError: no such world."""
    if name not in WORLDS:
        raise ValueError(f"world: {' or '.join(WORLDS)}, not {name!r}")
    return WORLDS[name][track]
