"""What each original parameter of AIAC rank 17 is called here (chenjiashuo123/AIAC-2021-Task1-Rank17).

Beginning of the original name -> beginning of ours; the longest counts, None means that we have no such parameter.
"""

# Transformer of model/transformer_cls.py -> VideoTransformer, the layers after ``layers.<number>.``
LAYER: dict[str, str] = {
    "0.fn.norm.": "attention_norm.",
    "0.fn.fn.to_qkv.": "qkv.",
    "0.fn.fn.to_out.0.": "out.",
    "1.fn.norm.": "ffn_norm.",
    "1.fn.fn.net.0.": "widen.",
    "1.fn.fn.net.3.": "narrow.",
}
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
