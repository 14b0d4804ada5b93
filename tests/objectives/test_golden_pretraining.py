"""Steps of pretraining as neighbours of the WeChat 2022 finalists and papers' code made them, tolerance 1e-5."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.models import (
    BertText,
    Classifier,
    CrossStacks,
    CrossTransformer,
    FrameLinear,
    Identity,
    MeanPool,
    Poolings,
    VideoLayers,
    bert,
)
from lib.models.bert import load_state
from lib.models.sequences import masked_mean
from lib.models.video_model import Joint, Outputs, States, VideoModel
from lib.objectives import CategoryCE, HardMatching, MaskedFrames, MaskedTokens, VideoTextAlignment, VideoTextMatching
from lib.objectives.contrast import Keys, Queue, unit
from lib.objectives.matching import reversed_half
from tests import small
from tests.golden_models import SPECIAL, batch_of, worst
from tests.golden_models_wechat_final import (
    albef,
    begin,
    below,
    load_head,
    load_matching,
    load_text,
    masked_batch,
    single_stream,
    small_bert,
)
from tests.golden_rule import load_case, without_dropout


def close(loss, recorded) -> None:
    assert float(loss.detach()) == pytest.approx(float(recorded), rel=1e-5)


def check_norms(case, gradients) -> None:
    """``gradients``: of the recorded parameters, in their order."""
    norms = torch.stack([gradient.double().norm() for gradient in gradients])
    torch.testing.assert_close(norms, case["train/grad_norms"][: len(norms)], rtol=1e-4, atol=0)


class Slots(nn.Module):
    """A neighbour's video encoder: a learned first slot and the frames through ViT's layers (torch's, norm first)."""

    def __init__(self, settings, weights):
        super().__init__()
        width, depth = settings["hidden"], settings["frame_layers"]
        self.first, self.output_dim = nn.Parameter(weights["cls_token"]), width
        options = {"layer_norm_eps": 1e-12, "batch_first": True, "norm_first": True}
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, settings["heads"], settings["ffn"], 0.0, "gelu", **options)
            for _ in range(depth)
        )
        self.fill(weights)

    def fill(self, weights):
        names = {
            "attention.output.dense": "self_attn.out_proj", "intermediate.dense": "linear1", "output.dense": "linear2",
            "layernorm_before": "norm1", "layernorm_after": "norm2",
        }  # fmt: skip
        state = {"first": weights["cls_token"]}
        for number in range(len(self.layers)):
            for kind in ("weight", "bias"):
                given = {name: weights[f"layer.{number}.{name}.{kind}"] for name in names}
                state |= {f"layers.{number}.{names[name]}.{kind}": value for name, value in given.items()}
                parts = [weights[f"layer.{number}.attention.attention.{x}.{kind}"] for x in ("query", "key", "value")]
                state[f"layers.{number}.self_attn.in_proj_{kind}"] = torch.cat(parts)
        load_state(self, state)

    def forward(self, batch):
        x = torch.cat([self.first.expand(len(batch.frames), 1, -1), batch.frames], dim=1)
        mask = F.pad(batch.frame_mask, (1, 0), value=True)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~mask)
        return States(x, mask)


class Firsts(nn.Module):
    """[first slot of the frames; first token] [B, 2·D]."""

    def __init__(self, width):
        super().__init__()
        self.output_dim = 2 * width

    def forward(self, joint):
        return torch.cat([joint.hidden[:, joint.frame_index[0]], joint.hidden[:, 0]], dim=1)


def cross_encoder(case) -> VideoModel:
    """Both encoders and a stack of depth one a side."""
    sizes, weights = case.settings, case.weights
    width = sizes["hidden"]
    folder = small_bert(width, sizes["heads"], sizes["ffn"])
    frames = Slots(sizes, below(weights, "visual_encoder."))
    fusion = CrossStacks(width, width, folder, depth=1, project=False)
    model = VideoModel(BertText(folder, 200, pooler=False), frames, fusion, Firsts(width), Identity(2 * width))
    load_text(model.text, weights, "text_encoder.")
    load_state(fusion.text_layer, below(weights, "multimodal_encoder_text.layer."))
    load_state(fusion.image_layer, below(weights, "multimodal_encoder_image.layer."))
    return model


