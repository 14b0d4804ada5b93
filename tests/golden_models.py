"""The original models rebuilt from our parts, with the recorded sizes and weights; shared by parity tests."""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib.data.batch import Batch, SpecialIds
from lib.models import (
    AttentionPool,
    BertText,
    Classifier,
    ConcatSE,
    Embeddings,
    FirstPooled,
    FrameProjection,
    MeanPool,
    NextVladFrames,
    Projection,
    SingleStream,
)
from lib.models.video_model import VideoModel
from lib.objectives import CosineRegression, MaskedFrames, MaskedTokens, TagBCE
from lib.objectives.mix import ObjectiveMix
from tests.golden_rule import Case, load_renamed

# Names: beginning of the original name -> beginning of ours; the longest counts; None: we have no such parameter.

# zr2021/2021_QQ_AIAC_Tack1_1st, QQUniModel -> VideoModel under ``model.``, ObjectiveMix under ``mix.terms.``
AIAC_RANK1: dict[str, str | None] = {
    "roberta.bert.embeddings.": "model.text.embeddings.",
    "roberta.bert.video_fc.": "model.frames.project.",
    "roberta.bert.video_embeddings.position_embeddings.": "model.frames.position_embeddings.",
    "roberta.bert.video_embeddings.token_type_embeddings.": "model.frames.token_type_embeddings.",
    "roberta.bert.video_embeddings.LayerNorm.": "model.frames.LayerNorm.",
    "roberta.bert.video_embeddings.word_embeddings.": None,  # A7-14: a word table for frames, never read
    "roberta.bert.encoder.": "model.fusion.encoder.",
    "newemb_att.0.": "model.pooling.transform.",
    "newemb_att.2.": "model.pooling.score.",
    "newfc_hidden.": "model.head.project.",
    "newfc_tag.": "mix.terms.tags.head.classify.",
    "roberta.cls.predictions.transform.dense.": "mix.terms.tokens.head.dense.",
    "roberta.cls.predictions.transform.LayerNorm.": "mix.terms.tokens.head.LayerNorm.",
    "roberta.cls.predictions.decoder.weight": "mix.terms.tokens.head.table",
    "roberta.cls.predictions.bias": "mix.terms.tokens.head.bias",
    "roberta_mvm_lm_header.predictions.transform.dense.": "mix.terms.frames.head.dense.",
    "roberta_mvm_lm_header.predictions.transform.LayerNorm.": "mix.terms.frames.head.LayerNorm.",
    "roberta_mvm_lm_header.predictions.decoder.weight": "mix.terms.frames.head.table",
    "roberta_mvm_lm_header.predictions.bias": "mix.terms.frames.head.bias",
}

# WeChat-Big-Data-Challenge-2022/challenge, NeXtVLAD, SENet, ConcatDenseSE, MultiModal -> VideoModel
NEXTVLAD: dict[str, str | None] = {
    "cluster_weight": "centres",
    "expansion_linear.": "expand.",
    "group_attention.": "attend.",
    "cluster_linear.": "assign.",
    "fc.": "project.",
}
SQUEEZE_EXCITE: dict[str, str | None] = {"sequeeze.": "squeeze.", "excitation.": "excite."}
CONCAT_SE: dict[str, str | None] = {
    "fusion.": "project.",
    "enhance.sequeeze.": "gate.squeeze.",
    "enhance.excitation.": "gate.excite.",
}
WECHAT_BASELINE: dict[str, str | None] = {
    "bert.": "text.",
    **{f"nextvlad.{original}": f"frames.vlad.{ours}" for original, ours in NEXTVLAD.items()},
    **{f"enhance.{original}": f"frames.gate.{ours}" for original, ours in SQUEEZE_EXCITE.items()},
    **{f"fusion.{original}": f"fusion.{ours}" for original, ours in CONCAT_SE.items()},
    "classifier.": "head.classify.",
}

SPECIAL = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)  # of the recorded vocabulary
_FOLDERS = tempfile.TemporaryDirectory(prefix="checkpoints-")  # removed when the interpreter ends
PUBLISHED = {"tags": 1250 / 3, "tokens": 1 / 3.75, "frames": 1 / 9}


class System(nn.Module):
    """A model and its objectives under one roof, so that one name map covers both."""

    def __init__(self, model: VideoModel, mix: ObjectiveMix):
        super().__init__()
        self.model, self.mix = model, mix


def aiac_rank1(case: Case) -> System:
    """Job 1, 2 or 4 with its recorded weights, quirks on."""
    video_first, attention = case.name == "r1/job2", case.name == "r1/job4"
    settings = case.settings
    backbone, hidden = checkpoint(case, "roberta."), settings["bert"]["hidden_size"]
    positions, frame_dim = settings["bert"]["max_position_embeddings"], settings["frame_dim"]
    pooling = AttentionPool if attention else MeanPool
    model = VideoModel(
        text=Embeddings(backbone, vocab_size=200),
        frames=FrameProjection(frame_dim, hidden, positions=positions),
        fusion=SingleStream(backbone, hidden, hidden, layout="video_first" if video_first else "cls_first"),
        pooling=pooling(hidden, include_padding=True),
        head=Projection(hidden, settings["HIDDEN_SIZE"]),
    )
    widths = {"cls": hidden, "embedding": settings["HIDDEN_SIZE"]}
    tags = TagBCE(settings["NUM_CLASSES"], widths, input="embedding" if video_first else "cls")
    tokens, frames = MaskedTokens(hidden, 200, SPECIAL, backbone=backbone), MaskedFrames(hidden, frame_dim)
    terms = {"tags": tags, "tokens": tokens, "frames": frames}
    system = System(model, ObjectiveMix({name: (term, PUBLISHED[name]) for name, term in terms.items()}))
    system.renamed = load_renamed(system, case.weights, AIAC_RANK1)
    return system.eval()


