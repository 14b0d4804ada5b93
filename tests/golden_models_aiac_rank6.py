"""The eight models of AIAC rank 6 rebuilt from our parts, in published or recorded sizes, quirks on or off."""

from typing import Any

from lib.data.batch import Batch
from lib.models import (
    BertText,
    CrossModal,
    EarlyFusion,
    EnhancedRcnn,
    Esim,
    FirstPooled,
    FrameLinear,
    FrameVectors,
    InceptionFrames,
    InceptionWords,
    MatchPooled,
    NextVladFrames,
    Projection,
    RecurrentWords,
    TransformerFrames,
    TransformerWords,
    WordVectors,
)
from lib.models.bert import resolve_backbone
from lib.models.video_model import VideoModel
from lib.objectives import TagFocal
from lib.objectives.mix import ObjectiveMix
from tests.golden_models import NEXTVLAD, System, as_batch, backbone
from tests.golden_rule import Case, load_renamed

Names = dict[str, str | None]

INCEPTION: Names = {
    "branch1.conv1.": "point.", "branch2.conv1.": "short_in.", "branch2.norm1.": "short_norm.",
    "branch2.conv3.": "short_out.", "branch3.conv1.": "long_in.", "branch3.norm1.": "long_norm.",
    "branch3.conv3.": "long_out.", "branch4.conv3.": "local.", "activa.norm.": "norm.",
}  # fmt: skip
CONV_BRANCHES: Names = {
    "Conv1.": "inner.0.",
    "BN1.": "norms.0.",
    "Conv2_1.": "inner.1.",
    "Conv2_2.": "outer.1.",
    "BN2.": "norms.1.",
    "Conv3_1.": None,  # B7-10: the third branch is computed and dropped
    "Conv3_2.": None,
    "BN3.": None,
}
POSITION_ATTENTION: Names = {"weight": "weight", "b": "bias"}


def under(original: str, ours: str, names: Names) -> Names:
    """The same names below other modules."""
    return {original + key: None if value is None else ours + value for key, value in names.items()}


ENDS: Names = {"encode_linear.": "model.head.project.", "clf_linear.": "mix.terms.tags.head.classify."}
WORDS: Names = {"WordEmb.": "model.text.words.table."}
CROSS: Names = {"cross_encoder.": "model.fusion.layers."}

AIAC_RANK6: dict[str, Names] = {
    "erc": {
        **WORDS,
        "video_linear.": "model.frames.project.",
        "Gru.": "model.fusion.gru.",
        **under("TextConv.", "model.fusion.text_conv.", CONV_BRANCHES),
        **under("VideoConv.", "model.fusion.frame_conv.", CONV_BRANCHES),
        **under("TextAttention.", "model.fusion.text_attention.", POSITION_ATTENTION),
        **under("VideoAttention.", "model.fusion.frame_attention.", POSITION_ATTENTION),
    },
    "esim": {
        **WORDS,
        "video_linear.": "model.frames.project.",
        "lstm_encoder._encoder.": "model.fusion.encoder.",
        "_projection.0.": "model.fusion.project.",
        "lstm_composition._encoder.": "model.fusion.composer.",
    },
    "lstm": {**WORDS, "Lstm.": "model.fusion.lstm.", "video_linear.": None},  # never used
    "lstm_nextvlad": {**WORDS, "LSTM.": "model.text.lstm.", **under("video_nextvlad.", "model.frames.vlad.", NEXTVLAD)},
    "gru_lxmert": {**WORDS, **CROSS, "video_linear.": "model.frames.project.", "Gru.": "model.fusion.gru."},
    "inception_lxmert": {
        **WORDS,
        **CROSS,
        "video_linear.": None,  # never used
        **under("text_inception1.", "model.text.inception.first.", INCEPTION),
        **under("text_inception2.", "model.text.inception.second.", INCEPTION),
        **under("video_inception1.", "model.frames.inception.first.", INCEPTION),
        **under("video_inception2.", "model.frames.inception.second.", INCEPTION),
    },
    "light_lxmert": {
        **WORDS,
        **CROSS,
        "text_linear.": "model.text.project.",
        "text_encoder.": "model.text.encoder.layer.",
        "video_linear.": "model.frames.project.",
        "video_encoder.": "model.frames.encoder.layer.",
    },
    "lxmert": {
        "lxmert.text_encoder.": "model.text.",
        "lxmert.text_encoder.pooler.": None,  # never used
        "lxmert.video_encoder.visn_fc.": "model.frames.project.",
        "lxmert.video_encoder.visn_layer_norm.": "model.frames.norm.",
        "lxmert.cross_encoder.": "model.fusion.layers.",
    },
}
AIAC_RANK6 = {case: {**names, **ENDS} for case, names in AIAC_RANK6.items()}
BLENDER: Names = {"dense1.": "first.", "dense2.": "second.", "dense3.": "third."}

MODELS = ["erc", "esim", "lstm", "lstm_nextvlad", "lxmert", "gru_lxmert", "inception_lxmert", "light_lxmert"]


