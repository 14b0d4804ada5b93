"""From archives to two corpora that the ordinary importers read, twice with the same bytes."""

import json

import pytest

from lab import cli
from lab.corpora import emoji
from lab.corpora.emoji.fetch import class_codes
from lab.corpora.emoji.items import Emoji, family
from lab.corpora.importing import import_corpus
from lib.data.schema import WECHAT_CATEGORIES
from tests.corpora.emoji.made import CODES, archives, network


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("emoji")
    packages = archives(root / "archives")
    options = {"archives": root / "archives", "packages": packages, "network": network, "progress": False}
    assert emoji.fetch(root / "first", **options)
    return root, options


def content(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def listing(folder) -> list[dict[str, str]]:
    head, *rows = [line.split("\t") for line in (folder / "emoji.tsv").read_text("utf-8").splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_a_second_build_gives_the_same_bytes_and_a_second_call_does_nothing(made):
    root, options = made
    assert emoji.fetch(root / "second", **options)
    first, second = content(root / "first"), content(root / "second")
    assert first == second and len(first) > 30
    before = (root / "second" / "emoji.json").stat().st_mtime_ns
    assert not emoji.fetch(root / "second", **options)
    assert (root / "second" / "emoji.json").stat().st_mtime_ns == before


def test_pairs_are_read_by_the_ordinary_importer(made):
    root, _ = made
    store = import_corpus(root / "first" / "pairs", root / "pairs store")
    rows = listing(root / "first")
    part = {row["id"]: row["part"] for row in rows}
    assert store.track == "pairs" and store.frame_dim == 1536 and len(store) == len(rows) == len(CODES)
    assert dict(zip(store.column("id"), store.column("part"), strict=True)) == part
    pairs = store.pairs()
    parts = store.column("part")[pairs[["row1", "row2"]].to_numpy()]
    assert (parts[:, 0] == parts[:, 1]).all() and set(parts.ravel()) == {"pairwise", "test_b"}
    video = next(store.video(row) for row in range(len(store)) if store.video(row).part == "pairwise")
    own = next(row for row in rows if row["id"] == video.id)
    assert video.title == own["title"] == f"zh {own['title'].split()[1]}" and video.tags and len(video.category) == 5
    assert len(video.frames) == (3 if own["code"] == "1F350" else 4)
    assert {store.video(row).tags for row in store.rows("test_a", "test_b")} == {None}


def test_classes_are_read_by_the_ordinary_importer(made):
    root, _ = made
    store = import_corpus(root / "first" / "classes", root / "classes store")
    rows = {row["id"].zfill(20): row for row in listing(root / "first")}
    assert store.track == "classes" and store.frame_dim == 768 and store.manifest["images"]
    names = dict(
        line.split("\t")[::2] for line in (root / "first/classes/category_names.tsv").read_text().splitlines()[1:]
    )
    part = {"pairwise": "labeled", "pointwise": "unlabeled"}
    for row in range(len(store)):
        video = store.video(row)
        own = rows[video.id]
        assert video.part == part.get(own["part"], own["part"])
        assert (video.category is not None) == (video.part in ("labeled", "test_b"))
        assert video.category is None or video.category in WECHAT_CATEGORIES and video.category in names
        assert len(video.images) == len(video.frames)


def test_variants_are_on_one_side(made):
    sides: dict[str, set] = {}
    for row in listing(made[0] / "first"):
        assert row["family"] == family(row["code"])
        sides.setdefault(row["family"], set()).add(
            (row["part"], int(row["id"]) % 5 if row["part"] == "pairwise" else 0)
        )
    assert {len(side) for side in sides.values()} == {1} and len(sides) == len(CODES) - 2


def test_titles_in_another_language_and_scores_from_the_others(made):
    root, options = made
    assert emoji.fetch(root / "english", **options, language="en")
    assert {row["title"].split()[0] for row in listing(root / "english")} == {"en"}
    annotations = json.loads((root / "english/classes/annotations/labeled.json").read_text("utf-8"))
    words = [one["asr"] for one in annotations] + [line["text"] for one in annotations for line in one["ocr"]]
    assert {word[-2:] for word in words if word} == {"en"}


def test_what_has_to_be_said_of_the_pictures_is_beside_them(made):
    said = (made[0] / "first" / "LICENCES.txt").read_text("utf-8")
    assert "@made/red, (c) nobody (MIT; npm @made/red 1.0.0)" in said and "CC BY-SA 4.0" in said


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(FileExistsError, match="holds something that is no emoji corpus"):
        emoji.fetch(tmp_path, packages=[], network=network)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_killed_build_left_is_in_nobodys_way(made):
    root, options = made
    (root / "killed" / "pairs.partial" / "pairwise").mkdir(parents=True)
    (root / "killed" / "classes").mkdir()
    assert emoji.fetch(root / "killed", **options)
    assert content(root / "killed") == content(root / "first")


def test_small_subgroups_are_joined_with_their_smallest_neighbours():
    sizes = {0: {1: 3, 2: 4, 3: 9}, 5: {7: 4}}
    some = [
        Emoji(str(n), "", "", {}, g, s, n) for g, of in sizes.items() for s, size in of.items() for n in range(size)
    ]
    codes = class_codes(some)
    assert codes[1] == codes[2] != codes[3] and codes[1][:2] == codes[3][:2] != codes[7][:2]
    assert set(codes.values()) <= set(WECHAT_CATEGORIES)


def test_the_command_says_in_one_line_what_is_missing(tmp_path, capsys):
    assert cli.main(["corpus", "fetch", "emoji", "--out", str(tmp_path / "out"), "--archives", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "emojibase-data-17.0.0.tgz is missing" in error
