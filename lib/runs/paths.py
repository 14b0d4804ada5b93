"""Every folder of the project is named here once. ``VIDLAB_HOME`` moves what is generated (data, runs, reports)
elsewhere."""

import os
import shlex
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def home() -> Path:
    """Folder of what is generated: ``VIDLAB_HOME``, else the project."""
    return Path(os.environ.get("VIDLAB_HOME", PROJECT)).resolve()


def params() -> Path:
    """Folder of recipes, scales and the rest: ``VIDLAB_PARAMS``, else the project's ``params/``."""
    return Path(os.environ.get("VIDLAB_PARAMS", PROJECT / "params")).resolve()


def notebooks() -> Path:
    """Folder of the notebooks as they are kept, not as executed."""
    return PROJECT / "notebooks"


def shown(path: Path | str) -> str:
    """The path as people should read it: relative to the project where it lies inside."""
    path = Path(path)
    for base in (home(), PROJECT):
        if path.is_absolute() and path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def typed(path: Path | str) -> str:
    """The path as a shell takes it where the user stands."""
    short = shown(path)
    return shlex.quote(short if Path(short).resolve() == Path(path).resolve() else str(path))


def world(scale: str, corpus: str | None = None) -> str:
    """Name of the folder below ``runs/`` and ``reports/``: the scale, and the corpus when it is not the scale's own.

    >>> world("laptop"), world("laptop", "stores/my-videos")
    ('laptop', 'laptop-my-videos')
    """
    return scale if not corpus else f"{scale}-{corpus_label(corpus)}"


def corpus_label(corpus: str) -> str:
    """Short name of a corpus: that of ``params/corpora/``, or of a store's folder."""
    return Path(corpus).resolve().name if is_path(corpus) else corpus


def is_path(corpus: str) -> bool:
    """Corpora are given by name (``params/corpora/<name>.yaml``) or by the path of a store."""
    return "/" in corpus or os.sep in corpus or corpus.startswith((".", "~"))


def runs(scale: str, corpus: str | None = None) -> Path:
    """Folder of everything made at a scale, on its own corpora or a user's."""
    return home() / "runs" / world(scale, corpus)


def reports(scale: str, corpus: str | None = None) -> Path:
    """Folder of the report of a scale, on its own corpora or a user's."""
    return home() / "reports" / world(scale, corpus)


def raw(scale: str, name: str) -> Path:
    """Official-format files of a generated corpus."""
    return home() / "data" / "raw" / scale / name


def store_path(corpus: str, scale: str) -> Path:
    """Where the store of a corpus lies: the path itself, or ``data/stores/<scale>/<name>``. A relative path that is not
    there is one from the project's folder: notebooks work in folders of their own."""
    if not is_path(corpus):
        return home() / "data" / "stores" / scale / corpus
    path = Path(corpus).expanduser()
    return (path if path.exists() else PROJECT / path).resolve()
