"""What a corpus holds, counted before anything is trained. The counting is in ``lab.corpora.describe``."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown
from matplotlib.axes import Axes

from lab.corpora import describe
from lab.show import formats as f
from lab.show import style
from lab.show.specs import ReportSpec
from lab.show.table import Column, Picture, Table, number
from lib.data.items import rows_of_test, split_rows
from lib.data.splits import Split
from lib.data.store import Store
from lib.recipes.corpus import CorpusRef
from lib.recipes.job import Job
from lib.recipes.load import load
from lib.recipes.specs import Recipe, SplitSpec
from lib.runs import paths
from lib.stages.problem import divide

FIELDS = ("title", "asr", "ocr", "frames")
POINTS = 300  # of a curve over thousands of ranks no more can be seen


def facts(store: Store) -> Table:
    """The manifest, for people."""
    values = {key: f.count(v) if isinstance(v, int) else str(v) for key, v in describe.facts(store).items()}
    return Table.facts(values, "number")


def credits(corpus: CorpusRef) -> list[Table]:
    """Whose work a fetched corpus is made of, and what they ask of a figure: ``LICENCES.txt`` beside its files; else nothing."""
    source = None if corpus.is_path else corpus.spec.source
    if source is None or not (file := paths.home().joinpath(source).parent / "LICENCES.txt").exists():
        return []
    named, _, asked = file.read_text(encoding="utf-8").partition("\n\n")
    rows = re.findall(r"^(?P<work>.+) \((?P<licence>[^;(]+); (?P<package>.+)\)$", named, flags=re.M)
    frame = pd.DataFrame(rows, columns=["work", "licence", "package"])
    caption = "Whose work this corpus is made of, as written down when it was fetched."
    return [replace(Table.plain(frame, caption, name="licences"), notes=(asked,))]


def parts(store: Store, texts: pd.DataFrame, label: str) -> Table:
    """Videos of each part, and the share of them that lacks a field. Args: texts: of ``describe.texts``."""
    caption = "Videos of each part, and the share of them without a field."
    return _numbers(describe.parts(store, texts), caption, f"{label}_missing")


def lengths(texts: pd.DataFrame, label: str) -> Table:
    """Mean, quartiles and share of empty fields. Args: texts: of ``describe.texts``."""
    caption = "Characters of texts and number of frames; `empty` is the share of videos without."
    return _numbers(describe.lengths(texts), caption, f"{label}_lengths")


def histograms(texts: pd.DataFrame, label: str) -> Picture:
    """Text lengths and frames per video where there are any; fields that are always empty are left out."""
    fields = [field for field in FIELDS if texts[field].max() > 0]
    figure, axes = style.canvas(height=2.6, columns=max(1, len(fields)), squeeze=False)
    counted = []
    for axis, field in zip(axes[0], fields, strict=False):
        values = texts.loc[texts[field] > 0, field]
        step = -(-int(values.max()) // 30)  # whole numbers to a bar, the same of them to each: no gaps
        edges = np.arange(0.5, values.max() + step, step)
        part = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "videos": np.histogram(values, edges)[0]})
        _bars(axis, part, "videos")
        axis.set(title=field, xlabel="frames" if field == "frames" else "characters", ylabel="")
        counted.append(part.assign(field=field))
    axes[0][0].set_ylabel("videos")
    alt = f"Histograms of {', '.join(fields) or 'nothing'} of {label}"
    return Picture(figure, pd.concat(counted or [pd.DataFrame()]), f"{label}_histograms", alt)


def long_tail(store: Store, label: str) -> Picture:
    """Videos per tag (pairs) or class (classes) against its rank."""
    what = "tag" if store.track == "pairs" else "class"
    counts = describe.tag_counts(store) if what == "tag" else describe.class_counts(store)
    caption = f"Videos per {what}: a few are everywhere, most are rare. Both axes are logarithmic."
    caption = caption if counts.any() else f"No video has a {what}."
    return _against_rank(counts[counts > 0], f"rank of the {what}", "videos", f"{label}_long_tail", caption)


def components(store: Store, label: str) -> Picture:
    """Pairs per connected component of the graph whose edges are the pairs."""
    caption = "Pairs that hang together through shared videos: the larger a component, the harder an honest split."
    sizes = describe.pair_graph(store)
    return _against_rank(sizes, "rank of the component", "pairs in it", f"{label}_components", caption)


def labels(store: Store, label: str) -> Picture:
    """How often each similarity was given, in steps of 0.05."""
    middle = np.arange(21) / 20
    pairs = np.bincount((store.pairs()["score"] * 20).round().astype(int), minlength=21)
    frame = pd.DataFrame({"similarity": middle, "from": middle - 0.025, "to": middle + 0.025, "pairs": pairs})
    figure, axis = style.canvas(height=2.8)
    _bars(axis, frame, "pairs")
    axis.set(xlabel="similarity, the label of a pair", ylabel="pairs")
    return Picture(figure, frame, f"{label}_labels", f"How often each similarity was given in {label}")


def splits(store: Store, scale: str, label: str) -> Table:
    """Each way in which a recipe of the report splits such a corpus at this scale, and how far its parts are apart.

    A pair touches training if one of its videos occurs in a training pair; a labelled video if a training video has its
    title (re-uploads and series; the splits hold no video twice).
    """
    asked: dict[tuple, list[str]] = {}
    for recipe in load(ReportSpec, "report").at("all"):
        spec = load(Recipe, recipe)
        for stage in spec.main_stages if spec.track == store.track else []:
            data = Job.load(recipe, stage, scale=scale).stage_spec.data
            for split in filter(None, (data.split, data.hold)):
                if split.use != "none" and not data.unlabeled:
                    asked.setdefault((split, data.parts), []).append(recipe)
    rows = []
    for (split, names), recipes in asked.items():
        about = {"": split.use, "k": split.k, "recipes": ", ".join(dict.fromkeys(recipes))}
        with suppress(ValueError):  # fewer labelled videos than folds
            rows.append(about | _divided(store, split, names))
    caption = (
        "As the recipes of the report split at this scale. `touch training`: share of validation pairs with a video of a "
        "training pair; of videos, those whose title a training video has, too."
    )
    return _numbers(pd.DataFrame(rows).set_index("") if rows else pd.DataFrame(), caption, f"{label}_splits")


def generator(store: Store, label: str) -> list[Table | Markdown]:
    """What was published of the contest's corpus beside what each world has, and which settings differ between the two."""
    if not store.manifest["twin"]:
        return [Markdown("This corpus is not generated.")]
    frame = describe.calibration(store)
    names = ("calibrated", "clear", "here")
    columns = (
        Column("statistic", "statistic"),
        number("published", "published", f.significant),
        Column("tolerated", lambda r: f"{f.significant(r['lowest'])} to {f.significant(r['highest'])}", "number"),
        *(number(name, name, f.significant) for name in names),
        Column("clear gives up", "given_up"),
    )
    met = {name: frame[name].between(frame["lowest"], frame["highest"]).sum() for name in names}
    caption = (
        f"Of {f.plural(len(frame), 'statistic')} the calibrated world keeps {met['calibrated']} within what is tolerated, "
        f"the clear one {met['clear']}, each in a corpus of the size that this holds for; this corpus has {met['here']}."
    )
    settings = "Settings of the generator that differ between the two worlds."
    return [
        Table(frame, columns, caption, name=f"{label}_generator"),
        Table.plain(describe.worlds(store.track), settings, str, f"{label}_worlds"),
    ]


