"""WeChat rank 72 rebuilt from our parts, with the recorded sizes and weights, quirks on."""

import torch

from lib.data.batch import Batch
from lib.models import BertText, Classifier, CrossModalEncoder, FirstPooled, FrameLinear, Identity
from lib.models.video_model import VideoModel
from lib.objectives import CategoryCE, MaskedTokens, VideoTextMatching
from lib.objectives.mix import Objective, ObjectiveMix
from tests.golden_models import SPECIAL, System, as_batch, backbone
from tests.golden_rule import Case, load_renamed

# LXMERT of lxmert_model.py, LXMERT_PRE of lxmert_model_pretrain.py -> VideoModel under ``model.``, ObjectiveMix under
# ``mix.terms.``
WECHAT_RANK72: dict[str, str | None] = {
    "video_dense.": "model.frames.project.", "encoder.bert.embeddings.": "model.text.embeddings.",
    "encoder.bert.encoder.layer.": "model.text.encoder.layer.",
    "encoder.bert.encoder.x_layers.": "model.fusion.layers.", "encoder.bert.pooler.": "model.fusion.pooler.",
    "classifier.": "model.head.classify.", "encoder.cls.predictions.transform.dense.": "mix.terms.tokens.head.dense.",
    "encoder.cls.predictions.transform.LayerNorm.": "mix.terms.tokens.head.LayerNorm.",
    "encoder.cls.predictions.bias": "mix.terms.tokens.head.bias", "newfc_itm_cls.": "mix.terms.matching.classify.",
}  # fmt: skip


def without_last_frames(case_layers: int) -> dict[str, str | None]:
    """The same, for a model without the last layer's block of the frames (R11)."""
    last = f"encoder.bert.encoder.x_layers.{case_layers - 1}."
    return WECHAT_RANK72 | {last + name: None for name in ("visn_self_att.", "visn_inter.", "visn_output.")}


# swin_tiny of utils/swin.py -> timm's: the reduction between two stages belongs to the later one there
SWIN: dict[str, str | None] = {
    "": "",
    **{f"layers.{stage}.downsample.": f"layers.{stage + 1}.downsample." for stage in range(3)},
}

VOCABULARY, WIDTH = 200, 768


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
    given = [case[f"in/{name}"] for name in ("text_input", "text_mask", "frame_input", "frame_mask")]
    return as_batch(*given, category=case["in/label"].squeeze(1) if "in/label" in case else None)


def corrupted(case: Case, system: System) -> Batch:
    """The recorded masked tokens, and frames exchanged by the objective itself, which draws nothing."""
    given = batch(case).replace(input_ids=case["in/masked_text_input"], token_labels=case["in/mlm_label"])
    return system.mix.terms["matching"].corrupt(given, torch.Generator())


def _system(
    case: Case, head: torch.nn.Module, terms: dict[str, tuple[Objective, float]], last_frames: bool = True
) -> System:
    settings = case.settings
    base = backbone(**settings["bert"], num_hidden_layers=settings["l_layers"])
    model = VideoModel(
        text=BertText(base, VOCABULARY, pooler=False, still_first_rows=True),
        frames=FrameLinear(WIDTH, WIDTH, dropout=0.0),
        fusion=CrossModalEncoder(WIDTH, WIDTH, base, depth=settings["x_layers"], last_frames=last_frames),
        pooling=FirstPooled(WIDTH),
        head=head,
    )
    system = System(model, ObjectiveMix(terms))
    names = WECHAT_RANK72 if last_frames else without_last_frames(settings["x_layers"])
    system.renamed = load_renamed(system, case.weights, names)
    return system.eval()
