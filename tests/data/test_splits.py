"""Splits: fractions, every class everywhere, stability, caps."""

import csv
import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfl
from tfl.build import load_splits
from tfl.data import assign_splits, count_leaks, find_contradictions, load_data
from tfl.data.index import make_index
from tfl.data.split_rules import split_by_content, split_by_time
from tfl.errors import InputError
from tfl.registry import natural_key


def index_of(counts, owners=None, sha256=None):
    labels = np.repeat(np.arange(len(counts)), counts)
    ids = [f"c{label}/{i}" for label, count in enumerate(counts) for i in range(count)]
    index, _ = make_index(
        ids,
        labels,
        [f"c{label}" for label in range(len(counts))],
        splits=owners or [""] * len(ids),
        sha256=sha256 or ids,
        facts={"width": np.ones(len(ids)), "height": np.ones(len(ids))},
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


def test_leaks_of_every_pair_of_splits_are_counted():
    index = index_of([4, 4], ["train", "train", "validation", "test"] * 2, list("aabbacca"))
    # train: a a a c; validation: b c; test: b a
    assert count_leaks(index) == {("train", "validation"): 1, ("train", "test"): 1, ("validation", "test"): 1}


def test_unknown_contents_and_images_of_other_shapes_are_no_copies():
    index = dataclasses.replace(index_of([6, 6]), sha256=np.array(["", "a"] * 6), facts={"width": np.arange(12)})
    assert len(set(index.contents())) == 12
    assert not find_contradictions(index) and not any(count_leaks(assign_splits(index)).values())


@settings(max_examples=60, deadline=None)
@given(
    copies=st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=25), min_size=2, max_size=4),
    held_out=st.tuples(st.floats(0.05, 0.4), st.floats(0.05, 0.4)),
    seed=st.integers(0, 9),
    own_test=st.booleans(),
)
def test_copies_of_an_image_stay_together(copies, held_out, seed, own_test):
    counts = [sum(group) for group in copies]
    digests = [
        f"{label}-{i}" for label, group in enumerate(copies) for i, size in enumerate(group) for _ in range(size)
    ]
    owners = ["test" if own_test and digest.endswith("-0") else "train" for digest in digests]
    split = (1 - sum(held_out), *held_out)
    index = assign_splits(index_of(counts, owners, digests), split=split, seed=seed)
    assert not any(count_leaks(index).values())
    for label, count in enumerate(counts):
        for name, fraction in zip(("validation", "test"), held_out, strict=True):
            found = np.sum(index.labels[index.rows(name)] == label)
            assert found >= 1
            # Where no image fits into a split, it gets the smallest that is left, with all its copies.
            assert own_test or found <= max(*copies[label], fraction * count + 0.5)
        assert np.any(index.labels[index.rows("train")] == label)


def test_a_cut_without_copies_is_the_one_of_before():
    """Runs that have begun go on: their splits.csv must list the same examples."""
    index = assign_splits(index_of([20, 30]))
    for label, (held, count) in enumerate([((3, 3), 20), ((4, 4), 30)]):
        ids = [f"c{label}/{i}" for i in range(count)]
        ranked = sorted(ids, key=lambda name: hashlib.sha256(f"0/c{label}/{name}".encode()).digest())
        of = dict(zip(index.ids, index.splits, strict=True))
        parts = ["validation"] * held[0] + ["test"] * held[1] + ["train"] * (count - sum(held))
        assert [of[name] for name in ranked] == parts


def test_one_image_under_two_labels_is_said_and_stays_in_one_split(capsys):
    digests = [f"c{k}-{i}" for k in range(2) for i in range(10)]
    digests[12:16] = digests[2:6]
    for seed in range(10):
        index = assign_splits(index_of([10, 10], sha256=digests), seed=seed)
        assert not any(count_leaks(index).values())
        assert all(len(index.rows(name)) for name in ("train", "validation", "test"))
    assert [index.sha256[rows].tolist() for rows in find_contradictions(index)] == [[d] * 2 for d in digests[2:6]]
    said = capsys.readouterr().err
    assert "4 examples have more than one label, the first: c0/2, c1/2. One of the labels is wrong." in said


