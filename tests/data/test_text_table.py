"""Tables whose cells are texts."""

import dataclasses

import numpy as np
import pytest

from tfl.data import load_data
from tfl.data.texts import read_texts
from tfl.errors import InputError
from tfl.inputs import get_input
from tfl.inputs.text.wordpiece import wordpiece

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad"]


@pytest.fixture
def kind():
    return dataclasses.replace(get_input("text"), size=6, tokenizer=wordpiece(PIECES).to_text())


def texts_of(splits):
    rows = np.arange(len(splits.index))
    return dict(zip(splits.index.ids.tolist(), read_texts(splits.source, rows), strict=True))


def test_a_table_with_a_header(tmp_path, kind):
    (tmp_path / "t.csv").write_text('id,sentence,label\n1,"good, good",a\n2,bad,b\n3,,b\n4,good,a\n5,bad,b\n' * 1)
    splits = load_data(f"csv:{tmp_path / 't.csv'}", kind=kind, max_bad_fraction=0.5)
    assert texts_of(splits) == {"t.csv:2": "good, good", "t.csv:3": "bad", "t.csv:5": "good", "t.csv:6": "bad"}
    assert splits.quarantine == (("t.csv:4", "no text"),)
    assert dict(zip(splits.index.ids.tolist(), splits.index.facts["pieces"].tolist(), strict=True))["t.csv:2"] == 5


def test_a_table_without_a_header_names_columns_by_their_numbers(tmp_path, kind):
    (tmp_path / "t.tsv").write_text("good , good , good\tyes\t1\nbad , b\tno\t0\ngood\t\t1\nbad\tx\t0\n")
    splits = load_data(f"csv:{tmp_path / 't.tsv'}", kind=kind, columns="text=#1+#2,label=#3")
    assert list(texts_of(splits).values()) == ["bad , b no", "bad x", "good , good , good yes", "good"]


def test_strange_line_breaks_are_part_of_a_text(tmp_path, kind):
    (tmp_path / "t.csv").write_text("text,label\ngood\u2028bad\x85,a\nbad,b\ngood,a\nbad\x0cbad,b\n", encoding="utf-8")
    splits = load_data(f"csv:{tmp_path / 't.csv'}", kind=kind)
    assert sorted(texts_of(splits).values()) == ["bad", "bad\x0cbad", "good", "good\u2028bad"]


def test_names_of_tables_are_splits(tmp_path, kind):
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\ngood {name}\ta\nbad {name}\tb\n")
    source = ",".join(f"csv:{tmp_path / name}.tsv" for name in ("train", "dev", "test"))
    splits = load_data(source, kind=kind)
    found = texts_of(splits)
    assert {found[name] for name in splits.index.ids[splits.validation]} == {"good dev", "bad dev"}
    assert [len(rows) for rows in (splits.train, splits.validation, splits.test)] == [2, 2, 2]


def test_the_same_text_may_stand_twice(tmp_path, kind):
    (tmp_path / "t.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 4)
    assert len(load_data(f"csv:{tmp_path / 't.csv'}", kind=kind, split=(0.5, 0.25, 0.25)).index) == 8


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("path=text", "must name the text for the examples of this network, not the path.*Did you mean text=text"),
        ("text=body", "must name columns of"),
        ("label=text", "which column is the text, as in text=NAME"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, said, tmp_path, kind):
    (tmp_path / "t.csv").write_text("text,label\ngood,a\nbad,b\n")
    with pytest.raises(InputError, match=said):
        load_data(f"csv:{tmp_path / 't.csv'}", kind=kind, columns=columns)


def test_a_table_of_files_has_no_text(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\ngood,a\nbad,b\n")
    with pytest.raises(InputError, match="not the text. Received: text=text. Did you mean path=text"):
        load_data(f"csv:{tmp_path / 't.csv'}", columns="text=text")
