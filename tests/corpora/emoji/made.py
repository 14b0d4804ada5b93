"""A dozen emoji that do not exist, in archives as npm packs them."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np

from lab.corpora.emoji.items import LANGUAGES
from lab.corpora.emoji.packages import Package, integrity

# code, subgroup, keywords in every language
CODES = ["1F600", "1F601", "1F3C3", "1F3C3-200D-2640-FE0F", "1F468-200D-1F692", "1F469-200D-1F692", "2764-FE0F"]
CODES += ["1F9E1", "1F436", "1F431", "1F98A", "1F34E", "1F34F", "1F350"]
SUBGROUPS = [0, 0, 28, 28, 25, 25, 14, 14, 34, 34, 34, 43, 43, 43]
GROUPS = {0: 0, 14: 0, 25: 1, 28: 1, 34: 3, 43: 4}
WORDS = [["face", "happy"], ["face", "grin"], ["run"], ["run", "her"], ["fire"], ["fire", "her"], ["heart", "red"],
         ["heart", "orange"], ["pet", "dog"], ["pet", "cat"], ["fox"], ["fruit", "red"], ["fruit", "green"], ["fruit", "juice"]]  # fmt: skip


def pack(path: Path, files: dict[str, object]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _table(language: str) -> list[dict]:
    rows = [
        {
            "hexcode": code, "emoji": "".join(chr(int(point, 16)) for point in code.split("-")), "label": f"{language} {code}",
            "tags": [f"{word}{language}" for word in words], "group": GROUPS[subgroup], "subgroup": subgroup, "order": number,
        }
        for number, (code, subgroup, words) in enumerate(zip(CODES, SUBGROUPS, WORDS, strict=True))
    ]  # fmt: skip
    tone = {
        "hexcode": "1F3FB", "emoji": "x", "label": "tone", "tags": ["tone"], "group": 2, "subgroup": 32, "order": 99,
    }  # fmt: skip
    return [*rows, tone, {"hexcode": "1F1E6", "emoji": "y", "label": "letter"}]


def _vendor(colour: str, *, names: bool = True, without: str = "") -> dict[str, object]:
    icons = {
        f"icon-{number}": {"body": f'<circle cx="8" cy="8" r="{2 + number % 6}" fill="{colour}"/>'}
        for number, code in enumerate(CODES)
        if code != without
    }
    # vendors write codes in small letters, with or without the variation selector
    known = {code.lower().removesuffix("-fe0f"): f"icon-{number}" for number, code in enumerate(CODES)}
    return {"icons.json": {"icons": icons, "width": 16, "height": 16}, "chars.json": known if names else {}}


def archives(folder: Path) -> list[Package]:
    """Words and three vendors, of which the last has no names and lacks a drawing."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = {str(group): f"group {group}" for group in set(GROUPS.values())}
    words: dict[str, object] = {f"{name}/data.json": _table(name) for name in LANGUAGES}
    words["meta/groups.json"] = {"groups": groups, "subgroups": {str(one): f"subgroup {one}" for one in GROUPS}}
    contents = {
        "words": words,
        "@made/red": _vendor("red"),
        "@made/blue": _vendor("blue"),
        "@made/deep": _vendor("green", names=False, without="1F350"),
    }
    packages = []
    for name, files in contents.items():
        package = Package(name, "1.0.0", "", "MIT", f"{name}, (c) nobody", vendor=name != "words")
        path = folder / package.archive
        pack(path, {"package.json": {"name": name, "license": "MIT"}, **files})
        packages.append(Package(name, "1.0.0", integrity(path), "MIT", package.credit, package.vendor))
    return packages


def network(pictures) -> tuple[np.ndarray, np.ndarray]:
    """Small pictures in place of a network: 1,536 and 768 grey values."""
    grey = np.stack([np.asarray(picture.resize((48, 32)).convert("L")).ravel() for picture in pictures]) / 255
    return grey.astype("<f2"), grey[:, ::2].astype("<f2")
