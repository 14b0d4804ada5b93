"""From a recipe's file to what a job runs: the values of member, scale and arm laid over it, each with its place.

The order is fixed: recipe, member of the system, scale (for all recipes, then for this one; after another that it is
like), arm, corpus, fold. Defaults are written out first, so that every path an arm may set exists and a misspelt one
is an error.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from lib.recipes.bind import argument_names, exports
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.load import file_of, lineage, load, names, validate
from lib.recipes.specs import SCALE_MAY_SET, Ablation, FeatureSet, Recipe, Scale
from lib.runs import paths

FRAMES = "features.frames.set"


@dataclass(frozen=True)
class Layer:
    """Values laid over a recipe, and the recipe as it is after that."""

    where: str  # file and key
    changes: dict[str, tuple[str, Any]]  # dotted path -> (as it is written, wildcards and all; value)
    tree: dict[str, Any]

    def under(self, values: dict[str, Any], where: str, written: str = "") -> "Layer":
        """The next layer: some values laid over this one's tree; ``written`` is what the file says, if not their paths."""
        return Layer(where, {p: (written or p, v) for p, v in values.items()}, overlay(self.tree, values, where))


@cache
def resolved(recipe: str, arm: str, scale: str, frames: str = "", tags: bool = True) -> tuple[Recipe, str]:
    """The recipe under an arm, and the place to name in errors; resolved once for all stages and seeds of a plan.
    Raises RecipeError: an unknown name or path, or values that do not go together; names file and key.

    Args:
        arm: ``base``, a variant or member of the recipe, or ``<ablation>.<arm>``; ``@2`` behind it is fold 2.
        frames: what a user's corpus allows (``CorpusRef.frames``), as the scale's own corpora say nothing of it: ``given``,
            unless the arm says otherwise, or a set of pictures in place of ``given``.
        tags: whether it has any; without them the stages that pretrain on tags are left out.
    """
    _, where, _ = arm_changes(recipe, arm.partition("@")[0])
    return validate(Recipe, list(layers(recipe, arm, scale, frames, tags))[-1].tree, where), where


def layers(recipe: str, arm: str, scale: str, frames: str = "", tags: bool = True) -> Iterator[Layer]:
    """What is laid over a recipe, the recipe itself first; :func:`resolved` says what each argument means."""
    name, _, fold = arm.partition("@")
    changes, where, member = arm_changes(recipe, name)
    layer = None
    for layer in _sized(recipe, scale, member):
        yield layer
    assert layer is not None
    yield (layer := layer.under(changes, where))
    name_of_set = layer.tree["features"]["frames"]["set"]
    given = name_of_set == "given" or load(FeatureSet, name_of_set).images is None
    if frames and given != (frames == "given") and not (frames == "given" and FRAMES in changes):
        lacks = "no pictures" if frames == "given" else "pictures and no frame features"
        yield (layer := layer.under({FRAMES: frames}, f"the corpus, which has {lacks}"))
    if not tags:
        yield (layer := Layer("the corpus, which has no tags", {}, _without_tags(layer.tree)))
    if fold:
        yield layer.under(_fold_changes(validate(Recipe, layer.tree, where), fold, where), where, f"fold {fold}")


def _without_tags(tree: dict[str, Any]) -> dict[str, Any]:
    """A recipe without the stages that are judged by tags; those that follow start from what these started from."""
    stages = tree["stages"]
    dropped = {name for name, stage in stages.items() if stage["evaluation"]["select"] == "tag_loss"}

    def start(name: str | None) -> str | None:
        return start(stages[name]["init_from"]) if name in dropped else name

    kept = {n: s | {"init_from": start(s["init_from"])} for n, s in stages.items() if n not in dropped}
    return tree | {"stages": kept}


