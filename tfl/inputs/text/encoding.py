"""From a text to the numbers of its pieces, by operations of TensorFlow alone."""

import tensorflow as tf

from tfl.inputs.text.byte_pairs import BytePairs
from tfl.inputs.text.merging import merged_pieces
from tfl.inputs.text.pieces import pieces_of, words_of
from tfl.inputs.text.rules import Rules

EVERY_WORD = 2**31 - 1


def encode(text: tf.Tensor, rules: Rules, length: int) -> tf.Tensor:
    """Return the first pieces of a text between those that begin and end it, filled up to a length.

    Args:
        text: UTF-8, a scalar string.
        rules: of the tokenizer.
        length: L, at least 2.

    Returns:
        int32 (L,), numbers of pieces.
    """
    room = length - len(rules.begin) - len(rules.end)
    found = divide(text, rules, words=room)[:room]  # a word has at least one piece
    ends = [tf.constant(numbers, tf.int32, shape=(len(numbers),)) for numbers in (rules.begin, rules.end)]
    whole = tf.concat([ends[0], found, ends[1]], axis=0)
    return tf.ensure_shape(tf.pad(whole, [[0, length - tf.size(whole)]], constant_values=rules.fill), (length,))


def count(text: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Return how many pieces a whole text has, with those that begin and end it: int32 scalar."""
    return tf.size(divide(text, rules)) + len(rules.begin) + len(rules.end)


def divide(text: tf.Tensor, rules: Rules, *, words: int = EVERY_WORD) -> tf.Tensor:
    """Return the numbers of the pieces of the first words of a text, int32 (P,)."""
    if isinstance(rules, BytePairs):
        return merged_pieces(text, rules, words)
    return pieces_of(words_of(text, rules)[:words], rules)
