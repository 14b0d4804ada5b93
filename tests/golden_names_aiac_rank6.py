"""What each parameter of ChasingStar95/AIAC2021_task1_rank6 is called here; see ``golden_names``.

Originals: ``PointClfModel`` of eight scripts, classes of modules.py, the blender. Ours: ``System`` with the VideoModel
under ``model.`` and the ObjectiveMix under ``mix.terms.``
"""

from tests.golden_names import NEXTVLAD

Names = dict[str, str | None]

INCEPTION: Names = {
    "branch1.conv1.": "point.",
    "branch2.conv1.": "short_in.",
    "branch2.norm1.": "short_norm.",
    "branch2.conv3.": "short_out.",
    "branch3.conv1.": "long_in.",
    "branch3.norm1.": "long_norm.",
    "branch3.conv3.": "long_out.",
    "branch4.conv3.": "local.",
    "activa.norm.": "norm.",
}
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
    "lstm_nextvlad": {
        **WORDS,
        "LSTM.": "model.text.lstm.",
        **under("video_nextvlad.", "model.frames.vlad.", NEXTVLAD),
    },
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
