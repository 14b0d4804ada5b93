"""AIAC rank 17 rebuilt from our parts, with the recorded sizes and weights, quirks on."""

import torch
from torch import nn

from lib.data.batch import Batch
from lib.models import (
    BertText,
    CrossTransformer,
    FirstPooled,
    FrameLinear,
    GatedProjection,
    GatedSum,
    Identity,
    Poolings,
    VideoTransformer,
)
from lib.models.video_model import Outputs, VideoModel
from lib.objectives import CosineRegression, NearestLevel, TagFocal
from lib.objectives.mix import ObjectiveMix
from tests.golden_models import System, checkpoint
from tests.golden_rule import Case, load_renamed

# Transformer of model/transformer_cls.py -> VideoTransformer, the layers after ``layers.<number>.``
LAYER: dict[str, str] = {
    "0.fn.norm.": "attention_norm.", "0.fn.fn.to_qkv.": "qkv.", "0.fn.fn.to_out.0.": "out.", "1.fn.norm.": "ffn_norm.",
    "1.fn.fn.net.0.": "widen.", "1.fn.fn.net.3.": "narrow.",
}  # fmt: skip
VIDEO_TRANSFORMER: dict[str, str | None] = {
    "cls_token": "first",
    **{f"layers.{i}.{original}": f"layers.{i}.{ours}" for i in range(6) for original, ours in LAYER.items()},
}
GATE: dict[str, str | None] = {"fc_avg.0.": "linear.", "fc_avg.1.": "norm."}  # Cross_SE_BN and SE_BN -> FeatureGate

UNUSED_POOLER = None  # BERT's pooler, which nothing reads: 590,592 parameters

# TEXTNET, VIDEONET, SIMNET of model/simnet_13.py -> VideoModel under ``model.``, ObjectiveMix under ``mix.terms.``
TEXT_PRETRAIN: dict[str, str | None] = {
    "text_model.": "model.text.",
    "text_model.pooler.": UNUSED_POOLER,
    "cls.": "mix.terms.tags.head.classify.",
}
VIDEO_PRETRAIN: dict[str, str | None] = {
    **{f"video_model.{original}": f"model.frames.{ours}" for original, ours in VIDEO_TRANSFORMER.items()},
    "cls.": "mix.terms.tags.head.classify.",
}
GATED_SUM: dict[str, str | None] = {
    **{f"text_model.{name}": ours for name, ours in TEXT_PRETRAIN.items() if not name.startswith("cls")},
    **{f"video_model.{name}": ours for name, ours in VIDEO_PRETRAIN.items() if not name.startswith("cls")},
    "text_model.cls.": None,  # heads of the pretraining, carried along
    "video_model.cls.": None,
    "video_embed.": "model.fusion.project_frames.",
    "text_embed.": "model.fusion.project_text.",
    **{f"fusion_gate.{original}": f"model.fusion.gate.{ours}" for original, ours in GATE.items()},
}

# MULTIBERT, SIMNET of model/multi_bert_simnet_1.py
CROSS_PRETRAIN: dict[str, str | None] = {
    "text_model.": "model.text.",
    "text_model.pooler.": UNUSED_POOLER,
    "text_ln.": "model.text.norm.",
    "visual_embeddings.": "model.frames.project.",
    "multi_bert.embeddings.word_embeddings.": None,  # a word table for states that are no words, never read
    "multi_bert.embeddings.": "model.fusion.",
    "multi_bert.encoder.": "model.fusion.encoder.",
    "multi_bert.pooler.": UNUSED_POOLER,
    "cls.": "mix.terms.tags.head.classify.",
}
CROSS: dict[str, str | None] = {
    **{f"bert.{name}": ours for name, ours in CROSS_PRETRAIN.items() if name != "cls."},
    "bert.cls.": None,
    **{f"fusion_gate.{original}": f"model.head.gate.{ours}" for original, ours in GATE.items()},
    "embed.": "model.head.project.",
}

FRAME_DIM, TAGS = 1536, 10000
FOCAL = {"gamma": 2.0, "alpha": 10 / 11, "reduction": "sum", "scale": 0.011}


class OneEncoder(nn.Module):
    """One encoder without a fusion: what the original pretrains for itself; only its pooled vector is of interest."""

    def __init__(self, slot: str, encoder: nn.Module):
        super().__init__()
        self.slot = slot
        setattr(self, slot, encoder)

    def forward(self, batch: Batch) -> Outputs:
        states, nowhere = getattr(self, self.slot)(batch), torch.zeros(0, dtype=torch.long)
        return Outputs(states, nowhere, nowhere, states.pooled, **{self.slot: states})


