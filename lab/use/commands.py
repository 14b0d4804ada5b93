"""``vidlab train|embed|classify|search|gallery|export|demo``: their words, and what they print."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lab.show.formats import plural
from lib.runs.paths import PROJECT, shown, typed


def count(text: str, least: int = 1) -> int:
    """A whole number of an option. Raises ArgumentTypeError: it is none, or less than ``least``."""
    if not text.isdecimal() or not least <= int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return int(text)


seed = partial(count, least=0)


def add(commands: Any) -> None:
    """Add the commands to the parser of the command line."""

    def command(name: str, run: Callable[[argparse.Namespace], int | None], text: str, *, model: bool = True) -> argparse.ArgumentParser:  # fmt: skip
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        if model:
            made.add_argument("model", metavar="RUN", type=Path, help="folder of a run or of an exported model")
            made.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
        return made

    def searched(made: argparse.ArgumentParser) -> None:
        made.add_argument("videos", nargs="+", type=Path, help="files, folders of them, or a store")
        texts(made)

    demo = command("demo", _demo, "draw short videos in five folders, to try the other commands on", model=False)
    demo.add_argument("out", type=Path, help="a new or empty folder")
    demo.add_argument("--videos", type=count, default=60)
    demo.add_argument("--seed", type=seed, default=0, help="other videos of the same kinds")
    train = command("train", _train, "choose a recipe for a store, train it, and show what it must beat", model=False)
    train.add_argument("store", help="what vidlab corpus import wrote")
    for name, default, text in (
        ("recipe", "", "instead of the one that would be chosen"), ("arm", "", "of the recipe"),
        ("scale", "laptop", "of params/scales"), ("image-encoder", "", "pretrained: a timm or transformers name, or a folder"),
        ("text-encoder", "", "pretrained: a BERT by name, or a folder"),
    ):  # fmt: skip
        train.add_argument(f"--{name}", default=default, help=text)
    train.add_argument("--seed", type=seed, default=0)
    embed = command("embed", _embed, "a vector for each video")
    searched(embed)
    embed.add_argument("--out", type=Path, required=True, help="Parquet file: id, title, vector")
    classify = command("classify", _classify, "the likeliest categories of each video")
    searched(classify)
    classify.add_argument("--out", type=Path, help="Parquet file; the table is printed without")
    classify.add_argument("--top", type=count, default=3, help="categories of a video (default: 3)")
    for name, run, text, k in (
        ("search", _search, "the videos of a table that are nearest to each query", 10),
        ("gallery", _gallery, "queries and their nearest videos as a page for the browser, with pictures", 5),
    ):
        found = command(name, run, text)
        searched(found)
        found.add_argument("--in", dest="table", type=Path, required=True, help="what vidlab embed wrote")
        found.add_argument("-k", type=count, default=k, help=f"videos for each query (default: {k})")
        if name == "gallery":
            found.add_argument("--out", type=Path, default=Path("gallery.html"))
    export = command("export", _export, "a folder that works without the corpus: weights, preprocessing, model card")
    export.add_argument(
        "--to", choices=("torch", "onnx"), default="torch", help="onnx: with model.onnx, checked against torch"
    )
    export.add_argument("--out", type=Path, required=True, help="a new or empty folder")


def texts(parser: argparse.ArgumentParser) -> None:
    """Options of commands that read files of videos."""
    parser.add_argument("--ocr", action="store_true", help="read text in the pictures (pip install -e '.[ocr]')")
    parser.add_argument(
        "--asr", default="", metavar="FOLDER", help="a Whisper model that listens (pip install -e '.[asr]')"
    )


def _demo(options: argparse.Namespace) -> None:
    from lab.corpora import demo

    files = demo.write(options.out, options.videos, seed=options.seed)
    print(f"written: {len(files)} videos in {len({file.parent for file in files})} folders of {shown(options.out)}")


def _train(options: argparse.Namespace) -> None:
    from lab.use import choose
    from lib.data.store import Store
    from lib.recipes.job import Job

    store = Store.open(options.store)
    chosen = choose.choose(store, options.text_encoder)
    recipe, arm = options.recipe or chosen.recipe, options.arm or ("base" if options.recipe else chosen.arm)
    print(f"{shown(store.path)}: {'; '.join(chosen.reasons)}.")
    scale = choose.with_encoders(options.scale, options.image_encoder, options.text_encoder)
    path = store.path.resolve()  # a path of the project stays one where the project moves
    corpus = f"./{path.relative_to(PROJECT)}" if path.is_relative_to(PROJECT) else str(path)
    stage = "distill" if recipe == "aiac_rank6" else "finetune"
    job = Job.load(recipe, stage, arm, options.seed, scale, corpus)
    print(f"chosen: recipe {recipe}, arm {arm}, scale {scale}; --recipe, --arm and --scale choose others")
    if choose.is_random(job):
        print(
            "its picture encoder has random weights and sees colours and shapes at best; --image-encoder names a pretrained one"
        )
    started = time.monotonic()
    folder = choose.train(job, store)
    told = choose.beside(job, store)
    print(f"\n{told.attrs['metric']} on {told.attrs['n']} {told.attrs['part']} items, with 95 % interval:")
    for row in told.to_dict("records"):
        print(
            f"  {row['score']:6.3f}  [{row['low']:.3f}, {row['high']:.3f}]  {row['what']}".replace(
                "[nan, nan]", " " * 14
            )
        )
    floor, own = told["score"].iloc[:-1].max(), told.iloc[-1]
    if own["low"] <= floor:
        print(
            "its interval reaches down to what needs no such model; more labelled videos, or a pretrained encoder, would tell"
        )
    print(f"{time.monotonic() - started:.0f} s; run: {shown(folder.path)}")
    print(f"next: vidlab embed {typed(folder.path)} <videos> --out vectors.parquet")


def _model(options: argparse.Namespace):
    """The model, with texts found as in the videos that it was trained on, or as asked for."""
    import lib
    from lab.corpora.inside import Inside

    model = lib.load(options.model, device=options.device)
    before = model.facts["corpus"].get("inside") or {}
    ocr, asr = options.ocr or before.get("ocr", False), options.asr or before.get("asr", "")
    return replace(model, inside=Inside(ocr, asr)) if ocr or asr else model


def _one_or_many(paths: list[Path]) -> Path | list[Path]:
    return paths[0] if len(paths) == 1 else paths


def _says(table, out: Path | None, started: float) -> None:
    """How many videos, how fast, and what was left out."""
    from lib.use import rejected_of

    seconds, rejects = time.monotonic() - started, table.attrs["rejects"]
    where = f"; written: {shown(out)}" if out else ""
    made = f"{plural(len(table), 'video')} in {seconds:.1f} s"
    print(f"{made} ({len(table) / seconds:.1f} a second){where}", file=sys.stderr)
    for row in rejects.head(5).to_dict("records"):
        print(f"left out: {row['file']}: {row['field']} is {row['value']}: {row['remedy']}", file=sys.stderr)
    if len(rejects):
        listed = f", listed in {shown(rejected_of(out))}" if out else ""
        print(f"{plural(len(rejects), 'video')} left out{listed}", file=sys.stderr)
    if others := table.attrs["others"]:
        some = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        none = plural(len(others), "file that is no video", "files that are no videos")
        print(f"{none} left aside: {some}", file=sys.stderr)


def _embed(options: argparse.Namespace) -> None:
    started = time.monotonic()
    _says(_model(options).embed(_one_or_many(options.videos), out=options.out), options.out, started)


def _classify(options: argparse.Namespace) -> None:
    started = time.monotonic()
    table = _model(options).classify(_one_or_many(options.videos), top=options.top, out=options.out)
    if options.out is None:
        print(table.to_csv(index=False, float_format="%.4f"), end="")
    _says(table, options.out, started)


def _search(options: argparse.Namespace) -> None:
    found = _model(options).search(_one_or_many(options.videos), options.table, k=options.k)
    print(found.to_csv(index=False, float_format="%.4f"), end="")


def _gallery(options: argparse.Namespace) -> None:
    from lab.show import gallery

    model = _model(options)
    asked = model.embed(_one_or_many(options.videos))
    found = model.search(asked, options.table, k=options.k)
    print(f"written: {shown(gallery.write(options.out, asked, found, model.info))}; open it in a browser")


def _export(options: argparse.Namespace) -> None:
    import lib
    from lib import export

    found = export.save(lib.load(options.model, device=options.device), options.out, to=options.to)
    print(f"written: {shown(options.out)}: {', '.join(sorted(file.name for file in options.out.iterdir()))}")
    for name, largest in found.items():
        print(f"{name}: largest difference between onnxruntime and torch {largest:.1e}")