def _sized(recipe: str, scale: str, member: str) -> Iterator[Layer]:
    """The recipe, the member laid over it, and the scale over both."""
    yield from (model := _model(recipe, member))
    layer = model[-1]
    for name, key in product(lineage(scale), ("*", recipe)):
        check_overrides(name)
        changes = {
            full: (path, value)
            for path, value in load(Scale, name).overrides.get(key, {}).items()
            for full in _places(layer.tree, path, unwritten=key != "*")
        }
        where = f"{paths.shown(file_of(Scale, name))}: overrides.{key}"
        layer = Layer(where, changes, overlay(layer.tree, {full: value for full, (_, value) in changes.items()}, where))
        yield layer


def _model(recipe: str, member: str) -> list[Layer]:
    """A recipe with its defaults written out, and a member of the system laid over it."""
    base, file = load(Recipe, recipe), paths.shown(file_of(Recipe, recipe))
    first = Layer(file, {}, base.model_dump(mode="json"))
    if member == "base":
        return [first]
    if member not in base.members:
        raise RecipeError(f"{file}: no member {member!r}; {nearest(member, base.members)}")
    return [first, first.under(base.variants[member], f"{file}: variants.{member}")]


def overlay(tree: dict[str, Any], changes: dict[str, Any], where: str) -> dict[str, Any]:
    """A copy of ``tree`` with every dotted path of ``changes`` set.

    A mapping that carries ``use`` replaces the component whole, or is a new objective; any other value replaces the leaf.
    Raises RecipeError: a path does not exist in ``tree``; the message starts with ``where`` (file and arm).

    >>> overlay({"a": {"b": 1}}, {"a.b": 2}, "x.yaml")
    {'a': {'b': 2}}
    """
    result = copy.deepcopy(tree) if changes else tree
    for path, value in changes.items():
        *parents, last = path.split(".")
        node = result
        for depth, part in enumerate(parents):
            if not isinstance(node, dict) or part not in node:
                raise _unknown(where, path, depth, node)
            node = node[part]
        is_new_argument = isinstance(node, dict) and "use" in node  # its signature decides when it is bound
        is_new_objective = parents[-1:] == ["objectives"] and isinstance(value, dict) and "use" in value
        if not isinstance(node, dict) or (last not in node and not is_new_argument and not is_new_objective):
            raise _unknown(where, path, len(parents), node)
        node[last] = copy.deepcopy(value)
    return result


def _unknown(where: str, path: str, depth: int, node: Any) -> RecipeError:
    part = path.split(".")[depth]
    if not isinstance(node, dict):
        above = ".".join(path.split(".")[:depth])
        return RecipeError(f"{where}: {path}: nothing can be set below {above}, which is {node!r}")
    return RecipeError(f"{where}: {path}: {part!r} does not exist in the recipe; {nearest(part, map(str, node))}")


@cache
def check_overrides(scale: str) -> None:
    """Every override of a scale sets a size or budget of at least one recipe. Raises RecipeError: one sets something
    else or nothing at all; names file, key and the nearest valid key."""
    file = paths.shown(file_of(Scale, scale))
    for key, changes in load(Scale, scale).overrides.items():
        if key != "*" and key not in names(Recipe):
            raise RecipeError(
                f"{file}: overrides.{key}: no recipe has this name; {nearest(key, ['*', *names(Recipe)])}"
            )
        recipes = names(Recipe) if key == "*" else [key]
        trees = [_model(name, m)[-1].tree for name in recipes for m in ("base", *load(Recipe, name).members)]
        for path in changes:
            where = f"{file}: overrides.{key}: {path}"
            found = {place for tree in trees for place in _places(tree, path, unwritten=key != "*")}
            if found and all(map(_is_size, found)):
                continue
            nothing = f"{'no recipe has' if key == '*' else f'{key} has no'} such value"
            wrong = "a scale sets sizes and budgets only" if found else nothing
            valid = {place for tree in trees for place in every_path(tree) if _is_size(place)}
            raise RecipeError(f"{where}: {wrong}; {_near(path, valid)}")


def check_assumed(recipe: str) -> None:
    """Raises RecipeError: an assumption of the recipe names a key that it has not; names file and the nearest key."""
    tree, file = load(Recipe, recipe).model_dump(mode="json"), paths.shown(file_of(Recipe, recipe))
    for one in load(Recipe, recipe).assumed:
        for key in one.keys:
            if not _places(tree, key, unwritten=False):
                raise RecipeError(f"{file}: assumed: {one.id}: no key {key}; {nearest(key, every_path(tree))}")