def load_projections(project, weights, mark=""):
    for side, name in (("text", "text"), ("frames", "vision")):
        load_state(project[side], below(weights, f"{name}_proj{mark}."))


def test_queue_matching_and_masked_sides_of_a_neighbour():
    """Positive pairs of the matching are of the masked pass; negatives, of the clean one, have all frames in reverse."""
    case = load_case("topsix/n9/pretrain_queue")
    weights, model = case.weights, cross_encoder(case)
    queue = VideoTextAlignment(
        1536, 768, 768, at="encoders", dim=768, pool="first", temperature=0.07, queue=12, momentum=0.995, soft=0.4,
        model=model,
    )  # fmt: skip
    copies = queue.copy.copies
    load_text(copies["model"].text, weights, "text_encoder_m.")
    copies["model"].frames.fill(below(weights, "visual_encoder_m."))
    load_projections(queue.project, weights)
    load_projections(copies["project"], weights, "_m")
    begin(case, model, queue, "vision")
    tokens, frames = MaskedTokens(768, 200, SPECIAL), MaskedFrames(768, 768, similarity="cosine", temperature=1.0)
    load_head(tokens.head, below(weights, "mlm_head.cls.predictions."))
    load_head(frames.head, below(weights, "mfm_head.block."), "dense.0", "LayerNorm")
    matching = VideoTextMatching(1536)
    load_matching(matching.classify, weights)

    given, masked = batch_of(case), masked_batch(case, case["in/mfm_selected"] >= 0)
    clean, seen = model(given), model(masked)
    turned = model(given.replace(**{name: value.flip(0) for name, value in given.of_frames().items()}))
    seen.frame_index = seen.frame_index[1:]  # the first slot is no frame
    both = small.outputs(pooled=torch.cat([seen.pooled, turned.pooled]))
    answer = given.replace(matched=torch.tensor([1.0] * 4 + [0.0] * 4))
    losses = {
        "itc": queue({"both": clean}, given), "itm": matching(both, answer), "mlm": tokens(seen, masked),
        "mfm": frames(seen, masked),
    }  # fmt: skip
    for name, loss in losses.items():
        close(loss, case[f"out/{name}_loss"])
    assert worst(tokens.head(seen.joint.hidden[:, :10])[..., :24], case["out/mlm_scores"]) < 1e-5
    assert worst(frames.head(seen.joint.hidden[:, seen.frame_index])[..., :32], case["out/mfm_output"]) < 1e-5
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    check_norms(case, [
        queue.log_scale.grad / 0.07, model.text.word_table.grad, model.frames.first.grad,
        queue.project["frames"].weight.grad, model.fusion.text_layer[0].crossattention.self.query.weight.grad,
        2**0.5 * matching.classify.weight.grad, frames.head.dense.weight.grad,
    ])  # fmt: skip
    queue.after_step(model)
    for side, name in (("text", "text"), ("frames", "vision")):
        assert int(queue.queues[side].at) == int(case["out/queue_pointer"])
        assert worst(queue.queues[side].vectors[:, :32].T, case[f"out/{name}_queue_head"]) < 1e-5


def test_a_neighbours_finetuning_with_contrast():
    case = load_case("topsix/n9/classifier")
    weights, model = case.weights, cross_encoder(case)
    contrast = VideoTextAlignment(96, 48, 48, at="encoders", dim=48, pool="first", temperature=1.0, learned=False)
    load_projections(contrast.project, weights)
    head, given = Classifier(192, 200), batch_of(case)
    load_state(head.classify, below(weights, "lv2_classifier_head."))
    without_dropout(model)
    outputs = model(given)
    firsts = [side.hidden[:, 0] for side in (outputs.frames, outputs.text)]
    vector = torch.cat([outputs.pooled, *firsts], dim=1)
    logits = head(vector).logits
    assert worst(vector, case["out/embedding"]) < 1e-5 and worst(logits, case["out/logits"]) < 1e-5
    loss = contrast({"both": outputs}, given)
    close(loss, case["out/contrast_loss"])
    total = loss + CategoryCE()(small.outputs(logits=logits), given.replace(category=case["in/label"]))
    close(total, case["train/loss"])
    total.backward()
    value = model.fusion.image_layer[0].crossattention.self.value.weight
    check_norms(case, [contrast.project["frames"].weight.grad, model.text.word_table.grad, value.grad])


