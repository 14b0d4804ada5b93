"""What each original parameter of WeChat rank 72 is called here (aeeeeeep/2022WBDC-semi).

Beginning of the original name -> beginning of ours; the longest counts, None means that we have no such parameter.
"""

# LXMERT of lxmert_model.py, LXMERT_PRE of lxmert_model_pretrain.py -> VideoModel under ``model.``, ObjectiveMix under
# ``mix.terms.``
WECHAT_RANK72: dict[str, str | None] = {
    "video_dense.": "model.frames.project.",
    "encoder.bert.embeddings.": "model.text.embeddings.",
    "encoder.bert.encoder.layer.": "model.text.encoder.layer.",
    "encoder.bert.encoder.x_layers.": "model.fusion.layers.",
    "encoder.bert.pooler.": "model.fusion.pooler.",
    "classifier.": "model.head.classify.",
    "encoder.cls.predictions.transform.dense.": "mix.terms.tokens.head.dense.",
    "encoder.cls.predictions.transform.LayerNorm.": "mix.terms.tokens.head.LayerNorm.",
    "encoder.cls.predictions.bias": "mix.terms.tokens.head.bias",
    "newfc_itm_cls.": "mix.terms.matching.classify.",
}


def without_last_frames(case_layers: int) -> dict[str, str | None]:
    """The same, for a model without the last layer's block of the frames (R11)."""
    last = f"encoder.bert.encoder.x_layers.{case_layers - 1}."
    return WECHAT_RANK72 | {last + name: None for name in ("visn_self_att.", "visn_inter.", "visn_output.")}


# swin_tiny of utils/swin.py -> timm's: the reduction between two stages belongs to the later one there
SWIN: dict[str, str | None] = {
    "": "",
    **{f"layers.{stage}.downsample.": f"layers.{stage + 1}.downsample." for stage in range(3)},
}
