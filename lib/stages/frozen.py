"""Frozen encoders run once over the videos of a job, not at every step: seconds an epoch instead of minutes."""

from __future__ import annotations

import numpy as np
from accelerate import Accelerator

from lib.features.loader import Assembler, EvalLoader
from lib.models.video_model import Precomputed, VideoModel, encode
from lib.objectives.mix import Objective, ObjectiveMix
from lib.recipes.job import Job
from lib.stages.scoring import EVAL_BATCH


def precompute(
    job: Job, model: VideoModel, mix: ObjectiveMix, assembler: Assembler, rows: np.ndarray, accelerator: Accelerator
) -> dict[str, Precomputed]:
    """Slot -> what its encoder says of ``rows``, for encoders that the stage freezes; such a slot need not run at every step.

    Only where that changes nothing: the whole encoder is frozen in eval mode, the fusion looks at pooled vectors only,
    no objective hides or exchanges parts of the input, and frames are not picked anew each epoch.
    """
    spec, frames = job.stage_spec, job.spec.features.frames
    slots = [slot for slot in ("text", "frames") if slot in spec.freeze and (slot != "frames" or model.images is None)]
    same_input = all(type(term).corrupt is Objective.corrupt for _, term in mix.active())
    same_frames = frames.train_sample in ("same", frames.sample) and not frames.sample.startswith("random")
    if not slots or spec.freeze_mode != "eval" or not (same_input and same_frames):
        return {}
    if not getattr(model.fusion, "pooled_only", False):
        return {}
    model.to(accelerator.device).eval()
    with accelerator.autocast():
        return {
            slot: encode(getattr(model, slot), EvalLoader(assembler, rows, EVAL_BATCH), accelerator.device)
            for slot in slots
        }
