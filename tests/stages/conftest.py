"""A home of its own for the jobs of a test file."""

import pytest

from lab.corpora import importing as corpus
from lib.data.store import Store
from lib.recipes import job as jobs
from lib.recipes.job import Job
from lib.stages.inputs import build_features


def prepare(*needed: tuple[str, str, str]) -> Store:
    """Corpora and feature sets of jobs (recipe, stage, arm) at smoke scale, in the home of the moment; the last one's store."""
    for recipe, stage, arm in needed:
        one = Job.load(recipe, stage, arm, 0, "smoke")
        if not one.corpus.manifest.exists():
            corpus.build(one.corpus.name, "smoke")
        store = Store.open(one.corpus.store)
        for ref in one.feature_sets:
            build_features(store, ref)
    return store


@pytest.fixture(scope="module")
def home(request, tmp_path_factory):
    """The store of the jobs that the file lists as ``NEEDED``, in a home where nothing is trained yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDLAB_HOME", str(tmp_path_factory.mktemp("home")))
        jobs._load.cache_clear()  # jobs know their folders
        yield prepare(*request.module.NEEDED)
    jobs._load.cache_clear()
