"""fetch: packages in, two corpora in the competitions' official formats out."""

import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from lab.corpora.emoji import labels, pictures
from lab.corpora.emoji.items import LANGUAGES, PARTS, Emoji, draw, read
from lab.corpora.emoji.packages import PACKAGES, FetchError, Package, attributions, obtain
from lab.corpora.tfrecords import write_records
from lab.corpora.twin.files import JsonArray, add_member, npy
from lib.data.schema import WECHAT_CATEGORIES
from lib.runs.files import read_json, replace_folder, write_json, write_text
from lib.runs.machine import cores
from lib.runs.paths import shown

VERSION = 1  # of what is made from the packages; part of emoji.json
SPEECH, SCREEN = 0.6, 0.4  # share of the videos with a keyword as speech, with keywords as text on screen
LEAST_CLASS = 7  # emoji; of smaller subgroups the two smallest of a group become one class
CHUNK = 16  # emoji that are drawn and encoded together
CLASS_PARTS = {"pairwise": "labeled", "pointwise": "unlabeled", "test_a": "test_a", "test_b": "test_b"}
LABELLED = ("labeled", "test_b")
OURS = {"archives", "pairs", "classes", "pairs.partial", "classes.partial", "emoji.tsv", "LICENCES.txt", "emoji.json"}


@dataclass
class Film:
    """What is seen of one emoji: features of both widths, [n, 1536] and [n, 768], and its frames as JPEG files."""

    wide: np.ndarray
    narrow: np.ndarray
    images: list[bytes]


def fetch(
    out: Path | str,
    *,
    language: str = "zh",
    archives: Path | str | None = None,
    packages: Sequence[Package] = PACKAGES,
    network: pictures.Network | None = None,
    progress: bool = True,
) -> bool:
    """Build both corpora below ``out``; the same packages on the same machine give the same bytes.

    ``pairs`` (AIAC 2021): title, a keyword as speech, keywords as tags, drawings as frames; scores say how much the
    keywords in all other languages overlap. ``classes`` (WeChat 2022): subgroup under group. ``test_b`` has labels and
    holds the same quarter of the emoji in both; ids mod 5 of ``pairwise`` are five folds of whole families.
    ``emoji.tsv`` says which emoji is which video, ``LICENCES.txt`` what has to be said of the pictures.

    Args:
        out: a new or empty folder, or one that this function filled before.
        language: of titles, speech, tags and text on screen (``items.LANGUAGES``).
        archives: folder of the downloaded archives, used without network; by default ``out/archives``, filled by npm.
        packages, network: others than the pinned ones, for tests.

    Returns False if everything was there already. Raises FetchError: no network, no such language, an archive that is
    not the pinned one, a missing Python package; FileExistsError: ``out`` holds something else.
    """
    out = Path(out)
    made = {"version": VERSION, "language": language, "packages": {p.name: [p.version, p.integrity] for p in packages}}
    stamp = out / "emoji.json"
    if stamp.exists() and read_json(stamp) == made:
        return False
    if out.exists() and {path.name for path in out.iterdir()} - OURS:
        raise FileExistsError(f"{shown(out)}: holds something that is no emoji corpus; choose another folder")
    found = obtain(Path(archives) if archives else out / "archives", packages, download=archives is None)
    words = next(path for package, path in found.items() if not package.vendor)
    emoji, names = read(words, language)
    drawn, network = pictures.vendors(found), network or pictures.Network(pictures.checkpoint())
    emoji = [one for one in emoji if sum(one.code in vendor for vendor in drawn) > 1]
    stamp.unlink(missing_ok=True)
    partials = {name: out / f"{name}.partial" for name in ("pairs", "classes")}
    for folder in partials.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    try:
        films = _films(emoji, drawn, network, progress)
        write_pairs(partials["pairs"], emoji, films, language)
        write_classes(partials["classes"], emoji, films, language, names)
        for name, folder in partials.items():
            replace_folder(folder, out / name)
    finally:
        for folder in partials.values():
            shutil.rmtree(folder, ignore_errors=True)
    _write_tsv(out / "emoji.tsv", _listing(emoji, names))
    write_text(out / "LICENCES.txt", attributions(packages))
    write_json(stamp, made)
    return True


