"""What each original parameter name is called here: beginning of the original name -> beginning of ours.

The longest beginning counts; None means that we have no such parameter, with the reason beside it.
"""

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