def _is_size(path: str) -> bool:
    return f".{path}".endswith(tuple(f".{size}" for size in SCALE_MAY_SET))


def _near(path: str, valid: set[str]) -> str:
    """The valid path that resembles one most, with wildcards where that has them and stages by wildcard too."""
    parts = path.split(".")
    choices = set(valid)
    for place in valid:
        own = place.split(".")
        if len(own) == len(parts):
            choices.add(".".join("*" if part == "*" else one for part, one in zip(parts, own, strict=True)))
        if own[0] == "stages" and "*" in parts:
            choices.add(".".join(["stages", "*", *own[2:]]))
    return nearest(path, choices)


def _places(tree: Any, path: str, unwritten: bool) -> list[str]:
    """The paths of ``tree`` that one with wildcards means. ``unwritten``: also an argument that the component there
    takes and the recipe leaves to its default."""
    head, _, tail = path.partition(".")
    if not isinstance(tree, dict):
        return []
    keys = list(tree) if head == "*" else [head] if head in tree else []
    if not tail:
        kinds = [package for package in ("models", "objectives") if tree.get("use") in exports(package)]
        new = unwritten and any(head in argument_names(package, tree["use"]) for package in kinds)
        return keys or ([head] if new else [])
    return [f"{key}.{rest}" for key in keys for rest in _places(tree[key], tail, unwritten)]


def every_path(tree: Any, above: str = "") -> Iterator[str]:
    """Every dotted path of a tree, mappings and leaves."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield f"{above}{key}"
            yield from every_path(value, f"{above}{key}.")


def arms_of_question(arm: str) -> list[str]:
    """All arms of the question that an arm belongs to, the reference first; none for the recipe's own arms."""
    if "." not in arm:
        return []
    question = arm.split(".", 1)[0]
    asked = load(Ablation, question)
    return [f"{question}.{name}" for name in sorted(asked.arms, key=lambda name: name != asked.reference)]


def _fold_changes(spec: Recipe, fold: str, where: str) -> dict[str, Any]:
    folded = {name: stage.data.split for name, stage in spec.stages.items() if stage.data.split.in_folds}
    if not fold.isdecimal() or any(int(fold) >= split.k for split in folded.values()) or not folded:
        most = max((split.k for split in folded.values()), default=0)
        choices = f"folds are 0 to {most - 1}" if folded else "no stage is in folds"
        raise RecipeError(f"{where}: no fold {fold!r}; {choices}")
    return {f"stages.{name}.data.split.fold": int(fold) for name in folded}


def arm_changes(recipe: str, arm: str) -> tuple[dict[str, Any], str, str]:
    """The overlay of an arm, the place to name in errors, and the member of the system that it is laid over. Raises
    RecipeError: neither ``base``, nor a variant of the recipe, nor ``<ablation>.<arm>``."""
    file, spec = paths.shown(file_of(Recipe, recipe)), load(Recipe, recipe)
    if arm == "base":
        return {}, file, "base"
    if arm in spec.members:
        return {}, f"{file}: variants.{arm}", arm
    if arm in spec.variants:
        return dict(spec.variants[arm]), f"{file}: variants.{arm}", "base"
    if "." in arm:
        question, name = arm.split(".", 1)
        ablation, where = load(Ablation, question), paths.shown(file_of(Ablation, question))
        if name not in ablation.arms:
            raise RecipeError(f"{where}: no arm {name!r}; {nearest(name, ablation.arms)}")
        return dict(ablation.arms[name]), f"{where}: arms.{name}", ablation.member_of(name)
    choices = ["base", *spec.variants, *(f"{a}.{n}" for a in names(Ablation) for n in load(Ablation, a).arms)]
    raise RecipeError(f"{file}: no arm {arm!r}; {nearest(arm, choices)}")
