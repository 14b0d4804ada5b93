"""The code digest follows imports to the files that define what is used, and to nothing else."""

from pathlib import Path

import pytest

from lib.recipes.code_digest import PROJECT, closure, code_digest

FILES = {
    "lib/__init__.py": "",
    "lib/objectives/__init__.py": (
        '"""Doors."""\nfrom lib.objectives.masking import MaskedTokens\nfrom lib.objectives.tags import TagBCE as Tags\n'
        '__all__ = ["MaskedTokens", "Tags"]\n'
    ),
    "lib/objectives/masking.py": "from lib.objectives.mix import Objective\n\nclass MaskedTokens(Objective):\n    rate = 0.15\n",
    "lib/objectives/tags.py": "from lib.objectives.mix import Objective\n\nclass TagBCE(Objective):\n    gamma = 0\n",
    "lib/objectives/mix.py": "class Objective:\n    pass\n",
    "lib/training/__init__.py": "def loop(model):\n    return model\n",
    "lib/training/trainer.py": (
        "from typing import TYPE_CHECKING\nimport lib.objectives\nfrom lib.recipes.job import Job\n"
        "if TYPE_CHECKING:\n    from lib.objectives import Tags\n\ndef fit():\n    from lib.training.seed import seed\n    return seed\n"
    ),
    "lib/training/seed.py": "def seed():\n    return 1\n",
    "lib/recipes/job.py": "class Job: pass\n",
    "lab/corpora/twin/__init__.py": "",
    "lab/corpora/twin/world.py": "SIZE = 3\n",
    "lab/corpora/twin/words.json": "[1]",
}


@pytest.fixture
def tree(tmp_path: Path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    copies = iter(range(100))

    def edited(**changes: str) -> Path:
        """A copy of the tree with some files changed (a fresh folder, since files are read once per process)."""
        root = tmp_path / f"copy{next(copies)}"
        for name, text in {**FILES, **{key: value for key, value in changes.items()}}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    return edited


def covered(root: Path, *modules: str) -> set[str]:
    return {file.relative_to(root).as_posix() for file in closure(modules, root=root)}


def test_a_door_leads_only_to_the_file_that_defines_the_name(tree):
    root = tree(**{"lib/main.py": "from lib.objectives import Tags\n"})
    assert covered(root, "lib.main") == {"lib/main.py", "lib/objectives/tags.py", "lib/objectives/mix.py"}


def test_what_a_package_defines_itself_counts(tree):
    root = tree(**{"lib/main.py": "from lib.training import loop\n"})
    assert covered(root, "lib.main") == {"lib/main.py", "lib/training/__init__.py"}


def test_imports_in_functions_count_but_not_recipes_hints_or_bare_packages(tree):
    assert covered(tree(), "lib.training.trainer") == {"lib/training/trainer.py", "lib/training/seed.py"}


def test_a_package_stands_for_all_its_files(tree):
    root = tree()
    assert covered(root, "lab.corpora.twin") == {
        f"lab/corpora/twin/{name}" for name in ("__init__.py", "world.py", "words.json")
    }
    assert code_digest(["lab.corpora.twin"], root=root) != code_digest(
        ["lab.corpora.twin"], root=tree(**{"lab/corpora/twin/words.json": "[2]"})
    )


@pytest.mark.parametrize(
    ("masking", "same"),
    [
        (FILES["lib/objectives/masking.py"] + "# a comment\n", True),
        (FILES["lib/objectives/masking.py"].replace("rate = 0.15", '"""A docstring."""\n    rate   =  0.15'), True),
        ('"""Module docstring."""\n' + FILES["lib/objectives/masking.py"], True),
        (FILES["lib/objectives/masking.py"].replace("0.15", "0.25"), False),
    ],
)
def test_only_code_counts(tree, masking, same):
    before, after = tree(), tree(**{"lib/objectives/masking.py": masking})
    assert (
        code_digest(["lib.objectives.masking"], root=before) == code_digest(["lib.objectives.masking"], root=after)
    ) is same
    assert code_digest(["lib.objectives.tags"], root=before) == code_digest(["lib.objectives.tags"], root=after)


def test_a_shared_base_reaches_everyone(tree):
    before, after = tree(), tree(**{"lib/objectives/mix.py": "class Objective:\n    weight = 1\n"})
    for module in ("lib.objectives.tags", "lib.objectives.masking"):
        assert code_digest([module], root=before) != code_digest([module], root=after)


def test_order_and_repetition_do_not_matter(tree):
    root = tree()
    names = ["lib.objectives.tags", "lib.objectives.masking"]
    assert code_digest(names, root=root) == code_digest([*names[::-1], names[0]], root=root)


def test_the_library_itself():
    """In this repository: the loop does not depend on any single objective, an objective does not depend on the others."""
    spine = covered(PROJECT, "lib.stages.run", "lib.stages.build")
    assert "lib/stages/run.py" in spine
    assert not {"lib/objectives/masking.py", "lib/objectives/tags.py", "lab/show/plan.py"} & spine
    assert "lib/objectives/tags.py" not in covered(PROJECT, "lib.objectives.masking")


def test_code_outside_the_library_is_covered_by_what_it_imports(tree):
    root = tree()
    files = closure(
        [], source="from lib.objectives import Tags\nfrom lib.training import seed\nprint(seed)\n", root=root
    )
    assert [file.name for file in files] == ["mix.py", "tags.py", "seed.py"]


def test_answers_are_kept_until_a_file_changes(tree, tmp_path, monkeypatch):
    """A process that starts with the same files does not parse them again; an edit is seen by the next process."""
    from lib.recipes import code_digest as module

    monkeypatch.setenv("VIDLAB_HOME", str(tmp_path / "home"))
    root = tree()

    def another_process() -> str:
        for remembered in (module._code_digest, module._state, module._tree, module._content, module._imported):
            remembered.cache_clear()
        return code_digest(["lib.training.seed"], root=root)

    first = another_process()
    with monkeypatch.context() as patch:
        patch.setattr(module, "closure", lambda *ignored, **options: pytest.fail("parsed again"))
        assert another_process() == first
    (root / "lib/training/seed.py").write_text("def seed():\n    return 22\n")
    assert another_process() != first
