"""Code digest: sixteen hexadecimal digits of the part of ``lib`` that a result depends on, read from the source: the
syntax trees, without docstrings, of the modules it names and of all they import inside ``lib``, however deep.

- A package's ``__init__.py`` is a door, not a dependency: ``from lib.objectives import MaskedTokens`` leads to the module
  that defines ``MaskedTokens`` and to none of its neighbours. Whatever ``__init__.py`` defines itself does count.
- ``lib.recipes`` is left out, but for the binder: it turns YAML into values, which are part of every digest already.
"""

import ast
import contextlib
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lib.recipes.bind import imported
from lib.runs import paths
from lib.runs.files import write_text

PROJECT = Path(__file__).resolve().parents[2]
BINDER = "lib.recipes.bind"  # of lib.recipes it alone counts, as it calls the constructors


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits of anything JSON can say, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_digest(modules: Iterable[str], *, source: str = "", root: Path = PROJECT) -> str:
    """Digest of some modules of ``lib`` and everything they import inside ``lib``. Used by: the digests of jobs,
    corpora, feature sets, ensembles and the report.

    Args:
        modules: dotted names. A package stands for all of its files, data files included.
        source: code that is not part of ``lib`` (a notebook's); what it imports is covered, the code itself is not.
    """
    return _code_digest(tuple(sorted(set(modules))), source, root)


@cache
def _code_digest(modules: tuple[str, ...], source: str, root: Path) -> str:
    """Kept on disk under the state of all files: parsing them takes each of some hundred jobs about a second."""
    question = hashlib.sha256(repr((modules, source)).encode()).hexdigest()[:16]
    kept = paths.home() / "runs" / ".code" / _state(root) / question
    try:
        return kept.read_text()
    except OSError:
        pass
    hashed = hashlib.sha256()
    for file in closure(modules, source=source, root=root):
        hashed.update(f"{file.relative_to(root).as_posix()}\n{_content(file)}\n".encode())
    answer = hashed.hexdigest()[:16]
    with contextlib.suppress(OSError):  # a read-only home only costs time
        write_text(kept, answer, durable=False)
    return answer


@cache
def _state(root: Path) -> str:
    """Names, sizes and times of change of everything in ``lib``, as make looks at them."""
    tops = [door.parent for door in root.glob("*/__init__.py")]
    files = sorted(f for top in tops for f in top.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
    seen = [(file.relative_to(root).as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((str(root), sys.version_info, seen)).encode()).hexdigest()[:16]


def closure(modules: Iterable[str], *, source: str = "", root: Path = PROJECT) -> list[Path]:
    """The files that :func:`code_digest` covers, sorted by path."""
    waiting = [*_targets(ast.parse(source), root), *(file for name in modules for file in _files_of(name, root))]
    seen: set[Path] = set()
    while waiting:
        if (file := waiting.pop()) not in seen:
            seen.add(file)
            waiting += _imported(file, root) if file.suffix == ".py" else ()
    return sorted(seen)


def _files_of(name: str, root: Path) -> list[Path]:
    """A module's file, or every file of a package. Raises ModuleNotFoundError: there is none; a digest of nothing would
    hide every change."""
    module = _module_file(name, root)
    if module is None:
        raise ModuleNotFoundError(f"{name}: no such module, so no digest of its code")
    if module.name != "__init__.py":
        return [module]
    files = (file for file in module.parent.rglob("*") if file.is_file())
    return [file for file in files if "__pycache__" not in file.parts and not file.name.startswith(".")]


@cache
def _imported(file: Path, root: Path) -> tuple[Path, ...]:
    return tuple(_targets(_tree(file), root))


def _targets(tree: ast.Module, root: Path) -> Iterator[Path]:
    """Our own files that a tree imports directly, in functions too, but not those imported for type hints only."""
    for node in _run_nodes(tree):
        if isinstance(node, ast.Import):
            named = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = [(node.module, alias.name) for alias in node.names]
        else:
            continue
        for module, name in named:
            if _ours(module, root):
                yield from _lookup(module, name, root)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements that can run; expressions are skipped, as none holds an import."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) or isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            yield child
            waiting.append(child)


def _lookup(module: str, name: str | None, root: Path) -> Iterator[Path]:
    """Where ``from module import name`` leads; through doors to the file that defines the name."""
    if name is not None and _module_file(f"{module}.{name}", root) is not None:
        module, name = f"{module}.{name}", None
    submodule = _module_file(module, root)
    if submodule is None or (f"{module}.".startswith("lib.recipes.") and module != BINDER):
        return
    is_door = submodule.name == "__init__.py"
    if is_door and name in (exported := imported(_tree(submodule))):
        yield from _lookup(*exported[name], root)
    elif not is_door or name is not None:
        yield submodule


@cache
def _ours(module: str, root: Path) -> bool:
    return (root / module.split(".")[0]).is_dir()


def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    return next((file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()), None)


@cache
def _tree(file: Path) -> ast.Module:
    """Syntax tree without docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    for node in [tree, *_run_nodes(tree)]:
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


@cache
def _content(file: Path) -> str:
    """Code as text without comments, docstrings and layout; data files by their bytes."""
    return ast.unparse(_tree(file)) if file.suffix == ".py" else hashlib.sha256(file.read_bytes()).hexdigest()
