"""A trained model in a folder of its own: weights, what reads videos for it, a model card, and ONNX on demand.

``lib.load`` takes such a folder like a run, without the corpus that the model was trained on. Other programs find in
``config.json`` how pictures and texts become its input (``preprocessing``), and in ``model.onnx`` the model itself, for
batches of any size.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from lib.data.batch import Batch
from lib.data.store import Store, StoreError
from lib.features.encoders import ImageEncoder
from lib.models.text_encoders import NgramBag
from lib.models.video_model import States, VideoModel, from_vector
from lib.recipes.errors import RecipeError
from lib.recipes.load import file_of
from lib.recipes.specs import Scale
from lib.runs.files import checksum, new_folder, write_json, write_text
from lib.runs.kinds import score_of, scored_on
from lib.stages.floors import floors
from lib.use import EXPORTED, Model

CLOSE = 1e-4  # how far onnxruntime may be from torch
VIDEOS = 3  # that it is compared on, together and one alone
NAMES = ("input_ids", "text_mask", "token_types", "frames", "frame_mask")


def save(model: Model, out: Path, *, to: Literal["torch", "onnx"] = "torch") -> dict[str, float]:
    """Write the folder, whole or not at all. Returns, for each ONNX file, the largest difference between onnxruntime and
    torch. Raises FileExistsError: there is something in ``out``; ValueError: the model cannot be written as ONNX, or does
    not say the same there."""
    job = model.job
    with new_folder(out) as partial:
        (partial / "tokens").mkdir()
        shutil.copyfile(model.weights, partial / "model.safetensors")
        _reading(model, partial)
        shutil.copyfile(file_of(Scale, job.scale), partial / "scale.yaml")
        given = {name: getattr(job, name) for name in ("recipe", "stage", "arm", "seed", "scale", "corpus_given")}
        config = {"job": given, "recipe": job.spec.model_dump(mode="json"), "preprocessing": preprocessing(model)}
        files = sorted(file for file in partial.rglob("*") if file.is_file())
        sums = {file.relative_to(partial).as_posix(): checksum(file) for file in files}  # of all that ``load`` reads
        write_json(partial / EXPORTED, config | dict(model.facts) | {"checksums": sums})
        differences = to_onnx(model, partial) if to == "onnx" else {}
        write_text(partial / "README.md", card(model))
    return differences


def _reading(model: Model, folder: Path) -> None:
    """What texts and frame features are read with: a set of tokens without videos, and the projection of frames."""
    tokens, about = model.tokens, dict(model.tokens.about, videos=0, checksums={})
    for name in ("tokenizer.json", "words.txt", "vectors.npy"):
        if (tokens.folder / name).exists():
            shutil.copyfile(tokens.folder / name, folder / "tokens" / name)
    np.save(folder / "tokens" / "offsets.npy", np.zeros((len(tokens.names), 1), np.int64))
    (folder / "tokens" / "tokens.i32").write_bytes(b"")
    write_json(folder / "tokens" / "features.json", about)
    if model.frames is not None and (model.frames / "projection.npz").exists():
        shutil.copyfile(model.frames / "projection.npz", folder / "projection.npz")


def preprocessing(model: Model) -> dict[str, Any]:
    """How a video becomes the model's input, in the words of ``params/features`` and ``lib.features``."""
    job, ref = model.job, model.job.frames
    text = job.spec.features.text.model_dump()
    text |= {"special_ids": vars(model.tokens.special), "fields": list(model.tokens.names)}
    frames: dict[str, Any] = job.spec.features.frames.model_dump() | {"numbers": model.facts["sizes"]["frame_dim"]}
    if ref is not None and ref.spec.images is not None:
        frames["pictures"] = ref.spec.images.pictures
        frames["encoder"] = ref.spec.images.encoding(ref.tokenizer)
        frames["sampled"] = f"one a second, at most {model.facts['corpus']['max_frames']} evenly spread"
    return {"text": text, "frames": frames}


class Portable(nn.Module):
    """The model as a function of five arrays of B videos, padded to full length: ids int64 [B, T], mask bool [B, T], types
    int64 [B, T], frames float32 [B, F, N], mask bool [B, F]; to vectors [B, E], and logits [B, C] where it knows categories."""

    def __init__(self, model: VideoModel, outputs: Sequence[str]):
        super().__init__()
        self.model, self.outputs = model, outputs
        if isinstance(model.text, NgramBag):
            self.model = model.twin().eval()
            self.model.text = PlainNgrams(model.text)

    def forward(
        self, ids: Tensor, mask: Tensor, types: Tensor, frames: Tensor, frame_mask: Tensor
    ) -> tuple[Tensor, ...]:
        found = self.model(Batch(ids[:, 0], ids, mask, types, frames, frame_mask))
        return tuple(getattr(found, name) for name in self.outputs)


class PlainNgrams(nn.Module):
    """``NgramBag`` in operations that ONNX has: the weighted sum of the same rows."""

    def __init__(self, bag: NgramBag):
        super().__init__()
        self.bag, self.output_dim = bag, bag.output_dim

    def forward(self, batch: Batch) -> States:
        rows, real = self.bag.rows(batch.input_ids, batch.text_mask)
        share = real.float() / real.sum(dim=1, keepdim=True).clamp(min=1).sqrt()
        vectors = nn.functional.embedding(rows, self.bag.table.weight)
        return from_vector(self.bag.norm((vectors * share[..., None]).sum(dim=1)))


