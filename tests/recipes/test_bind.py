"""The binder: what it reads from the source is what Python would say, and what it refuses it names."""

import importlib
import inspect

import numpy as np
import pytest

from lib.recipes import bind as module
from lib.recipes.bind import CONTEXT, argument_names, arguments, bind, context_names, declared, defaults, exports
from lib.recipes.errors import RecipeError
from lib.recipes.specs import Component

PACKAGES = ("models", "objectives", "training", "evaluation")
EVERY = [(package, use) for package in PACKAGES for use in exports(package)]


def test_every_door_offers_something():
    assert all(exports(package) for package in PACKAGES) and len(EVERY) > 40


def taken(cls: type) -> dict[str, inspect.Parameter]:
    """What a constructor takes; behind ``**rest`` what the next one does by keyword alone."""
    found, every = {}, (base.__init__ for base in cls.__mro__ if "__init__" in vars(base))
    for init in every:
        own = [p for name, p in inspect.signature(init).parameters.items() if name != "self"]
        found = {p.name: p for p in own if p.kind == p.KEYWORD_ONLY or not found and p.kind != p.VAR_KEYWORD} | found
        if all(p.kind != p.VAR_KEYWORD for p in own):
            break
    return {name: p for name, p in found.items() if p.kind != p.VAR_POSITIONAL}


def test_what_is_handed_on_is_an_argument_too_and_reaches_the_base():
    focal = Component(use="TagFocal", gamma=1.0, prior=0.25)
    with pytest.raises(RecipeError, match="here.prio: TagFocal takes no such argument; did you mean 'prior'"):
        bind("objectives", Component(use="TagFocal", prio=0.25), {}, "here")
    built = bind("objectives", focal, {"num_tags": 3, "widths": {"cls": 2}}, "here")
    assert built.gamma == 1.0 and built.head.classify.bias.tolist() == pytest.approx([-np.log(3)] * 3)


@pytest.mark.parametrize(("package", "use"), EVERY)
def test_the_source_says_what_python_says(package, use):
    parameters = taken(getattr(importlib.import_module(f"lib.{package}"), use))
    ours = set(argument_names(package, use)) | set(context_names(package, use))
    assert ours == set(parameters)
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    assert {name for name, required in context_names(package, use).items() if required} == needed & CONTEXT
    given = {name: p.default for name, p in parameters.items() if name not in needed | CONTEXT}
    assert all(value in (given[name], None) for name, value in defaults(package, use).items())
    assert set(defaults(package, use)) == set(given)


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


@pytest.mark.parametrize(
    ("package", "use", "name", "wrong"),
    [
        ("models", "BertText", "second_mask_value", [0]), ("models", "CrossModalEncoder", "depth", [0]),
        ("models", "GatedSum", "sides", [0]), ("models", "GatedProjection", "sides", [0]), ("models", "ImageFrames", "drop_path", [-0.1, 1.0]),
        ("objectives", "CategoryCE", "label_smoothing", [-0.1, 1.0]), ("objectives", "CategoryCE", "class_balance", [-0.1, 1.0]),
        ("objectives", "CategoryCE", "mixup", [-1.0]), ("objectives", "CategoryCE", "focal_gamma", [-1.0]),
        ("objectives", "SoftLabels", "temperature", [0.0]), ("objectives", "SoftLabels", "hard", [-0.1, 1.5]),
        ("objectives", "VideoTextAlignment", "temperature", [0.0]), ("objectives", "ModalAlignment", "momentum", [-0.1, 1.1]),
        ("objectives", "ModalAlignment", "soft", [-0.1, 1.0]), ("objectives", "MaskedTokens", "rate", [0.0, 1.0, -0.1]),
        ("objectives", "MaskedTokens", "spans", [0]), ("objectives", "MaskedFrames", "rate", [0.0, 1.0]),
        ("objectives", "TagBCE", "prior", [0.0, 1.0]), ("objectives", "TagFocal", "prior", [1.0]), ("objectives", "TagFocal", "gamma", [-1.0]),
        ("objectives", "TagFocal", "alpha", [-0.1, 2.0]), ("objectives", "TagFocal", "clamp", [-0.1, 0.5]),
        ("training", "Fgm", "epsilon", [0.0]), ("training", "Pgd", "alpha", [-1.0]), ("training", "Pgd", "steps", [0]), ("training", "Pgd", "epsilon", [0.0]),
        ("training", "Awp", "lr", [0.0, float("nan")]), ("training", "Awp", "epsilon", [0.0]),
        ("evaluation", "CountRescaling", "strength", [-1.0]), ("evaluation", "TailExpert", "share", [-0.1, 1.5]),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_before_anything_is_built(package, use, name, wrong):
    others = {"backbone": "tiny-1x32"} if "backbone" in argument_names(package, use) else {}
    for value in wrong:
        with pytest.raises(RecipeError, match=f"here.{name}: Input should be"):
            arguments(package, Component(use=use, **others, **{name: value}), "here")


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
