"""Submission files: what is written is read back, what is wrong is named, and scores are those worked out by hand."""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lab.cli import main
from lab.corpora.score import read_classes, read_embeddings, score_file
from lib.data.rejects import BadRecord
from lib.recipes.load import load
from lib.recipes.specs import Recipe
from lib.runs.paths import PROJECT
from lib.stages.result_files import write_classes, write_embeddings

FLOATS = st.floats(-100, 100, allow_subnormal=False)


def write_zip(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def names_all(error: BadRecord, file: Path, record: str, field: str, value: str, remedy: str) -> None:
    """The error carries all five facts, and its message says them."""
    assert file.name in error.file and record in error.record and field == error.field
    assert value in error.value and remedy in error.remedy
    for fact in (error.file, error.record, error.field, error.value, error.remedy):
        assert fact in str(error)


@settings(max_examples=30, deadline=None)
@given(
    ids=st.lists(st.text("abc0123456789视频", min_size=1, max_size=8), min_size=1, max_size=5, unique=True),
    precision=st.sampled_from(["float16", "float64"]),
    data=st.data(),
)
def test_embeddings_round_trip(ids, precision, data):
    vectors = data.draw(arrays.arrays(np.float64, (len(ids), 4), elements=FLOATS))
    with tempfile.TemporaryDirectory() as folder:
        write_embeddings(Path(folder) / "s.zip", ids, vectors, precision=precision)
        read = read_embeddings(Path(folder) / "s.zip")
    expected = vectors if precision == "float64" else vectors.astype(np.float16).astype(np.float64)
    assert list(read) == ids
    for name, row in zip(ids, expected, strict=True):
        assert np.array_equal(read[name], row)


TEAMS = {"aiac_rank1": "submit/result.json", "aiac_rank6": "result.json", "aiac_rank17": "result/result.json"}


def as_team(recipe: str) -> dict[str, str]:
    return load(Recipe, recipe).submission.model_dump()


@pytest.mark.parametrize(
    ("recipe", "value"), [("aiac_rank1", 0.0999755859375), ("aiac_rank17", 0.0999755859375), ("aiac_rank6", 0.1)]
)
def test_rounding_of_the_teams(tmp_path, recipe, value):
    """The float16 nearest to 0.1 is 1638/2^14 = 0.0999755859375; rank 6 wrote float64."""
    write_embeddings(tmp_path / "s.zip", ["a"], np.array([[0.1]]), **as_team(recipe))
    assert read_embeddings(tmp_path / "s.zip")["a"].tolist() == [value]


@pytest.mark.parametrize(("recipe", "member"), list(TEAMS.items()))
def test_member_names_of_the_teams(tmp_path, recipe, member):
    """Specification of the AIAC 2021 systems, section 0.5; equal content gives equal bytes."""
    for name in ("a.zip", "b.zip"):
        write_embeddings(tmp_path / name, ["a"], np.ones((1, 2)), **as_team(recipe))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [member]
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize(
    ("value", "recipe"), [(np.nan, "aiac_rank1"), (np.inf, "aiac_rank6"), (1e6, "aiac_rank1"), (1e6, "aiac_rank17")]
)
def test_numbers_that_are_not_finite_are_not_written(tmp_path, value, recipe):
    """1e6 is finite, but beyond float16 (65504): the file would hold Infinity."""
    with pytest.raises(ValueError, match="nothing was written"):
        write_embeddings(tmp_path / "s.zip", ["a"], np.array([[value]]), **as_team(recipe))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("members", "record", "field", "value", "remedy"),
    [
        ({"a.json": "{}", "b.json": "{}"}, "archive", "members", "b.json", "exactly one"),
        ({"a.txt": "{}"}, "archive", "members", "a.txt", "exactly one"),
        ({"a.json": "{"}, "archive", "content", "Expecting", "again"),
        ({"a.json": "[1, 2]"}, "archive", "content", "list", "id"),
        ({"a.json": '{"u": [1.0, 2.0], "v": [1.0]}'}, "video v", "embedding", "(1,)", "2 numbers"),
        ({"a.json": '{"v": [1.0, NaN]}'}, "video v", "embedding", "NaN", "finite"),
        ({"a.json": '{"v": [1.0, "x"]}'}, "video v", "embedding", "x", "numbers"),
        (None, "archive", "content", "zip", "again"),
    ],
)
def test_wrong_embeddings_are_named(tmp_path, members, record, field, value, remedy):
    path = tmp_path / "s.zip"
    if members is None:
        path.write_text("no zip")
    else:
        write_zip(path, members)
    with pytest.raises(BadRecord) as caught:
        read_embeddings(path)
    names_all(caught.value, path, record, field, value, remedy)


@settings(max_examples=30, deadline=None)
@given(
    ids=st.lists(st.text('ab0_-," $', min_size=1, max_size=8), min_size=1, max_size=9, unique=True),
    categories=st.lists(st.sampled_from(["0101", "food, drink/rice", 'a "b"/c']), min_size=9, max_size=9),
)
@example(["a\nb", "c"], ["0101", "x\ny"])
def test_classes_round_trip(ids, categories):
    categories = categories[: len(ids)]
    with tempfile.TemporaryDirectory() as folder:
        write_classes(Path(folder) / "result.csv", ids, categories)
        assert read_classes(Path(folder) / "result.csv", official=False) == dict(zip(ids, categories, strict=True))