def distilled(tokens, outputs, batch, twin, head, share=0.4):
    """Masked words as two originals learn them, which no finalist says of theirs: in part from the momentum copy's answer."""
    wanted = batch.token_labels >= 0
    answer = head(twin.joint.hidden[:, twin.text_index][wanted], twin.word_table).softmax(dim=-1).detach()
    scores = tokens.head(outputs.joint.hidden[:, outputs.text_index][wanted], outputs.word_table)
    return (1 - share) * tokens(outputs, batch) + share * F.cross_entropy(scores, answer)


def test_masked_words_above_a_split():
    case = load_case("topsix/albef/pretrain")
    model, made = albef(case, lambda **options: VideoTextAlignment(48, 48, 48, at="encoders", pool="first", **options))
    tokens, other = (MaskedTokens(48, 200, SPECIAL, tied=True) for _ in range(2))
    for term, mark in ((tokens, ""), (other, "_m")):
        load_head(term.head, below(case.weights, f"text_encoder{mark}.cls.predictions."))
    masked = masked_batch(case)
    outputs = model(masked)
    scores = tokens.head(outputs.joint.hidden, outputs.word_table)
    assert worst(scores[..., :24], case["out/mlm_scores"]) < 1e-5
    other.head.load_state_dict(
        {n: p.lerp(tokens.head.state_dict()[n], 0.005) for n, p in other.head.state_dict().items()}
    )
    close(distilled(tokens, outputs, masked, made.copy.copies["model"](masked), other.head), case["out/mlm_loss"])