def as_batch(ids: Tensor, text_mask: Tensor, frames: Tensor, frame_mask: Tensor, **more: Any) -> Batch:
    """A batch of recorded tensors."""
    count, types = torch.arange(len(ids)), torch.zeros_like(ids)
    return Batch(count, ids, text_mask.bool(), types, frames, frame_mask.bool(), **more)


def aiac_batch(case: Case, corrupted: bool = False) -> Batch:
    """The recorded inputs; corrupted with the recorded masks, as if the objectives had drawn them."""
    masked, pair = case["in/frame_selected"].bool(), torch.stack([case["in/pair_side1"], case["in/pair_side2"]], dim=1)
    given = [case[f"in/{name}"] for name in ("input_ids", "text_mask", "frames", "frame_mask")]
    batch = as_batch(*given, tags=case["in/target"], pair=pair, score=case["in/pair_label"])
    if not corrupted:
        return batch
    return batch.replace(
        input_ids=case["in/masked_input_ids"],
        token_labels=case["in/mlm_label"],
        frames=batch.frames.masked_fill(masked.unsqueeze(-1), 0.0),
        frame_selected=masked,
        clean_frames=batch.frames,
    )


def similarity_mix() -> ObjectiveMix:
    return ObjectiveMix({"similarity": (CosineRegression(), 1.0)})


def wechat_baseline(case: Case) -> VideoModel:
    """The official baseline with its recorded weights, quirk B1 on."""
    settings = case.settings
    width, vlad = settings["bert"]["hidden_size"], settings["vlad_hidden_size"]
    frames = NextVladFrames(
        settings["frame_embedding_size"],
        output_dim=vlad,
        clusters=settings["vlad_cluster_size"],
        se_ratio=settings["se_ratio"],
        respect_mask=False,
    )
    model = VideoModel(
        text=BertText(checkpoint(case, ""), vocab_size=200),
        frames=frames,
        fusion=ConcatSE(width, vlad, output_dim=settings["fc_size"], se_ratio=settings["se_ratio"]),
        pooling=FirstPooled(settings["fc_size"]),
        head=Classifier(settings["fc_size"], settings["classes"]),
    )
    model.renamed = load_renamed(model, case.weights, WECHAT_BASELINE)
    return model.eval()


def wechat_batch(case: Case) -> Batch:
    given = [case[f"in/{name}"] for name in ("title_input", "title_mask", "frame_input", "frame_mask")]
    return as_batch(*given, category=case["in/label"].squeeze(1))


def batch_of(case: Case, frames: Tensor | None = None) -> Batch:
    """Inputs of a case of ``golden/topsix``; frames without a recorded mask are all there."""
    name = "text" if "in/text_input" in case else "title"
    if frames is None:
        frames = case["in/frames"] if "in/frames" in case else case["in/frame_states"]
    mask = case["in/frame_mask"] if "in/frame_mask" in case else torch.ones(frames.shape[:2])
    return as_batch(case[f"in/{name}_input"], case[f"in/{name}_mask"], frames, mask)


@functools.cache
def checkpoint(case: Case, prefix: str) -> str:
    """A folder with config.json and weights as transformers keeps them, filled by the rule; ``prefix`` is cut off
    names."""
    from transformers import BertConfig, BertForPreTraining

    config = BertConfig(**case.settings["bert"], tie_word_embeddings=False)  # the original unties the word decoder
    model = BertForPreTraining(config)
    recorded = {name.removeprefix(prefix): value for name, value in case.weights.items() if name.startswith(prefix)}
    state = {key: recorded[key] for key in model.state_dict() if key in recorded}
    if "cls.predictions.bias" in state:
        state["cls.predictions.decoder.bias"] = state["cls.predictions.bias"]
    model.load_state_dict(state, strict=False)
    folder = Path(_FOLDERS.name, case.name.replace("/", "-"))
    model.save_pretrained(folder)
    return str(folder)


def backbone(**config: Any) -> str:
    """A folder with a BERT of this configuration and some weights, which parity tests replace."""
    return _backbone(json.dumps(config, sort_keys=True))


@functools.cache
def _backbone(config: str) -> str:
    from transformers import BertConfig, BertForPreTraining

    folder = Path(_FOLDERS.name, str(abs(hash(config))))
    BertForPreTraining(BertConfig(**json.loads(config))).save_pretrained(folder)
    return str(folder)


def worst(ours: Tensor, recorded: Tensor) -> float:
    """Largest absolute difference."""
    return float((ours.detach().double() - recorded.double()).abs().max())