@pytest.mark.parametrize(
    ("text", "record", "field", "value", "remedy"),
    [
        ("a,0000\nb\n", "line 2", "line", "b", "id,category_id"),
        ("a,0000,1\n", "line 1", "line", "a,0000,1", "id,category_id"),
        ('a,"0000\n', "line 1", "line", "unexpected end of data", "id,category_id"),
        ("id,category_id\na,0101\n", "line 1", "line", "id,category_id", "without a header"),
        ("1.40112E+19,0101\n", "line 1", "id", "1.40112E+19", "spreadsheet"),
        ("a,101\n", "line 1 (video a)", "category_id", "101", "leading zeros"),
        ("a,9999\n", "line 1 (video a)", "category_id", "9999", "200 official"),
        ("a,0000\na,0001\n", "line 2 (video a)", "id", "a", "once"),
    ],
)
def test_wrong_classes_are_named(tmp_path, text, record, field, value, remedy):
    path = tmp_path / "result.csv"
    path.write_text(text)
    with pytest.raises(BadRecord) as caught:
        read_classes(path)
    names_all(caught.value, path, record, field, value, remedy)


@pytest.fixture
def pairs(tmp_path) -> tuple[Path, Path]:
    """Cosines 1, 0.6, 0, -1 of a to b c d e. Human scores in the order 1 0.4 0.5 0: ranks differ by 0 1 1 0."""
    vectors = {"a": [1, 0], "b": [2, 0], "c": [0.6, 0.8], "d": [0, 3], "e": [-1, 0]}
    submission = write_zip(tmp_path / "s.zip", {"submit/result.json": json.dumps(vectors)})
    labels = tmp_path / "label.tsv"
    labels.write_text("a\tb\t1.0\na\tc\t0.4\na\td\t0.5\na\te\t0.0\n")
    return submission, labels


def test_score_of_pairs_by_hand(pairs):
    """1 - 6 * 2 / (4 * 15) = 0.8."""
    assert score_file(*pairs) == {"pairs": 4, "spearman": pytest.approx(0.8)}


@pytest.mark.parametrize(
    ("line", "file", "record", "field", "value", "remedy"),
    [
        ("a\tb\n", "label.tsv", "line 5", "line", "a", "score"),
        ("a\tb\thigh\n", "label.tsv", "line 5", "score", "high", "number"),
        ("a\tz\t0.5\n", "s.zip", "video z", "embedding", "missing", "line 5"),
    ],
)
def test_wrong_pair_labels_are_named(pairs, line, file, record, field, value, remedy):
    submission, labels = pairs
    labels.write_text(labels.read_text() + line)
    with pytest.raises(BadRecord) as caught:
        score_file(submission, labels)
    names_all(caught.value, Path(file), record, field, value, remedy)


@pytest.fixture
def classes(tmp_path) -> tuple[Path, Path]:
    """Truth 0000 0000 0001 0100, said 0000 0001 0001 0100."""
    ids = ["a", "b", "c", "d"]
    write_classes(tmp_path / "result.csv", ids, ["0000", "0001", "0001", "0100"])
    write_classes(tmp_path / "truth.csv", ids, ["0000", "0000", "0001", "0100"])
    return tmp_path / "result.csv", tmp_path / "truth.csv"


def test_score_of_classes_by_hand(classes, tmp_path):
    """Level 2: accuracy 3/4, F1 2/3 2/3 1; level 1: no error. Annotations as labels score the same."""
    scores = score_file(*classes)
    assert scores["videos"] == 4 and scores["lv1_f1_micro"] == scores["lv1_f1_macro"] == 1.0
    assert scores["lv2_f1_micro"] == 0.75 and scores["lv2_f1_macro"] == pytest.approx(7 / 9)
    assert scores["mean_f1"] == pytest.approx((0.75 + 7 / 9 + 2) / 4)
    # three of 200 classes and two of 23 occur
    assert scores["lv2_f1_macro_all_classes"] == pytest.approx(7 / 3 / 200)
    assert scores["mean_f1_all_classes"] == pytest.approx((0.75 + 7 / 3 / 200 + 1 + 2 / 23) / 4)
    annotations = tmp_path / "labeled.json"
    annotations.write_text(json.dumps([{"id": i, "category_id": c} for i, c in read_classes(classes[1]).items()]))
    assert score_file(classes[0], annotations) == scores


@pytest.mark.parametrize(
    ("content", "record", "field", "value", "remedy"),
    [
        ('[{"id": "a"}]', "record 0 (video a)", "category_id", "missing", "every record needs it"),
        ('[{"id": "a", "category_id": "7777"}]', "record 0 (video a)", "category_id", "7777", "200 official"),
        ("[", "record 0", "JSON", "end of file", "cut short"),
    ],
)
def test_wrong_annotations_are_named(classes, tmp_path, content, record, field, value, remedy):
    annotations = tmp_path / "labeled.json"
    annotations.write_text(content)
    with pytest.raises(BadRecord) as caught:
        score_file(classes[0], annotations)
    names_all(caught.value, annotations, record, field, value, remedy)


