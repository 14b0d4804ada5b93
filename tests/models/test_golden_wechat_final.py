"""Parts of the WeChat 2022 final against recordings of the code that they are taken from (golden/topsix), tolerance 1e-5."""

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPVisionConfig, CLIPVisionModel

from lib.features.encoders import Pooled
from lib.models import (
    BertText,
    Classifier,
    CrossModalEncoder,
    CrossStacks,
    Embeddings,
    FrameLinear,
    FrameProjection,
    MeanPool,
    Poolings,
    SingleStream,
    SplitStream,
    bert,
)
from lib.models.aggregates import Bottleneck, Vlad, context_gating
from lib.models.sequences import masked_mean
from lib.models.video_model import Joint, States
from tests.golden_models import backbone, batch_of, worst
from tests.golden_models_wechat_final import small_bert
from tests.golden_rule import check_step, load_case, load_renamed, without_dropout

LOUPE = {
    "cluster_weights": "assign",
    "cluster_weights2": "centres",
    "covar_weights": "spread",
    "hidden1_weights": "project",
    "cluster_bn.": "norm.",
    "gating_weights": "gate",
    "gating_bn.": "gate_norm.",
}


def bert_folder(settings: dict) -> str:
    """A backbone of the recorded sizes."""
    layers = settings.get("layers", settings.get("text_layers"))
    return small_bert(settings["hidden"], settings["heads"], settings["ffn"], layers)


@pytest.mark.parametrize("name", ["netvlad", "netrvlad", "softdbow", "netfv", "netvlad_no_gate"])
def test_loupe(name):
    case = load_case(f"topsix/loupe/{name}")
    sizes = case.settings
    vlad = Vlad(
        sizes["feature_size"], sizes["output_dim"], name.split("_")[0], clusters=sizes["cluster_size"],
        gating=sizes["gating"], momentum=0.001,
    )  # fmt: skip
    weights = case.weights
    if "covar_weights" in weights:
        weights["covar_weights"] = 1 + 0.1 * weights["covar_weights"] * weights["covar_weights"].shape[1] ** 0.5
    for ours in ("norm", "gate_norm"):
        if hasattr(getattr(vlad, ours), "num_batches_tracked"):
            weights[f"{ours}.num_batches_tracked"] = torch.tensor(0)
    counters = {f"{norm}.num_batches_tracked": f"{norm}.num_batches_tracked" for norm in ("norm", "gate_norm")}
    renamed = load_renamed(vlad, weights, {**LOUPE, **counters})
    frames, mask = case["in/frames"], torch.ones(4, 5, dtype=torch.bool)
    assert worst(vlad.eval()(frames, mask), case["out/y"]) < 1e-5
    out = vlad.train()(frames, mask)
    assert worst(out, case["out/y_train"]) < 1e-5
    loss = out.square().mean()
    loss.backward()
    check_step(case, vlad, loss, renamed=renamed)
    for key in case.keys("train_buffer/"):
        original = key.removeprefix("train_buffer/").replace("/", ".")
        assert worst(vlad.state_dict()[renamed[original]], case[key]) < 1e-6
    longer = torch.cat([frames, frames.flip(1)], dim=1)
    hidden = torch.cat([mask, mask & False], dim=1)
    assert worst(vlad.eval()(longer, hidden), vlad.eval()(frames, mask)) < 1e-5  # frames that are not there say nothing


def test_context_gating():
    case = load_case("topsix/loupe/context_gating")
    weights, norm = case.weights, torch.nn.BatchNorm1d(10, eps=1e-3, momentum=0.001)
    state = {k.removeprefix("gating_bn."): v for k, v in weights.items() if k.startswith("gating_bn.")}
    norm.load_state_dict(state, strict=False)
    assert worst(context_gating(case["in/frames"], weights["gating_weights"], norm.eval()), case["out/y"]) < 1e-5
    assert worst(context_gating(case["in/frames"], weights["gating_weights"], norm.train()), case["out/y_train"]) < 1e-5


def both_sides(case):
    return [(case[f"in/{side}"], case[f"in/{side[:5].rstrip('s')}_mask"].bool()) for side in ("frames", "text")]


