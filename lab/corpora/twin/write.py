"""generate: a twin of either corpus in the competition's own file formats, with its truth beside it."""

import shutil
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from lab.corpora.twin import calibration, classes
from lab.corpora.twin import pairs as pair_corpus
from lab.corpora.twin.classes import ClassTwin
from lab.corpora.twin.pairs import PairTwin
from lab.corpora.twin.worlds import world_spec
from lib.runs.files import replace_folder, write_json
from lib.runs.paths import shown

MODEL = 3  # version of the generative model; part of twin.json
MAX_PAIRS = 67_899  # labelled pairs of the real corpus
PAIRS_PER_VIDEO = 0.4
LEAST = {"pairs": 40, "classes": 10}  # videos
FRAMES = ("features", "jpeg", "both")


def generate(
    out: Path | str,
    *,
    track: str,
    videos: int,
    seed: int = 0,
    pairs: int | None = None,
    test_pairs: int = 0,
    frames: str = "features",
    parts: dict[str, float] | None = None,
    world: str = "calibrated",
    world_seed: int = 0,
    progress: bool = True,
) -> None:
    """Write a twin; the same arguments give the same bytes.

    Videos are written in chunks and nothing is kept of them: beside about 100 bytes a video of latent groups, ids and
    order (10 MB for 100,000 videos), memory does not grow with the corpus.

    ``pairs`` (AIAC 2021): ``pointwise/pretrain_<k>.tfrecords``, ``pairwise/pairwise.tfrecords``, ``pairwise/label.tsv``,
    ``test_a/test_a.tfrecords``, ``tag_list.txt``, and with ``test_pairs`` the tfrecords and labels of ``test_b``; the truth is in ``truth.arrow`` (``id1``, ``id2``, ``affinity``) and
    ``truth_videos.arrow``. ``classes`` (WeChat 2022): ``annotations/<part>.json``, ``zip_feats/<part>.zip``,
    ``zip_frames/<part>/<last 3 digits>/<id>.zip``; the truth is in ``truth.arrow``, a row per video. Truth per video is
    what ``lab.corpora.twin.files.TruthFile`` lists. ``twin.json`` holds seed, sizes, version of the model, score of an
    oracle, share of videos with each planted effect, and every published statistic beside what this twin has.

    Args:
        out: a new or empty folder, or one that holds an earlier twin, which is replaced. Complete or not there at all.
        track: "pairs" or "classes".
        videos: of all parts together.
        seed: of the corpus: its videos, pairs, labels, lengths and ids.
        world: "calibrated" or "clear", see ``lab.corpora.twin.worlds``.
        world_seed: what words, classes, tags and frames mean. Corpora of a world that differ in ``seed`` alone speak one
            language: what was learnt on one holds for the other.
        pairs: labelled pairs, about; by default 0.4 per video, at most the real number. Only for track pairs.
        test_pairs: pairs of the part ``test_b``, about, among videos of its own; as a test set its videos have no tags.
            Only for track pairs.
        frames: "features" (float16, 1536 or 768 wide), "jpeg" (up to 8 pictures of 224 x 224, 12 to 15 ms a video) or
            "both"; pictures exist for classes only, as in the competitions.
        parts: share of each part of a class corpus, ``labeled``, ``unlabeled``, ``test_a`` and ``test_b``, of which the
            first and the last have labels; by default 0.4 labeled, 0.4 unlabeled, 0.2 test_a.
        progress: show a bar.

    Raises:
        ValueError: an argument that does not fit, or too few videos for the pairs.
        FileExistsError: ``out`` holds something else.
    """
    if track not in ("pairs", "classes"):
        raise ValueError(f"track: pairs or classes, not {track!r}")
    if frames not in FRAMES:
        raise ValueError(f"frames: {', '.join(FRAMES)}, not {frames!r}")
    if track == "pairs" and frames != "features":
        raise ValueError("frames: the pair corpus has features only; pictures need track classes")
    if track == "pairs" and parts is not None:
        raise ValueError("parts: the parts of the pair corpus follow from its pairs; leave them out")
    if test_pairs and track == "classes":
        raise ValueError("test_pairs: the class corpus has none; give its part test_b a share with parts")
    if test_pairs < 0:
        raise ValueError(f"test_pairs: at least 0, not {test_pairs}")
    if track == "classes" and pairs is not None:
        raise ValueError("pairs: the class corpus has none; leave them out")
    if set(parts or ()) - {"labeled", "unlabeled", "test_a", "test_b"} or any(
        share <= 0 for share in (parts or {}).values()
    ):
        raise ValueError(f"parts: positive shares of labeled, unlabeled, test_a, test_b, not {parts}")
    world_spec(world, track)
    if videos < LEAST[track]:
        raise ValueError(f"videos: at least {LEAST[track]} for track {track}, not {videos}")
    if pairs is not None and pairs < 1:
        raise ValueError(f"pairs: at least 1, not {pairs}")
    out = Path(out)
    if out.exists() and any(out.iterdir()) and not (out / "twin.json").exists():
        raise FileExistsError(f"{shown(out)}: holds something that is no twin; choose another folder")
    language: dict[str, Any] = {"world": world, "world_seed": world_seed}
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with threadpool_limits(1):  # the order of additions, so the last bits, depend on the number of threads
            if track == "pairs":
                wanted = min(MAX_PAIRS, round(PAIRS_PER_VIDEO * videos)) if pairs is None else pairs
                twin = PairTwin(videos, seed, wanted, test_pairs=test_pairs, **language)
                about = pair_corpus.write(partial, twin, progress=progress)
                about |= {"calibration": calibration.of_pairs(twin)}
            else:
                twin = ClassTwin(videos, seed, **language)
                about = classes.write(partial, twin, parts=parts or classes.PARTS, frames=frames, progress=progress)
                about |= {"calibration": calibration.of_classes(twin)}
        write_json(partial / "twin.json", {"model": MODEL, "track": track, **language, "seed": seed, **about})
        replace_folder(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
