"""The rules that fill weights and inputs, against their recorded values (golden/rule)."""

from pathlib import Path

import numpy as np

from tests.golden_rule import FOLDER, draw, draw_ints, draw_uniform, fill, load_case


def test_fill():
    case = load_case("rule/fill")
    shapes = case.settings["shapes"]
    assert len(shapes) == 12
    for name, shape in shapes.items():
        np.testing.assert_allclose(fill(name, tuple(shape)), case.array(f"out/{name}"), rtol=1e-6, err_msg=name)


def test_input_streams():
    case = load_case("rule/fill")
    assert (draw("demo", (3, 4)) == case.array("in/draw_demo")).all()
    assert (draw("demo", (3, 4), step=1 / 64, std=0.25) == case.array("in/draw_demo_quarter")).all()
    assert (draw_uniform("demo", (5,)) == case.array("in/uniform_demo")).all()
    assert (draw_ints("demo", (8,), 6, 200) == case.array("in/ints_demo")).all()


# Where each recorded case of the WeChat 2022 final is compared; after the name: what of it is no part of any system here.
FINAL = {
    "albef/fusion_layers": "test_albef_layers",
    "albef/pretrain": "test_queue_with_soft_targets, test_masked_words_above_a_split: no finalist distils its masked words",
    "alpro/classifier": "test_alpro",
    "cb/class_balanced": "test_class_balanced_weights_of_the_paper: of its losses the binary ones; finalists name the weights alone",
    "eao/combinatorial": "test_six_tasks_over_three_modalities",
    "faiss/vote": "test_votes_of_recorded_neighbours",
    "loupe/context_gating": "test_context_gating",
    **{f"loupe/{kind}": "test_loupe" for kind in ("netfv", "netrvlad", "netvlad", "netvlad_no_gate", "softdbow")},
    "n12a/pretrain_queue": "test_frames_ask_the_text: frames that ask in torch's decoder, rebuilt in the test",
    "n8/clip_loss": "test_clip_loss_and_its_gradients",
    "n8/dual_classifier": "test_cross_stream_of_rank_1",
    "n8/layout": "test_a_neighbours_cuts: its order where fields are equally long",
    "n8/single_classifier": "test_single_stream_of_rank_1",
    "n8/single_pretrain": "test_tasks_of_a_neighbours_single_stream, test_inverse_cloze_in_its_neighbours_form: a whole side hidden",
    "n9/bottleneck": "test_bottleneck",
    "n9/classifier": "test_a_neighbours_finetuning_with_contrast: its video encoder, rebuilt in the test",
    "n9/cross_encoder": "test_cross_encoder",
    "n9/pretrain_queue": "test_queue_matching_and_masked_sides_of_a_neighbour: its video encoder, rebuilt in the test",
    "n9/rdrop_kl": "test_agreement_as_two_originals_count_it",
    "nis/classifier": "test_fields_apart_through_one_encoder",
    "nis/moco": "test_momentum_encoder_and_queue_that_wraps_around",
    "nj/four_poolings": "test_neighbours_four_poolings",
    "nmc/three_heads": "test_neighbours_cross_layers_and_main_head, test_main_text_and_frame_head",
    "pml/arcface": "test_arcface_and_supervised_contrast",
    "pml/memory": "test_memory_of_the_last_batches: its loss knows labels, which the finalist's bank has not",
    "pml/supcon": "test_arcface_and_supervised_contrast",
    "r2d2/joint": "test_r2d2_patches_and_stacks",
    "rdrop/loss": "test_agreement_as_two_originals_count_it",
    "simcse/contrast": "test_simcse_with_the_mean_of_the_states: its tanh pooling; the finalist's means are all means",
    "tcl/pretrain": "test_six_terms_of_three_kinds: matching and words are as in albef/pretrain",
    "univl/pretrain": "test_two_streams_of_univl, test_caption_decoder: its two alignments, for which the finalist has CLIP's task",
    "words/roformer": "test_recorded_cuts",
}  # fmt: skip


def test_every_case_of_the_final_is_compared():
    root = FOLDER / "topsix"
    assert sorted(FINAL) == sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.npz"))
    texts = [path.read_text("utf-8") for path in Path(__file__).parent.rglob("test_*.py")]
    for case, told in FINAL.items():
        for name in told.partition(":")[0].split(", "):
            (text,) = (text for text in texts if f"def {name}(" in text)
            body = text.partition(f"def {name}(")[2].partition("\ndef ")[0]
            assert case in body or case.split("/")[0] in body, f"{name} does not load {case}"
    assert len(FINAL) == 36