def test_bottleneck():
    case = load_case("topsix/n9/bottleneck")
    sizes = case.settings
    part = Bottleneck(48, tokens=3, depth=2, heads=sizes["heads"], ffn=sizes["ffn"], respect_mask=False)
    load_renamed(part, case.weights, {"bottleneck_units": "tokens", "": ""})
    (frames, frames_mask), (text, text_mask) = both_sides(case)
    with torch.no_grad():
        states = part.eval().states(frames, frames_mask, text, text_mask)
        assert worst(states, case["out/hidden"]) < 1e-5
        assert worst(part(frames, frames_mask, text, text_mask), case["out/hidden"][:, 4:7].mean(dim=1)) < 1e-5
        part.respect_mask = True
        assert worst(part.states(frames, frames_mask, text, text_mask), case["out/hidden"]) > 1e-2


def test_cross_encoder():
    case = load_case("topsix/n9/cross_encoder")
    sizes = case.settings
    config = bert.stack_config(48, sizes["heads"], sizes["ffn"])
    stack = torch.nn.ModuleDict({"layer": bert.layers(config, 2, cross=True)})
    load_renamed(stack, case.weights, {"": ""})
    (frames, frames_mask), (text, text_mask) = both_sides(case)
    with torch.no_grad():
        hidden = bert.run_layers(stack.eval()["layer"], text, text_mask, frames, frames_mask)
    assert worst(hidden, case["out/hidden"]) < 1e-5


def split_parts(case, cross):
    """Lower layers as text encoder, upper ones as fusion, with the recorded weights."""
    folder = bert_folder(case.settings)
    text = BertText(folder, 200, pooler=False, layers=1 / 3)
    fusion = SplitStream(48, 48, folder, split=1 / 3, cross=cross)
    roof = torch.nn.ModuleDict({"text": text, "fusion": fusion})
    return roof, {"encoder.layer.0.": "text.encoder.layer.0.", "embeddings.": "text.embeddings."} | {
        f"encoder.layer.{number}.": f"fusion.layer.{number - 1}." for number in (1, 2)
    }


def test_albef_layers():
    case = load_case("topsix/albef/fusion_layers")
    roof, names = split_parts(case, cross=True)
    load_renamed(roof, case.weights, names)
    with torch.no_grad():
        text = roof.eval()["text"](batch_of(case))
        fused = roof["fusion"](text, States(case["in/frame_states"], case["in/frame_mask"].bool()))
    assert worst(text.hidden, case["out/text_states"]) < 1e-5 and worst(fused.hidden, case["out/fused_states"]) < 1e-5
    assert fused.frame_index is None


def test_alpro():
    case = load_case("topsix/alpro/classifier")
    roof, names = split_parts(case, cross=False)
    roof["frames"], roof["head"] = FrameLinear(24, 48, dropout=0.0), Classifier(48, 20, widen=2)
    names = {f"text_encoder.{name}": ours for name, ours in names.items()}
    unused = dict.fromkeys(("temp", "vision_proj.", "text_proj.", "itm_head."))
    names |= {"visual_encoder.": "frames.project.", "classifier.0.": "head.inner.0.", "classifier.2.": "head.classify."}
    renamed = load_renamed(roof, case.weights, {**names, **unused})
    given = batch_of(case)

    def run():
        text = roof["text"](given)
        return text, roof["fusion"](text, roof["frames"](given))

    with torch.no_grad():
        roof.eval()
        text, joint = run()
        logits = roof["head"](joint.hidden[:, 0]).logits
    assert worst(text.hidden, case["out/text_states"]) < 1e-5 and worst(joint.hidden, case["out/fused_states"]) < 1e-5
    assert worst(logits, case["out/logits"]) < 1e-5
    without_dropout(roof)
    loss = F.cross_entropy(roof["head"](run()[1].hidden[:, 0]).logits, case["in/label"])
    loss.backward()
    check_step(case, roof, loss, renamed=renamed)