def to_onnx(model: Model, folder: Path) -> dict[str, float]:
    """``model.onnx`` and, where pictures are encoded, ``encoder.onnx``, on the CPU; see ``save``."""
    job, ref = model.job, model.job.frames
    if job.spec.model.images is not None:
        raise ValueError(f"{job.recipe}: its model trains a picture encoder, which ONNX cannot hold; use --to torch")
    batch, outputs = _example(model), [model._vector, *(["logits"] if job.kind.name == "classes" else [])]
    portable = Portable(model.model.cpu(), outputs)
    found = {"model.onnx": _written(portable, batch, folder / "model.onnx", NAMES, ["vector", *outputs[1:]])}
    if ref is not None and ref.spec.images is not None:
        encoder = ImageEncoder(**ref.spec.images.encoding(ref.tokenizer), device="cpu")
        side = ref.spec.images.size
        pictures = (torch.randint(0, 256, (VIDEOS, 3, side, side)).float(),)
        found["encoder.onnx"] = _written(encoder.module, pictures, folder / "encoder.onnx", ("pictures",), ["frames"])
    return found


def _example(model: Model) -> tuple[Tensor, ...]:
    """Videos of several lengths, padded to full length as ``Portable`` takes them."""
    length, count = model.job.spec.features.text.length, model.job.batches["frames_length"]
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(5, max(6, model.tokens.vocab_size), (VIDEOS, length), generator=random)
    mask = torch.arange(length) < torch.tensor([length, length // 2, 3])[:, None]
    frame_mask = torch.arange(count) < torch.tensor([count, max(1, count // 2), 1])[:, None]
    frames = torch.randn(VIDEOS, count, model.facts["sizes"]["frame_dim"], generator=random)
    return ids * mask, mask, torch.zeros_like(ids), frames * frame_mask[..., None], frame_mask


@torch.no_grad()
def _written(
    module: nn.Module, inputs: tuple[Tensor, ...], file: Path, names: tuple[str, ...], outputs: list[str]
) -> float:
    import onnxruntime

    expected = module.eval()(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    try:
        torch.onnx.export(module, inputs, str(file), input_names=names, output_names=outputs, dynamic_shapes=shapes, external_data=False, verbose=False)  # fmt: skip
    except Exception as error:  # the exporter raises whatever an operation does to it
        raise ValueError(f"{file.name}: cannot be written ({str(error).splitlines()[0]}); use --to torch") from error
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    arrays = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    known = {given.name for given in session.get_inputs()}  # what the model does not read is no input
    largest = 0.0
    for rows in (slice(VIDEOS), slice(1, 2)):
        said = session.run(None, {name: value[rows] for name, value in arrays.items() if name in known})
        pairs = zip(said, expected, strict=True)
        largest = max(largest, *(float(np.abs(cast(np.ndarray, a) - b.numpy()[rows]).max()) for a, b in pairs))
    if not largest <= CLOSE:
        raise ValueError(f"{file.name}: onnxruntime is {largest:.1e} off torch, more than {CLOSE}; use --to torch")
    return largest


def card(model: Model) -> str:
    """The model card: what it is for, what it was trained on, how well it does beside what needs no such model."""
    info, job, metrics = model.info, model.job, model.facts["metrics"]
    told = "".join(f"| {row['label']} | {row['score']:.3f} |\n" for row in _floors(model))
    own = f"{score_of(metrics):.3f}" + ("" if info["low"] is None else f" [{info['low']:.3f}, {info['high']:.3f}]")
    items = metrics["items"].get(scored_on(metrics["scores"]), "?")
    uses = "classify a video, or compare two by the cosine of their vectors" if job.kind.name == "classes" else "compare two videos by the cosine of their vectors"  # fmt: skip
    slots = job.spec.model.slots()
    named = [part.arguments["backbone"] for part in slots.values() if "backbone" in part.arguments]
    encoder = [job.frames.tokenizer] if job.frames is not None and job.frames.spec.images is not None else []
    replaced = [job.corpus.backbone] if job.corpus.backbone and named else named
    parts = ", ".join(f"{slot} {component.use}" for slot, component in slots.items())
    chosen = "" if info["scored on"] == "test" else ", on which its checkpoint was chosen too"
    return f"""# {job.recipe} {job.arm}, trained on {info["trained on"]}

A model of these parts of `lib.models`: {parts}.

It reads {", ".join(info["reads"]["text"])} (at most {info["reads"]["tokens"]} tokens) and {info["reads"]["frames"]} frames of a
video, and is there to {uses}. Load it with `lib.load("<this folder>")`, or see `preprocessing` in `{EXPORTED}`.

| | {info["metric"]} on the {info["scored on"]} part ({items} items{chosen}) |
| --- | --- |
| this model, with 95 % interval | {own} |
{told}
Trained on {info["videos"]:,} videos of `{info["trained on"]}` ({model.facts["corpus"]["source"]} format), {metrics["items"]["train"]:,} training
items, {info["parameters"]:,} parameters; recipe {job.recipe}, stage {job.stage}, arm {job.arm}, seed {job.seed}, scale {job.scale}.

**Limits.** The score holds for videos like those: other sources, languages or categories were not tried. What is none of its
categories gets one of them all the same.

**Licence.** The weights come from the videos and labels above and from {", ".join([*replaced, *encoder]) or "random weights"}; the terms of all of
them apply to whoever passes this folder on.
"""


def _floors(model: Model) -> list[dict[str, Any]]:
    """Those of the corpus; none where it is not there, or was not trained for scores of a contest."""
    try:
        return floors(model.job, Store.open(model.job.corpus.store)).to_dict("records")
    except (StoreError, TypeError, RecipeError):
        return []
