"""The examples cut into named parts, and what is said of each."""

import numpy as np
import pytest

import tfl
from tfl.errors import InputError
from tfl.evaluation import (
    Predictions,
    measure_examples,
    measure_slices,
    slice_by_column,
    slice_by_content,
    wilson_interval,
)
from tfl.evaluation.slices import MeasuredSlice, Slicing, slice_by_category, slice_by_number


def test_quarters_by_number_hold_about_equally_many_and_say_their_range():
    slicing = slice_by_number(np.arange(1, 101) * 1000.0, "pixels")
    assert slicing.names[0] == "1,000 to 25,000 pixels"
    np.testing.assert_allclose(np.bincount(slicing.parts), 25, atol=1)
    assert len(slice_by_number(np.arange(45.0)).names) == 2  # of fewer than 20 nothing can be said
    assert len(slice_by_number(np.arange(30.0)).names) == 1
    assert slice_by_number(np.linspace(0.1, 0.2, 40)).names == ("0.1 to 0.149", "0.151 to 0.2")


def test_equal_values_stay_together_and_unknown_ones_stand_aside():
    slicing = slice_by_number(np.array([5.0] * 90 + [7.0] * 10))
    assert slicing.names == ("5", "7")
    slicing = slice_by_number(np.array([1.0, np.nan, 2.0] * 30))
    assert slicing.names == ("1", "2")
    assert list(slicing.parts[:3]) == [0, -1, 1]
    assert slice_by_number(np.full(5, np.nan)).names == ()


def test_categories_are_in_natural_order_and_rare_ones_are_together():
    slicing = slice_by_category(["cam 10", "cam 2", "", "cam 2"])
    assert slicing.names == ("cam 2", "cam 10", "no value")
    assert list(slicing.parts) == [1, 0, 2, 0]
    many = slice_by_category([*map(str, range(25)), *map(str, range(20))])
    assert many.names == (*map(str, range(20)), "other")
    assert np.sum(many.parts == 20) == 5


def test_each_part_has_its_accuracy_and_interval():
    logits = np.array([[1.0, 0.0]] * 10)
    table = Predictions(np.arange(10), np.array([0] * 6 + [1] * 4), logits, "multiclass")
    parts = Slicing(("left", "empty", "right"), np.array([0] * 5 + [2] * 4 + [-1]))
    rows = measure_slices(table, {"side": parts})["side"]
    assert [(row.name, row.num_examples, row.value) for row in rows] == [
        ("left", 5, 1.0),
        ("right", 4, 0.25),
    ]
    assert (rows[1].low, rows[1].high) == wilson_interval(1, 4)
    values = Predictions(np.arange(10), np.zeros(10), np.arange(10.0)[:, None], "regression")
    row = measure_slices(values, {"side": parts})["side"][0]
    assert row.value == 2.0
    assert 0.0 < row.low < 2.0 < row.high < 4.0
    written = row.to_dict("mean_absolute_error")
    assert list(written) == ["slice", "num_examples", "mean_absolute_error", "low", "high"]
    assert MeasuredSlice.from_dict(written, "mean_absolute_error") == row
    with pytest.raises(ValueError, match="'left' has no accuracy"):
        MeasuredSlice.from_dict(written, "accuracy")


def test_a_column_of_a_file_is_joined_by_id(tmp_path):
    file = tmp_path / "a:b.csv"
    file.write_text("id,camera,metres,empty\n" + "".join(f"{n}.jpg,{'XY'[n % 2]},{n / 2},\n" for n in range(60)))
    ids = [f"{n}.jpg" for n in reversed(range(60))] + ["elsewhere.jpg"]
    name, slicing = slice_by_column(f"{file}:camera", ids)
    assert (name, slicing.names) == ("camera", ("X", "Y", "no value"))
    assert list(slicing.parts[-3:]) == [1, 0, 2]
    _, slicing = slice_by_column(f"{file}:metres", ids)
    assert slicing.names[0] == "0 to 9.5"
    assert slicing.parts[-1] == -1
    assert slice_by_column(f"{file}:empty", ids)[1].names == ("no value",)
    excel = tmp_path / "excel.csv"
    excel.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert slice_by_column(f"{excel}:camera", ids)[1].names == ("X", "Y", "no value")
    for wrong, rule in (
        (str(file), "FILE.csv:COLUMN"),
        ("gone.csv:camera", "FILE.csv:COLUMN with a file that exists"),
        (f"{file}:kamera", "columns id and kamera.*Did you mean 'camera'"),
    ):
        with pytest.raises(InputError, match=rule):
            slice_by_column(wrong, ids)
    with pytest.raises(InputError, match="with the ids of the examples"):
        slice_by_column(f"{file}:camera", ["other"])
    twice = tmp_path / "twice.csv"
    twice.write_text("id,camera\na,X\na,Y\n")
    with pytest.raises(InputError, match=r"`slices` must .*twice\.csv': id 'a' occurs twice"):
        slice_by_column(f"{twice}:camera", ["a"])


