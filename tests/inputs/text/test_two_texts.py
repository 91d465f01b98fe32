"""Pairs of texts: pieces, what is cut off, and segments, against the library tokenizers and NumPy."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import TINY, reference_tokenizer

import tfl
from tfl.backbones import get_backbone_spec
from tfl.errors import BadExampleError
from tfl.inputs.text.encoding import count, encode, longest_first
from tfl.inputs.text.rules import read_rules
from tfl.inputs.text.text_input import TextInput
from tfl.inputs.text.wordpiece import wordpiece
from tfl.inputs.untrusted import RefusedError

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "was", "good", "bad", "##ly", "##s", ".", "a"]
WORDS = st.lists(st.sampled_from(["the", "film", "films", "badly", "a", ".", "xyz"]), max_size=9)
COLUMNS = "text=first,second=second"


@pytest.fixture(scope="module")
def rules():
    return dataclasses.replace(wordpiece(PIECES), pairs=True)


def reference(first: str, second: str, length: int) -> list[int]:
    """Return what tokenizers gives for a pair, as BERT is fed."""
    from tokenizers.processors import BertProcessing

    tokenizer = reference_tokenizer(PIECES)
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(length, strategy="longest_first")
    tokenizer.enable_padding(length=length)
    return tokenizer.encode(first, second).ids


@given(first=WORDS, second=WORDS, length=st.integers(5, 16))
@settings(max_examples=60, deadline=None)
def test_pieces_of_pairs_are_those_of_tokenizers(first, second, length):
    rules = dataclasses.replace(wordpiece(PIECES), pairs=True)
    texts = " ".join(first), " ".join(second)
    found = encode(tf.constant("\t".join(texts)), rules, length).numpy().tolist()
    assert found == reference(*texts, length)


@given(first=st.integers(0, 30), second=st.integers(0, 30), room=st.integers(2, 40))
@settings(max_examples=200, deadline=None)
def test_the_longer_text_is_cut_off_first(first, second, room):
    kept = [int(number) for number in longest_first(tf.constant(first), tf.constant(second), room)]
    assert sum(kept) == min(first + second, room)
    assert kept[0] <= first and kept[1] <= second
    if sum(kept) < first + second:  # the longer one loses pieces, the shorter one only to become half
        assert min(kept) == min(first, second, room // 2)


def test_a_pair_is_counted_with_the_pieces_that_end_its_texts(rules):
    assert int(count(tf.constant("the film\tbadly"), rules)) == 2 + 2 + 3


def test_further_tabs_are_blanks(rules):
    once, again = (encode(tf.constant(text), rules, 12) for text in ("a\tfilm the", "a\tfilm\tthe"))
    assert once.numpy().tolist() == again.numpy().tolist()


def test_a_text_without_a_tab_is_no_pair(rules):
    kind = TextInput(size=8, tokenizer=rules.to_text())
    with pytest.raises(BadExampleError, match="there is no tab between two texts"):
        kind.scan(b"the film")
    with pytest.raises(RefusedError, match="there is no tab between two texts"):
        kind.decoder(1000).check(b"the film")
    assert kind.scan(b"the film\tgood").pieces == 6
    single = TextInput(size=8, tokenizer=wordpiece(PIECES).to_text())
    assert single.scan(b"the film\tgood").pieces == 5


def test_a_tokenizer_of_single_texts_is_read_as_before():
    values = json.loads(wordpiece(PIECES).to_text())
    del values["pairs"]
    assert read_rules(json.dumps(values)) == wordpiece(PIECES)


def test_the_second_text_has_the_second_segment():
    pieces = np.array([[2, 5, 6, 3, 7, 5, 3, 0], [2, 3, 3, 0, 0, 0, 0, 0]], np.int32)
    types = np.array([[0, 0, 0, 0, 1, 1, 1, 0], [0, 0, 1, 0, 0, 0, 0, 0]])
    tensors = {
        name.removeprefix("bert.").removeprefix("embeddings."): value
        for name, value in safetensors.numpy.load_file(TINY / "model.safetensors").items()
    }
    total = tensors["word_embeddings.weight"][pieces] + tensors["token_type_embeddings.weight"][types]
    total += tensors["position_embeddings.weight"][: pieces.shape[1]]
    centred = total - total.mean(-1, keepdims=True)
    epsilon = json.loads((TINY / "config.json").read_text()).get("layer_norm_eps", 1e-12)
    normal = centred / np.sqrt(centred.var(-1, keepdims=True) + epsilon)
    expected = normal * tensors["LayerNorm.weight"] + tensors["LayerNorm.bias"]
    model = tfl.build_backbone(f"hf:{TINY}", image_size=8, columns=COLUMNS)
    found = np.asarray(keras.Model(model.input, model.get_layer("embed_end").output)(pieces))
    present = (pieces != 0)[..., None]
    np.testing.assert_allclose(found, expected * present, atol=1e-5)


def test_a_single_text_is_the_same_to_both_networks():
    pieces = np.array([[2, 5, 6, 7, 3, 0, 0, 0]], np.int32)
    single, pairs = (tfl.build_backbone(f"hf:{TINY}", image_size=8, columns=columns) for columns in ("", COLUMNS))
    np.testing.assert_allclose(np.asarray(single(pieces)), np.asarray(pairs(pieces)), atol=1e-6)


def test_other_networks_take_no_pairs():
    with pytest.raises(tfl.InputError, match=r"`data\.columns` must not name a second text for MobileNetV2"):
        get_backbone_spec("MobileNetV2").for_columns(COLUMNS)
