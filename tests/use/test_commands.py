"""The commands as a new user types them, one after the other, at a scale of seconds."""

import csv
import io
from argparse import Namespace
from dataclasses import dataclass

import pandas as pd
import pytest

from lab.cli import main
from lab.use import commands
from lib.recipes import job as jobs


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("my videos")
        patch.setenv("VIDLAB_HOME", str(folder))
        jobs._load.cache_clear()
        yield folder
    jobs._load.cache_clear()


def test_from_drawn_videos_to_a_model_that_leaves(home, capsys):
    def told(*words) -> tuple[str, str]:
        assert main([str(word) for word in words]) == 0
        said = capsys.readouterr()
        return said.out, said.err

    store = home / "stores" / "mine"
    assert "25 videos in 5 folders" in told("demo", home / "videos", "--videos", 25)[0]
    told("demo", home / "new", "--videos", 5, "--seed", 1)
    assert (
        "25 videos, file names as titles, 5 folders as categories"
        in told("corpus", "import", home / "videos", "--out", store)[0]
    )
    said, _ = told("train", store, "--recipe", "wechat_baseline", "--scale", "smoke")
    assert "25 videos in 5 categories, 5 to 5 in each" in said and "random weights" in said
    scores = [line for line in said.splitlines() if line.startswith("  ")]
    assert len(scores) == 4 and "naive Bayes" in scores[1] and scores[-1].endswith("wechat_baseline base")
    run = home / said.split("run: ")[1].splitlines()[0]

    (home / "new" / "broken.mp4").write_text("no video")
    table = home / "vectors.parquet"
    _, said = told("embed", run, home / "videos", home / "new", "--out", table)
    assert len(pd.read_parquet(table)) == 30 and "broken.mp4" in said and "1 video left out, listed in" in said
    said, _ = told("classify", run, home / "new", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(said)))
    assert len(rows) == 5 and all(float(row["probability"]) >= float(row["probability_2"]) for row in rows)
    query = rows[0]["id"]
    said, _ = told("search", run, query, "--in", table, "-k", 3)
    found = list(csv.DictReader(io.StringIO(said)))
    assert len(found) == 3 and {row["query"] for row in found} == {query} and query not in {row["id"] for row in found}
    told("gallery", run, home / "new", "--in", table, "--out", home / "g.html", "-k", 2)
    assert (home / "g.html").read_text().count("<img") == 5 * 3
    told("export", run, "--out", home / "model")
    again = next(csv.DictReader(io.StringIO(told("classify", home / "model", query, "--top", 2)[0])))
    assert (
        again["category"] == rows[0]["category"]
        and abs(float(again["probability"]) - float(rows[0]["probability"])) < 2e-4
    )
    assert "videos" in told("embed", home / "model", query, "--out", home / "one.parquet")[1]


def test_mistakes_end_in_a_sentence(home, capsys):
    for words, says in (
        (["embed", home / "nowhere", home, "--out", home / "x.parquet"], "no finished run"),
        (["train", home / "nowhere"], "no store there"),
        (["demo", home], "there is something already"),
    ):
        assert main([str(word) for word in words]) == 1
        assert says in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["embed", "run"])


def test_texts_are_found_as_in_the_videos_of_the_corpus_or_as_asked_for(monkeypatch):
    @dataclass(frozen=True)
    class Model:
        facts: dict
        inside: object = None

    made = []
    monkeypatch.setattr("lab.corpora.inside.Inside", lambda ocr, asr: made.append((ocr, asr)))
    for before in (None, {"ocr": True, "asr": "old"}):
        monkeypatch.setattr("lib.load", lambda run, device, before=before: Model({"corpus": {"inside": before}}))
        for ocr, asr in ((False, ""), (True, ""), (False, "new")):
            commands._model(Namespace(model="run", device=None, ocr=ocr, asr=asr))
    assert made == [(True, ""), (False, "new"), (True, "old"), (True, "old"), (True, "new")]
