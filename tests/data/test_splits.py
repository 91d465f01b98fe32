"""Splits: fractions, every class everywhere, stability, caps."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfl.data import assign_splits, count_leaks, load_data
from tfl.data.index import make_index, natural_key
from tfl.errors import InputError


def index_of(counts, owners=None, sha256=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    ids = [f"c{label}/{i}" for label, count in enumerate(counts) for i in range(count)]
    index, _ = make_index(
        ids,
        labels,
        [f"c{label}" for label in range(len(counts))],
        splits=owners or [""] * len(ids),
        sha256=sha256 or ids,
        sizes=np.ones((len(ids), 2)),
    )
    return index


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=5),
    held_out=st.tuples(st.floats(0.01, 0.45), st.floats(0.01, 0.45)),
    seed=st.integers(0, 9),
)
def test_every_class_is_in_every_split_once(counts, held_out, seed):
    split = (1 - sum(held_out), *held_out)
    index = assign_splits(index_of(counts), split=split, seed=seed)
    rows = np.concatenate([index.rows(name) for name in ("train", "validation", "test")])
    assert sorted(rows) == list(range(sum(counts)))
    for label, count in enumerate(counts):
        for name, fraction in zip(("validation", "test"), held_out, strict=True):
            found = np.sum(index.labels[index.rows(name)] == label)
            assert 1 <= found <= max(1, fraction * count + 0.5)
        assert np.any(index.labels[index.rows("train")] == label)


def test_another_seed_is_another_split_and_the_same_seed_the_same():
    first, again, other = (assign_splits(index_of([50, 50]), seed=seed).splits for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_new_example_leaves_the_others_where_they_are():
    small = assign_splits(index_of([40, 40]))
    large = assign_splits(index_of([40, 41]))
    moved = [id for id, split in zip(small.ids, small.splits, strict=True) if large.splits[large.ids == id][0] != split]
    assert len(moved) <= 2


@pytest.mark.parametrize("cap", [1, 5, 10])
def test_cap_leaves_validation_and_test_alone_and_is_nested(cap):
    whole, capped, more = (
        assign_splits(index_of([30, 60]), train_examples_per_class=number) for number in (0, cap, cap + 3)
    )
    for name in ("validation", "test"):
        np.testing.assert_array_equal(whole.rows(name), capped.rows(name))
    assert np.bincount(capped.labels[capped.rows("train")]).tolist() == [cap, cap]
    assert set(capped.rows("train")) <= set(more.rows("train"))
    assert set(capped.splits) == {"train", "validation", "test", "unused"}


def test_two_splits_need_two_train_examples_a_class():
    owners = ["train", "test"] * 2
    with pytest.raises(InputError, match=r"Class 'c0'.*at least 2.*Received: 1"):
        assign_splits(index_of([2, 2], owners))


def test_a_source_without_train_is_refused():
    with pytest.raises(InputError, match=r"must have a train split. Received: validation, test"):
        assign_splits(index_of([4, 4], ["test", "validation"] * 4))


def test_leaks_are_counted():
    index = index_of([4, 4], ["train", "train", "validation", "test"] * 2, list("aabbacca"))
    # train: a a a c; validation: b c; test: b a
    assert count_leaks(index) == 2


def test_natural_order():
    names = ["img10", "img9", "10", "2", "b", "a1b20", "a1b3", "ä"]
    assert sorted(names, key=natural_key) == ["2", "10", "a1b3", "a1b20", "b", "img9", "img10", "ä"]


def test_splits_csv(tmp_path):
    splits = load_data("digits:3,7")
    splits.index.write_csv(tmp_path / "splits.csv")
    rows = list(csv.DictReader((tmp_path / "splits.csv").open()))
    assert list(rows[0]) == ["id", "path", "label", "split", "sha256", "width", "height", "status"]
    assert len(rows) == len(splits.index)
    assert {row["label"] for row in rows} == {"3", "7"}
    assert [row["split"] for row in rows] == splits.index.splits.tolist()


@pytest.mark.parametrize("split", [(0.7, 0.3), (0.5, 0.5, 0.0), (0.6, 0.3, 0.3)])
def test_bad_fractions(split):
    with pytest.raises(InputError, match=r"data\.split"):
        load_data("digits", split=split)