@pytest.mark.parametrize(("side", "field", "value"), [(0, "category_id", "missing"), (1, "id", "d")])
def test_videos_on_one_side_only_are_named(classes, side, field, value):
    lines = classes[side].read_text().splitlines()
    classes[side].write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(BadRecord) as caught:
        score_file(*classes)
    names_all(caught.value, classes[0], "video d", field, value, "line")


def test_missing_file_is_named(classes, tmp_path):
    with pytest.raises(BadRecord) as caught:
        score_file(classes[0], tmp_path / "nothing.csv")
    names_all(caught.value, tmp_path / "nothing.csv", "file", "path", "missing", "existing file")


def test_command_line(pairs):
    """``vidlab score``: 0 and the score, or 1 and one line that says what is wrong."""
    commands = (
        [sys.executable, "-m", "lab", "score", pairs[0], pairs[1].with_name(n)] for n in ("label.tsv", "nothing.tsv")
    )
    good, bad = (subprocess.run(command, cwd=PROJECT, capture_output=True, text=True) for command in commands)
    assert good.returncode == 0 and good.stdout.splitlines() == ["pairs: 4", "spearman: 0.800000"]
    assert bad.returncode == 1 and bad.stderr.startswith("error: ") and "nothing.tsv" in bad.stderr


def test_command_line_scores_classes_both_ways(classes, capsys):
    assert main(["score", *map(str, classes)]) == 0
    lines = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert lines["mean_f1"] == "0.881944" and lines["mean_f1_all_classes"] == "0.462156"


def test_what_cannot_be_ranked_or_contradicts_is_said(tmp_path, pairs, capsys):
    pairs[1].write_text("a\tb\t0.5\nb\ta\t0.5\na\tc\t0.5\n")
    assert score_file(*pairs)["constant"] == "all scores are 0.5, so there is nothing to rank"
    pairs[1].write_text("a\tb\t0.5\nb\ta\t0.6\na\tb\t0.5\n")
    found = score_file(*pairs)
    assert found["constant"].startswith("all cosines are 1,") and found["contradicting"].startswith("1 pair has")
    assert main(["score", *map(str, pairs)]) == 0 and "constant: all cosines" in capsys.readouterr().out


def test_a_key_twice_is_no_submission(tmp_path, pairs):
    with pytest.raises(BadRecord, match="'a' comes twice"):
        read_embeddings(write_zip(tmp_path / "twice.zip", {"result.json": '{"a": [1], "a": [2]}'}))
    annotations = tmp_path / "labels.json"
    annotations.write_text('[{"id": "1", "category_id": "0101"}, {"id": "1", "category_id": "0102"}]')
    (tmp_path / "result.csv").write_text("1,0101\n")
    with pytest.raises(BadRecord, match="the same id came before"):
        score_file(tmp_path / "result.csv", annotations)


def test_own_categories(tmp_path):
    """Classes of an own corpus: the level above is what stands before the slash; 3 of 4 are right, all on level 1."""
    truth, said = ["animals/cat", "animals/dog", "cars", "cars"], ["animals/cat", "animals/cat", "cars", "cars"]
    write_classes(tmp_path / "truth.csv", list("abcd"), truth)
    write_classes(tmp_path / "result.csv", list("abcd"), said)
    scores = score_file(tmp_path / "result.csv", tmp_path / "truth.csv")
    assert (scores["lv2_f1_micro"], scores["lv1_f1_micro"]) == (0.75, 1.0)
    (tmp_path / "truth.csv").write_text("a,0101\nb,101\n")  # a zero was lost: not an own corpus
    with pytest.raises(BadRecord, match="leading zeros"):
        score_file(tmp_path / "result.csv", tmp_path / "truth.csv")


def test_what_other_programs_leave_is_no_content(classes, pairs):
    """A byte-order mark, blank lines, Windows line ends, and the folder that a Mac adds to an archive."""
    before = score_file(*classes), score_file(*pairs)
    for file in classes:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    pairs[1].write_bytes(b"\xef\xbb\xbf" + pairs[1].read_bytes() + b"\n\n")
    with zipfile.ZipFile(pairs[0], "a") as archive:
        archive.writestr("__MACOSX/submit/._result.json", b"\0\5\x16\7")
    assert (score_file(*classes), score_file(*pairs)) == before


def test_another_encoding_is_named(classes):
    classes[0].write_bytes("视频,0000\n".encode("gbk"))
    with pytest.raises(BadRecord, match="not valid UTF-8") as caught:
        score_file(*classes)
    assert caught.value.record == "line 1"


def test_damaged_archive_is_named(tmp_path):
    path = write_zip(tmp_path / "s.zip", {"a.json": json.dumps({"v": [1.0] * 500})})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(BadRecord, match="write the submission again"):
        read_embeddings(path)