def _divided(store: Store, split: SplitSpec, parts: tuple[str, ...]) -> dict[str, float]:
    """Sizes of both parts, and the share of the second that touches the first."""
    if store.track == "pairs":
        table, ids = store.pairs(), store.column("id")
        table = table[~np.isin(table[["row1", "row2"]], rows_of_test(store)).any(axis=1)]
        id1, id2 = ids[table["row1"]], ids[table["row2"]]
        cut, keys, what = divide(split, id1, id2), (id1, id2), "pairs"
    else:
        train, held = split_rows(store, parts, use=split.use, k=split.k, fold=split.fold, seed=split.seed)
        titles = store.column("title")
        titles[titles == ""] = [f"\0{row}" for row in np.flatnonzero(titles == "")]  # no title is nobody's duplicate
        masks = (np.isin(np.arange(len(store)), rows) for rows in (train, held))
        cut, keys, what = Split(*masks), (titles,), "videos"
    sizes = {f"training {what}": int(cut.train.sum()), f"validation {what}": int(cut.val.sum())}
    return sizes | {"touch training": round(cut.leak(*keys), 4)}


def _numbers(frame: pd.DataFrame, caption: str, name: str) -> Table:
    """A frame whose index names its rows, every number in three digits."""
    frame = frame.rename_axis("").reset_index()
    return Table.plain(frame, caption, f.significant, name)


def _bars(axis: Axes, frame: pd.DataFrame, weights: str) -> None:
    """Bars from ``from`` to ``to``."""
    left, width = frame["from"], frame["to"] - frame["from"]
    axis.bar(left, frame[weights], width, align="edge", color=style.BLUE, edgecolor="white")


def _against_rank(sizes: pd.Series, xlabel: str, ylabel: str, name: str, caption: str) -> Picture:
    """Args: sizes: largest first."""
    ranks = np.unique(np.geomspace(1, max(1, len(sizes)), POINTS).round().astype(int))[: len(sizes)]
    frame = pd.DataFrame({"rank": ranks, ylabel: sizes.to_numpy()[ranks - 1]})
    figure, axis = style.canvas(height=2.8)
    sns.lineplot(frame, x="rank", y=ylabel, ax=axis, marker=".", linewidth=0.8, estimator=None)
    scale = "log" if len(frame) else "linear"  # of nothing there is no logarithm
    axis.set(xscale=scale, yscale=scale, xlabel=xlabel, ylabel=ylabel)
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_major_formatter("{x:g}")
        direction.set_minor_formatter("")
    return Picture(figure, frame, name, f"{ylabel} against {xlabel}", caption)
