"""From a text to the numbers of its pieces, by operations of TensorFlow alone."""

import tensorflow as tf

from tfl.inputs.text.byte_pairs import BytePairs
from tfl.inputs.text.merging import merged_pieces
from tfl.inputs.text.pieces import pieces_of, words_of
from tfl.inputs.text.rules import Rules

EVERY_WORD = 2**31 - 1


def encode(text: tf.Tensor, rules: Rules, length: int) -> tf.Tensor:
    """Return the first pieces of a text between those that begin and end it, filled up to a length.

    Of a pair of texts, each ends with the piece that ends a text. If both are too long together, the longer one is cut
    off first (`longest_first` of the library tokenizers).

    Args:
        text: UTF-8, a scalar string; of a pair, the two texts with a tab between them.
        rules: of the tokenizer.
        length: L, at least 2, for a pair 3.

    Returns:
        int32 (L,), numbers of pieces.
    """
    begin, end = (tf.constant(numbers, tf.int32, shape=(len(numbers),)) for numbers in (rules.begin, rules.end))
    room = length - len(rules.begin) - len(rules.end)
    if rules.pairs:
        room -= len(rules.end)
        first, second = (divide(part, rules) for part in parts_of(text))
        kept = longest_first(tf.size(first), tf.size(second), room)
        found = tf.concat([first[: kept[0]], end, second[: kept[1]]], axis=0)
    else:
        found = divide(text, rules, words=room)[:room]  # a word has at least one piece
    whole = tf.concat([begin, found, end], axis=0)
    return tf.ensure_shape(tf.pad(whole, [[0, length - tf.size(whole)]], constant_values=rules.fill), (length,))


def count(text: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Return how many pieces a whole text has, with those that begin and end it: int32 scalar."""
    parts = parts_of(text) if rules.pairs else (text,)
    pieces = tf.add_n([tf.size(divide(part, rules)) for part in parts])
    return pieces + len(rules.begin) + len(parts) * len(rules.end)


def parts_of(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what stands before and after the first tab of a text; the second is empty if there is none."""
    first = tf.strings.regex_replace(text, r"(?s)\t.*", "")
    return first, tf.strings.substr(text, tf.minimum(tf.strings.length(first) + 1, tf.strings.length(text)), 2**30)


def longest_first(first: tf.Tensor, second: tf.Tensor, room: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return how many pieces of each of two texts are kept, int32 scalars: the longer text is cut off first.

    Args:
        first: number of pieces, int32 scalar.
        second: the same of the other text.
        room: pieces that both may have together.
    """
    short, long = tf.minimum(first, second), tf.maximum(first, second)
    long = tf.minimum(long, tf.maximum(short, room - short))
    is_over = short + long > room
    short, long = tf.where(is_over, room // 2, short), tf.where(is_over, room - room // 2, long)
    is_swapped = first > second
    return tf.where(is_swapped, long, short), tf.where(is_swapped, short, long)


def divide(text: tf.Tensor, rules: Rules, *, words: int = EVERY_WORD) -> tf.Tensor:
    """Return the numbers of the pieces of the first words of a text, int32 (P,)."""
    if isinstance(rules, BytePairs):
        return merged_pieces(text, rules, words)
    return pieces_of(words_of(text, rules)[:words], rules)
