"""Reports compared table by table."""

from pathlib import Path

import pandas as pd
import pytest

from tests.show.agreement import ELSEWHERE, differences, main, processor, tolerance


def report(folder: Path, **tables: dict) -> Path:
    (folder / "tables").mkdir(parents=True)
    for name, columns in tables.items():
        pd.DataFrame(columns).to_csv(folder / "tables" / f"{name}.csv", index=False)
    return folder


def test_scores_must_agree_and_times_need_not(tmp_path):
    committed = report(
        tmp_path / "a", board={"score": [0.5, 0.25], "seconds": [1.0, 2.0], "scores": ["0.1 0.2", "0.3 0.4"]}
    )
    made = report(
        tmp_path / "b", board={"score": [0.5, 0.2504], "seconds": [9.0, 8.0], "scores": ["0.1 0.2", "0.3 0.4009"]}
    )
    found = differences(made, committed)
    assert found[["row", "column", "made", "committed"]].to_numpy().tolist() == [
        [1, "score", "0.2504", "0.25"],
        [1, "scores", "0.3 0.4009", "0.3 0.4"],
    ]
    assert differences(made, committed, 1e-3).empty
    assert len(differences(made, committed, 5e-4)) == 1


@pytest.mark.parametrize(
    ("made", "column"),
    [
        ({"verdict": ["helps"]}, ["verdict"]),
        ({"verdict": ["hurts", "hurts"]}, [""]),
        ({"other": ["hurts"]}, ["other", "verdict"]),
    ],
)
def test_words_rows_and_columns_must_agree_whatever_the_tolerance(tmp_path, made, column):
    committed = report(tmp_path / "a", board={"verdict": ["hurts"]})
    found = differences(report(tmp_path / "b", board=made), committed, 1.0)
    assert sorted(found["column"]) == column


def test_a_table_that_only_one_has_is_a_difference_and_records_are_not_compared(tmp_path):
    committed = report(tmp_path / "a", board={"x": [1]}, runs={"digest": ["a"]})
    made = report(tmp_path / "b", board={"x": [1]}, more={"x": [1]}, runs={"digest": ["b"]})
    assert differences(made, committed)[["table", "made", "committed"]].to_numpy().tolist() == [
        ["more.csv", True, False]
    ]


def test_to_the_last_bit_on_the_same_processor_only(tmp_path):
    same = report(tmp_path / "a", provenance={"what": ["processor"], "value": [processor()]})
    other = report(tmp_path / "b", provenance={"what": ["processor"], "value": ["another"]})
    assert (tolerance(same), tolerance(other), tolerance(tmp_path / "none")) == (0.0, ELSEWHERE, ELSEWHERE)


def test_the_command_says_what_differs(tmp_path, capsys):
    committed, made = report(tmp_path / "a", board={"x": [0.5]}), report(tmp_path / "b", board={"x": [0.75]})
    assert main(str(made), str(committed)) == 1 and "1 cells differ, compared to 0.001" in capsys.readouterr().out
    assert main(str(made), str(made)) == 0 and "All tables say the same" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="no tables; give the folder of a report"):
        differences(tmp_path / "nothing", made)