def test_r2d2_patches_and_stacks():
    case = load_case("topsix/r2d2/joint")
    sizes = case.settings
    folder = bert_folder({**sizes, "hidden": sizes["text_hidden"]})
    shape = dict(num_hidden_layers=1, num_attention_heads=12, image_size=32, patch_size=16)
    vision = CLIPVisionModel(CLIPVisionConfig(hidden_size=768, intermediate_size=64, **shape))
    roof = torch.nn.ModuleDict(
        {
            "vision": Pooled(vision, "patches"),
            "text": BertText(folder, 200, pooler=False),
            "fusion": CrossStacks(48, 768, folder, depth=6),
        }
    )
    dead = ("temp", "vision_proj.", "text_proj.", "itm_head.", "itm_head_i.", "text_encoder.pooler.")
    dead += tuple(f"{stack}_joint_layer.embeddings." for stack in ("text", "img"))
    own = [name for name in roof.state_dict() if name.startswith("vision.vision.vision_model.")]
    names = {
        "visual_encoder.": "vision.vision.vision_model." if own else "vision.vision.",
        "text_encoder.": "text.",
        "text_joint_layer.encoder.layer.": "fusion.text_layer.",
        "img_joint_layer.encoder.layer.": "fusion.image_layer.",
        "img_joint_proj.": "fusion.project.",
    }
    load_renamed(roof, case.weights, names | dict.fromkeys(dead))
    with torch.no_grad():
        roof.eval()
        patches = roof["vision"](case["in/image"])
        given = batch_of(case, frames=patches)
        joint = roof["fusion"](roof["text"](given), States(patches, given.frame_mask))
    assert worst(patches[..., :64], case["out/patches"]) < 2e-5  # of numbers up to 20
    assert worst(joint.hidden[:, joint.text_index], case["out/text_joint"]) < 1e-5
    assert worst(joint.hidden[:, joint.frame_index], case["out/image_joint"]) < 1e-5


def test_neighbours_four_poolings():
    case = load_case("topsix/nj/four_poolings")
    folder, sizes = bert_folder(case.settings), case.settings
    roof = torch.nn.ModuleDict(
        {
            "text": Embeddings(folder, 200),
            "frames": FrameProjection(48, 48, positions=64),
            "fusion": SingleStream(folder, 48, 48, layout="video_first", earlier=3),
            "pooling": Poolings(48, of=("earlier", "mean", "tanh", "gated"), norm=True),
            "head": Classifier(192, sizes["classes"]),
        }
    )
    frames = roof["frames"]
    del frames.project  # the original has none
    begin = "roberta.bert."
    names = {
        f"{begin}embeddings.": "text.embeddings.",
        f"{begin}video_embeddings.": "frames.",
        f"{begin}video_embeddings.word_embeddings.": None,
        f"{begin}encoder.": "fusion.encoder.",
        f"{begin}pooler.": "pooling.pooler.",
        f"{begin}enhanceSE.sequeeze.": "pooling.gate.squeeze.",
        f"{begin}enhanceSE.excitation.": "pooling.gate.excite.",
        f"{begin}cls_ln.": "pooling.norm.",
        f"{begin}ln.": "pooling.mean_norm.",
        "roberta.cls.": None,
        "Classifier.": "head.classify.",
    }
    renamed = load_renamed(roof, case.weights, names)
    frames.project = torch.nn.Identity()
    given = batch_of(case)

    def run():
        states = frames(given)
        joint = roof["fusion"](roof["text"](given), States(states.hidden.sigmoid(), states.mask))
        return roof["pooling"](joint)

    with torch.no_grad():
        roof.eval()
        assert worst(run(), case["out/embedding"]) < 1e-5
        assert worst(roof["head"](run()).logits, case["out/logits"]) < 1e-5
    without_dropout(roof)
    loss = F.cross_entropy(roof["head"](run()).logits, case["in/label"].squeeze(1))
    loss.backward()
    check_step(case, roof, loss, renamed=renamed)


