"""Which parts of the names of files are told as possible groups."""

import re

import numpy as np
import pytest

from tfl.data.index import make_index
from tfl.data.name_parts import describe_groups

SPEAKERS = ("anna", "bert", "carl")


def told(names, labels=None):
    labels = [name.rpartition("/")[2].lstrip("-")[0] for name in names] if labels is None else labels
    classes, numbers = np.unique(labels, return_inverse=True)
    index, _ = make_index(names, numbers, classes.tolist(), splits=[""] * len(names), sha256=names, facts={})
    return describe_groups(index, ("clip", "clips"))


SPEECH = [f"{digit}_{name}_{take}.wav" for digit in range(3) for name in SPEAKERS for take in range(4)]


@pytest.mark.parametrize(
    "names",
    [SPEECH, [f"all/{name}" for name in SPEECH], [f"{n[0]}/{n}" for n in SPEECH], [f"{n[0]}/-{n}" for n in SPEECH]],
)
def test_the_speaker_is_told_with_a_pattern_that_finds_it(names):
    line = told(names)
    assert re.search(r"such as 'anna' in '-?0_anna_0'", line) and "a random split flatters" in line
    pattern = line.partition("data.group_pattern='")[2].partition("'")[0]
    assert {re.search(pattern, name)[1] for name in names} == set(SPEAKERS)


@pytest.mark.parametrize(
    "names",
    [
        [f"{digit}_{take}.wav" for digit in range(3) for take in range(12)],  # takes
        [f"{digit}_{take:03}.wav" for take in range(12) for digit in range(3)],
        [f"{digit}/clip{number}.wav" for digit in range(3) for number in range(9)],  # all different
        [f"{digit}_x_{number}.wav" for digit in range(3) for number in range(9)],  # a part that is always the same
        [f"{digit}_{'abc'[digit]}_{number}.wav" for digit in range(3) for number in range(9)],  # the class again
        [f"{digit}{'_a' * number}.wav" for digit in range(3) for number in range(9)],  # of no common form
    ],
)
def test_what_is_no_group_is_not_told(names):
    assert told(names) == ""


def test_data_with_groups_or_splits_are_not_told():
    labels = np.array([int(name[0]) for name in SPEECH])
    make = {"splits": [""] * len(SPEECH), "sha256": SPEECH, "facts": {}}
    index, _ = make_index(SPEECH, labels, ["0", "1", "2"], **make, groups=[name.split("_")[1] for name in SPEECH])
    assert describe_groups(index, ("clip", "clips")) == ""
    index, _ = make_index(SPEECH, labels, ["0", "1", "2"], **(make | {"splits": ["train", "test"] * 18}))
    assert describe_groups(index, ("clip", "clips")) == ""
