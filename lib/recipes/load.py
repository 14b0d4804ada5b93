"""Read ``params/``: every file becomes a frozen spec, every mistake one sentence naming file and key."""

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from lib.recipes.errors import RecipeError, from_validation, nearest, require
from lib.recipes.specs import Scale, Spec
from lib.runs import paths

Kind = TypeVar("Kind", bound=Spec)
ALIASES = 30  # of a file at most: more can stand for more than memory holds


def names(kind: type[Spec]) -> list[str]:
    """Names of all files of a kind in ``params/``, sorted."""
    return sorted(path.stem for path in (paths.params() / kind.folder).glob("[!.]*.yaml"))


def split_names(text: str) -> list[str]:
    """Names as a user types them, separated by commas or spaces."""
    return text.replace(",", " ").split()


def file_of(kind: type[Spec], name: str) -> Path:
    """The YAML file of a recipe, scale, corpus, ablation or ensemble. Raises RecipeError: there is none of that
    name."""
    path = paths.params() / kind.folder / f"{name}.yaml"
    if not path.exists():
        what = kind.folder.rstrip("s")
        hint = f"for the folder here write ./{name}" if Path(name).is_dir() else nearest(name, names(kind))
        raise RecipeError(f"no {what} named {name!r} in {paths.shown(path.parent)}/; {hint}")
    return path


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a key that comes twice: YAML forbids it, and either value could be meant."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} comes twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of keys and values. Raises RecipeError: not valid YAML in UTF-8, a key twice, no mapping at the top, or
    ``on``/``off`` as a key; names the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _Loader)) > ALIASES:
            raise yaml.YAMLError(f"more than {ALIASES} aliases (*name); write out what they stand for")
        tree = yaml.load(text, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        what = " ".join(str(error).split()).replace(' in "<unicode string>"', "")
        raise RecipeError(f"{paths.shown(path)}: not valid YAML: {what}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{paths.shown(path)}: expected keys and values at the top level, got {type(tree).__name__}")
    _refuse_truth_values_as_keys(tree, paths.shown(path))
    return tree


def _refuse_truth_values_as_keys(tree: Any, where: str) -> None:
    """YAML reads ``on:`` and ``off:`` as booleans, also as keys."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not isinstance(key, str):
                raise RecipeError(
                    f"{where}: key {key!r} is not text (YAML reads on, off, yes and no as truth values); write 'with' and 'without'"
                )
            _refuse_truth_values_as_keys(value, f"{where}: {key}")


@cache
def load(kind: type[Kind], name: str) -> Kind:
    """A validated spec from its YAML file. Raises RecipeError: no such file, not YAML, unknown key, wrong type or
    impossible combination."""
    path = file_of(kind, name)
    tree: dict[str, Any] = {}
    for one in lineage(name, kind) if "like" in kind.model_fields else [name]:
        tree.pop("overrides", None)  # those of each scale are laid over a recipe in turn
        own = read_yaml(file_of(kind, one))
        both = [key for key in own if isinstance(own[key], dict) and isinstance(tree.get(key), dict)]
        tree = tree | own | {key: tree[key] | own[key] for key in both}
    return validate(kind, tree, paths.shown(path))


@cache
def lineage(name: str, kind: type[Spec] = Scale) -> list[str]:
    """A scale, or a question, after those it is ``like``. Raises RecipeError: there is none of such a name, or it is like
    itself."""
    found = [name]
    while (like := read_yaml(file := file_of(kind, found[0])).get("like")) is not None:
        require(like, names(kind), where := f"{paths.shown(file)}: like")
        if like in found:
            circle = " -> ".join([like, *found])
            raise RecipeError(f"{where}: {circle} goes in a circle; leave `like` out of one of them")
        found.insert(0, like)
    return found


def validate(kind: type[Kind], tree: dict[str, Any], where: str) -> Kind:
    """A tree from YAML as a spec. ``where``: the file, and what lies over it, as an error names it. Raises RecipeError:
    the first thing that is wrong, with its key, and the nearest valid key where it is unknown."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise from_validation(error, where) from None