def model(
    name: str, *, faithful: bool, vocab_size: int, frame_dim: int, slots: tuple[int, int] = (32, 32), dim: int = 300,
    embedding: int = 256, text_backbone: str = "bert-base-chinese", layer: str = "random-1x768",
    layers: str = "random-3x768", widths: dict[str, int] | None = None, second_mask_value: int = 1,
) -> VideoModel:  # fmt: skip
    """One of ``MODELS``; sizes are the published ones unless given, quirks are on or off together. ``widths``: for the
    text matching models, which no backbone shrinks: ``width`` and so on of their fusions."""
    masked, mask = not faithful, "none" if faithful else "neg_inf"
    widths = widths or {}
    words: dict[str, Any] = {"vocab_size": vocab_size, "dim": dim}
    hidden = resolve_backbone(layers).config.hidden_size
    if name == "erc":
        text, frames = WordVectors(**words), FrameLinear(frame_dim, dim)
        quirks = {"alignment": "self_bug", "branches": 2, "mask_padding": False} if faithful else {}
        fusion = EnhancedRcnn(dim, dim, *slots, **quirks, **widths)
    elif name == "esim":
        text, frames = WordVectors(**words), FrameLinear(frame_dim, dim)
        fusion = Esim(dim, dim, mask="ones" if faithful else "lengths", **widths)
    elif name == "lstm":
        text, frames = WordVectors(**words), FrameVectors(frame_dim)
        fusion = EarlyFusion(dim, frame_dim, mask_padding=masked, **widths)
    elif name == "lstm_nextvlad":
        width = widths.get("output_dim", 512)
        text = RecurrentWords(**words, output_dim=width, mask_padding=masked)
        frames = NextVladFrames(frame_dim, width, dropout=0.2, se_ratio=None, respect_mask=masked)
        fusion = MatchPooled(width, width)
    elif name == "lxmert":
        text = BertText(text_backbone, vocab_size, pooler=False, second_mask_value=second_mask_value)
        frames = FrameLinear(frame_dim, hidden=hidden, norm=True, dropout=0.1, spatial=False)
        fusion = CrossModal(hidden, hidden, layers, mask="additive01" if faithful else "neg_inf")
    elif name == "gru_lxmert":
        text, frames = WordVectors(**words), FrameLinear(frame_dim, dim)
        fusion = CrossModal(dim, dim, layers, recurrent="gru", mask=mask)
    elif name == "inception_lxmert":
        text = InceptionWords(hidden=hidden, mask_padding=masked, **words)
        frames = InceptionFrames(frame_dim, hidden, mask_padding=masked)
        fusion = CrossModal(hidden, hidden, layers, mask=mask)
    else:
        text = TransformerWords(backbone=layer, mask_padding=masked, **words)
        frames = TransformerFrames(frame_dim, layer, mask_padding=masked)
        fusion = CrossModal(hidden, hidden, layers, mask=mask)
    pooled = fusion.output_dim
    return VideoModel(text, frames, fusion, FirstPooled(pooled), Projection(pooled, embedding))


def tag_focal(name: str, num_tags: int, embedding: int = 256) -> TagFocal:
    """Stage 1's loss: scaled by 100 except for ``lxmert`` (B7-9)."""
    return TagFocal(
        num_tags, {"embedding": embedding}, input="embedding", activation="none", alpha=0.99,
        scale=1.0 if name == "lxmert" else 100.0, clamp=1e-4,
    )  # fmt: skip


def recorded(case: Case) -> System:
    """The case's model with its recorded weights, quirks on."""
    name, settings = case.name.removeprefix("r6/"), case.settings
    sizes: dict[str, Any] = {"frame_dim": settings["video_dim"], "embedding": settings["emb_dim"]}
    if name == "lxmert":
        sizes |= {"vocab_size": settings["bert"]["vocab_size"], "text_backbone": backbone(**settings["bert"])}
        sizes |= {"layers": backbone(**(settings["bert"] | {"num_hidden_layers": settings["cross_layer"]}))}
        sizes |= {"second_mask_value": 2}
    else:
        sizes |= {"vocab_size": settings["word_vectors"], "dim": settings["word_dim"]}
    if "config" in settings:
        config = {key: value for key, value in settings["config"].items() if not key.endswith("_layers")}
        sizes |= {"layers": backbone(**config, num_hidden_layers=settings["config"]["cross_layers"])}
        sizes |= {"layer": backbone(**config, num_hidden_layers=1)}
    built = model(name, faithful=True, slots=(settings["title_slots"], settings["frame_slots"]), **sizes)
    tags = tag_focal(name, settings["tags"], settings["emb_dim"])
    system = System(built, ObjectiveMix({"tags": (tags, 1.0)}))
    system.renamed = load_renamed(system, case.weights, AIAC_RANK6[name])
    return system.eval()


def recorded_batch(case: Case, rows: list[int] | None = None) -> Batch:
    """The recorded inputs, or some of their rows; without pairs."""
    lxmert = "in/input_ids" in case
    ids = case["in/input_ids" if lxmert else "in/title_seq"]
    frames = case["in/visual_embeds" if lxmert else "in/video"]
    real = case["in/visual_attention_mask"].bool() if lxmert else frames.abs().sum(dim=-1) > 0
    batch = as_batch(ids, case["in/attention_mask"] if lxmert else ids != 0, frames, real, tags=case["in/label"])
    return batch if rows is None else batch._map(lambda tensor: tensor[rows])