def test_contradictions_of_other_labels_than_classes():
    index = index_of([8], sha256=list("aabbccdd"))
    rows = dataclasses.replace(index, labels=np.array([[0, 1], [0, 1], [0, 1], [1, 1]] * 2, np.float32))
    assert [list(index.sha256[found]) for found in find_contradictions(rows)] == [["b", "b"], ["d", "d"]]
    values = dataclasses.replace(index, labels=np.array([1, 1, 2, 3, 4, 4, 5, 5], np.float32))
    assert [list(index.sha256[found]) for found in find_contradictions(values)] == [["b", "b"]]
    assert not any(count_leaks(assign_splits(values)).values())


def test_a_class_of_copies_alone_is_refused():
    with pytest.raises(
        InputError, match=r"Class 'c1'.*at least 3 usable examples.*Received: 9 examples, of which only 2 are different"
    ):
        assign_splits(index_of([4, 9], sha256=[*"abcd", *"xxxxxyyyy"]))
    with pytest.raises(InputError, match=r"Class 'c1' of `data.source` must have examples that no other class has"):
        assign_splits(index_of([30, 3], sha256=[*map(str, range(30)), "0", "1", "2"]), split=(0.9, 0.05, 0.05))


def test_natural_order():
    names = ["img10", "img9", "10", "2", "b", "a1b20", "a1b3", "ä"]
    assert sorted(names, key=natural_key) == ["2", "10", "a1b3", "a1b20", "b", "img9", "img10", "ä"]


def test_splits_csv(tmp_path):
    splits = load_data("digits:3,7")
    splits.index.write_csv(tmp_path / "splits.csv")
    rows = list(csv.DictReader((tmp_path / "splits.csv").open()))
    assert list(rows[0]) == ["id", "path", "label", "split", "sha256", "width", "height"]
    assert len(rows) == len(splits.index)
    assert {row["label"] for row in rows} == {"3", "7"}
    assert [row["split"] for row in rows] == splits.index.splits.tolist()


def test_rows_of_numbers_are_written_as_sets_or_as_values(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 8, 8, 3)).astype(np.uint8)
    values, sets = rng.normal(100, 1, (30, 2)).astype(np.float32), rng.integers(0, 2, (30, 2)).astype(np.float32)
    config = tfl.TransferConfig(task=tfl.TaskConfig(name="regression"))
    for labels, splits, is_set in (
        (values, load_data((images, values)), False),
        (sets, load_data((images, sets)), True),
        (sets, load_splits(config, (images, sets)), False),  # the task says that 0 and 1 are values
    ):
        splits.index.write_csv(tmp_path / "splits.csv")
        for row in csv.DictReader((tmp_path / "splits.csv").open()):
            label = labels[int(row["id"])]
            if is_set:
                assert row["label"].split("|") == ([str(k) for k in np.flatnonzero(label)] or [""])
            else:
                np.testing.assert_array_equal(np.array(row["label"].split("|"), np.float32), label)


@pytest.mark.parametrize("split", [(0.7, 0.3), (0.5, 0.5, 0.0), (0.6, 0.3, 0.3)])
def test_bad_fractions(split):
    with pytest.raises(InputError, match=r"data\.split"):
        load_data("digits", split=split)


@settings(max_examples=40, deadline=None)
@given(
    owned=st.lists(st.integers(0, 40), min_size=30, max_size=80),
    more=st.lists(st.integers(0, 40), max_size=60),
    grouped=st.booleans(),
)
def test_by_content_new_images_never_move_old_ones(owned, more, grouped):
    """Some contents occur several times; the new ones are copies, members of old groups, or neither."""

    def splits_of(contents):
        index = index_of([len(contents)])
        groups = np.array([f"g{c % 7}" if c % 3 else "" for c in contents]) if grouped else index.groups
        whole = dataclasses.replace(index, sha256=np.array([f"sha{c}" for c in contents]), groups=groups)
        return dict(zip(index.ids.tolist(), split_by_content(whole, (0.5, 0.25, 0.25), 0).tolist(), strict=True)), whole

    old, _ = splits_of(owned)
    new, index = splits_of(owned + more)
    assert {name: new[name] for name in old} == old
    parts = np.array(list(new.values()))
    for keys in (index.sha256, index.groups):
        for key in set(keys.tolist()) - {""}:
            assert len(set(parts[keys == key])) == 1


def test_by_content_the_shares_are_those_that_were_asked_for():
    splits = split_by_content(index_of([4000]), (0.6, 0.1, 0.3), 1)
    shares = [np.mean(splits == name) for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, (0.6, 0.1, 0.3), atol=4 * 0.5 / 4000**0.5)


