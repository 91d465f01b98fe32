"""A text as an example."""

import dataclasses

import pytest
import tensorflow as tf

from tfl.errors import BadExampleError, InputError
from tfl.inputs import get_input
from tfl.inputs.text.wordpiece import wordpiece

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "film"]


@pytest.fixture
def kind():
    return dataclasses.replace(get_input("text"), size=6, tokenizer=wordpiece(PIECES).to_text())


def test_a_text_is_prepared_and_counted(kind):
    assert kind.prepare(tf.constant("Good, film")).numpy().tolist() == [2, 4, 1, 5, 3, 0]
    assert kind.scan(b"good film\n").facts == {"pieces": 4}


def test_what_is_no_text_is_refused(kind):
    with pytest.raises(BadExampleError, match="not a text in UTF-8: byte 2"):
        kind.scan(b"ab\xff")


def test_an_input_without_a_tokenizer_says_what_is_missing():
    with pytest.raises(InputError, match="`tokenizer` must be that of a model"):
        get_input("text").sized(4).prepare(tf.constant("good"))


def test_features_are_of_one_tokenizer(kind):
    other = dataclasses.replace(kind, tokenizer=wordpiece(PIECES, lower_case=False).to_text())
    assert kind.rules() != other.rules()
    assert kind.rules() == dataclasses.replace(kind).rules()
