"""The command line: ``vidlab corpus generate|fetch|import|build|check|show``, ``vidlab backbone|score|explain|reproduce``;
``lab.use.commands`` has those for one's own videos."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import zlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

from lab.show.formats import plural
from lab.use import commands as use
from lib.runs import paths
from lib.runs.files import write_text
from lib.runs.paths import shown, typed


class CommandError(ValueError):
    """Arguments that do not go together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; whatever goes wrong is printed as one line. Returns the exit code."""
    from lib.data.store import StoreError

    if arguments is None and sys.getfilesystemencoding() != "utf-8":  # libraries take names of files for UTF-8
        os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"}
        os.execv(sys.executable, [sys.executable, "-m", "lab", *sys.argv[1:]])
    if sys.stdout is not None:  # as in a service without output; a terminal need not know every character
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except Exception as error:
        mendable = isinstance(error, (ValueError, OSError, EOFError, StoreError, BadZipFile, zlib.error))
        what = (
            str(error) if mendable and str(error) else f"{type(error).__name__}: {error}{'' if mendable else _kept()}"
        )
        print(f"error: {' '.join(what.split())}", file=sys.stderr)
        return 1


def _run(words: list[str]) -> int:
    if words[:1] == ["reproduce"]:  # its options need what other commands can do without
        from lab.flow import reproduce

        return reproduce.main(words[1:])
    parsed = _parser().parse_args(words)
    return parsed.run(parsed) or 0


def _kept() -> str:
    """Where the traceback of an error that nobody foresaw was written to."""
    file = paths.home() / "runs" / "error.txt"
    try:
        write_text(file, traceback.format_exc())
    except OSError:
        return ""
    return f" (a fault of vidlab; the traceback is in {shown(file)})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vidlab", description="vidlab's command line; training runs through make and papermill."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    corpus = commands.add_parser(
        "corpus", help="generate, fetch, import, build, check or show a corpus"
    ).add_subparsers(required=True, metavar="action")

    generate = corpus.add_parser("generate", help="write a generated corpus in a competition's official file formats")
    generate.add_argument(
        "--track", choices=("pairs", "classes"), required=True, help="pairs: AIAC 2021; classes: WeChat 2022"
    )
    generate.add_argument("--videos", type=use.count, required=True)
    generate.add_argument("--seed", type=use.seed, default=0)
    generate.add_argument("--pairs", type=use.count, help="labelled pairs (default: in proportion)")
    generate.add_argument(
        "--test-pairs", type=use.seed, default=0, help="labelled pairs of a test part (default: no such part)"
    )
    generate.add_argument(
        "--frames",
        choices=("features", "jpeg", "both"),
        default="features",
        help="what the frames of a video are written as (pairs: features only)",
    )
    generate.add_argument(
        "--world",
        choices=("calibrated", "clear"),
        default="calibrated",
        help="calibrated: as hard to read as the real corpora; clear: readable by a small model (default: calibrated)",
    )
    generate.add_argument(
        "--world-seed",
        type=use.seed,
        default=0,
        help="what words, classes, tags and frames mean (default: 0); --seed decides which videos there are",
    )
    generate.add_argument("--out", type=Path, required=True, help="an empty or new folder")
    generate.set_defaults(run=_generate)

    bring = corpus.add_parser(
        "import",
        help="turn a folder of files into a store",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_import_help(),
    )
    bring.add_argument("src", type=Path)
    bring.add_argument("--out", type=Path, required=True, help="folder of the store")
    bring.add_argument("--format", choices=("aiac2021", "wechat2022", "custom"), help="told from the files if left out")
    bring.add_argument(
        "--quarantine", action="store_true", help="go on past bad records and list them in rejects.parquet"
    )
    bring.add_argument("--overwrite", action="store_true", help="replace a store that is there")
    bring.add_argument(
        "--max-frames", type=use.count, default=32, metavar="N", help="most frames of a video (default: 32)"
    )
    bring.add_argument(
        "--frame-dim",
        type=use.count,
        metavar="D",
        help="numbers per frame (default: 1536 or 768, as the format says; custom: those of the first video)",
    )
    bring.add_argument("--track", choices=("pairs", "classes"), help="of a custom corpus that could be either")
    use.texts(bring)
    bring.set_defaults(run=_import)

    fetch = corpus.add_parser("fetch", help="build a real corpus from public packages, in both official file formats")
    fetch.add_argument(
        "what", choices=("emoji",), help="emoji: several vendors' drawings, names and keywords of Unicode"
    )
    fetch.add_argument("--out", type=Path, help="folder of both corpora (default: where params/corpora look for them)")
    fetch.add_argument("--language", default="zh", help="of titles and tags, as in zh, en, ja, de (default: zh)")
    fetch.add_argument(
        "--archives", type=Path, metavar="FOLDER", help="use the packages that lie there, without network"
    )
    fetch.set_defaults(run=_fetch)

    build = corpus.add_parser("build", help="make the store of a corpus of params/corpora at a scale")
    build.add_argument("name")
    build.add_argument("--scale", default="laptop")
    build.set_defaults(run=_build)

    for name, run, text in (
        ("check", _check, "verify checksums, offsets and values of a store"),
        ("show", _show, "what a store holds"),
    ):
        action = corpus.add_parser(name, help=text)
        action.add_argument("store", type=Path)
        action.set_defaults(run=run)

    backbone = commands.add_parser("backbone", help="train a generated world's own language model")
    backbone.add_argument("world", choices=("calibrated", "clear"))
    backbone.add_argument("--out", type=Path, required=True, help="folder; params/backbones/NAME is found by its name")
    backbone.add_argument("--seed", type=use.seed, default=1000, help="of the corpora it reads and of its weights")
    backbone.set_defaults(run=_backbone)

    commands.add_parser("reproduce", help="what make calls: corpora, features, training, report", add_help=False)

    score = commands.add_parser("score", help="score a submission file against a label file")
    score.add_argument("submission", type=Path)
    score.add_argument("labels", type=Path)
    score.set_defaults(run=_score)

    explain = commands.add_parser("explain", help="a value of a recipe: where it comes from, and what overrode what")
    for name in ("recipe", "stage", "key"):
        explain.add_argument(name, metavar=name.upper())
    for name, default in (("--arm", "base"), ("--scale", "laptop"), ("--corpus", "")):
        explain.add_argument(name, default=default)
    explain.add_argument("--seed", type=use.seed, default=0)
    explain.set_defaults(run=_explain)
    use.add(commands)
    return parser


def _import_help() -> str:
    import ast

    source = (Path(__file__).parent / "corpora" / "custom.py").read_text(
        encoding="utf-8"
    )  # read, not imported: help must be quick
    return "Formats: aiac2021 (TFRecords), wechat2022 (annotations and zips), custom:\n\n" + (
        ast.get_docstring(ast.parse(source)) or ""
    )


def _generate(options: argparse.Namespace) -> None:
    from lab.corpora.twin import generate

    try:
        generate(
            options.out,
            track=options.track,
            videos=options.videos,
            seed=options.seed,
            pairs=options.pairs,
            test_pairs=options.test_pairs,
            frames=options.frames,
            world=options.world,
            world_seed=options.world_seed,
        )
    except ValueError as error:  # each names its argument
        name, *rest = str(error).partition(":")
        raise CommandError(f"--{name.replace('_', '-')}{''.join(rest)}") from None
    print(f"written: {shown(options.out)}; next: vidlab corpus import {typed(options.out)} --out <store>")


def _import(options: argparse.Namespace) -> None:
    from lab.corpora import custom
    from lab.corpora.importing import import_corpus, left_out
    from lab.corpora.inside import Inside

    inside = Inside(options.ocr, options.asr) if options.ocr or options.asr else None
    limits = {
        "inside": inside,
        "max_frames": options.max_frames,
        "frame_dim": options.frame_dim,
        "track": options.track,
    }
    store = import_corpus(
        options.src, options.out, options.format, quarantine=options.quarantine, overwrite=options.overwrite, **limits
    )
    says = custom.told(options.src) if store.manifest["source"] == "custom" else ""
    if says:
        print(says)
    elif others := left_out(options.src, store.manifest["source"]):
        some = ", ".join(others[:5]) + ", ..." * (len(others) > 5)
        print(f"{plural(len(others), 'file')} left out, which this format does not know: {some}")
    counts = store.manifest["counts"]
    what = [(len(store), "video"), (counts["frames"], "frame"), (int(store.n_images.sum()), "picture")]
    kept = ", ".join(plural(count, name) for count, name in [*what, (counts["pairs"], "pair")] if count)
    print(f"store: {shown(store.path)}: {kept}")
    for kind, one, several, note in (
        ("repeated", "repeats", "repeat", "one that came before"),
        ("contradicting", "contradicts", "contradict", "one that came before: the same two videos, another score"),
        ("of one video", "is", "are", "of a video with itself"),
    ):
        if count := counts.get(kind):
            does, stay = (one, "it is kept as it is") if count == 1 else (several, "they are kept as they are")
            print(f"{plural(count, 'pair')} {does} {note}; {stay}")
    if counts["rejected"]:
        print(f"{plural(counts['rejected'], 'record')} rejected, listed in {shown(store.path / 'rejects.parquet')}")


def _fetch(options: argparse.Namespace) -> None:
    from lab.corpora import emoji

    out = options.out or paths.home() / "data" / "raw" / options.what
    made = emoji.fetch(out, language=options.language, archives=options.archives)
    print((out / "LICENCES.txt").read_text(encoding="utf-8"))
    print(f"{'written' if made else 'already there'}: {shown(out / 'pairs')}, {shown(out / 'classes')}")
    print("next: vidlab corpus build emoji_pairs (or emoji_classes), or vidlab corpus import on a folder of your own")


def _build(options: argparse.Namespace) -> None:
    from lab.corpora.importing import build

    print(f"store: {shown(build(options.name, options.scale).path)}")


def _backbone(options: argparse.Namespace) -> None:
    from lab.backbone import make

    facts = make(options.world, options.out, seed=options.seed)
    print(f"written: {shown(options.out)}; {facts['vocabulary']:,} tokens, loss {facts['loss']}")


def _check(options: argparse.Namespace) -> int:
    from lab.corpora.checking import problems
    from lib.data.store import Store

    found = list(problems(Store.open(options.store)))
    for problem in found:
        print(f"wrong: {problem}")
    print("ok" if not found else f"{plural(len(found), 'problem')}; import the corpus again")
    return int(bool(found))


def _show(options: argparse.Namespace) -> None:
    import pandas as pd

    from lab.corpora.describe import overview
    from lib.data.store import Store

    pd.set_option("display.unicode.east_asian_width", True, "display.width", 160)
    for title, table in overview(Store.open(options.store)).items():
        print(f"\n{title}\n{table.to_string()}")


def _explain(options: argparse.Namespace) -> None:
    from lab.explain import explain

    given = (options.recipe, options.stage, options.key, options.arm, options.scale, options.corpus, options.seed)
    for found in explain(*given):
        print(found)


def _score(options: argparse.Namespace) -> None:
    from lab.corpora.score import score_file

    for name, value in score_file(options.submission, options.labels).items():
        print(f"{name}: {value:.6f}" if isinstance(value, float) else f"{name}: {value}")
