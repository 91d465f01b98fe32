"""Divide a text into word pieces with TensorFlow's own operations on strings, so that an exported graph does it too.

The graph has no table as a resource: a piece is found by its hash in a sorted constant.
"""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfl.inputs.input import HASH_BUCKETS
from tfl.inputs.text.characters import ITSELF, table_of
from tfl.inputs.text.wordpiece import CONTINUES, LONGEST_WORD, WordPiece

MISSING = -1


class _Vocabulary(NamedTuple):
    """The pieces in the order of their hashes, as `tf.searchsorted` needs them."""

    hashes: np.ndarray  # int64 (V,)
    numbers: np.ndarray  # int32 (V,)
    longest: int  # characters of the longest piece


def words_of(text: tf.Tensor, rules: WordPiece) -> tf.Tensor:
    """Return the words of a text, without the characters that the rules take off: strings (W,)."""
    table = table_of(rules)
    numbers = tf.strings.unicode_decode(text, "UTF-8")
    runs = tf.searchsorted(table.starts, numbers, side="right") - 1
    after = tf.gather(table.after, tf.gather(table.rows, runs))
    after = tf.where(tf.equal(after, ITSELF), numbers[:, tf.newaxis], after)
    kept = tf.boolean_mask(after, after >= 0)
    return tf.strings.split(tf.strings.unicode_encode(kept, "UTF-8"))


def pieces_of(words: tf.Tensor, rules: WordPiece) -> tf.Tensor:
    """Return the numbers of the pieces of words, each time the longest piece that a word goes on with: int32 (P,).

    A word of which a part is no piece, and a word of more than 100 characters, is one unknown piece.

    Args:
        words: strings (W,).
        rules: of the tokenizer.
    """
    vocabulary = _vocabulary(rules)
    lengths = tf.strings.length(words, unit="UTF8_CHAR")

    def is_unfinished(starts: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        del found
        return tf.reduce_any(starts < lengths)

    def find_next(starts: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        active = tf.where(starts < lengths)[:, 0]
        numbers, sizes = _longest_pieces(
            tf.gather(words, active), tf.gather(starts, active), tf.gather(lengths, active), vocabulary
        )
        where, shape = active[:, tf.newaxis], tf.shape(starts)
        column = tf.tensor_scatter_nd_update(tf.fill(shape, MISSING), where, numbers)
        return tf.tensor_scatter_nd_add(starts, where, sizes), tf.concat([found, column[:, tf.newaxis]], axis=1)

    too_long = lengths > LONGEST_WORD
    starts = tf.where(too_long, lengths + 1, 0)
    none = tf.zeros((tf.size(words), 0), tf.int32)
    starts, found = tf.while_loop(
        is_unfinished,
        find_next,
        [starts, none],
        shape_invariants=[tf.TensorShape([None]), tf.TensorShape([None, None])],
    )
    unknown = starts > lengths
    first = tf.where(unknown, rules.number("[UNK]"), MISSING)[:, tf.newaxis]
    found = tf.where(unknown[:, tf.newaxis], MISSING, found)
    all_found = tf.concat([first, found], axis=1)
    return tf.boolean_mask(all_found, all_found >= 0)


def _longest_pieces(
    words: tf.Tensor, starts: tf.Tensor, lengths: tf.Tensor, vocabulary: _Vocabulary
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the number and the characters of the longest piece at the start of the rest of each word.

    If there is none, the number is -1 and the characters are more than the word has.
    """
    sizes = tf.range(1, vocabulary.longest + 1)
    shape = (tf.size(words), vocabulary.longest)
    parts = tf.strings.substr(
        tf.broadcast_to(words[:, tf.newaxis], shape),
        tf.broadcast_to(starts[:, tf.newaxis], shape),
        tf.broadcast_to(sizes, shape),
        unit="UTF8_CHAR",
    )
    prefixes = tf.where(starts > 0, CONTINUES, "")[:, tf.newaxis]
    numbers = _look_up(tf.strings.join([tf.broadcast_to(prefixes, shape), parts]), vocabulary)
    numbers = tf.where(sizes <= (lengths - starts)[:, tf.newaxis], numbers, MISSING)
    longest = tf.reduce_max(tf.where(numbers >= 0, sizes, 0), axis=1)
    number = tf.gather(numbers, tf.maximum(longest - 1, 0), batch_dims=1)
    return number, tf.where(longest > 0, longest, lengths + 1)


def _look_up(parts: tf.Tensor, vocabulary: _Vocabulary) -> tf.Tensor:
    hashes = tf.strings.to_hash_bucket_fast(parts, HASH_BUCKETS)
    places = tf.minimum(tf.searchsorted(vocabulary.hashes, tf.reshape(hashes, [-1])), len(vocabulary.hashes) - 1)
    is_piece = tf.equal(tf.gather(vocabulary.hashes, places), tf.reshape(hashes, [-1]))
    return tf.reshape(tf.where(is_piece, tf.gather(vocabulary.numbers, places), MISSING), tf.shape(parts))


@functools.lru_cache(maxsize=8)
def _vocabulary(rules: WordPiece) -> _Vocabulary:
    number_of = {piece: number for number, piece in enumerate(rules.pieces)}
    pieces = list(number_of)
    with tf.init_scope(), tf.device("CPU"):
        hashes = tf.strings.to_hash_bucket_fast(tf.constant([piece.encode() for piece in pieces]), HASH_BUCKETS).numpy()
    order = np.argsort(hashes)
    longest = max(len(piece.removeprefix(CONTINUES)) for piece in pieces)
    return _Vocabulary(hashes[order], np.array(list(number_of.values()), np.int32)[order], longest)
