"""Each file in ``wrong/`` is a recipe with one mistake; its first line is the sentence the user must see."""

from pathlib import Path

import pytest

from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from tests.forget import forget

WRONG = sorted((Path(__file__).parent / "wrong").glob("*.yaml"))


@pytest.fixture
def params(tmp_path, monkeypatch):
    """A params folder of our own with a smoke scale and a named twin."""
    (tmp_path / "scales").mkdir()
    (tmp_path / "scales" / "smoke.yaml").write_text("about: a\ncorpora: {aiac2021: twin}\ntokenizer: corpus\n")
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "twin.yaml").write_text(
        "about: a\ntrack: pairs\ncode: [lab.corpora.twin]\ngenerate: {smoke: {videos: 10}}\n"
    )
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "tokens.yaml").write_text("about: a\nuse: Tokens\ntokenizer: corpus\n")
    (tmp_path / "recipes").mkdir()
    monkeypatch.setenv("VIDLAB_PARAMS", str(tmp_path))
    forget()
    yield tmp_path
    forget()


@pytest.mark.parametrize("file", WRONG, ids=lambda path: path.stem)
def test_every_mistake_is_one_sentence_naming_file_and_key(file, params):
    sentence = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    target = params / "recipes" / file.name
    target.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        Job.load(file.stem, "finetune", scale="smoke")
    assert str(error.value) == f"{target}: {sentence}"


def test_all_mistakes_are_collected():
    assert len(WRONG) == 17