TABLE = 'id,größe,note\nKäfer/1.png,groß,"a;b"\nant/2.png,klein,\n'


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TABLE, "utf-8"),
        (TABLE, "utf-8-sig"),
        (TABLE, "utf-16"),
        (TABLE.replace(",", ";"), "utf-8"),  # Excel where the comma is in numbers
        (TABLE.replace(",", "\t").replace("\n", "\r\n"), "utf-16"),  # Excel's "Unicode text"
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path, text, encoding):
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    name, slicing = slice_by_column(f"{tmp_path / 't.csv'}:größe", ["ant/2.png", "Käfer/1.png"])
    assert (name, slicing.names, list(slicing.parts)) == ("größe", ("groß", "klein"), [1, 0])


@pytest.mark.parametrize(
    ("content", "column", "rule"),
    [
        (TABLE.encode("latin-1"), "note", "in UTF-8 .*'gr��e' in its header"),
        (TABLE.replace("größe", "size").encode("latin-1"), "size", "in UTF-8 .*'groß in row 2|'K�fer/1.png' in row 2"),
        (TABLE.encode("utf-16-le"), "note", "it contains NUL characters|columns id"),
        (TABLE.encode("utf-16")[:-1], "note", "truncated data"),
        (TABLE.encode() + b"x", "note", "row 4 has 1 cells and the header has 3"),
    ],
)
def test_tables_of_another_encoding_are_refused_and_not_guessed(tmp_path, content, column, rule):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=rule) as caught:
        slice_by_column(f"{tmp_path / 't.csv'}:{column}", ["ant/2.png", "Käfer/1.png"])
    assert "\n" not in str(caught.value) and "udc" not in str(caught.value)


def test_names_of_files_may_be_other_bytes(tmp_path):
    name = b"K\xe4fer/1.png".decode("utf-8", "surrogateescape")
    (tmp_path / "t.csv").write_bytes(b"id,size\nK\xe4fer/1.png,big\nant/2.png,small\n")
    assert slice_by_column(f"{tmp_path / 't.csv'}:size", [name, "ant/2.png"])[1].names == ("big", "small")


def test_images_are_cut_by_size_shape_and_brightness():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 8, 8, 3)).astype(np.uint8)
    images[:45] //= 4
    splits = tfl.load_data((images, np.arange(90) % 2))
    rows = np.arange(90)
    luminance = measure_examples(splits.source, rows)
    expected = images[splits.index.ids.astype(int)].mean(axis=(1, 2)) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(luminance, expected, atol=0.5)
    np.testing.assert_allclose(measure_examples(splits.source, rows[::-1]), luminance[::-1])
    slicings = slice_by_content(splits.source, rows)
    assert list(slicings) == ["brightness"]  # all are of one size
    index = splits.index
    index.facts["width"][:], index.facts["height"][:] = np.where(rows < 45, 100, 300), np.where(rows < 30, 200, 100)
    slicings = slice_by_content(splits.source, rows, measured=False)
    assert slicings["image size"].names == ("10,000 to 20,000 pixels", "30,000 pixels")
    shapes = [slicings["shape"].names[part] for part in slicings["shape"].parts[[0, 40, 80]]]
    assert shapes == ["taller than wide", "about square", "wider than tall"]
    index.facts["width"][3] = 0  # unknown
    assert slice_by_content(splits.source, rows, measured=False) == {}
