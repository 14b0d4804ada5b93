"""WeChat rank 72's fields, key words, blocks, frames and resampling against the recorded preprocessing (golden/rank72)."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lab.corpora.twin.random import facts
from lib.data.batch import SpecialIds
from lib.data.items import repeats, resample
from lib.features.fields import both_ends, key_words, prepare, without_runs
from lib.features.frames import pick
from lib.features.text import lay_out
from lib.features.tokens import columns
from lib.recipes.load import load
from lib.recipes.specs import DataSpec, FeatureSet
from tests.golden_rule import load_case

SPECIAL = SpecialIds(pad=0, unk=2, cls=3, sep=4, mask=5)
FIELDS = ("title", "ocr", "asr")
SIZES = [(100, 5), (500, 3), (1000, 2)]


@pytest.fixture(scope="module")
def case():
    return load_case("rank72/preprocess")


@pytest.fixture(scope="module")
def tokenizer():
    """200 pieces: six special ones, then the characters from U+4E00 on."""
    pieces = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + i) for i in range(194))]
    made = Tokenizer(models.WordPiece(vocab={piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    return made


def _laid_out(texts, length=388):
    lengths = np.array([[len(ids) for ids in field] for field in texts])
    flat = np.concatenate([np.array(ids, np.int64) for field in texts for ids in field])
    starts = (lengths.reshape(-1).cumsum() - lengths.reshape(-1)).reshape(lengths.shape)
    return lay_out(flat, starts, lengths, "blocks", length, SPECIAL)


def test_ids_and_masks(case, tokenizer):
    """From the recorded annotations through our feature set and layout to the recorded 388 ids."""
    videos = [
        SimpleNamespace(title=text["title"], asr=text["asr"], ocr=list(enumerate(text["ocr"])))
        for text in case.json("texts")
    ]
    spec = load(FeatureSet, "tokens_blocks")
    store = SimpleNamespace(iter_videos=lambda frames: iter(videos))
    texts = next(columns(store, FIELDS, spec.max_characters, spec.rules.model_dump()))
    encoded = [
        [encoding.ids for encoding in tokenizer.encode_batch(texts[field], add_special_tokens=False)]
        for field in FIELDS
    ]
    ids, mask, types = _laid_out(encoded)
    np.testing.assert_array_equal(ids, case.array("out/input_ids"))
    np.testing.assert_array_equal(mask, case.array("out/text_mask"))
    assert not types.any()


def test_key_words(case):
    """The recorded strings and the two of the specification; ties go to the larger string, nothing to no word."""
    for text in case.json("texts"):
        joined = text["title"] + ",".join(text["ocr"]) + without_runs(text["asr"], "嗯")
        assert key_words(joined) == text["keywords"]
    assert key_words("猫 和 老鼠" + "老鼠,奶酪" + "嗯好的") == "猫 和 老鼠老鼠 奶酪嗯好的 "
    assert key_words("Hello worldhello 的 world world") == "worldhello world hello "
    assert key_words("") == key_words("的 是 。") == ""


@given(st.text("猫和老鼠的是。,_aB é\t", max_size=60))
def test_key_words_are_those_of_scikit_learn(text):
    """Words, weights and the order of ties."""
    vectorizer = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", stop_words=["是", "的", "嗯", "呀"])
    try:
        weights = vectorizer.fit_transform(text.split()).max(axis=0).toarray()[0]
    except ValueError:
        assert key_words(text) == ""
        return
    ranked = sorted(zip(weights, vectorizer.get_feature_names_out(), strict=True), reverse=True)
    assert key_words(text) == "".join(f"{word} " for _, word in ranked)


def test_rules_of_fields():
    rules = load(FeatureSet, "tokens_blocks").rules.model_dump()
    fields = {"title": "一", "ocr": "x" * 64 + "y" * 64 + "z" * 64, "asr": "嗯嗯嗯嗯好"}
    found = {field: prepare(field, fields, **rules) for field in FIELDS}
    assert found == {"title": "", "ocr": "x" * 64 + "z" * 64, "asr": "好"}, "R2: a title of one character is dropped"
    assert prepare("title", fields, **rules | {"shortest_title": 0}).startswith("一")
    assert prepare("title", fields, **rules | {"keywords": 0}) == "一", "without key words it stays"
    assert len(prepare("title", fields | {"title": "t" * 300}, **rules)) == 128
    assert both_ends("a" * 127, 64) == "a" * 127 and both_ends("a" * 130, 64) == "a" * 128


def test_invariant_1_of_the_layout():
    """Places of the special tokens; three empty fields have ten real ones."""
    ids, mask, _ = _laid_out([[[7] * 200, []], [[8], []], [[], []]])
    assert ids.shape == (2, 388) and (ids[:, [0, 1, 130, 259]] == SPECIAL.cls).all()
    assert (ids[:, [129, 258, 387]] == SPECIAL.sep).all() and mask[1].sum() == 10
    assert (ids[0] == 7).sum() == 126 and mask[0].sum() == 10 + 127
    assert (mask == (ids != SPECIAL.pad)).all()
    assert _laid_out([[[7]], [[8]], [[]]], length=36)[0].shape == (1, 34), "blocks of ten, two tokens left over"
    with pytest.raises(ValueError, match="10 tokens"):
        _laid_out([[[7]], [[8]], [[]]], length=9)


def test_frames(case):
    table, mask = case.array("out/frame_table"), case.array("out/frame_mask")
    for count, numbers, real in zip(case.array("in/frame_counts").tolist(), table, mask, strict=True):
        index = pick(count, 8, "head_or_step")
        assert (index + 1).tolist() == numbers[numbers > 0].tolist() and real.sum() == len(index)
    for count, last in ((9, 7), (24, 7), (25, 21), (31, 21), (32, 28)):
        assert pick(count, 8, "head_or_step").max() == last


def test_resampling(case):
    counts, rows = case.array("in/class_counts"), case.array("out/rows_after_resampling")
    np.testing.assert_array_equal(repeats(counts, SIZES) * counts, rows)
    labels = np.repeat(np.arange(len(counts)), counts)
    index = resample(labels, labels, SIZES)
    np.testing.assert_array_equal(np.bincount(labels[index]), rows)
    assert (np.diff(index) >= 0).all()


def test_invariant_9_rows_over_the_published_counts():
    counts = np.array(list(facts("wechat2022")["class_counts"].values()))
    often = repeats(counts, SIZES)
    assert (often * counts).sum() == 175_567
    assert [int((often == times).sum()) for times in (5, 3, 2, 1)] == [68, 88, 27, 17]


def test_r15_counts_validation_videos_too():
    labels = np.array([0] * 9 + [1] * 20)
    train = labels[2:]
    assert len(resample(train, train, [(8, 3)])) == 7 * 3 + 20
    assert len(resample(train, labels, [(8, 3)])) == 27, "with all nine the first category is large enough"
    assert resample(train, train, ()).tolist() == list(range(27))


def test_a_table_must_ascend():
    spec = {"batch_size": 1, "epochs": 1}
    assert DataSpec.model_validate({**spec, "resample": SIZES}).resample == tuple(SIZES)
    for wrong in ([(500, 3), (100, 5)], [(100, 0)], [(100, 2), (100, 3)]):
        with pytest.raises(ValueError, match="ascending"):
            DataSpec.model_validate({**spec, "resample": wrong})
