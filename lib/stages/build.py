"""From a job to its objects: components bound to the sizes of a corpus and wired."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from lib.data.batch import SpecialIds
from lib.features.sets import TokenSet
from lib.features.tokens import BERT_SIZE
from lib.models.bert import resolve_backbone, stand_in
from lib.models.video_model import VideoModel
from lib.objectives.mix import ObjectiveMix
from lib.recipes.bind import bind
from lib.recipes.job import Job
from lib.recipes.specs import Component, DeviceSpec, StageSpec
from lib.runs import backbones
from lib.runs.folder import RunFolder
from lib.runs.kinds import HIGHER_IS_BETTER
from lib.training.averaging import Averaging, WeightEma, WeightSwa
from lib.training.checkpoint import Checkpointer
from lib.training.divergence import Rewind
from lib.training.layers import prepare_layers
from lib.training.optimizers import build_optimizer
from lib.training.schedule import ConstantTail, Schedule
from lib.training.trainer import Settings, Task, Trainer

Counts = Sequence[int] | np.ndarray | None  # videos of each category in the training part, where a stage learns them


@dataclass(frozen=True)
class Sizes:
    """What components need to know of the corpus, by the names their constructors ask for it."""

    frame_dim: int
    vocab_size: int
    num_tags: int
    num_classes: int
    special_ids: SpecialIds
    word_vectors: torch.Tensor | None = None  # [vocab_size, D], where the tokens have vectors of their own
    word_pieces: list[list[int]] | None = None  # tokens of each whole word, the last of the vocabulary

    @classmethod
    def of(cls, tokens: TokenSet, *, frame_dim: int, num_tags: int, num_classes: int) -> "Sizes":
        vectors = None if (found := tokens.vectors) is None else torch.from_numpy(found)
        return cls(frame_dim, tokens.vocab_size, num_tags, num_classes, tokens.special, vectors, tokens.word_pieces)

    @classmethod
    def published(cls, track: str, backbone: str | None = None) -> "Sizes":
        """Of the competition's data and vocabulary, for parameter counts without data; of a backbone of params/backbones
        its vocabulary."""
        words = BERT_SIZE if not backbones.folder(backbone or "") else resolve_backbone(str(backbone)).config.vocab_size
        special = SpecialIds(pad=0, unk=100, cls=101, sep=102, mask=103)
        return cls(1536, words, 10000, 0, special) if track == "pairs" else cls(768, words, 0, 200, special)


def build_model(job: Job, sizes: Sizes) -> VideoModel:
    """The five slots of a recipe, bound and wired; widths flow from slot to slot by name."""
    spec, features = job.spec.model, job.spec.features
    context = {**vars(sizes), "num_text_slots": features.text.length, "num_frame_slots": job.most_frames}

    def part(component: Component, where: str) -> Any:
        return bind("models", component, context, where, backbone=backbone_in_place(job, component))

    named = next((part.arguments["backbone"] for part in spec.slots().values() if "backbone" in part.arguments), None)
    if named is not None:
        context["hidden"] = resolve_backbone(job.corpus.backbone or named).config.hidden_size
    images = None
    if spec.images is not None and job.frames is not None and (pictures := job.frames.spec.images) is not None:
        context["images"] = pictures.encoding(job.frames.tokenizer)
        images = bind("models", spec.images, context, "model.images")
        context["frame_dim"] = images.output_dim
    text = part(spec.text, "model.text")
    frames = part(spec.frames, "model.frames")
    context |= {"text_dim": text.output_dim, "frames_dim": frames.output_dim}
    fusion = part(spec.fusion, "model.fusion")
    context["input_dim"] = getattr(fusion, "pooled_dim", fusion.output_dim)  # of several fusions all vectors
    pooling = part(spec.pooling, "model.pooling")
    head = bind("models", spec.head, context | {"input_dim": pooling.output_dim}, "model.head")
    return VideoModel(text=text, frames=frames, fusion=fusion, pooling=pooling, head=head, images=images)


def backbone_in_place(job: Job, component: Component) -> str | None:
    """The backbone that the scale puts in the place of the one that a component names; None: the recipe's own."""
    named = component.arguments.get("backbone")
    return None if named is None else stand_in(named, job.corpus.backbone)


def freeze(job: Job, model: VideoModel) -> None:
    """Exclude the parts from training that the job's stage freezes. Raises ValueError: the model has no such part;
    names the recipe's key."""
    try:
        model.freeze(job.stage_spec.freeze, job.stage_spec.freeze_mode)
    except ValueError as error:
        raise ValueError(f"stages.{job.stage}.{error}") from None


