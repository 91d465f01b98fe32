"""Tables whose cells are texts."""

import dataclasses

import numpy as np
import pytest

from tfl.data import load_data, load_source
from tfl.data.texts import read_texts
from tfl.errors import InputError
from tfl.inputs import get_input
from tfl.inputs.text.wordpiece import wordpiece

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad"]


@pytest.fixture
def kind():
    return dataclasses.replace(get_input("text"), size=6, tokenizer=wordpiece(PIECES).to_text())


def texts_of(source):
    rows = np.arange(len(source.index))
    return dict(zip(source.index.ids.tolist(), read_texts(source, rows), strict=True))


def test_a_table_with_a_header(tmp_path, kind):
    (tmp_path / "t.csv").write_text('id,sentence,label\n1,"good, good",a\n2,bad,b\n3,,b\n4,good,a\n5,bad,b\n')
    source = load_source(f"csv:{tmp_path / 't.csv'}", kind=kind, max_bad_fraction=0.5)
    assert texts_of(source) == {"t.csv:2": "good, good", "t.csv:3": "bad", "t.csv:5": "good", "t.csv:6": "bad"}
    assert source.quarantine == (("t.csv:4", "no text"),)
    assert dict(zip(source.index.ids.tolist(), source.index.facts["pieces"].tolist(), strict=True))["t.csv:2"] == 5


def test_a_table_without_a_header_names_columns_by_their_numbers(tmp_path, kind):
    (tmp_path / "t.tsv").write_text("good , good , good\tyes\t1\nbad , b\tno\t0\ngood\t\t1\nbad\tx\t0\n")
    source = load_source(f"csv:{tmp_path / 't.tsv'}", kind=kind, columns="text=#1+#2,label=#3")
    assert list(texts_of(source).values()) == ["bad , b no", "bad x", "good , good , good yes", "good"]


def test_strange_line_breaks_are_part_of_a_text(tmp_path, kind):
    (tmp_path / "t.csv").write_text("text,label\ngood\u2028bad\x85,a\nbad,b\ngood,a\nbad\x0cbad,b\n", encoding="utf-8")
    source = load_source(f"csv:{tmp_path / 't.csv'}", kind=kind)
    assert sorted(texts_of(source).values()) == ["bad", "bad\x0cbad", "good", "good\u2028bad"]


def test_names_of_tables_are_splits(tmp_path, kind):
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\ngood {name}\ta\nbad {name}\tb\n")
    source = ",".join(f"csv:{tmp_path / name}.tsv" for name in ("train", "dev", "test"))
    splits = load_data(source, kind=kind)
    found = texts_of(splits.source)
    assert {found[name] for name in splits.index.ids[splits.validation]} == {"good dev", "bad dev"}
    assert [len(rows) for rows in (splits.train, splits.validation, splits.test)] == [2, 2, 2]


def test_the_same_text_may_stand_twice(tmp_path, kind):
    (tmp_path / "t.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 4)
    assert len(load_source(f"csv:{tmp_path / 't.csv'}", kind=kind).index) == 8


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("path=text", "must name the text for the examples of this network, not the path.*Did you mean text=text"),
        ("text=body", "must name columns of"),
        ("label=text", "which column is the text, as in text=NAME.*Without a header: text=#1,label=#2"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, said, tmp_path, kind):
    (tmp_path / "t.csv").write_text("text,label\ngood,a\nbad,b\n")
    with pytest.raises(InputError, match=said):
        load_source(f"csv:{tmp_path / 't.csv'}", kind=kind, columns=columns)


def test_a_table_of_files_has_no_text(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\ngood,a\nbad,b\n")
    with pytest.raises(InputError, match=r"not the text\. Received: text=text\. Did you mean path=text"):
        load_source(f"csv:{tmp_path / 't.csv'}", columns="text=text")


def test_quotation_marks_in_texts_lose_no_row(tmp_path, kind):
    """Many tables with tabs are written without quoting, and a comma table has marks inside a cell."""
    rows = ['the 5" screen\t1', '"Great" movie\t1', '"bad film\t0', 'a fine "\t1', "it's fine\t0"]
    (tmp_path / "t.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    source = load_source(f"csv:{tmp_path / 't.tsv'}", kind=kind)
    assert [texts_of(source)[f"t.tsv:{line}"] for line in range(2, 7)] == [row.split("\t")[0] for row in rows]
    (tmp_path / "t.csv").write_text('text,label\nthe 5" screen,1\n"good,\ngood",0\nbad,1\ngood,0\n')
    source = load_source(f"csv:{tmp_path / 't.csv'}", kind=kind)
    assert sorted(texts_of(source).values()) == ["bad", "good", "good,\ngood", 'the 5" screen']


def test_a_long_cell_is_read(tmp_path, kind):
    (tmp_path / "t.csv").write_text(f"text,label\n{'good ' * 40_000},a\nbad,b\n")
    assert len(load_source(f"csv:{tmp_path / 't.csv'}", kind=kind).index) == 2


def test_half_a_character_is_named_and_the_others_are_used(tmp_path, kind):
    lines = ['{"text": "cut \\ud83d", "label": "a"}', '{"text": "good", "label": "a"}', '{"text": "bad", "label": "b"}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    source = load_source(f"csv:{tmp_path / 't.jsonl'}", kind=kind, max_bad_fraction=0.5)
    assert len(source.index) == 2 and "is not UTF-8" in source.quarantine[0][1]


def test_patterns_are_refused_for_cells_and_used_for_files(tmp_path, kind):
    (tmp_path / "t.csv").write_text("text,label\ngood,a\nbad,b\n")
    with pytest.raises(InputError, match=r"`data\.group_pattern` must be empty for a table whose cells"):
        load_source(f"csv:{tmp_path / 't.csv'}", kind=kind, group_pattern="(a)")
    for name in ("a_1", "a_2", "b_1", "b_2"):
        (tmp_path / "texts" / f"{name}.txt").parent.mkdir(exist_ok=True)
        (tmp_path / "texts" / f"{name}.txt").write_text("good" if name[0] == "a" else "bad")
    source = load_source(f"folder:{tmp_path / 'texts'}", kind=kind, label_pattern=r"([ab])_")
    assert source.index.class_names == ("a", "b") and len(source.index) == 4