class FramesAsk(nn.Module):
    """A neighbour's fusion: torch's decoder, frames ask and text answers; masks stay where they were (its quirk)."""

    def __init__(self, settings, mask):
        super().__init__()
        layer = nn.TransformerDecoderLayer(768, settings["heads"], settings["decoder_ffn"], 0.0, batch_first=True)
        self.layers, self.mask, self.output_dim = nn.TransformerDecoder(layer, 3).layers, mask, 768

    def forward(self, text, frames):
        x, mask = frames.hidden, self.mask.repeat(len(frames.hidden) // 4, 1)
        for layer in self.layers:
            x = layer(x, text.hidden, tgt_key_padding_mask=~mask, memory_key_padding_mask=~text.mask)
        return Joint(x, mask)


def test_frames_ask_the_text():
    """Both vectors are means over all slots, padding included."""
    case = load_case("topsix/n12a/pretrain_queue")
    sizes, weights, given = case.settings, case.weights, batch_of(case)
    folder = small_bert()
    text, frames = BertText(folder, 200, pooler=False), FrameLinear(32, 768, dropout=0.0)
    fusion = FramesAsk(sizes, given.frame_mask)
    model = VideoModel(text, frames, fusion, MeanPool(768, include_padding=True), Identity(768))
    queue = VideoTextAlignment(
        768, 768, 768, at="encoders", dim=768, temperature=0.07, queue=12, momentum=0.995, soft=0.4, model=model
    )
    tokens, other = (MaskedTokens(768, 200, SPECIAL, tied=True) for _ in range(2))
    matching, copies = HardMatching(768), queue.copy.copies
    for mark, whole, project, term in (
        ("", model, queue.project, tokens), ("_m", copies["model"], copies["project"], other),
    ):  # fmt: skip
        load_text(whole.text, weights, f"text_encoder{mark}.bert.")
        load_state(whole.frames.project, below(weights, f"visual_encoder{mark}."))
        load_state(whole.fusion.layers, below(weights, f"multi_head_decoder{mark}.layers."))
        load_projections(project, weights, mark)
        load_head(term.head, below(weights, f"text_encoder{mark}.cls.predictions."))
    load_matching(matching.classify, weights)
    begin(case, model, queue, "image")
    other.head.load_state_dict(
        {n: p.lerp(tokens.head.state_dict()[n], 0.005) for n, p in other.head.state_dict().items()}
    )

    def vectors(seen, project):
        sides = {"text": seen["both"].text, "frames": seen["both"].frames}
        return {name: unit(project[name](masked_mean(s.hidden, None)), s.mask.any(1)) for name, s in sides.items()}

    def words(whole):
        states, none = whole.text(masked), torch.arange(10)
        joint = Joint(states.hidden, states.mask, text_index=none)
        return Outputs(joint, none, none, states.hidden[:, 0], word_table=whole.text.word_table)

    queue.vectors, masked = vectors, masked_batch(case)
    outputs = model(given)
    assert worst(outputs.joint.hidden[..., :64], case["out/fused"]) < 1e-5
    losses = {
        "contrast": queue({"both": outputs}, given),
        "matching": matching.pairs(outputs, case["in/negative_frames"], case["in/negative_texts"]),
        "mlm": distilled(tokens, words(model), masked, words(copies["model"]), other.head),
    }
    for name, loss in losses.items():
        close(loss, case[f"out/{name}_loss"])
    assert worst(queue._fresh["text"].vectors[:, :64], case["out/text_keys"]) < 1e-5
    assert worst(queue._fresh["frames"].vectors[:, :64], case["out/image_keys"]) < 1e-5
    torch.stack(list(losses.values())).sum().backward()
    check_norms(case, [
        queue.log_scale.grad / 0.07, frames.project.weight.grad, queue.project["frames"].weight.grad,
        fusion.layers[0].multihead_attn.in_proj_weight.grad, 2**0.5 * matching.classify.weight.grad,
        model.text.word_table.grad,
    ])  # fmt: skip
    queue.after_step(model)
    assert {int(one.at) for one in queue.queues.values()} == {int(case["out/queue_pointer"])}


def test_tasks_of_a_neighbours_single_stream():
    """Six of the eight videos: words, frames and the reversed half. The rest hide a whole side, a task no finalist names."""
    case = load_case("topsix/n8/single_pretrain")
    weights, model = case.weights, single_stream(case, "roberta.bert.", video=True, frame_dim=768)
    tokens, frames = MaskedTokens(64, 200, SPECIAL, matched_only=False), MaskedFrames(64, 768)
    matching = VideoTextMatching(64, "reversed_half")
    load_head(tokens.head, below(weights, "roberta.cls.predictions."))
    load_head(frames.head, below(weights, "roberta_mvm_lm_header.predictions."))
    load_matching(matching.classify, {name.replace("newfc_itm", "itm_head"): value for name, value in weights.items()})
    clean = case["in/frames"]
    hidden = clean[case["in/frame_source"]].masked_fill(case["in/frames_hidden"].bool().unsqueeze(-1), 0.0)
    given = small.batch([1] * 8, [1] * 8).replace(
        input_ids=case["in/corrupted_text"], token_types=torch.zeros_like(case["in/corrupted_text"]), text_mask=case["in/corrupted_text_mask"].bool(), frames=hidden,
        frame_mask=case["in/corrupted_frame_mask"].bool(), clean_frames=clean,
    )  # fmt: skip
    outputs = model(given)
    order = torch.cat([outputs.text_index, outputs.frame_index])
    assert worst(outputs.joint.hidden[:, order], case["out/hidden"]) < 1e-5
    six = given.replace(**{name: getattr(given, name)[2:] for name in ("frame_mask", "clean_frames")})
    six = six.replace(
        token_labels=case["in/mlm_label"].masked_fill(case["in/mlm_label"] < 0, -100),
        frame_selected=case["in/mfm_selected"] >= 0,
    )
    states = outputs.joint.take(torch.arange(2, 8))
    seen = Outputs(
        Joint(states.hidden, states.mask, text_index=outputs.text_index, frame_index=outputs.frame_index),
        outputs.text_index, outputs.frame_index, states.hidden[:, outputs.text_index[0]],
    )  # fmt: skip
    turned = reversed_half(6)
    assert (2 + turned).tolist() == case["in/frame_source"][2:].tolist()
    assert (turned == torch.arange(6)).float().tolist() == case["in/itm_label"].tolist()
    loss = matching(seen, six.replace(matched=case["in/itm_label"]))
    close(tokens(seen, six), case["out/mlm_loss"])
    close(frames(seen, six) / 2, case["out/mfm_loss_halved"])
    close(loss, case["out/itm_loss"])
    scores = tokens.head(outputs.joint.hidden[:, outputs.text_index])
    assert worst(scores[..., :24], case["out/mlm_scores"]) < 1e-5
    guess = frames.head(states.hidden[:, outputs.frame_index])
    assert worst(guess[..., :32], case["out/mfm_output"]) < 1e-5
    loss.backward()
    assert float(2**0.5 * matching.classify.weight.grad.norm()) == pytest.approx(
        float(case["train/grad_norms"][3]), rel=1e-4
    )


def test_two_streams_of_univl():
    """Its two alignments are other losses than the finalist's contrast; what they compare is ours."""
    case = load_case("topsix/univl/pretrain")
    weights, sizes = case.weights, case.settings
    folder = small_bert(48, 4, 96, 2)
    frames = VideoLayers(32, 48, 64, depth=1, heads=sizes["heads"], normalize=True)
    frames.layer = bert.layers(bert.stack_config(48, sizes["heads"], sizes["ffn"]), 1)
    fusion = CrossTransformer(48, 48, 10, 1, sizes["heads"], sizes["ffn"], positions=64)
    pooling = Poolings(48, of=("tanh",))
    model = VideoModel(BertText(folder, 200, pooler=False), frames, fusion, pooling, Identity(48))
    load_text(model.text, weights, "bert.")
    load_state(pooling.pooler, below(weights, "cross.pooler."))
    names = {
        "normalize.": "normalize_video.visual_norm2d.", "project.": "visual.embeddings.word_embeddings.",
        "places.": "visual.embeddings.position_embeddings.", "norm.": "visual.embeddings.LayerNorm.",
        "layer.": "visual.encoder.layer.",
    }  # fmt: skip
    load_state(frames, {o + n: v for o, theirs in names.items() for n, v in below(weights, theirs).items()})
    load_state(
        fusion, {n.removeprefix("embeddings."): v for n, v in below(weights, "cross.").items() if "pooler" not in n}
    )
    tokens, hidden = MaskedTokens(48, 200, SPECIAL, tied=True), MaskedFrames(48, 32)
    load_head(tokens.head, below(weights, "cls.predictions."))
    table = {"decoder.weight": weights["visual.embeddings.word_embeddings.weight"].T}  # the frames' own map, transposed
    load_head(hidden.head, below(weights, "cls_visual.predictions.") | table)
    similar = nn.Linear(48, 1)
    load_state(similar, below(weights, "similarity_dense."))
    without_dropout(model)
    with torch.no_grad():
        given, masked = batch_of(case), masked_batch(case, case["in/mfm_selected"] >= 0)
        masked = masked.replace(frames=case["in/masked_frames"], clean_frames=frames.normalize(given.frames))
        outputs, clean = model(masked), model(given)
        assert worst(outputs.joint.hidden, case["out/cross_states"]) < 1e-5
        assert worst(outputs.pooled, case["out/cross_pooled"]) < 1e-5
        close(tokens(outputs, masked), case["out/mlm_loss"])
        close(hidden(outputs, masked), case["out/mfm_loss"])
        guess = hidden.head(outputs.joint.hidden[:, outputs.frame_index])
        assert worst(guess, case["out/mfm_output"]) < 1e-5
        assert worst(outputs.text.hidden, case["out/text_states"]) < 1e-5
        assert worst(outputs.frames.hidden, case["out/video_states"]) < 1e-5
        text = masked_mean(clean.text.hidden[:, 1:], given.text_mask[:, 1:])
        assert worst(text @ masked_mean(clean.frames.hidden, given.frame_mask).T, case["out/joint_similarity"]) < 1e-4
        rows, columns = torch.arange(4).repeat_interleave(4), torch.arange(4).repeat(4)
        pairs = outputs.join(outputs.text.take(rows), outputs.frames.take(columns))
        assert worst(similar(pairs.pooled).view(4, 4), case["out/alignment_similarity"]) < 1e-5


def test_main_text_and_frame_head():
    """Heads on the encoders' own states beside the main one, each a quarter; the recorded mean of frames takes all slots."""
    case = load_case("topsix/nmc/three_heads")
    weights, given = case.weights, batch_of(case).replace(category=case["in/label"].squeeze(1))
    heads = {side: CategoryCE(of=side, num_classes=200, text_dim=768, frames_dim=768) for side in ("text", "frames")}
    folder = small_bert()
    text = BertText(folder, 200, pooler=False)
    load_text(text, weights, "bert.")
    sides = {"text": text.eval()(given), "frames": States(given.frames, torch.ones_like(given.frame_mask))}
    outputs = small.outputs(logits=case["out/logits"])
    outputs.text, outputs.frames = sides["text"], sides["frames"]
    total = CategoryCE()(outputs, given)
    for side, name, recorded in (("text", "class_text.", "text"), ("frames", "class_video.", "frame")):
        load_state(heads[side].classify, below(weights, name))
        assert worst(heads[side]._logits(outputs), case[f"out/{recorded}_logits"]) < 1e-5
        total = total + 0.25 * heads[side](outputs, given)
    close(total, case["out/loss"])
    total.backward()
    found = heads["frames"].classify.weight.grad.norm()
    assert float(found) == pytest.approx(float(case["train/grad_norms"][2]), rel=1e-4)


def test_fields_apart_through_one_encoder():
    """Title, speech and pictures' text alone through one BERT, then all with the frames, whose mean alone counts."""
    case = load_case("topsix/nis/classifier")
    weights, sizes = case.weights, case.settings
    folder = small_bert()
    text = BertText(folder, 200, pooler=False)
    load_text(text, weights, "bert.")
    fusion = CrossTransformer(768, 768, 0, sizes["joint_layers"], sizes["heads"], sizes["ffn"], positions=0)
    config = bert.stack_config(768, sizes["heads"], sizes["ffn"])
    frames, head, pooling = bert.layers(config, 1), Classifier(768, 200), Poolings(768, of=("frames",))
    names = {
        "self_attn.out_proj": "attention.output.dense", "linear1": "intermediate.dense", "linear2": "output.dense",
        "norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm",
    }  # fmt: skip
    for layer, begins in [(frames[0], "transformer2.layers.0.")] + [
        (layer, f"transformer1.layers.{n}.") for n, layer in enumerate(fusion.encoder.layer)
    ]:
        state = {f"{names[n]}.{kind}": weights[f"{begins}{n}.{kind}"] for n in names for kind in ("weight", "bias")}
        for kind in ("weight", "bias"):
            for part, value in zip(
                ("query", "key", "value"), weights[f"{begins}self_attn.in_proj_{kind}"].chunk(3), strict=True
            ):
                state[f"attention.self.{part}.{kind}"] = value
        load_state(layer, state)
        layer.attention.output.LayerNorm.eps = layer.output.LayerNorm.eps = 1e-5  # torch's
    load_state(head.classify, below(weights, "cata2_output.0."))
    with torch.no_grad():
        roof = nn.ModuleList([text, fusion, frames]).eval()
        said = []
        for field in ("title", "asr", "ocr"):
            given = small.batch([1] * 4, [1] * 4).replace(
                input_ids=case[f"in/{field}_input"], text_mask=case[f"in/{field}_mask"].bool(),
                token_types=torch.zeros_like(case[f"in/{field}_input"]),
            )  # fmt: skip
            said.append(roof[0](given))
        mask = case["in/frame_mask"].bool()
        pictures = States(bert.run_layers(frames, case["in/frames"], mask), mask)
        whole = States(torch.cat([s.hidden for s in said], dim=1), torch.cat([s.mask for s in said], dim=1))
        probability = head(pooling(fusion(whole, pictures))).logits.softmax(dim=1)
    assert worst(probability, case["out/probability"]) < 1e-5


def test_memory_of_the_last_batches():
    """The library's memory holds a batch before its loss; a queue that is a batch shorter, behind the batch, holds the same.
    Its loss knows labels, a finalist's bank has none."""
    case = load_case("topsix/pml/memory")
    queue, shorter = Queue(8, 16), Queue(5, 16)
    for vectors in case["in/embedding"]:
        keys = Keys(vectors, torch.ones(3, dtype=torch.bool))
        seen = shorter.joined(keys)
        for one in (queue, shorter):
            one.push(keys)
    assert int(queue.at) == int(case["out/pointer"]) and bool(queue.real.all())
    assert worst(queue.vectors, case["out/memory"]) < 1e-5
    assert worst(seen.vectors.sort(dim=0).values, case["out/memory"].sort(dim=0).values) < 1e-5
