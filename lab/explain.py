"""Where a value of a recipe comes from: its place in ``params/``, and the chain of what overrode what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lib.recipes.bind import defaults, exports
from lib.recipes.corpus import CorpusRef
from lib.recipes.errors import RecipeError, nearest
from lib.recipes.job import Job
from lib.recipes.load import file_of, lineage, load, read_yaml
from lib.recipes.resolve import Layer, every_path, layers
from lib.recipes.specs import Recipe, Scale
from lib.runs import paths

ABSENT = object()


@dataclass(frozen=True)
class Explained:
    """A value, and every value it had before with its place, oldest first; the last of them is the one in force."""

    key: str
    chain: tuple[tuple[Any, str], ...]

    value = property(lambda self: self.chain[-1][0])
    origin = property(lambda self: self.chain[-1][1])

    def __str__(self) -> str:
        head = f"{self.key} = {self.value!r}  from {self.origin}"
        steps = [f"    {value!r}  {where}" for value, where in self.chain]
        return "\n".join([head, *(steps if len(steps) > 1 else [])])


def explain(
    recipe: str, stage: str, key: str, arm: str = "base", scale: str = "laptop", corpus: str = "", seed: int = 0
) -> list[Explained]:
    """Every value at or below a key of a job.

    Args:
        key: of the recipe (``model.head.dim``, ``stages.finetune.data``), shorter of the stage (``data.batch_size``), or of
            how the scale runs steps (``device``, ``device.accumulate``).

    Raises:
        RecipeError: the job or the key does not exist; names the nearest.
    """
    job = Job.load(recipe, stage, arm, seed, scale, corpus)
    if key.split(".")[0] == "device":
        return _of_scale(key, job)
    found = list(layers(recipe, arm, scale, **(CorpusRef(corpus, scale).allows if corpus else {})))
    if load(Scale, scale).folds == "per_seed" and "@" not in arm:
        folds = {f"stages.{name}.data.split.fold": one.data.split.fold for name, one in job.spec.stages.items()}
        found.append(found[-1].under(folds, f"{_place(scale, 'folds')}: per_seed", f"seed {job.seed}"))
    kept = {name: value for name, value in found[-1].tree.items() if name not in ("variants", "members")}
    every, stage_key = set(every_path(kept)), f"stages.{stage}.{key}"
    full = next((path for path in (key, stage_key) if path in every), None)
    if full is None:
        unwritten = {f"{path}.{name}": value for path in every for name, value in _unwritten(kept, path).items()}
        if (argument := next((path for path in (key, stage_key) if path in unwritten), None)) is not None:
            return [Explained(argument, (unwritten[argument],))]
        choices = {path.removeprefix(f"stages.{stage}.") for path in every | set(unwritten)} | every
        raise RecipeError(f"{recipe} {stage}: no key {key!r}; {nearest(key, choices)}")
    below = [path for path in sorted(every) if f"{path}.".startswith(f"{full}.")]
    leaves = [path for path in below if not (isinstance(value := _at(kept, path), dict) and value)]
    written = read_yaml(file_of(Recipe, recipe))
    return [Explained(leaf, tuple(_chain(leaf, found, written, job))) for leaf in leaves]


def _of_scale(key: str, job: Job) -> list[Explained]:
    every = {"device": job.device.model_dump(mode="json")}
    below = [path for path in every_path(every) if path != "device" and f"{path}.".startswith(f"{key}.")]
    if not below:
        raise RecipeError(f"{job.scale}: no key {key!r}; {nearest(key, every_path(every))}")
    return [Explained(path, ((_at(every, path), _place(job.scale, path)),)) for path in below]


def _chain(leaf: str, found: list[Layer], written: dict[str, Any], job: Job) -> Iterator[tuple[Any, str]]:
    for number, layer in enumerate(found):
        value = _at(layer.tree, leaf)
        keys = [key for path, (key, _) in layer.changes.items() if f"{leaf}.".startswith(f"{path}.")]
        if value is not ABSENT and number == 0:
            yield value, f"{layer.where}: {leaf}" if _is_written(written, leaf) else "default"
        elif value is not ABSENT and keys:
            yield value, f"{layer.where}: {keys[-1]}"
    scale = load(Scale, job.scale)
    if leaf.endswith(".backbone") and "use" in _at(found[-1].tree, leaf.rpartition(".")[0]) and scale.backbone:
        yield scale.backbone, _place(job.scale, "backbone")
    if leaf == "corpus":
        place = "corpus that was given" if job.corpus_given else _place(job.scale, f"corpora.{job.spec.corpus}")
        yield job.corpus.name, place


def _place(scale: str, key: str) -> str:
    """File and key of a scale's value, which may be that of another scale it is like."""
    files = [file_of(Scale, name) for name in lineage(scale)]
    written = [file for file in files if _is_written(read_yaml(file), key)]
    return f"{paths.shown(written[-1])}: {key}" if written else "default"


def _unwritten(tree: dict[str, Any], path: str) -> dict[str, tuple[Any, str]]:
    """Arguments that the component at a path takes and nobody gives: name -> (value, place)."""
    component = _at(tree, path)
    if not isinstance(component, dict) or "use" not in component:
        return {}
    package = "models" if path.startswith("model.") else "objectives" if ".objectives." in path else "training"
    if component["use"] not in exports(package):  # a split, which is no component
        return {}
    place = f"default of {component['use']}"
    return {
        name: (value, place) for name, value in defaults(package, component["use"]).items() if name not in component
    }


def _at(tree: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return ABSENT
        tree = tree[part]
    return tree


def _is_written(tree: Any, path: str) -> bool:
    """Whether a file says a value, itself or by one that stands for a whole mapping (one learning rate for all)."""
    for part in path.split("."):
        if not isinstance(tree, dict):
            return True
        if part not in tree:
            return False
        tree = tree[part]
    return True