@settings(max_examples=60, deadline=None)
@given(
    days=st.lists(st.integers(0, 20), min_size=10, max_size=60).filter(lambda days: len(set(days)) > 2),
    grouped=st.booleans(),
    dates=st.booleans(),
)
def test_by_time_train_is_older_than_validation_and_test(days, grouped, dates):
    index = index_of([len(days)])
    texts = [f"2024-05-{day + 1:02d}" if dates else str(day) for day in days]
    groups = np.array([f"g{number % 5}" if number % 2 else "" for number in range(len(days))])
    index = dataclasses.replace(index, times=np.array(texts), **({"groups": groups} if grouped else {}))
    splits = split_by_time(index, (0.6, 0.2, 0.2), ("example", "examples"))
    train, validation, test = (np.array(days)[splits == name] for name in ("train", "validation", "test"))
    for older, newer in ((train, validation), (train, test), (validation, test)):
        if len(older) and len(newer):
            assert older.max() < newer.min()
    if grouped:
        for group in set(groups.tolist()) - {""}:
            assert len(set(splits[groups == group].tolist()) - {"unused"}) <= 1
    else:
        assert len(train) and len(validation) and len(test) and "unused" not in splits


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([*map(str, range(8)), "", "9"], r"a number, or a date .*Received: '' for c0/8"),
        ([*("2024-01-0" + str(n) for n in range(1, 10)), "May"], "Received: 'May' for c0/9"),
        (["1", "2"] * 5, "fewer than three different times. Received: 2"),
        ([], "without a column of times"),
    ],
)
def test_times_that_cannot_be_used_are_named(times, message):
    with pytest.raises(InputError, match=message):
        assign_splits(dataclasses.replace(index_of([10]), times=np.array(times, np.str_)), by="time")


def test_a_recorded_split_is_the_split_again_and_what_differs_is_named(tmp_path, capsys):
    index = index_of([30, 30])
    first = assign_splits(index, seed=5)
    first.write_csv(tmp_path / "splits.csv")
    for place in (tmp_path, tmp_path / "splits.csv"):
        assert assign_splits(index, seed=0, by=str(place)).splits.tolist() == first.splits.tolist()
    assert "differ" not in capsys.readouterr().err
    digests = index.sha256.copy()
    digests[3] = "other"
    ids = index.ids.copy()
    ids[40] = "new"
    again = assign_splits(dataclasses.replace(index, ids=ids, sha256=digests), by=str(tmp_path))
    assert set(np.flatnonzero(again.splits != first.splits)) == {3, 40}
    assert again.splits[[3, 40]].tolist() == ["unused", "unused"]
    said = capsys.readouterr().err
    for line in ("1 new (not used), the first: new", f"1 changed (not used), the first: {ids[3]}", "1 gone, the first"):
        assert line in said


def test_splits_that_cannot_be_made_are_refused(tmp_path):
    index = index_of([30, 30])
    assign_splits(dataclasses.replace(index, sha256=np.array(["x" + d for d in index.sha256]))).write_csv(
        tmp_path / "splits.csv"
    )
    with pytest.raises(InputError, match="lists none of the 60 examples"):
        assign_splits(index, by=str(tmp_path))
    with pytest.raises(InputError, match=r"Received: 'contents'\. Did you mean 'content'\?"):
        assign_splits(index, by="contents")
    with pytest.raises(InputError, match="must be 'class' for a source that has splits of its own"):
        assign_splits(index_of([4, 4], ["train", "train", "validation", "test"] * 2), by="content")
    with pytest.raises(InputError, match=r"puts no example of class 'c1' into validation and test"):
        times = np.array([*map(str, range(100, 130)), *map(str, range(30))])
        assign_splits(dataclasses.replace(index, times=times), by="time")


def test_sets_of_near_duplicates_stay_together():
    index = index_of([40])
    ids = index.ids.tolist()
    groups = np.array(["a", "a", *[""] * 38])
    joined = dataclasses.replace(index, groups=groups).united([ids[1:4], ids[3:6], ids[10:12], []])
    assert joined.groups.tolist() == ["a"] * 6 + [""] * 4 + [f"set of {ids[10]}"] * 2 + [""] * 28
    parts = [set(assign_splits(joined, seed=seed).splits[:6].tolist()) for seed in range(20)]
    assert all(len(part) == 1 for part in parts) and len(set.union(*parts)) > 1
    assert index.united([]) is index
    with pytest.raises(ValueError, match=r"must hold ids of the index\. Received: 'nobody'"):
        index.united([["nobody"]])
