"""Variants stay together, everything else is spread evenly."""

from collections import Counter

import pytest

from lab.corpora.emoji.items import Emoji, deal, family, read
from lab.corpora.emoji.packages import FetchError
from tests.corpora.emoji.made import CODES, archives


def emoji(code: str, subgroup: int) -> Emoji:
    return Emoji(code, "", "", {}, 0, subgroup, 0)


@pytest.mark.parametrize(
    "one, other",
    [
        ("1F44B", "1F44B-1F3FF"),
        ("1F3C3", "1F3C3-1F3FB-200D-2640-FE0F-200D-27A1-FE0F"),
        ("1F468-200D-1F692", "1F9D1-1F3FD-200D-1F692"),
        ("1F46B", "1F9D1-200D-1F91D-200D-1F9D1"),
        ("1F468-200D-1F469-200D-1F466", "1F469-200D-1F469-200D-1F467"),
    ],
)
def test_variants_of_tone_gender_and_direction_are_one_family(one, other):
    assert family(one) == family(other)


@pytest.mark.parametrize("one, other", [("2640", "2642"), ("27A1", "2B05"), ("1F468-200D-1F692", "1F468-200D-1F680")])
def test_others_are_not(one, other):
    assert family(one) != family(other)


def test_a_quarter_is_for_the_test_and_families_are_whole():
    people = [f"{person}-200D-{1 + job:X}" for job in range(200) for person in ("1F468", "1F469", "1F9D1")]
    all_of_them = [emoji(code, number // 60) for number, code in enumerate(people)]
    deal(all_of_them)
    places: dict[str, set] = {}
    for one in all_of_them:
        places.setdefault(one.family, set()).add((one.part, one.fold))
    assert {len(place) for place in places.values()} == {1} and len(places) == 200
    assert Counter(one.part for one in all_of_them) == {"pairwise": 300, "test_b": 150, "pointwise": 120, "test_a": 30}
    of_subgroup = Counter(one.subgroup for one in all_of_them if one.part == "test_b")
    assert set(of_subgroup.values()) == {15}
    assert set(Counter(one.fold for one in all_of_them if one.part == "pairwise").values()) == {60}
    assert all(one.number % 5 == one.fold and 0 < one.number < 2**63 for one in all_of_them)
    assert len({(one.family, one.number % 3) for one in all_of_them}) == 200
    assert len({one.number for one in all_of_them}) == 600


def test_names_and_keywords_are_those_of_the_language_and_components_are_left_out(tmp_path):
    archive = tmp_path / archives(tmp_path)[0].archive
    found, names = read(archive, "ja")
    assert [one.code for one in found] == [code.replace("-FE0F", "") for code in CODES]
    assert found[0].title == "ja 1F600" and found[0].keywords["ja"] == ["faceja", "happyja"]
    assert names["groups"]["0"] == "group 0"
    with pytest.raises(FetchError, match="--language xx: there is no such one; use one of bn, da"):
        read(archive, "xx")
