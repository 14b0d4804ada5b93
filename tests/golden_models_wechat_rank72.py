"""WeChat rank 72 rebuilt from our parts, with the recorded sizes and weights, quirks on."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch

from lib.data.batch import Batch
from lib.models import BertText, Classifier, CrossModalEncoder, FirstPooled, FrameLinear, Identity
from lib.models.video_model import VideoModel
from lib.objectives import CategoryCE, MaskedTokens, VideoTextMatching
from lib.objectives.mix import Objective, ObjectiveMix
from tests.golden_models import SPECIAL, System
from tests.golden_names_wechat_rank72 import WECHAT_RANK72, without_last_frames
from tests.golden_rule import Case, load_renamed

VOCABULARY, WIDTH = 200, 768
_FOLDERS = tempfile.TemporaryDirectory(prefix="architectures-")  # removed when the interpreter ends


def finetuned(case: Case, **options) -> System:
    """Text and cross layers, classifier of 200, label smoothing 0.1; options are CrossModalEncoder's."""
    head = Classifier(WIDTH, 200, dropout=0.2)
    return _system(case, head, {"category": (CategoryCE(label_smoothing=0.1), 1.0)}, **options)


def pretrained(case: Case) -> System:
    """Masked tokens on a tied decoder and matching on reversed halves, 0.3 of it; the frame mask is ignored (R6)."""
    tokens = MaskedTokens(WIDTH, VOCABULARY, SPECIAL, tied=True, matched_only=False)
    matching = VideoTextMatching(WIDTH, kind="reversed_half", frame_mask="ignore", threshold=0.5)
    return _system(case, Identity(WIDTH), {"tokens": (tokens, 1.0), "matching": (matching, 0.3)})


def batch(case: Case) -> Batch:
    """The recorded inputs, before any corruption."""
    ids = case["in/text_input"]
    return Batch(
        rows=torch.arange(len(ids)),
        input_ids=ids,
        text_mask=case["in/text_mask"].bool(),
        token_types=torch.zeros_like(ids),
        frames=case["in/frame_input"],
        frame_mask=case["in/frame_mask"].bool(),
        category=case["in/label"].squeeze(1) if "in/label" in case else None,
    )


def corrupted(case: Case, system: System) -> Batch:
    """The recorded masked tokens, and frames exchanged by the objective itself, which draws nothing."""
    given = batch(case).replace(input_ids=case["in/masked_text_input"], token_labels=case["in/mlm_label"])
    return system.mix.terms["matching"].corrupt(given, torch.Generator())


def _system(
    case: Case, head: torch.nn.Module, terms: dict[str, tuple[Objective, float]], last_frames: bool = True
) -> System:
    backbone = _architecture(case)
    model = VideoModel(
        text=BertText(backbone, VOCABULARY, pooler=False, still_first_rows=True),
        frames=FrameLinear(WIDTH, WIDTH, dropout=0.0),
        fusion=CrossModalEncoder(WIDTH, WIDTH, backbone, depth=case.settings["x_layers"], last_frames=last_frames),
        pooling=FirstPooled(WIDTH),
        head=head,
    )
    system = System(model, ObjectiveMix(terms))
    names = WECHAT_RANK72 if last_frames else without_last_frames(case.settings["x_layers"])
    system.renamed = load_renamed(system, case.weights, names)
    return system.eval()


@functools.cache
def _architecture(case: Case) -> str:
    """A checkpoint folder of the recorded sizes; its weights are overwritten afterwards."""
    from transformers import BertConfig, BertForPreTraining

    folder = Path(_FOLDERS.name, case.name.replace("/", "-"))
    config = BertConfig(**case.settings["bert"], num_hidden_layers=case.settings["l_layers"])
    BertForPreTraining(config).save_pretrained(folder)
    return str(folder)
