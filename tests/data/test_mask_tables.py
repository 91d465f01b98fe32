"""A table that names an image and a mask in each row."""

import re

import numpy as np
import pytest
from masks import VOID, write_masks
from PIL import Image

from tfl.data import load_source
from tfl.data.masks.source import MaskSource
from tfl.errors import InputError
from tfl.inputs import get_input
from tfl.tasks import get_task

IMAGE, MASKS = get_input("image").sized(32), get_task("segmentation").labels


@pytest.fixture
def folder(tmp_path):
    """Three images, with masks of two classes, in folders whose names say nothing."""
    rng = np.random.default_rng(0)
    for number in range(3):
        for name, values in (("a", rng.integers(0, 256, (8, 6, 3))), ("b", rng.integers(0, 2, (8, 6)))):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(tmp_path / name / f"{name}{number}.png")
    return tmp_path


def load(folder, lines, columns="", most=1.0, **options):
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    source = load_source(f"csv:{folder}/table.csv", most, kind=IMAGE, columns=columns, labels=MASKS, **options)
    assert isinstance(source, MaskSource)
    return source


def test_each_row_is_a_pair_with_its_split_and_group(folder):
    rows = ["a/a2.png,b/b0.png,train,x", "a/a0.png,b/b1.png,val,y", "a/a1.png,b/b2.png,test,x"]
    source = load(folder, ["photo,annotation,split,patient", *rows], columns="path=photo")
    assert source.index.ids.tolist() == ["a/a0.png", "a/a1.png", "a/a2.png"]
    assert source.index.splits.tolist() == ["validation", "test", "train"]
    assert source.index.groups.tolist() == ["y", "x", "x"]
    assert [path.rsplit("/", 1)[1] for path in source.masks] == ["b1.png", "b2.png", "b0.png"]
    expected = np.asarray(Image.open(folder / "b" / "b1.png"))
    (example,) = source.examples(np.array([0])).as_numpy_iterator()
    np.testing.assert_array_equal(example["label"], expected)


def test_it_is_the_same_as_the_folder(tmp_path):
    write_masks(tmp_path, {"train": 4, "test": 2})
    by_name = load_source(f"masks:{tmp_path}", kind=IMAGE, labels=MASKS, ignore_label=VOID)
    assert isinstance(by_name, MaskSource)
    index = by_name.index
    columns = (index.paths.tolist(), by_name.masks, index.splits.tolist())
    table = load(
        tmp_path, ["image,mask,split", *(",".join(row) for row in zip(*columns, strict=True))], ignore_label=VOID
    )
    assert table.masks == by_name.masks and table.table == by_name.table
    np.testing.assert_array_equal(table.index.labels, by_name.index.labels)
    np.testing.assert_array_equal(table.index.sha256, by_name.index.sha256)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a/none.png,b/b0.png", "there is no such file"),
        ("a/a1.png,b/none.png", "no mask: .*there is no such file"),
        ("a/a1.png,", "no mask: no file"),
        (",b/b1.png", "no file"),
        ("a/a0.png,b/b1.png", "stands also in"),
        ("a/a1.png,a/a2.png", "it has colours, and the other masks"),
        ("http://x/a.png,b/b1.png", "is an address on the web"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_with_the_reason(row, reason, folder):
    source = load(folder, ["path,mask", "a/a0.png,b/b0.png", row, "a/a2.png,b/b2.png"])
    assert source.index.ids.tolist() == ["a/a0.png", "a/a2.png"]
    ((_, why),) = source.quarantine
    assert re.search(reason, why), why


@pytest.mark.parametrize(
    ("header", "columns", "options", "message"),
    [
        ("path,x", "", {}, "must say which column has the masks"),
        ("path,mask", "label=masc", {}, "Did you mean 'mask'"),
        ("path,mask,x", "weight=x", {}, "one column of masks, no weights"),
        ("path,mask,x", "label=mask+x", {}, "one column of masks"),
        ("path,mask", "", {"group_pattern": "a(.)"}, "`data.group_pattern` must be empty for a table of masks"),
    ],
)
def test_other_columns_are_one_clear_line(header, columns, options, message, folder):
    cells = ",".join(["a/a0.png", "b/b0.png", "1"][: header.count(",") + 1])
    with pytest.raises(InputError, match=message):
        load(folder, [header, cells], columns, **options)
