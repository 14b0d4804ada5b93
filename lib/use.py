"""A trained model on new videos: ``lib.load(run)`` gives what embeds, classifies and searches.

New videos go the way of those it was trained on: into a store, through the run's tokens and frames, in the batches of an
evaluation, so that the numbers are the same. Files are taken ``CHUNK`` at a time: memory does not grow with their number,
and each chunk that is done lies in a file, from which a call that was killed goes on. (Frame features are kept in half
precision, whose last bit may depend on how videos fall into batches.)
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors.torch import load_file
from tqdm.auto import tqdm

from lib.data import pixels
from lib.data.rejects import BadRecord, Rejects, Wrong
from lib.data.schema import Video
from lib.data.store import Store
from lib.data.writer import StoreWriter
from lib.evaluation.predict import predict
from lib.evaluation.vectors import unit
from lib.features import images
from lib.features.again import FramesAgain, TokensAgain
from lib.features.loader import Assembler, EvalLoader
from lib.features.pictures import Pictures, ahead
from lib.features.sets import Frames, TokenSet
from lib.models.bert import load_state
from lib.models.video_model import VideoModel
from lib.recipes.code_digest import digest
from lib.recipes.job import Job
from lib.recipes.load import load as params
from lib.recipes.load import names
from lib.recipes.specs import Recipe, Scale
from lib.runs import paths
from lib.runs.files import checksum, damaged, disk_for, read_json, read_object, writable, write_atomically, write_json
from lib.runs.folder import MissingRun, RunFolder
from lib.runs.kinds import score_of, scored_on
from lib.runs.machine import cores
from lib.runs.paths import shown, typed
from lib.stages import build
from lib.stages.inputs import Inputs
from lib.stages.problem import ClassProblem, make_problem
from lib.stages.scoring import EVAL_BATCH

CHUNK = 256  # files between two points that a killed call goes on from; their pictures lie on disk meanwhile
EXPORTED = "config.json"  # what a folder of ``lib.export`` has and a run has not
Videos = str | Path | Store | Sequence[str | Path]
Inside = Callable[[Path, Sequence[bytes]], Mapping[str, Any]]  # to ``ocr`` and ``asr`` of a ``Video``
PIXELS = 1 << 18  # encoded at a time on a CPU: more leave its caches


def load(run: str | Path, *, device: str | None = None, inside: Inside | None = None) -> "Model":
    """The model of a finished run, or of a folder that ``vidlab export`` wrote.

    Raises MissingRun: no finished run there, or its recipe has changed since; StoreError: the corpus it was trained on is
    not where it was (an exported model needs none); ValueError: the run joins in another one's predictions.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:1``; a GPU if there is one. On a GPU it computes in bfloat16 where training would.
        inside: what finds text in the file and the pictures of a video, see ``lab.corpora.inside``.
    """
    folder = Path(run)
    about = _exported(folder) if (folder / EXPORTED).exists() else _trained(folder)
    if about["job"].stage_spec.expert is not None:
        raise ValueError(f"{shown(folder)}: its scores are joined with those of another run; load one of the two")
    try:
        chosen = torch.empty(0, device=device or ("cuda" if torch.cuda.is_available() else "cpu")).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {device}: {str(error).splitlines()[0]}; cpu is always there") from None
    return Model(**about, device=chosen, inside=inside)


def _trained(folder: Path) -> dict[str, Any]:
    run, remedy = RunFolder(folder), "Give the folder that vidlab train names at its end, or that vidlab export wrote"
    metrics, written = run.read_metrics(remedy=remedy), yaml.safe_load(run.checked(run.job).read_text(encoding="utf-8"))
    given = {name: written["job"][name] for name in ("recipe", "stage", "arm", "seed", "scale")}
    job = Job.load(**given, corpus=written.get("corpus_given", ""))
    if job.corpus.label != written["job"]["corpus"]:
        raise MissingRun(f"{shown(folder)}: does not say where its corpus lies; make the run again: {job.command}")
    now = job.spec.model_dump(mode="json")
    if changed := [part for part in ("features", "model") if now[part] != written[part]]:
        raise MissingRun(
            f"{shown(folder)}: {changed[0]} has changed in its recipe since; make the run again: {job.command}"
        )
    inputs = Inputs.open(job)
    store, counts = inputs.store, None
    if store.track == "classes" and isinstance(problem := make_problem(job, store), ClassProblem):
        counts = problem.class_counts.tolist()
    sizes = {name: getattr(inputs.sizes, name) for name in ("frame_dim", "num_tags", "num_classes")}
    corpus = {"name": job.corpus.label, "videos": len(store), "source": store.manifest["source"], "inside": store.manifest.get("inside"), "max_frames": store.manifest["max_frames"]}  # fmt: skip
    facts = {"sizes": sizes, "corpus": corpus, "categories": store.manifest["categories"], "class_counts": counts, "metrics": metrics}  # fmt: skip
    frames = None if job.frames is None else job.frames.folder
    return {"job": job, "tokens": inputs.tokens, "frames": frames, "weights": run.checked(run.weights), "facts": facts}


def _exported(folder: Path) -> dict[str, Any]:
    facts = read_object(folder / EXPORTED, remedy := "export the run again")
    objects = [facts.get(key) for key in ("job", "recipe", "corpus", "sizes", "metrics", "checksums")]
    if not all(isinstance(value, dict) for value in objects) or not {"categories", "class_counts"} <= set(facts):
        raise MissingRun(f"{shown(folder / EXPORTED)}: not as vidlab export writes it; {remedy}")
    if problem := damaged(folder, facts["checksums"]):
        raise MissingRun(f"{problem}; {remedy}")
    if (scale := facts["job"].get("scale")) not in names(Scale):
        place = paths.params() / "scales" / f"{scale}.yaml"
        raise MissingRun(f"no scale {scale} here; copy {shown(folder / 'scale.yaml')} to {shown(place)}")
    job = Job(**facts["job"], spec=Recipe.model_validate(facts["recipe"]))
    weights = folder / "model.safetensors"
    return {"job": job, "tokens": TokenSet(folder / "tokens"), "frames": folder, "weights": weights, "facts": facts}


@dataclass(frozen=True)
class Model:
    """What ``load`` returns: ``embed``, ``classify``, ``search``, ``info``.

    Videos are given as files, folders of them (a folder of pictures is one video), or a store with all its texts; a list
    may hold several files and folders. Tables are data frames with a row per video: ``id`` (the path as given, or the id in
    its store), ``title`` (the name of the file), and what the method adds. What could not be read is left out and listed in
    ``table.attrs["rejects"]``: rows of file, record, field, value, remedy; files of a folder that are no videos in ``["others"]``.
    """

    job: Job
    tokens: TokenSet
    frames: Path | None  # folder of the set of frames
    weights: Path
    facts: Mapping[str, Any]  # of corpus and scores, as an exported folder keeps them
    device: torch.device
    inside: Inside | None = None

    num_processes, process_index = 1, 0  # what ``predict`` asks an Accelerator for

    def embed(self, videos: Videos, *, out: str | Path | None = None) -> pd.DataFrame:
        """A vector for each video, column ``vector``: float32 [E], not scaled; of a system of classes, what its classifier
        sees. Raises FileNotFoundError: no such path; ValueError: nothing there can be read, or not by this model.

        Args:
            out: a Parquet file for the table; a call that was killed goes on where it was if it is given again.
        """
        return self._predicted(videos, self._vector, out)

    def classify(self, videos: Videos, *, top: int = 3, out: str | Path | None = None) -> pd.DataFrame:
        """The likeliest categories of each video: ``category`` and ``probability``, then ``category_2`` and so on. Raises
        ValueError: the model was trained on pairs; otherwise as ``embed``."""
        categories = self.facts["categories"]
        if self.job.kind.name != "classes":
            raise ValueError(f"{self.job.recipe} {self.job.stage} learnt no categories; embed videos and search them")
        return self._predicted(videos, "logits", out, top=min(top, len(categories)))

    def search(self, query: Videos | pd.DataFrame, table: pd.DataFrame | str | Path, *, k: int = 10) -> pd.DataFrame:
        """The videos of a table of ``embed`` (or its file) that are nearest to each query, itself left out: ``query``,
        ``rank`` from 1, ``id``, ``title``, ``score`` (cosine). Raises ValueError: the table is of another model."""
        import faiss

        known = table if isinstance(table, pd.DataFrame) else read_table(Path(table))
        asked = query if isinstance(query, pd.DataFrame) else self.embed(query)
        vectors, wanted = (unit(np.stack(list(part["vector"])).astype(np.float32)) for part in (known, asked))
        if vectors.shape[1] != wanted.shape[1]:
            raise ValueError(f"vectors of {vectors.shape[1]} numbers, the model has {wanted.shape[1]}; embed again")
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)  # type: ignore[call-arg]  # as faiss patches it in
        scores, places = index.search(wanted, min(k + 1, len(known)))  # type: ignore[call-arg]
        rows = [
            (name, known["id"].iat[place], known["title"].iat[place], float(score))
            for name, near, values in zip(asked["id"], places, scores, strict=True)
            for place, score in zip(near, values, strict=True)
            if known["id"].iat[place] != name
        ]
        found = pd.DataFrame(rows, columns=["query", "id", "title", "score"])
        found.insert(1, "rank", found.groupby("query", sort=False).cumcount() + 1)
        return found.loc[found["rank"] <= k].reset_index(drop=True)

    @property
    def info(self) -> dict[str, Any]:
        """What the model is, what it reads, and how well it did on which videos."""
        job, metrics = self.job, self.facts["metrics"]
        features = job.spec.features
        low, high = metrics["intervals"].get(metrics["primary"], (None, None))
        return {
            "recipe": job.recipe, "stage": job.stage, "arm": job.arm, "seed": job.seed, "scale": job.scale,
            "trained on": self.facts["corpus"]["name"], "videos": self.facts["corpus"]["videos"], "items": metrics["items"],
            "metric": metrics["primary"], "score": score_of(metrics), "low": low, "high": high, "scored on": scored_on(metrics["scores"]),
            "categories": len(self.facts["categories"] or ()), "numbers of a vector": (self.model.head if self._vector == "embedding" else self.model.pooling).output_dim,
            "reads": {"text": list(self.tokens.names), "tokens": features.text.length, "frames": features.frames.length, "set": features.frames.set},
            "parameters": metrics["parameters"], "device": str(self.device),
        }  # fmt: skip

    @cached_property
    def model(self) -> VideoModel:
        """In eval mode on its device."""
        model = build.build_model(self.job, build.Sizes.of(self.tokens, **self.facts["sizes"]))
        load_state(model, load_file(self.weights), source=shown(self.weights))
        return model.eval().requires_grad_(False).to(self.device)

    def autocast(self) -> torch.autocast:
        """As the scale trains: by default bfloat16 on a GPU that knows it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=build.in_half(self.job, self.device))

    def assembler(self, store: Store, work: Path) -> Assembler:
        """Batches of a store's videos as in training; features that have to be computed are kept in ``work``."""
        job, ref = self.job, self.job.frames
        if ref is None:
            visual: Frames | Pictures = store
            if store.frame_dim != (wanted := self.facts["sizes"]["frame_dim"]):
                raise ValueError(
                    f"{shown(store.path)}: {store.frame_dim or 'no'} numbers per frame, not {wanted} as here"
                )
        elif ref.spec.images is None:
            visual = FramesAgain(store, cast(Path, self.frames) / "projection.npz")
        elif job.spec.model.images is not None:
            visual = Pictures(store, **ref.spec.images.pictures)
        else:
            given, device = ref.spec.arguments(ref.tokenizer), str(self.device)
            if device == "cpu":
                given["batch_size"] = max(1, min(given["batch_size"], PIXELS // ref.spec.images.size**2))
            visual = images.build(store, work, ref.spec.model_dump_json(), **given, quarantine=True, device=device)
        tokens = TokensAgain(self.tokens, job.tokens.spec, store)
        return Assembler(store, tokens, **job.batches, seed=job.seed, visual=visual)

    @property
    def _vector(self) -> str:
        """What of the model's outputs a video's vector is: what was compared in training, or what the last layer saw."""
        return "embedding" if self.job.kind.name == "pairs" else "pooled"

    def _predicted(self, videos: Videos, what: str, out: str | Path | None, **ask: int) -> pd.DataFrame:
        out = None if out is None else writable(Path(out), b"PAR1")
        store = videos if isinstance(videos, Store) else _store_at(videos)
        files, others = ([], []) if store else _files(cast(Any, videos))
        given = store.fingerprint if store else [(ascii(str(f)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        bar = tqdm(total=len(store) if store else len(files), desc="read videos", unit="video", mininterval=0.5)
        with _working(out, digest([checksum(self.weights), what, ask, given, self.inside])) as work:
            with bar, _threads(params(Scale, self.job.scale).threads):
                chunks = [store] if store else [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
                found = [self._part(work / str(n), chunk, what, bar, **ask) for n, chunk in enumerate(chunks)]
            table, wrong = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
            if out is not None and len(table):
                write_atomically(out, table.to_parquet)
                rejected_of(out).unlink(missing_ok=True)
                if len(wrong):
                    write_atomically(rejected_of(out), wrong.to_parquet)
        if not len(table):
            first = f"; the first: {wrong['file'][0]}: {wrong['value'][0]}: {wrong['remedy'][0]}" if len(wrong) else ""
            raise ValueError(f"none of {bar.total} videos could be read{first}")
        table.attrs |= {"rejects": wrong, "others": others}
        return table

    def _part(
        self, work: Path, chunk: Store | list[Path], what: str, bar: tqdm, **ask: int
    ) -> tuple[pd.DataFrame, ...]:
        """Table and rejects of a chunk, from their files if they are there."""
        done, left = work / "table.parquet", work / "rejects.parquet"
        if left.exists() or isinstance(chunk, Store):
            bar.update(len(chunk))
        if not left.exists():  # it is written last
            rejects = Rejects(quarantine=True)
            store = chunk if isinstance(chunk, Store) else self._read(chunk, work / "store", rejects, bar)
            table = pd.DataFrame() if store is None else self._of_store(store, what, work / "frames", rejects, **ask)
            write_atomically(done, table.to_parquet)
            write_atomically(left, rejects.write)
            for folder in ("store", "frames"):
                shutil.rmtree(work / folder, ignore_errors=True)
        return pd.read_parquet(done), pd.read_parquet(left)

    def _read(self, files: list[Path], folder: Path, rejects: Rejects, bar: tqdm) -> Store | None:
        """The files as a store, what cannot be read left out; None where nothing can."""
        most = self.facts["corpus"]["max_frames"]

        def video(path: Path) -> Video | BadRecord:
            try:
                name, title, images = os.fsencode(path).decode(), pixels.title_of(path), pixels.frames_of(path, most)
                texts = self.inside(path, images) if self.inside else {}
                return Video(id=name, title=title, part="test", images=images, **texts)
            except Wrong as wrong:
                return wrong.at(path, "")
            except UnicodeError:
                return BadRecord(path, "", "name", path.name, "not valid UTF-8 text; rename the file")
            except (OSError, ValueError) as error:
                return BadRecord(path, "", "file", str(error), "cannot be read")

        about: Any = {"track": self.job.spec.track, "source": "files", "max_frames": most, "overwrite": True}
        with disk_for(folder), StoreWriter(folder, **about) as writer:
            for found in ahead(video, files, cores(), 2 * cores()):
                if isinstance(found, BadRecord):
                    rejects.add(found)
                else:
                    writer.add(found)
                bar.update()
            return writer.finish() if writer.count else None

    def _of_store(self, store: Store, what: Any, work: Path, rejects: Rejects, top: int = 0) -> pd.DataFrame:
        assembler = self.assembler(store, work)
        if (work / "rejects.parquet").exists():
            rejects.extend(pd.read_parquet(work / "rejects.parquet").to_numpy().tolist())
        rows = np.flatnonzero(assembler.visual.n_frames > 0)
        if not len(rows):
            return pd.DataFrame()
        scoring = self.job.device.scoring
        rows, values = predict(self.model, EvalLoader(assembler, rows, EVAL_BATCH), cast(Any, self), what, scoring)
        table = pd.DataFrame({"id": store.column("id")[rows], "title": store.column("title")[rows]})
        return table.assign(vector=list(values)) if what != "logits" else self._told(table, values, top)

    def _told(self, table: pd.DataFrame, logits: np.ndarray, top: int) -> pd.DataFrame:
        for step in build.build_postprocess(self.job, self.facts["class_counts"]):
            logits = step(logits)
        shares = torch.from_numpy(logits).softmax(dim=1).numpy()
        order, known = np.argsort(-shares, axis=1, kind="stable"), np.array(self.facts["categories"])
        for place in range(top):
            end = f"_{place + 1}" if place else ""
            best = order[:, place]
            table[f"category{end}"], table[f"probability{end}"] = known[best], shares[np.arange(len(best)), best]
        return table


def read_table(file: Path) -> pd.DataFrame:
    """A table that ``embed`` wrote. Raises ValueError: none, or one that was changed since; names the first wrong row."""
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{shown(file)}: no table of vectors ({error}); make one with: vidlab embed RUN videos/ --out {typed(file)}") from None  # fmt: skip
    if missing := {"id", "title", "vector"} - set(table.columns):
        raise ValueError(f"{shown(file)}: has no column {sorted(missing)[0]}; make it with: vidlab embed RUN videos/")
    if table.empty:
        raise ValueError(f"{shown(file)}: holds no video; make it with: vidlab embed RUN videos/")
    width, twice = np.shape(table["vector"].iat[0]), table["id"].duplicated()
    for name, vector, again in zip(table["id"], table["vector"], twice, strict=True):
        numbers = isinstance(vector, np.ndarray) and vector.dtype.kind in "fiu" and np.isfinite(vector).all()
        if again or not numbers or vector.shape != width:
            what = "comes twice" if again else "has no vector of finite numbers, as many as the first"
            raise ValueError(f"{shown(file)}: video {name} {what}; make it anew with: vidlab embed RUN videos/")
    return table


def rejected_of(out: Path) -> Path:
    """Where the rejects of a table are listed."""
    return out.with_suffix(".rejects.parquet")


def _store_at(videos: Any) -> Store | None:
    is_path = isinstance(videos, (str, Path))
    return Store.open(videos).verified() if is_path and (Path(videos) / "videos.arrow").exists() else None


def _files(videos: str | Path | Sequence[str | Path]) -> tuple[list[Path], list[str]]:
    """Videos, and files beside them that are none."""
    given = [videos] if isinstance(videos, (str, Path)) else videos
    walked = [pixels.clips(Path(path)) for path in given]
    found, others = [video for part, _ in walked for video in part], [str(file) for _, part in walked for file in part]
    if not found:
        raise ValueError(f"{', '.join(map(str, given))}: no video there ({', '.join(pixels.MOVIES)}, or folders of pictures)")  # fmt: skip
    return list(dict.fromkeys(found)), others


@contextmanager
def _working(out: Path | None, state: str) -> Iterator[Path]:
    """A folder for what is done so far, beside ``out``, and gone when all of it is; begun anew if it is of another state."""
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    work = out.with_name(out.name + ".partial")
    if not (work / "head.json").exists() or read_json(work / "head.json") != state:
        shutil.rmtree(work, ignore_errors=True)
        write_json(work / "head.json", state)
    yield work
    shutil.rmtree(work)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """As many as in training while it lasts: another number gives other bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
