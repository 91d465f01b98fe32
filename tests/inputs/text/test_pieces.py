"""Word pieces by TensorFlow's string operations are those of the library tokenizers."""

import csv
import itertools

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import reference_tokenizer

from tfl.inputs.text.encoding import count, encode
from tfl.inputs.text.pieces import pieces_of, words_of
from tfl.inputs.text.rules import read_rules
from tfl.inputs.text.wordpiece import WordPiece, wordpiece

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LETTERS = "aàáäbcçdeéğiİıßsșSSAΣσςkK\u212a가각한글漢字々ñ-_.,!¿?«»٣۳"
LETTERS += "\u0301\u0344\u1fef\u037e\u00ad\u200d\u2028\t\n\r\x0b\x85\x00\ufffd"
SMALL = [*SPECIAL, *"abcdeisk0123.,!ασ漢字", *(f"##{letter}" for letter in "abcdeisαςσᅡᆨ"), "aa", "##ab", "İ", "é", "kas"]
HARD = (
    *("", " ", "\t\n", "a" * 100, "a" * 101, "x" * 100_000, "good film " * 10_000, "[SEP] [MASK] [UNK]"),
    *(
        "Ünïcödé İSTANBUL ΣΑΣ",
        "한국어 글",
        "漢字かな交じり文",
        "\U0002f800 \uf900",
        "שלום עולם",
        "مرحبا",
        "👩\u200d👩\u200d👧",
    ),
    *("\u0344\u1fef\u2028\x85\x00a\ufffdb", "don't stop-it ... $5.00 #1", "\u00a0a\u3000b", "ǅ ŉ ﬁ Å K"),
)


def pieces(text: str, rules: WordPiece) -> list[int]:
    return pieces_of(words_of(tf.constant(text.encode()), rules), rules).numpy().tolist()


@pytest.fixture(scope="module")
def bert(shared):
    """Return the vocabulary of BERT: the rules, the graph and the reference."""
    file = shared / "weights" / "hf_paraphrase_minilm_l3" / "vocab.txt"
    names = file.read_text(encoding="utf-8").split("\n")[:-1]
    rules = wordpiece(names)
    signature = [tf.TensorSpec((), tf.string)]
    return (
        rules,
        tf.function(lambda text: pieces_of(words_of(text, rules), rules), signature),
        reference_tokenizer(names),
    )


@pytest.mark.parametrize("text", HARD, ids=lambda text: ascii(text[:12]))
def test_hard_texts(text, bert):
    _, graph, reference = bert
    assert graph(text).numpy().tolist() == reference.encode(text, add_special_tokens=False).ids


OPTIONS = list(itertools.product((True, False), repeat=3))


@pytest.mark.parametrize(("lower", "strip", "split"), OPTIONS)
@given(text=st.text(st.one_of(st.sampled_from(LETTERS), st.characters(exclude_categories=["Cs"])), max_size=30))
@settings(max_examples=40, deadline=None)
def test_made_up_texts(text, lower, strip, split):
    rules = wordpiece(SMALL, lower_case=lower, strip_accents=strip, split_ideographs=split)
    options = {"lowercase": lower, "strip_accents": strip, "handle_chinese_chars": split}
    reference = reference_tokenizer(SMALL, **options)
    assert pieces(text, rules) == reference.encode(text, add_special_tokens=False).ids


def shared_texts(shared, name):
    if name == "sst2":
        files = [shared / "data" / "text_sst2" / f"{split}.tsv" for split in ("train", "dev", "test")]
        return [line.rsplit("\t", 1)[0] for file in files for line in file.read_text("utf-8").splitlines()]
    with (shared / "data" / "text_ag_news_test" / "test.csv").open(encoding="utf-8", newline="") as file:
        return [" ".join(row[1:]) for row in csv.reader(file)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sst2", "ag_news"])
def test_real_texts(name, bert, shared):
    _, graph, reference = bert
    texts = shared_texts(shared, name)
    found = tf.data.Dataset.from_tensor_slices(texts).map(graph, num_parallel_calls=2)
    expected = [each.ids for each in reference.encode_batch(texts, add_special_tokens=False)]
    assert [each.tolist() for each in found.as_numpy_iterator()] == expected
    assert len(set(map(tuple, expected))) > 5000


def test_a_text_is_cut_and_filled():
    rules = wordpiece([*SPECIAL, "good", "film", "##s"])
    short, long = (encode(tf.constant(text), rules, 5).numpy().tolist() for text in ("good", "good films good film"))
    assert short == [2, 4, 3, 0, 0]
    assert long == [2, 4, 5, 6, 3]
    assert count(tf.constant("good films good film"), rules).numpy() == 7


def test_rules_are_written_and_read():
    rules = wordpiece([*SPECIAL, "a", "ü\u2028"], lower_case=False, strip_accents=True)
    assert read_rules(rules.to_text()) == rules
    assert wordpiece(SPECIAL, lower_case=False).strip_accents is False