def _films(emoji: list[Emoji], drawn: list[pictures.Drawings], network: pictures.Network, progress: bool) -> list[Film]:
    def film(some: list[Emoji]) -> list[Film]:
        shown = [pictures.frames(one.code, drawn, _random("frames", one)) for one in some]
        wide, narrow = network([picture for one in shown for picture in one])
        ends = np.cumsum([len(one) for one in shown])[:-1]
        parts = zip(np.split(wide, ends), np.split(narrow, ends), shown, strict=True)
        return [Film(a, b, [pictures.jpeg(picture) for picture in one]) for a, b, one in parts]

    groups = [emoji[start : start + CHUNK] for start in range(0, len(emoji), CHUNK)]
    result: list[Film] = []
    with (
        tqdm(total=len(emoji), desc="draw and encode", unit="emoji", disable=not progress) as bar,
        ThreadPoolExecutor(cores()) as pool,
    ):
        for films in pool.map(film, groups):
            result += films
            bar.update(len(films))
    return result


def _random(use: str, one: Emoji) -> np.random.Generator:
    return np.random.default_rng(draw(use, one.code))


def write_pairs(out: Path, emoji: list[Emoji], films: list[Film], language: str) -> None:
    """The files of AIAC 2021 track 1."""
    known = Counter(word for one in emoji if not one.part.startswith("test") for word in one.keywords[language])
    ranked = sorted({word for one in emoji for word in one.keywords[language]}, key=lambda word: (-known[word], word))
    tag = {word: 10_000_000 + number for number, word in enumerate(ranked)}
    for part in PARTS.values():
        (out / part).mkdir()
        rows = [row for row, one in enumerate(emoji) if one.part == part]
        rows = np.random.default_rng(draw("order", part)).permutation(rows).tolist()
        name = "pretrain_0" if part == "pointwise" else part
        examples = (_example(emoji[row], films[row], language, tag) for row in rows)
        write_records(out / part / f"{name}.tfrecords", examples)
    write_text(out / "tag_list.txt", "".join(f"{tag[word]}\n" for word in ranked if known[word] > 1))
    similarity = labels.overlap(emoji, [name for name in LANGUAGES if name != language.split("-")[0]])
    level = None
    for part, wanted in labels.PAIRS.items():
        pairs = labels.choose(emoji, similarity, part, wanted, np.random.default_rng(draw("pairs", part)))
        overlaps = similarity[pairs[:, 0], pairs[:, 1]]
        level = level or labels.Levels(overlaps)  # of the training pairs, which come first
        scores = (f"{score:.2f}" for score in level(overlaps))
        rows = ((emoji[i].number, emoji[j].number, score) for (i, j), score in zip(pairs, scores, strict=True))
        _write_tsv(out / part / "label.tsv", rows)


def _speech(one: Emoji, language: str) -> str:
    rng, words = _random("speech", one), one.keywords[language]
    return str(rng.choice(words)) if rng.random() < SPEECH else ""


def _example(one: Emoji, film: Film, language: str, tag: Mapping[str, int]) -> dict[str, list]:
    example: dict[str, list] = {
        "id": [str(one.number).encode()],
        "title": [one.title.encode()],
        "asr_text": [_speech(one, language).encode()],
        "frame_feature": [frame.tobytes() for frame in film.wide],
    }
    if not one.part.startswith("test"):
        example["tag_id"] = [tag[word] for word in one.keywords[language]]
        example["category_id"] = [10_000 + 100 * one.group + one.subgroup % 100]
    return example


