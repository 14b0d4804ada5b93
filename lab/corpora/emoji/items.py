"""Which emoji there are, what people call them, who belongs to whom, and who is kept for the test."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from lab.corpora.emoji.packages import FetchError, members

COMPONENT = 2  # group of skin tones and hair: no emoji of their own
LANGUAGES = ["bn", "da", "de", "en", "es", "et", "fi", "fr", "hi", "hu", "it", "ja", "ko", "lt", "ms", "nb", "nl", "pl", "pt", "ru", "sv", "th", "uk", "vi", "zh"]  # fmt: skip
# Deals whole families out in turn: of twenty, five are the labelled test part, one the unlabelled, four have no pairs.
DEAL = "wptpaptpwptpwptpwptp"
PARTS = {"p": "pairwise", "w": "pointwise", "a": "test_a", "t": "test_b"}
FOLDS, RESIDUES = 5, 15  # an id's residue mod 15 is its family's, so folds by id mod 3 or mod 5 hold whole families

# Code points that make a variant: variation selector, joiner, skin tones, gender signs, "facing right".
MARKS = {"FE0F", "200D", "1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF", "2640", "2642", "27A1"}
_COUPLE = ("1F9D1", "1F91D", "1F9D1")
# Women and men of any age as persons, and single code points as the sequence of persons that says the same.
NEUTRAL: dict[str, tuple[str, ...]] = {
    "1F468": ("1F9D1",), "1F469": ("1F9D1",), "1F466": ("1F9D2",), "1F467": ("1F9D2",), "1F474": ("1F9D3",),
    "1F475": ("1F9D3",), "1F934": ("1FAC5",), "1F478": ("1FAC5",), "1F930": ("1FAC4",), "1FAC3": ("1FAC4",),
    "1F57A": ("1F483",), "1F385": ("1F9D1", "1F384"), "1F936": ("1F9D1", "1F384"),
    "1F46B": _COUPLE, "1F46C": _COUPLE, "1F46D": _COUPLE, "1F46A": ("1F9D1", "1F9D1", "1F9D2"),
    "1F48F": ("1F9D1", "2764", "1F48B", "1F9D1"), "1F491": ("1F9D1", "2764", "1F9D1"),
}  # fmt: skip


@dataclass
class Emoji:
    """One emoji, which is one video.

    Attributes:
        code: its code points in hexadecimal, joined by "-", without variation selectors.
        keywords: language -> keywords in the order of the source.
        family: code of what is left without skin tone, gender and direction; families are never divided.
        part, fold: where it goes; fold 0 to 4 is also the residue of ``number``, its id, mod 5.
    """

    code: str
    character: str
    title: str
    keywords: dict[str, list[str]]
    group: int
    subgroup: int
    order: int
    part: str = ""
    fold: int = 0
    number: int = field(default=0)

    @property
    def family(self) -> str:
        return family(self.code)


def bare(code: str) -> str:
    """A code without variation selectors, in capitals: packages disagree on those."""
    return "-".join(point for point in code.upper().split("-") if point != "FE0F")


def family(code: str) -> str:
    """What a code shares with its variants of skin tone, gender and direction.

    >>> family("1F3C3-1F3FB-200D-2640-FE0F-200D-27A1-FE0F"), family("1F469-200D-1F692")
    ('1F3C3', '1F9D1-1F692')
    """
    points = [point for point in code.split("-") if point not in MARKS] or [code]
    return "-".join(part for point in points for part in NEUTRAL.get(point, (point,)))


def read(archive: Path, language: str) -> tuple[list[Emoji], dict[str, dict[str, str]]]:
    """Every emoji that has keywords in a language, in Unicode's order, dealt out to parts; names of groups and
    subgroups. Raises FetchError: a language that the package lacks, or that has too few keywords."""
    known = sorted({*LANGUAGES, language})
    try:
        files = members(archive, [f"{name}/data.json" for name in known] + ["meta/groups.json"])
    except FetchError:
        raise FetchError(f"--language {language}: there is no such one; use one of {', '.join(LANGUAGES)}") from None
    names = json.loads(files["meta/groups.json"])
    tables = {name: json.loads(files[f"{name}/data.json"]) for name in known}
    words = {name: {entry["hexcode"]: entry.get("tags", []) for entry in table} for name, table in tables.items()}
    emoji = [
        Emoji(
            code=bare(entry["hexcode"]),
            character=entry["emoji"],
            title=entry["label"],
            keywords={name: words[name].get(entry["hexcode"], []) for name in known},
            group=entry["group"],
            subgroup=entry["subgroup"],
            order=entry["order"],
        )
        for entry in tables[language]
        if entry.get("tags") and entry.get("group", COMPONENT) != COMPONENT
    ]
    emoji.sort(key=lambda one: one.order)
    deal(emoji)
    return emoji, names


def deal(emoji: list[Emoji]) -> None:
    """Give every emoji its part, fold and number; a family keeps together, a subgroup is spread evenly."""
    families: dict[str, list[Emoji]] = {}
    for one in emoji:
        families.setdefault(one.family, []).append(one)
    turn = dict.fromkeys(PARTS.values(), 0)
    order = sorted(families, key=lambda name: (families[name][0].subgroup, draw("deal", name)))
    for position, name in enumerate(order):
        part = PARTS[DEAL[position % len(DEAL)]]
        for one in families[name]:
            one.part, one.fold = part, turn[part] % FOLDS
            one.number = draw("id", one.code) // 2 // RESIDUES * RESIDUES + turn[part] % RESIDUES
        turn[part] += 1


def draw(*names: str) -> int:
    """A number below 2^64 that depends on nothing but the names."""
    return int.from_bytes(hashlib.sha256("/".join(names).encode()).digest()[:8], "big")
