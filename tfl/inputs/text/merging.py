"""Divide a text into byte-level pieces with TensorFlow's own operations, so that an exported graph does it too.

All words of a text are merged at the same time: each step merges the pair with the lowest rank of every word.
"""

import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfl.inputs.text.byte_pairs import LETTERS, BytePairs

LETTER, NUMBER, OTHER, SPACE = range(4)  # classes of characters, as in byte_classes.json
BLANK, APOSTROPHE = 0x20, 0x27
SHORT_ENDINGS = ("s", "t", "m", "d")  # 's and so on are words of their own
LONG_ENDINGS = ("re", "ve", "ll")
NEVER = np.iinfo(np.int32).max


class _Pairs(NamedTuple):
    """The pairs that are merged, in the order of their keys, as `tf.searchsorted` needs them.

    Attributes:
        keys: int64 (M,), left piece times the number of pieces plus right piece.
        ranks: int32 (M,), the lowest is merged first.
        results: int32 (M,), the piece that a pair becomes.
        is_ordered: whether no pair ranks before a pair whose result is part of it. Then equal pairs can be merged at
            the same time.
    """

    keys: np.ndarray
    ranks: np.ndarray
    results: np.ndarray
    is_ordered: bool


def merged_pieces(text: tf.Tensor, rules: BytePairs, words: int) -> tf.Tensor:
    """Return the numbers of the pieces of the first words of a text: int32 (P,).

    Args:
        text: UTF-8, a scalar string.
        rules: of the tokenizer.
        words: how many of its words.
    """
    text = tf.strings.regex_replace(text, r"\A[^ ]", r" \0") if rules.leading_space else text
    bytes_ = tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)
    word_of = tf.searchsorted(word_starts(text), tf.range(tf.size(bytes_)), side="right") - 1
    kept = word_of < words
    number_of = {piece: number for number, piece in enumerate(rules.pieces)}
    numbers = tf.gather([number_of[letter] for letter in LETTERS], tf.boolean_mask(bytes_, kept))
    return _merge(numbers, tf.boolean_mask(word_of, kept), rules)


def word_starts(text: tf.Tensor) -> tf.Tensor:
    r"""Return the first byte of each word of a text, int32 (W,).

    They are the words of GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
    """
    numbers, offsets = tf.strings.unicode_decode_with_offsets(text, "UTF-8")
    starts, names = _classes()
    classes = tf.gather(names, tf.searchsorted(starts, numbers, side="right") - 1)
    before, after = _shifted(classes, 1, -1), _shifted(classes, -1, -1)
    blank_before = tf.equal(_shifted(numbers, 1, -1), BLANK)
    is_space = tf.equal(classes, SPACE)
    follows_space = tf.equal(before, SPACE)
    # The last space before a word is divided from those before it. If it is a blank, the word begins with it.
    is_last_space = is_space & follows_space & (after >= 0) & tf.not_equal(after, SPACE)
    begins = tf.where(follows_space, ~is_space & ~blank_before | is_last_space, tf.not_equal(classes, before))
    ending = _lengths_of_endings(numbers, begins)
    inside = tf.greater(_shifted(ending, 1, 0), 0)
    ended = tf.equal(_shifted(ending, 2, 0), 2) | tf.equal(_shifted(ending, 3, 0), 3)
    return tf.cast(tf.boolean_mask(offsets, begins & ~inside | ended), tf.int32)


def _lengths_of_endings(numbers: tf.Tensor, begins: tf.Tensor) -> tf.Tensor:
    """Return the characters of the English ending such as 's that begins at each character; 0: there is none."""
    first, second = _shifted(numbers, -1, -1), _shifted(numbers, -2, -1)
    is_short = tf.reduce_any([tf.equal(first, ord(letter)) for letter in SHORT_ENDINGS], axis=0)
    pairs = [tf.equal(first, ord(pair[0])) & tf.equal(second, ord(pair[1])) for pair in LONG_ENDINGS]
    length = tf.where(is_short, 2, tf.where(tf.reduce_any(pairs, axis=0), 3, 0))
    return tf.where(begins & tf.equal(numbers, APOSTROPHE), length, 0)


def _shifted(values: tf.Tensor, by: int, outside: int) -> tf.Tensor:
    """Return at each position the value that stands `by` positions before it."""
    fill = tf.fill([abs(by)], tf.cast(outside, values.dtype))
    count = tf.size(values)
    whole = tf.concat([fill, values], 0)[:count] if by > 0 else tf.concat([values, fill], 0)[-by:]
    return tf.reshape(whole, [count])