def write_classes(
    out: Path, emoji: list[Emoji], films: list[Film], language: str, names: Mapping[str, Mapping[str, str]]
) -> None:
    """The files of WeChat 2022, with pictures and features; beside them ``category_names.tsv``."""
    category = class_codes(emoji)
    (out / "annotations").mkdir()
    (out / "zip_feats").mkdir()
    for ours, part in CLASS_PARTS.items():
        with ExitStack() as stack:
            annotations = JsonArray(out / "annotations" / f"{part}.json")
            stack.callback(annotations.close)
            features = stack.enter_context(zipfile.ZipFile(out / "zip_feats" / f"{part}.zip", "w", zipfile.ZIP_STORED))
            for one, film in zip(emoji, films, strict=True):
                if one.part != ours:
                    continue
                name, rng, words = f"{one.number:020d}", _random("screen", one), one.keywords[language]
                screen = rng.permutation(words)[:2].tolist() if rng.random() < SCREEN else []
                item: dict[str, Any] = {"id": name, "title": one.title, "asr": _speech(one, language)}
                item["ocr"] = [{"time": float(time), "text": text} for time, text in enumerate(screen)]
                annotations.add(item | {"category_id": category[one.subgroup]} if part in LABELLED else item)
                add_member(features, f"{name}.npy", npy(film.narrow))
                file = out / "zip_frames" / part / name[-3:] / f"{name}.zip"
                file.parent.mkdir(parents=True, exist_ok=True)
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    for number, image in enumerate(film.images, start=1):
                        add_member(archive, f"{number:02d}.jpg", image)
    group = {one.subgroup: one.group for one in emoji}
    rows = ((code, names["groups"][str(group[key])], names["subgroups"][str(key)]) for key, code in category.items())
    _write_tsv(out / "category_names.tsv", [("category_id", "group", "subgroup"), *sorted(rows)])


def class_codes(emoji: Iterable[Emoji]) -> dict[int, str]:
    """Subgroup -> category of the official list of 200: groups are its first level, the largest on the largest. Raises
    FetchError: more subgroups than the official tree has room for."""
    counts: dict[int, Counter[int]] = {}
    for one in emoji:
        counts.setdefault(one.group, Counter())[one.subgroup] += 1
    classes = {group: _joined(of) for group, of in counts.items()}
    official: dict[str, list[str]] = {}
    for code in WECHAT_CATEGORIES:
        official.setdefault(code[:2], []).append(code)
    large = sorted(official.values(), key=lambda codes: (-len(codes), codes))
    result = {}
    for group, codes in zip(sorted(classes, key=lambda group: (-len(classes[group]), group)), large, strict=False):
        if len(classes[group]) > len(codes):
            need = f"{len(classes[group])} classes"
            raise FetchError(f"group {group} has {need}, the official tree has room for {len(codes)}")
        result |= {one: code for code, some in zip(codes, classes[group], strict=False) for one in some}
    return result


def _joined(counts: Mapping[int, int]) -> list[list[int]]:
    """Subgroups of a group by class, in order; the two smallest classes are joined while one has too few emoji."""
    classes = [([one], count) for one, count in sorted(counts.items())]
    while len(classes) > 1 and min(count for _, count in classes) < LEAST_CLASS:
        (a, m), (b, n) = sorted(classes, key=lambda one: one[1])[:2]
        classes = sorted([*(one for one in classes if one[0] not in (a, b)), (sorted(a + b), m + n)])
    return [some for some, _ in classes]


def _listing(emoji: Iterable[Emoji], names: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[Any, ...]]:
    yield "id", "part", "fold", "character", "code", "family", "group", "subgroup", "title"
    for one in emoji:
        group, subgroup = names["groups"][str(one.group)], names["subgroups"][str(one.subgroup)]
        yield one.number, one.part, one.fold, one.character, one.code, one.family, group, subgroup, one.title


def _write_tsv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    write_text(path, "".join("\t".join(map(str, row)) + "\n" for row in rows))
