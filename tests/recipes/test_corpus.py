"""What a generated corpus depends on: its code and arguments reach the digests of corpus, features and jobs."""

import pytest

from lib.recipes import corpus as module
from lib.recipes.code_digest import PROJECT, closure, code_digest
from lib.recipes.corpus import CorpusRef
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job, _load
from lib.recipes.load import load, names, validate
from lib.recipes.specs import CorpusSpec
from lib.runs.files import DamagedFile


def test_every_generated_corpus_names_the_generator_and_the_importer():
    generated = [spec for spec in (load(CorpusSpec, name) for name in names(CorpusSpec)) if spec.generate]
    assert len(generated) >= 3
    wanted = [*(PROJECT / "lab" / "corpora" / "twin").glob("*.py"), PROJECT / "lab" / "corpora" / "importing.py"]
    for spec in generated:
        assert len(wanted) > 5 and set(wanted) <= set(closure(spec.code))


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"track": "pairs"}', '{"track": 3}', ""])
def test_a_manifest_that_was_edited_is_named(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises((RecipeError, DamagedFile), match=r"manifest.json: .*import the corpus again"):
        CorpusRef(str(tmp_path), "smoke").lacks  # noqa: B018


def test_a_change_of_the_generator_reaches_corpus_features_and_jobs(monkeypatch):
    def digests() -> list[str]:
        _load.cache_clear()
        job = Job.load("aiac_rank1", "finetune", scale="smoke")
        return [job.corpus.digest, job.tokens.digest, job.parents["init_from"].digest, job.digest]

    before = digests()
    assert digests() == before
    monkeypatch.setattr(
        module, "code_digest", lambda modules: "changed" if "lab.corpora.twin" in modules else code_digest(modules)
    )
    assert not set(digests()) & set(before)
    _load.cache_clear()


def test_a_module_that_is_not_there_has_no_digest():
    with pytest.raises(ModuleNotFoundError, match="lab.corpora.twins: no such module"):
        code_digest(["lab.corpora.twins"])


def test_a_generated_corpus_must_name_its_code():
    with pytest.raises(RecipeError, match="some.yaml: code: names the modules that generate the corpus"):
        validate(CorpusSpec, {"about": "a", "track": "pairs", "generate": {"smoke": {"videos": 10}}}, "some.yaml")
    assert not CorpusRef("twin_pairs", "smoke").is_path


def test_a_corpus_of_another_seed_has_its_own_store_and_digest():
    """The same arguments but for the seed; features and jobs follow from the digest."""
    own, other, third = (CorpusRef(name, "smoke") for name in ("twin_pairs", "twin_pairs@3", "twin_pairs@4"))
    assert other.arguments == own.arguments | {"seed": 3} and other.track == "pairs" and not other.is_path
    assert len({ref.digest for ref in (own, other, third)}) == len({ref.store for ref in (own, other, third)}) == 3
    assert CorpusRef(f"twin_pairs@{own.arguments['seed']}", "smoke").digest == own.digest


@pytest.mark.parametrize("name", ["twin_pairs@", "twin_pairs@x", "twin_pairs@-1"])
def test_a_seed_is_a_whole_number(name):
    with pytest.raises(RecipeError, match=f"corpus {name}: what follows the @ is a seed"):
        CorpusRef(name, "smoke").arguments  # noqa: B018
