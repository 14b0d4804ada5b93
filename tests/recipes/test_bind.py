"""The binder: what it reads from the source is what Python would say, and what it refuses it names."""

import importlib
import inspect

import numpy as np
import pytest

from lib.recipes import bind as module
from lib.recipes.bind import CONTEXT, argument_names, bind, context_names, declared, exports
from lib.recipes.errors import RecipeError
from lib.recipes.specs import Component

PACKAGES = ("models", "objectives", "training", "evaluation")
EVERY = [(package, use) for package in PACKAGES for use in exports(package)]


def test_every_door_offers_something():
    assert all(exports(package) for package in PACKAGES) and len(EVERY) > 40


@pytest.mark.parametrize(("package", "use"), EVERY)
def test_the_source_says_what_python_says(package, use):
    signature = inspect.signature(getattr(importlib.import_module(f"lib.{package}"), use))
    parameters = {n: p for n, p in signature.parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    ours = set(argument_names(package, use)) | set(context_names(package, use))
    assert ours == set(parameters)
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    assert {name for name, required in context_names(package, use).items() if required} == needed & CONTEXT


def test_what_a_class_declares_is_found_in_its_bases_too():
    for use in exports("objectives"):
        cls = getattr(importlib.import_module("lib.objectives"), use)
        for name in ("needs_teacher", "judged", "passes"):
            assert declared("objectives", Component(use=use), name, "here") == getattr(cls, name), (use, name)
    assert declared("objectives", Component(use="TagBCE"), "no_such_attribute", "here") is None


def test_values_come_from_yaml_from_the_context_and_from_what_replaces_them():
    counts = {"class_counts": [1], "hidden": 3}

    def gain(component: Component, **replace) -> float:
        return float(bind("evaluation", component, counts, "here", **replace).gain[0])

    given, default = Component(use="CountRescaling", strength="5"), Component(use="CountRescaling")
    assert gain(given) == pytest.approx(np.log1p(5)) and gain(default) == pytest.approx(np.log1p(10))
    assert gain(given, strength=2.0) == pytest.approx(np.log1p(2))
    assert gain(default, strength=2.0, backbone="small") == gain(default)  # only what YAML gives is replaced


@pytest.mark.parametrize(
    ("component", "sentence"),
    [
        (
            {"use": "WarmupCosin"},
            "here.use: 'WarmupCosin' is not offered by lib.training; did you mean 'WarmupCosine'?",
        ),
        ({"use": "WarmupCosine", "warm": 1}, "here.warm: WarmupCosine takes no such argument; did you mean 'warmup'?"),
        ({"use": "WarmupCosine", "total_steps": 1}, "here.total_steps: WarmupCosine takes no such argument"),
        ({"use": "WarmupCosine", "warmup": "x"}, "here.warmup: Input should be a valid number"),
        ({"use": "WarmupCosine"}, "here: WarmupCosine asks for total_steps, which this recipe does not provide"),
    ],
)
def test_a_mistake_is_one_sentence(component, sentence):
    with pytest.raises(RecipeError) as error:
        bind("training", Component(**component), {}, "here")
    assert str(error.value).startswith(sentence)


def test_a_base_from_another_module_lends_its_constructor(tmp_path, monkeypatch):
    (tmp_path / "lib" / "toys").mkdir(parents=True)
    (tmp_path / "lib" / "toys" / "__init__.py").write_text("from lib.toys.car import Car\n__all__ = ['Car']\n")
    (tmp_path / "lib" / "toys" / "car.py").write_text(
        "from lib.toys.base import Toy\n\nclass Car(Toy):\n    wheels = 4\n"
    )
    (tmp_path / "lib" / "toys" / "base.py").write_text(
        "from dataclasses import dataclass\n\n@dataclass\nclass Toy:\n    hidden: int\n    size: int = 2\n"
    )
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    caches = (module.exports, module._arguments_model, module._constructor, module._lineage, module._tree)
    try:
        assert argument_names("toys", "Car") == ["size"] and context_names("toys", "Car") == {"hidden": True}
    finally:
        for cache in caches:
            cache.cache_clear()
