"""Labels that are missing are refused with their count, wherever they come from; none becomes a class."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tfl.data import load_data
from tfl.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 4, 4, 3), dtype=np.uint8)
NAMES = np.array(["cat", "dog", "eel"])[np.arange(24) % 3]
NUMBERS = np.arange(24) % 3
NA = type("NAType", (), {"__bool__": lambda self: bool(types.new_class("x").missing)})()  # like pandas.NA: no truth


def with_gaps(labels, missing, dtype=object):
    labels = labels.astype(dtype)
    labels[[5, 7]] = missing
    return labels


MISSING = {
    "None": with_gaps(NAMES, None),
    "NaN in objects": with_gaps(NAMES, np.nan),
    "NaN that NumPy made text": np.array([np.nan if row in (5, 7) else name for row, name in enumerate(NAMES)]),
    "NaN in a list": with_gaps(NAMES, np.nan).tolist(),
    "pandas.NA": with_gaps(NAMES, NA),
    "pandas.NA among numbers": with_gaps(NUMBERS, NA),
    "text of pandas": with_gaps(NAMES, "<NA>"),
    "empty text": with_gaps(NAMES, "", "U4"),
    "blanks": with_gaps(NAMES, "  ", "U4"),
    "-1": with_gaps(NUMBERS, -1, np.int64),
    "NaN among values": with_gaps(NUMBERS, np.nan, np.float32),
    "infinite value": with_gaps(NUMBERS, np.inf, np.float64),
    "masked": np.ma.masked_array(NUMBERS, np.isin(np.arange(24), (5, 7))),
    "gap in a row": with_gaps(np.eye(3)[NUMBERS], (0, np.nan, 1), np.float32),
    "-1 in a row": with_gaps(np.eye(3, dtype=int)[NUMBERS], (0, -1, 1), np.int64),
}


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_missing_labels_of_arrays_are_counted(labels):
    with pytest.raises(InputError, match=r"a label for every example\. Received: 2 of 24 .*the first: 5\."):
        load_data((IMAGES, labels))


@pytest.mark.parametrize("labels", [with_gaps(NAMES, "", "U4"), MISSING["-1"], MISSING["NaN among values"]])
def test_missing_labels_of_streams_are_counted(labels):
    with pytest.raises(InputError, match=r"Received: 2 of 24 .*the first: train/5\."):
        load_data({"train": tf.data.Dataset.from_tensor_slices((IMAGES, labels))})


def test_pandas_columns():
    pd = pytest.importorskip("pandas")
    with pytest.raises(InputError, match="2 of 24"):
        load_data((IMAGES, pd.Series(with_gaps(NUMBERS, pd.NA), dtype="Int64")))
    assert load_data((IMAGES, pd.Series(NAMES, dtype="category"))).class_names == ("cat", "dog", "eel")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.where(NUMBERS == 0, -1, 1), ("-1", "1")),  # the two classes of a margin
        (NUMBERS - 2, ("-2", "-1", "0")),
        (NUMBERS > 0, ("False", "True")),
        (NUMBERS.astype(object), ("0", "1", "2")),
        (NAMES.tolist(), ("cat", "dog", "eel")),
        (NAMES.astype("S"), None),
        (NUMBERS.astype(float).astype(object), ()),  # values, as from any float array
        (tf.constant(NUMBERS), ("0", "1", "2")),
        (np.where(NAMES == "cat", "none", NAMES), ("dog", "eel", "none")),  # a class of things without a fault
    ],
)
def test_labels_that_are_not_missing(labels, names):
    splits = load_data((IMAGES, labels))
    if names is not None:
        assert splits.class_names == names
    assert len(splits.index) == 24


def test_a_stream_split_without_any_label_is_left_out(capsys):
    def part(labels):
        return tf.data.Dataset.from_tensor_slices((IMAGES, labels))

    splits = load_data({"train": part(NUMBERS), "validation": part(NUMBERS), "test": part(np.full(24, -1))})
    assert splits.class_names == ("0", "1", "2") and len(splits.test) == 24  # the second labelled split
    assert all(name.startswith("validation/") for name in splits.index.ids[splits.test])
    assert "Split test is left out: none of its 24 examples has a label." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("splits", "match"),
    [
        ({"train": (IMAGES, NAMES), "test": (IMAGES, NUMBERS)}, "labels of one kind"),
        ({"train": (IMAGES, NUMBERS), "test": (IMAGES, NUMBERS / 2)}, "labels of one kind"),
        ({"train": (IMAGES, NUMBERS), "test": (IMAGES, np.eye(3)[NUMBERS])}, "labels of one kind"),
        ((IMAGES, [[1, 2], [3]] * 12), "rows of different lengths"),
        ((IMAGES, 3), "24 images and 1 labels"),
        ((IMAGES, np.array([["a", "b"]] * 24)), "numbers in rows"),
    ],
)
def test_labels_of_several_kinds(splits, match):
    with pytest.raises(InputError, match=match):
        load_data(splits)


def test_a_class_name_that_is_no_text():
    labels = np.array([b"cat", b"d\xff\xfe"] * 12)
    with pytest.raises(InputError, match="class names in UTF-8"):
        load_data(tf.data.Dataset.from_tensor_slices((IMAGES, labels)))