def text_encoder(case: Case, **options) -> BertText:
    return BertText(checkpoint(case, ""), vocab_size=case.settings["bert"]["vocab_size"], pool="first", **options)


def video_encoder(case: Case) -> VideoTransformer:
    video = case.settings.get("video", case.settings)
    return VideoTransformer(
        FRAME_DIM, depth=video["depth"], heads=video["heads"], head_dim=video["dim_head"], ffn=video["mlp_dim"],
        respect_mask=False, positions="none", init="uniform",
    )  # fmt: skip


def text_pretraining(case: Case) -> System:
    tags = TagFocal(TAGS, {"text": 768}, input="text", activation="relu", **FOCAL)
    return _loaded(case, System(OneEncoder("text", text_encoder(case)), _one(tags)), TEXT_PRETRAIN)


def video_pretraining(case: Case) -> System:
    tags = TagFocal(TAGS, {"frames": FRAME_DIM}, input="frames", activation="none", **FOCAL)
    return _loaded(case, System(OneEncoder("frames", video_encoder(case)), _one(tags)), VIDEO_PRETRAIN)


def gated_sum(case: Case) -> System:
    """The first model in finetuning."""
    fusion = GatedSum(768, FRAME_DIM)
    model = VideoModel(text_encoder(case), video_encoder(case), fusion, FirstPooled(256), Identity(256))
    return _loaded(case, System(model, pair_mix()), GATED_SUM)


def cross(case: Case) -> System:
    """The second model, in pretraining or in finetuning."""
    settings = case.settings
    fusion = CrossTransformer(
        768, 768, num_text_slots=settings["text_slots"], depth=settings["second_bert"]["num_hidden_layers"],
        heads=settings["second_bert"]["num_attention_heads"], ffn=settings["bert"]["intermediate_size"],
        positions=settings["bert"]["max_position_embeddings"],
    )  # fmt: skip
    text = text_encoder(case, norm=True, token_types=False)
    finetuning = "in/pair_label" in case
    head = GatedProjection(1536) if finetuning else Identity(1536)
    model = VideoModel(text, FrameLinear(FRAME_DIM, 768, dropout=0.0), fusion, Poolings(768, ["first", "frames"]), head)
    tags = TagFocal(TAGS, {"pooled": 1536}, input="pooled", activation="none", **FOCAL)
    mix = pair_mix() if finetuning else _one(tags)
    return _loaded(case, System(model, mix), CROSS if finetuning else CROSS_PRETRAIN)


def pair_mix() -> ObjectiveMix:
    unlabelled = NearestLevel(scope="within_side")
    return ObjectiveMix({"similarity": (CosineRegression(), 1.0), "unlabelled": (unlabelled, 1.0)})


def rank17_batch(case: Case) -> Batch:
    """The recorded inputs; a part that a case does not have is one slot of padding."""
    count = len(case["in/input_ids"] if "in/input_ids" in case else case["in/frames"])
    blank = torch.zeros(count, 1, dtype=torch.long)
    text = {
        name: case[f"in/{name}"] if "in/input_ids" in case else blank
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    frames = case["in/frames"] if "in/frames" in case else torch.zeros(count, 1, FRAME_DIM)
    mask = case["in/frame_mask"].bool() if "in/frame_mask" in case else torch.zeros(count, 1, dtype=torch.bool)
    batch = Batch(
        rows=torch.arange(count),
        input_ids=text["input_ids"],
        text_mask=text["attention_mask"].bool(),
        token_types=text["token_type_ids"],
        frames=frames,
        frame_mask=mask[:, -frames.shape[1] :],  # the original's has an entry for the first slot, always 1
    )
    if "in/tag_index" in case:
        batch = batch.replace(tags=torch.zeros(count, TAGS).scatter_(1, case["in/tag_index"], 1.0))
    if "in/pair_label" in case:
        pair = torch.stack([case["in/pair_side1"], case["in/pair_side2"]], dim=1)
        batch = batch.replace(pair=pair, score=case["in/pair_label"])
    return batch


def _one(tags: TagFocal) -> ObjectiveMix:
    return ObjectiveMix({"tags": (tags, 1.0)})


def _loaded(case: Case, system: System, names: dict[str, str | None]) -> System:
    weights = dict(case.weights)
    if "fusion_gate.fc_avg.1.running_mean" in weights:
        weights["fusion_gate.fc_avg.1.num_batches_tracked"] = torch.tensor(0)  # a counter, not recorded
    system.renamed = load_renamed(system, weights, names)
    return system.eval()