def test_neighbours_cross_layers_and_main_head():
    """METER layers are a stack of depth one a side; the recorded mean of the frames takes all slots."""
    case = load_case("topsix/nmc/three_heads")
    folder = bert_folder(case.settings)
    roof = torch.nn.ModuleDict(
        {
            "text": BertText(folder, 200, pooler=False),
            "fusion": CrossStacks(768, 768, folder, depth=1, project=False),
            "head": Classifier(1536, 200, dropout=0.5, samples=5),
        }
    )
    names = {
        "bert.": "text.",
        "bert.pooler.": None,
        "cross_modal_text_layers.": "fusion.text_layer.",
        "cross_modal_image_layers.": "fusion.image_layer.",
        "classifier2.0.": "head.classify.",
        **dict.fromkeys(("token_type_embeddings.", "class_text.", "class_video.")),
    }
    load_renamed(roof, case.weights, names)
    types, given = case.weights["token_type_embeddings.weight"], batch_of(case)
    with torch.no_grad():
        text = roof.eval()["text"](given)
        sides = States(text.hidden + types[0], text.mask), States(given.frames + types[1], given.frame_mask)
        joint = roof["fusion"](*sides)
        t, v = joint.hidden[:, joint.text_index], joint.hidden[:, joint.frame_index]
        both = torch.cat([masked_mean(t, text.mask), v.mean(dim=1)], dim=-1)
        assert worst(roof["head"](both).logits, case["out/logits"]) < 1e-5
        masks = roof.train()["head"](both)
    assert masks.each.shape == (4, 5, 200) and masks.each.std(dim=1).min() > 0


def test_cross_stream_of_rank_1():
    """LXMERT layers between a BERT and a video transformer, both streams averaged; padding counts there."""
    case = load_case("topsix/n8/dual_classifier")
    folder = backbone(**case.settings["bert"])
    roof = torch.nn.ModuleDict(
        {
            "text": BertText(folder, 200, pooler=False),
            "places": FrameProjection(64, 64, positions=64),
            "video": bert.part("encoder", bert.resolve_backbone(folder).config),
            "fusion": CrossModalEncoder(64, 64, folder, depth=2, last_frames=True, pooler=False),
            "head": Classifier(128, 200),
        }
    )
    del roof["places"].project
    first = case.weights["cls_token"]
    names = {
        "cls_token": None,
        "vision_encoder.embeddings.": "places.",
        "vision_encoder.embeddings.word_embeddings.": None,
        "vision_encoder.encoder.": "video.",
        "vision_encoder.pooler.": None,
        "roberta.": "text.",
        "roberta.pooler.": None,
        "cross_bert.x_layers.": "fusion.layers.",
        "newfc_tag.": "head.classify.",
    }
    load_renamed(roof, case.weights, names)
    roof["places"].project = torch.nn.Identity()
    given = batch_of(case)
    frames = torch.cat([first.expand(5, -1, -1), given.frames], dim=1)
    mask = F.pad(given.frame_mask, (1, 0), value=True)
    with torch.no_grad():
        roof.eval()
        places = roof["places"](given.replace(frames=frames, frame_mask=mask)).hidden
        video = roof["video"](places, attention_mask=bert.key_mask(mask)).last_hidden_state
        joint = roof["fusion"](roof["text"](given), States(video, mask))
        joint.mask = torch.ones_like(joint.mask)
        text_first = Poolings(64, ["text", "frames"])(joint)
    swapped = torch.cat([text_first[:, 64:], text_first[:, :64]], dim=-1)
    assert joint.pooled is None and worst(swapped, case["out/embedding"]) < 1e-5
    assert worst(roof["head"](swapped).logits, case["out/logits"]) < 1e-5


def test_single_stream_of_rank_1():
    case = load_case("topsix/n8/single_classifier")
    folder = backbone(**case.settings["bert"])
    roof = torch.nn.ModuleDict(
        {
            "text": Embeddings(folder, 200),
            "frames": FrameProjection(768, 64, positions=64),
            "fusion": SingleStream(folder, 64, 64, layout="video_first"),
            "head": Classifier(64, 200),
        }
    )
    begin = "roberta.bert."
    names = {
        f"{begin}embeddings.": "text.embeddings.",
        f"{begin}video_embeddings.": "frames.",
        f"{begin}video_embeddings.word_embeddings.": None,
        f"{begin}video_fc.": "frames.project.",
        f"{begin}encoder.": "fusion.encoder.",
        f"{begin}pooler.": None,
        "roberta.cls.": None,
        "newfc_hidden.": None,
        "newfc_tag.": "head.classify.",
    }
    load_renamed(roof, case.weights, names)
    given = batch_of(case)
    with torch.no_grad():
        roof.eval()
        joint: Joint = roof["fusion"](roof["text"](given), roof["frames"](given))
        vector = MeanPool(64, include_padding=True)(joint)
    assert worst(vector, case["out/embedding"]) < 1e-5
    assert worst(roof["head"](vector).logits, case["out/logits"]) < 1e-5