def build_mix(job: Job, model: VideoModel, sizes: Sizes, class_counts: Counts = None) -> ObjectiveMix:
    """The weighted objectives of the job's stage, with the heads that only they need. ``class_counts``: videos of each
    category in the training part, where the stage learns categories."""
    wide: Any = {slot: module.output_dim for slot, module in model.named_children()}
    context = vars(sizes) | {
        "hidden": wide["fusion"], "input_dim": wide["fusion"], "pooled_dim": wide["pooling"], "text_dim": wide["text"], "frames_dim": wide["frames"],
        "widths": {"cls": wide["fusion"], "pooled": wide["pooling"], "embedding": wide["head"], "text": wide["text"], "frames": wide["frames"]},
        "class_counts": class_counts, "model": model, "num_text_slots": job.spec.features.text.length,
    }  # fmt: skip
    if model.images is not None:
        context["frame_dim"] = wide["images"]
    terms = {}
    for name, term in job.stage_spec.objectives.items():
        if term.weight > 0:
            where = f"stages.{job.stage}.objectives.{name}"
            terms[name] = (bind("objectives", term, context, where, backbone=backbone_in_place(job, term)), term.weight)
    return ObjectiveMix(terms)


def build_postprocess(job: Job, class_counts: Counts) -> list[Callable[[np.ndarray], np.ndarray]]:
    """What the job's stage does to the logits of categories before they are judged, in order."""
    return [
        bind("evaluation", step, {"class_counts": class_counts}, f"stages.{job.stage}.evaluation.postprocess")
        for step in job.stage_spec.evaluation.postprocess
    ]


def build_trainer(
    spec: StageSpec,
    task: Task,
    accelerator: Accelerator,
    *,
    steps: int,
    steps_per_epoch: int,
    seed: int,
    folder: RunFolder,
    score: Callable[[torch.nn.Module], dict[str, float]],
    device: DeviceSpec,
) -> Trainer:
    """The trainer of one stage: optimizer, schedule and tricks as its spec says, steps as the scale runs them."""
    evaluation = spec.evaluation
    prepare_layers(task, checkpointing=device.checkpointing, compiled=device.compile)
    settings = Settings(
        primary=evaluation.select,
        higher_is_better=HIGHER_IS_BETTER[evaluation.select],
        seed=seed,
        max_grad_norm=spec.max_grad_norm,
        eval_every=evaluation.every,
        keep_best=evaluation.keep == "best",
        mean_of=evaluation.mean_of,
        reload_best_each_epoch=spec.reload_best_each_epoch,
        accumulate=device.accumulate,
        ahead=device.ahead,
        save_minutes=device.save_minutes,
    )
    return Trainer(
        task,
        accelerator,
        build_optimizer(task.named_parameters(), **spec.optimizer.model_dump()),
        build_schedule(spec, max(1, steps), steps_per_epoch),
        settings,
        averaging=build_averaging(spec, max(1, steps), steps_per_epoch),
        adversarial=None if spec.adversarial is None else bind("training", spec.adversarial, {}, "adversarial"),
        rewind=None if spec.rewind is None else Rewind(**spec.rewind.model_dump()),
        score=score,
        checkpoint=Checkpointer(folder.state, writes=accelerator.is_main_process),
        history=folder.history,
    )


def build_schedule(spec: StageSpec, total_steps: int, steps_per_epoch: int) -> Schedule:
    """The stage's schedule, with SWA's constant tail if it asks for one."""
    sizes = {"total_steps": total_steps, "steps_per_epoch": steps_per_epoch}
    schedule = bind("training", spec.schedule, sizes, "schedule")
    if spec.swa is None or spec.swa.lr_factor is None:
        return schedule
    return ConstantTail(schedule, total_steps=total_steps, start=spec.swa.start, factor=spec.swa.lr_factor)


def build_averaging(spec: StageSpec, total_steps: int, steps_per_epoch: int) -> Averaging | None:
    """The stage's average of weights; a stage has at most one."""
    if spec.ema is not None:
        return WeightEma(decay=spec.ema.decay_of(total_steps), corrected=spec.ema.correction == "bias")
    if spec.swa is None:
        return None
    return WeightSwa(start=spec.swa.start, every=spec.swa.every or steps_per_epoch, buffers=spec.swa.buffers)


def on_meta(job: Job, sizes: Sizes) -> tuple[VideoModel, ObjectiveMix]:
    """Model and objectives on the meta device: no memory, no weights."""
    with torch.device("meta"):
        model = build_model(job, sizes)
        mix = build_mix(job, model, sizes, [1] * sizes.num_classes)
    freeze(job, model)
    return model, mix


def check(job: Job, sizes: Sizes | None = None) -> int:
    """Bind every slot and objective (:func:`on_meta`); returns the number of parameters. Raises RecipeError, ValueError:
    whatever would stop the job from being built."""
    sizes = sizes or Sizes.published(job.spec.track, job.corpus.backbone)
    model, mix = on_meta(job, sizes)
    bind("training", job.stage_spec.schedule, {"total_steps": 100, "steps_per_epoch": 10}, "schedule")
    if job.stage_spec.adversarial is not None:
        bind("training", job.stage_spec.adversarial, {}, f"stages.{job.stage}.adversarial")
    build_postprocess(job, [1] * sizes.num_classes)
    return sum(parameter.numel() for module in (model, mix) for parameter in module.parameters())


def in_half(job: Job, device: torch.device) -> bool:
    """Whether a job computes in bfloat16 there: as its scale says, by default on a GPU that has it."""
    known = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return {"auto": known, "float32": False, "bfloat16": True}[job.device.precision]
