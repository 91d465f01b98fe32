"""Decisions of a person exclude and relabel examples, and nothing else changes."""

import dataclasses

import numpy as np
import pytest

from tfl.data.decisions import apply_decisions, describe_changes, read_decisions, write_changes
from tfl.data.index import Index, make_index
from tfl.errors import InputError


def make(labels, names=("cat", "dog"), splits=("train", "train", "test", "train", "train", "test")) -> Index:
    ids = [f"photo {number}.jpg" for number in range(len(labels))]
    digests = [f"{number:064x}" for number in range(len(labels))]
    return make_index(ids, np.array(labels), names, splits=splits, sha256=digests, facts={})[0]


INDEX = make([0, 0, 0, 1, 1, 1])


def write(folder, *lines: str):
    path = folder / "decisions.csv"
    path.write_text("\n".join(["id,decision,label", *lines]) + "\n")
    return path


def test_excluded_and_relabelled_and_nothing_else(tmp_path):
    path = write(tmp_path, "photo 0.jpg,exclude,", "photo 5.jpg,Relabel,cat", "photo 2.jpg,keep,", "photo 4.jpg,keep,")
    path.write_text(path.read_text() + "photo 1.jpg,relabel,cat\n")  # it has this label already
    index = make([0, 0, 0, 1, 1, 1, 1], splits=(*INDEX.splits, "test"))
    after, changes = apply_decisions(index, read_decisions(path))
    assert after.splits.tolist() == ["excluded", "train", "test", "train", "train", "test", "test"]
    assert after.labels.tolist() == [0, 0, 0, 1, 1, 0, 1]
    assert index.splits[0] == "train" and index.labels[5] == 1  # the first index stays as it is
    assert [dataclasses.astuple(change) for change in changes] == [
        ("photo 0.jpg", "exclude", "cat", "cat", "train"),
        ("photo 5.jpg", "relabel", "cat", "dog", "test"),
    ]
    assert describe_changes(changes, ("image", "images")) == (
        "decisions: 1 image excluded and 1 image relabelled (1 of the test split)"
    )
    assert describe_changes((), ("image", "images")) == "decisions: nothing changes"


def test_what_changed_is_a_table_of_decisions_again(tmp_path):
    decisions = {"photo 0.jpg": ("exclude", ""), "photo 4.jpg": ("relabel", "cat")}
    after, changes = apply_decisions(INDEX, decisions)
    write_changes(tmp_path / "changes.csv", changes)
    again, _ = apply_decisions(INDEX, read_decisions(tmp_path / "changes.csv"))
    assert again.splits.tolist() == after.splits.tolist() and again.labels.tolist() == after.labels.tolist()


@pytest.mark.parametrize(
    ("labels", "names", "text", "expected"),
    [
        ([[1, 0], [0, 1], [1, 1]], ("red", "green"), "red|green", [1, 1]),
        ([1.5, 2.5, 0.5], (), "7.25", 7.25),
    ],
)
def test_sets_of_labels_and_values_are_relabelled_too(labels, names, text, expected):
    index = make(np.array(labels, np.float32), names, ("train", "validation", "test"))
    after, (change,) = apply_decisions(index, {"photo 1.jpg": ("relabel", text)})
    np.testing.assert_array_equal(after.labels[1], expected)
    assert change.label == text


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["photo 9.jpg,exclude,"], r"the id 'photo 9.jpg', which the data do not have. Did you mean 'photo \d.jpg'"),
        (["photo 0.jpg,drop,"], "'drop' in row 2"),
        (["photo 0.jpg,exclud,"], "Did you mean 'exclude'"),
        (["photo 0.jpg,relabel,"], "relabel without a label in row 2"),
        (["photo 0.jpg,relabel,bird"], r"a label of the data \(cat, dog\). Received: 'bird' for 'photo 0.jpg'"),
        (["photo 0.jpg,keep,", "photo 0.jpg,exclude,"], "occurs twice"),
        (["photo 2.jpg,exclude,"], "must leave an example of 'cat' in every split. Received: none in test"),
        (["photo 5.jpg,relabel,cat"], "must leave an example of 'dog' in every split. Received: none in test"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, lines, message):
    with pytest.raises(InputError, match=message) as caught:
        apply_decisions(INDEX, read_decisions(write(tmp_path, *lines)))
    assert "\n" not in str(caught.value) and "data.decisions" in str(caught.value)


def test_a_table_without_decisions_is_refused(tmp_path):
    path = tmp_path / "decisions.csv"
    path.write_text("id,label\na,b\n")
    with pytest.raises(InputError, match="no column 'decision'"):
        read_decisions(path)
