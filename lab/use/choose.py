"""What to train on a store: a recipe that suits what is there, and why; with the floors that it must beat beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lab.show.formats import plural
from lib.data.items import rows_of
from lib.data.store import Store
from lib.recipes.code_digest import digest
from lib.recipes.errors import RecipeError
from lib.recipes.job import Job
from lib.recipes.load import names
from lib.recipes.specs import Scale
from lib.runs import paths
from lib.runs.files import read_json, read_object, write_text
from lib.runs.folder import RunFolder
from lib.runs.kinds import score_of, scored_on

FEWEST = 20  # labelled videos, or pairs, below which a score says nothing
MANY = {"classes": 5_000, "pairs": 10_000}  # labels from which a network from random weights learns order too
FROZEN = "a small head on the pretrained text encoder, which stays as it is,"


@dataclass(frozen=True)
class Choice:
    """A recipe and arm, and the reasons, a sentence each."""

    recipe: str
    arm: str
    reasons: tuple[str, ...]


def choose(store: Store, text: str = "") -> Choice:
    """The recipe for a store. ``text``: name or folder of a pretrained text encoder. Raises RecipeError: there is nothing to
    learn from; says what is missing and how to give it."""
    where = paths.shown(store.path)
    learnt = rows_of(store, tuple(part for part in store.parts if not part.startswith("test")))
    if store.track == "pairs":
        known, tags = store.pairs(), int(store.tags_csr()[2].sum())
        rows = known[["row1", "row2"]].to_numpy()
        scores = known["score"].to_numpy()[(rows[:, 0] != rows[:, 1]) & np.isin(rows, learnt).all(axis=1)]
        if (pairs := len(scores)) < FEWEST or len(np.unique(scores)) < 2:
            raise RecipeError(
                f"{where}: {plural(pairs, 'pair')} of two videos outside the test parts, with "
                f"{plural(len(np.unique(scores)), 'score')}; at least {FEWEST} with different scores are needed to learn what is "
                "alike"
            )
        has = f"{pairs:,} scored pairs of {len(store):,} videos, {tags:,} of them with tags"
        if pairs >= MANY["pairs"] and tags:
            return Choice("aiac_rank1", "base", (has, "enough to learn from tags first and then from pairs"))
        lack = "no tags are there" if not tags else "pairs are few"
        if text:
            return Choice("aiac_rank17", "frozen", (has, f"{FROZEN} and mean frames, as {lack} to train it on"))
        why = f"bags of n-grams and mean frames, as {lack} to learn order from"
        return Choice("aiac_rank17", "few", (has, why))
    labels = store.categories()[learnt]
    counts = np.bincount(labels[labels >= 0])
    counts, several = counts[counts > 0], int((counts > 1).sum())
    if several < 2 or counts.sum() < FEWEST:
        raise RecipeError(
            f"{where}: {counts.sum()} videos with a category, in {plural(len(counts), 'category', 'categories')}, {several} of "
            f"which {'has' if several == 1 else 'have'} more than one video; at least {FEWEST} in two such are needed. "
            "Give categories (a folder of videos for each), or pairs.tsv with id1, id2 and how alike the two are from 0 to 1"
        )
    has = f"{counts.sum():,} videos in {len(counts)} categories, {counts.min()} to {counts.max()} in each"
    few = int((counts < 8).sum())
    told = f"{plural(few, 'category has', 'categories have')} fewer than 8 videos and will hardly be learnt"
    rare = (told,) if few else ()
    if counts.sum() >= MANY["classes"]:
        return Choice("wechat_baseline", "base", (has, "enough for a text encoder and NeXtVLAD", *rare))
    if text:
        return Choice(
            "wechat_baseline", "frozen", (has, f"too few to train encoders: {FROZEN} and the mean frame", *rare)
        )
    why = "too few to learn the order of words and frames from: a bag of n-grams and the mean frame"
    return Choice("wechat_baseline", "few" if counts.sum() < 2000 else "bags", (has, why, *rare))


def with_encoders(scale: str, image: str, text: str) -> str:
    """The scale with pretrained encoders by name or folder for one's own videos; its file is written if it is not there.
    Raises FileNotFoundError: what looks like a path leads to no ``config.json``."""
    if not image and not text:
        return scale
    image, text = map(_rooted, (image, text))
    name, tree = f"{scale}-{digest([image, text])[:6]}", {"about": "Encoders of one's own", "like": scale}
    tree |= {"encoder": image, "pictures": _pictures(image)} if image else {}
    tree |= {"own_backbone": text, "own_tokenizer": text} if text else {}
    if name not in names(Scale):
        _write("scales", name, tree)
    return name


def _rooted(encoder: str) -> str:
    """A name as it is; a folder from the root, as the scale outlives the place that the command ran in."""
    path = Path(encoder).expanduser()
    if encoder and (path / "config.json").is_file():
        read_object(path / "config.json", "save the encoder again")
        return str(path.resolve())
    if encoder and (path.is_absolute() or encoder.startswith(".") or path.is_dir()):
        raise FileNotFoundError(f"{encoder}: no config.json there; give the folder of a saved timm or transformers model")  # fmt: skip
    return encoder


def _pictures(encoder: str) -> str:
    """The set of pictures for an encoder: as it saw them in training where timm knows, else as CLIP's or ImageNet's."""
    import timm

    file = Path(encoder) / "config.json"
    config = read_object(file, "save the encoder again") if file.is_file() else {}
    known = timm.get_pretrained_cfg(encoder) if timm.is_model(encoder) else None
    seen = config.get("pretrained_cfg") or (known and known.to_dict())
    if not seen:
        return "clip_b32" if "clip" in (config.get("model_type") or encoder).lower() else "swin_tiny"
    size, name = seen["input_size"][-1], f"pictures-{digest(encoder)[:6]}"
    images = {"encoder": encoder, "size": size, "resize": int(size / (seen.get("crop_pct") or 0.875)), "length": 32, "sample": "bin_centre"}  # fmt: skip
    images |= {key: [float(value) for value in seen[key]] for key in ("mean", "std")}
    images["interpolation"] = "bilinear" if seen.get("interpolation") == "bilinear" else "bicubic"
    _write("features", name, {"about": "Pictures as their encoder was trained on", "use": "Images", "images": images})
    return name


def _write(kind: str, name: str, tree: dict) -> None:
    write_text(paths.params() / kind / f"{name}.yaml", yaml.safe_dump(tree, allow_unicode=True))


def missing(job: Job) -> Iterator[Job]:
    """The job and all that it starts from, first things first, without what is done."""
    for parent in job.parents.values():
        yield from missing(parent)
    if not job.folder.is_done(job.digest):
        yield job


def train(job: Job, store: Store) -> RunFolder:
    """Build features, train what is missing, and the job itself. Raises RecipeError: too little of what it learns from."""
    from lib.stages.inputs import build_features
    from lib.stages.problem import make_problem
    from lib.stages.run import run

    if not job.parents:
        make_problem(job, store)  # what is wrong with the corpus is said before anything is computed
    for ref in dict.fromkeys(ref for each in missing(job) for ref in each.feature_sets):
        build_features(store, ref, quarantine=True)
    for each in missing(job):  # asked anew after each, so none is trained twice
        print(f"training {each.recipe} {each.stage} ({each.arm}) into {paths.shown(each.folder.path)}", flush=True)
        run(each)
    return job.folder


def beside(job: Job, store: Store) -> pd.DataFrame:
    """The run's score among the floors of its corpus: ``what``, ``score``, ``low``, ``high``; ``attrs`` say on which items."""
    from lib.stages.floors import floors

    metrics, found = read_json(job.folder.metrics), floors(job, store)
    low, high = metrics["intervals"].get(metrics["primary"], (np.nan, np.nan))
    own = {"what": f"{job.recipe} {job.arm}", "score": score_of(metrics), "low": low, "high": high}
    rows = pd.concat([found.assign(what=found["label"]), pd.DataFrame([own])], ignore_index=True)
    rows = rows.loc[:, list(own)]
    rows.attrs |= {"metric": metrics["primary"], "n": int(found["n"].iloc[0]), "part": scored_on(metrics["scores"])}
    return rows


def is_random(job: Job) -> bool:
    """Whether the pictures are seen by an encoder with random weights."""
    return job.frames is not None and job.frames.spec.images is not None and job.frames.tokenizer.startswith("random-")


def example(folder: Path) -> tuple[Path, Path, Path]:
    """A run on videos drawn for it, those videos, and ten others; what is there already is left as it is."""
    from lab.corpora import demo
    from lab.corpora.importing import import_corpus

    videos, new, where = folder / "videos", folder / "new", folder / "store"
    for out, count, seed in ((videos, 60, 0), (new, 10, 1)):
        if not out.exists():
            demo.write(out, count, seed=seed)
    if not (where / "manifest.json").exists():
        import_corpus(videos, where)
    store = Store.open(where)
    chosen = choose(store)
    return train(Job.load(chosen.recipe, "finetune", chosen.arm, corpus=str(where)), store).path, videos, new