def _merge(numbers: tf.Tensor, word_of: tf.Tensor, rules: BytePairs) -> tf.Tensor:
    """Return the pieces after all merges.

    Args:
        numbers: int32 (N,), the pieces of the bytes.
        word_of: int32 (N,), the word of each byte, in ascending order.
        rules: of the tokenizer.
    """
    pairs = _pairs(rules)

    def is_unfinished(numbers: tf.Tensor, word_of: tf.Tensor, changed: tf.Tensor) -> tf.Tensor:
        del word_of
        return changed & (tf.size(numbers) > 1)

    def step(numbers: tf.Tensor, word_of: tf.Tensor, changed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        del changed
        ranks, results = _look_up(numbers, word_of, pairs, len(rules.pieces))
        chosen = _chosen(ranks, word_of[:-1], one_a_word=not pairs.is_ordered)
        is_left, is_right = tf.concat([chosen, [False]], 0), tf.concat([[False], chosen], 0)
        merged = tf.where(is_left, tf.concat([results, [0]], 0), numbers)
        return tf.boolean_mask(merged, ~is_right), tf.boolean_mask(word_of, ~is_right), tf.reduce_any(chosen)

    return tf.while_loop(
        is_unfinished,
        step,
        [numbers, word_of, tf.constant(True)],
        shape_invariants=[tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([])],
    )[0]


def _look_up(numbers: tf.Tensor, word_of: tf.Tensor, pairs: _Pairs, pieces: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the rank and the result of each pair of neighbours, (N - 1,); a rank of `NEVER`: it is not merged."""
    keys = tf.cast(numbers[:-1], tf.int64) * pieces + tf.cast(numbers[1:], tf.int64)
    places = tf.minimum(tf.searchsorted(pairs.keys, keys), len(pairs.keys) - 1)
    is_pair = tf.equal(tf.gather(pairs.keys, places), keys) & tf.equal(word_of[:-1], word_of[1:])
    return tf.where(is_pair, tf.gather(pairs.ranks, places), NEVER), tf.gather(pairs.results, places)


def _chosen(ranks: tf.Tensor, word_of: tf.Tensor, *, one_a_word: bool) -> tf.Tensor:
    """Return which pairs are merged: the lowest rank of each word, from left to right, no piece twice."""
    lowest = tf.gather(tf.math.segment_min(ranks, word_of), word_of)
    wanted = tf.equal(ranks, lowest) & (ranks < NEVER)
    places = tf.range(tf.size(ranks))
    # Pairs that overlap stand side by side: every second one of such a run is merged.
    starts = wanted & ~tf.concat([[False], wanted[:-1]], 0)
    run_starts = tf.concat([[0], tf.boolean_mask(places, starts)], 0)
    run_of = tf.cumsum(tf.cast(starts, tf.int32))
    chosen = wanted & tf.equal((places - tf.gather(run_starts, run_of)) % 2, 0)
    if not one_a_word:
        return chosen
    first = tf.math.segment_min(tf.where(chosen, places, NEVER), word_of)
    return chosen & tf.equal(places, tf.gather(first, word_of))


@functools.lru_cache(maxsize=1)
def _classes() -> tuple[np.ndarray, np.ndarray]:
    """Return the first number of each run of characters of one class, and the classes of the runs."""
    runs = json.loads((Path(__file__).parent / "byte_classes.json").read_text(encoding="utf-8"))
    return np.array(runs["starts"], np.int32), np.array(runs["classes"], np.int32)


@functools.lru_cache(maxsize=8)
def _pairs(rules: BytePairs) -> _Pairs:
    number_of = {piece: number for number, piece in enumerate(rules.pieces)}
    found: dict[int, tuple[int, int]] = {-1: (NEVER, 0)}  # so that there is one even without merges
    made_last: dict[str, int] = {}
    for rank, merge in enumerate(rules.merges):
        left, right = merge.split(" ")
        made_last[left + right] = rank
        found[number_of[left] * len(rules.pieces) + number_of[right]] = rank, number_of[left + right]
    is_ordered = all(
        made_last.get(part, -1) < rank for rank, merge in enumerate(rules.merges) for part in merge.split(" ")
    )
    keys = np.array(sorted(found), np.int64)
    ranks, results = np.array([found[key] for key in keys.tolist()], np.int32).T
    return _Pairs(keys, ranks, results, is_ordered)
