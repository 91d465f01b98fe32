"""Byte-level pieces by TensorFlow's operations are those of the library tokenizers."""

import json
import random

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs.text.test_pieces import shared_texts
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tfl.errors import InputError
from tfl.inputs.text.byte_pairs import LETTERS, BytePairs
from tfl.inputs.text.encoding import count, divide, encode
from tfl.inputs.text.merging import _pairs
from tfl.inputs.text.rules import read_rules

CORPUS = [
    "the film's good, isn't it?  We'll see\n\n  1999 2001",
    "été naïve 漢字かな 漢字",
    "aaaa aaa aa",
    "  \t b --- !!",
] * 3
LETTERS_OF_TEXTS = "aaab'stremvdl''   \n\t\u00a0\u2003\u200b19٣½²-!.,_éß漢字אب\U0001f600\u0301\x00\ufffd"
HARD = (
    *("", " ", "\n", "  ", " \n ", "a" * 3000, "x" * 100_000, "good film " * 5_000, "<|endoftext|> <s>"),
    *("'s", "''s", " 's", "\n's", "a's't", "a'sb", "'re've'll'd'm't", "a'r e", "'S don'T", "it’s", "a''re"),
    *(
        "a  b",
        "a \u00a0b",
        "a\u00a0 b",
        "a\u00a0b",
        "a  ",
        "\u2028 a",
        "1a2",
        "½² ٣",
        "שלום עולם",
        "👩\u200d👩\u200d👧",
    ),
)


def reference(rules: BytePairs) -> Tokenizer:
    """Return the tokenizer of the library tokenizers with the same rules; no text becomes a special piece."""
    numbers = {piece: number for number, piece in enumerate(rules.pieces)}
    tokenizer = Tokenizer(models.BPE(numbers, [tuple(merge.split(" ")) for merge in rules.merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=rules.leading_space)
    return tokenizer


def trained(texts: list[str], size: int) -> BytePairs:
    """Return the rules that the library tokenizers learns from texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=letters))
    model = json.loads(tokenizer.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return BytePairs((*pieces, "<pad>"), tuple(" ".join(pair) for pair in model["merges"]), fill_piece="<pad>")


def graph_of(rules: BytePairs):
    return tf.function(lambda text: divide(text, rules), [tf.TensorSpec((), tf.string)])


@pytest.fixture(scope="module")
def learned():
    """Return rules, their graph and their reference."""
    rules = trained(CORPUS, 420)
    return rules, graph_of(rules), reference(rules)


def test_the_letters_of_bytes():
    assert sorted(LETTERS) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert (LETTERS[ord("a")], LETTERS[ord(" ")], LETTERS[0]) == ("a", "Ġ", "Ā")


@pytest.mark.parametrize("text", HARD, ids=lambda text: ascii(text[:12]))
def test_hard_texts(text, learned):
    _, graph, tokenizer = learned
    assert graph(text).numpy().tolist() == tokenizer.encode(text, add_special_tokens=False).ids


@given(
    text=st.text(st.one_of(st.sampled_from(LETTERS_OF_TEXTS), st.characters(exclude_categories=["Cs"])), max_size=40)
)
@settings(max_examples=1000, deadline=None)
def test_made_up_texts(text, learned):
    _, graph, tokenizer = learned
    assert graph(text).numpy().tolist() == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("seed", range(6))
def test_pairs_in_any_order(seed):
    """A piece that two pairs give may rank before one of them: then equal pairs are merged one after the other."""
    rng = random.Random(seed)
    pieces, merges = [*LETTERS], []
    while len(merges) < 40:
        left, right = rng.choice(["a", "b", "c", *pieces[256:]]), rng.choice(["a", "b", "c", *pieces[256:]])
        merges += [f"{left} {right}"] * (f"{left} {right}" not in merges)
        pieces += [left + right] * (left + right not in pieces)
    rng.shuffle(merges)
    rules = BytePairs((*pieces, "<pad>"), tuple(merges), fill_piece="<pad>")
    assert not _pairs(rules).is_ordered
    graph, tokenizer = graph_of(rules), reference(rules)
    for _ in range(40):
        text = "".join(rng.choice("aabbcc ") for _ in range(rng.randint(1, 30)))
        assert graph(text).numpy().tolist() == tokenizer.encode(text).ids


@pytest.mark.parametrize("text", ["", "a", " a", "\ta", "é"])
def test_a_leading_space(text, learned):
    rules = BytePairs(learned[0].pieces, learned[0].merges, fill_piece="<pad>", leading_space=True)
    assert divide(tf.constant(text), rules).numpy().tolist() == reference(rules).encode(text).ids


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sst2", "ag_news"])
def test_real_texts(name, shared):
    texts = shared_texts(shared, name)
    rules = trained(texts, 8000)
    found = tf.data.Dataset.from_tensor_slices(texts).map(graph_of(rules), num_parallel_calls=2)
    expected = [each.ids for each in reference(rules).encode_batch(texts)]
    assert [each.tolist() for each in found.as_numpy_iterator()] == expected
    assert len(set(map(tuple, expected))) > 5000


def test_a_text_is_cut_and_filled(learned):
    rules = BytePairs(("<s>", "</s>", *learned[0].pieces), learned[0].merges, ("<s>",), ("</s>",), "<pad>")
    a, fill = rules.number("a"), rules.number("<pad>")
    assert encode(tf.constant("a"), rules, 5).numpy().tolist() == [0, a, 1, fill, fill]
    assert encode(tf.constant("a-b " * 10), rules, 4).numpy().tolist() == [0, a, rules.number("-"), 1]
    assert encode(tf.constant(""), rules, 4).numpy().tolist() == [0, 1, fill, fill]
    assert count(tf.constant("a-a"), rules).numpy() == 5


def test_rules_are_written_and_read(learned):
    assert read_rules(learned[0].to_text()) == learned[0]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"pieces": LETTERS[:9]}, "`pieces` must have each byte"),
        ({"merges": ("a b",)}, "`merges` must be pairs of pieces whose result is a piece. Received: 'a b'"),
        ({"merges": ("ab",)}, "`merges` must be pairs of pieces"),
        ({"begin_pieces": ("<s>",)}, "Received: none is '<s>'"),
        ({"fill_piece": "a"}, "`fill_piece` must be a piece that no text gives. Received: 'a'"),
        ({"fill_piece": "aa", "merges": ("a a",), "pieces": (*LETTERS, "aa")}, "`fill_piece` must be a piece that no"),
    ],
)
def test_wrong_rules(rules, said):
    with pytest.raises(InputError, match=said):
        BytePairs(**({"pieces": (*LETTERS, "<pad>"), "merges": (), "fill_piece": "<pad>"} | rules))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"merges": 3}', '{"pieces": "a"}'])
def test_what_is_no_tokenizer(text):
    with pytest.raises(InputError, match="`tokenizer` must be the rules of a tokenizer"):
        read_rules(text)
