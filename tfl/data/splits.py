"""Divide a data set into train, validation and test, so that no choice is made on the reported test examples.

The split of an example depends on a hash of (seed, class, id): a new photo in a folder does not shuffle the others
across the splits. Copies of one image go to the split of the first of them, and so do the examples of one group.
"""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from tfl import progress
from tfl.config.values import SPLIT_RULES
from tfl.data.index import UNUSED, Index
from tfl.data.split_names import SPLITS
from tfl.data.split_rules import split_as_recorded, split_by_content, split_by_time
from tfl.data.strata import strata_of
from tfl.errors import InputError
from tfl.inputs import Input


def assign_splits(
    index: Index,
    *,
    split: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    by: str = "class",
    train_examples_per_class: int = 0,
    nouns: tuple[str, str] = Input.noun,
) -> Index:
    """Give every example of an index its split.

    A source with three splits of its own keeps them. If it has two, the second one becomes the test set, and
    validation examples are taken from train: if one set were both validation and test set, every reported number would
    be too optimistic. If it has none, each class is divided by the fractions, with at least one example in every
    split. Examples with the same content always go to the same split, except in splits that the source brings itself.

    Args:
        index: its `splits` hold the source's own names, or "".
        split: fractions of train, validation and test.
        seed: of the hash that orders the examples of a class.
        by: "class": class by class at random; "content": each example by a hash of its content; "time": the oldest
            are train, the newest test; or the path of the `splits.csv` or workdir of another run. Only a recorded
            split replaces the splits of a source that brings some.
        train_examples_per_class: maximum number of train examples per class, the others become "unused"; 0: all.
        nouns: the name of one example and of several, for messages.

    Returns:
        The index with new `splits`.

    Raises:
        InputError: a class has too few different examples for all splits.
    """
    if by == "class":
        splits = _class_by_class(index, split, seed, train_examples_per_class, nouns)
    else:
        splits = _by_rule(index, by, split, seed, nouns)
        _check_every_split(index, splits, by, nouns)
        for name, rows in strata_of(index, np.flatnonzero(splits == "train")).items():
            if train_examples_per_class:
                splits[_ranked(index, rows, name, seed)[train_examples_per_class:]] = UNUSED
    result = dataclasses.replace(index, splits=splits)
    _warn_of_copies(result, nouns)
    return result


def _by_rule(index: Index, by: str, split: Sequence[float], seed: int, nouns: tuple[str, str]) -> np.ndarray:
    """Return the split of each example by another rule than class by class."""
    if by not in SPLIT_RULES:
        return split_as_recorded(index, by, nouns)
    if np.any(index.splits != ""):
        raise InputError(
            f"`data.split_by` must be 'class' for a source that has splits of its own. Received: data.split_by={by!r}."
        )
    return split_by_time(index, split, nouns) if by == "time" else split_by_content(index, split, seed)


def _class_by_class(index: Index, split: Sequence[float], seed: int, cap: int, nouns: tuple[str, str]) -> np.ndarray:
    """Return the source's own splits, completed by examples that are drawn class by class."""
    own = [name for name in SPLITS if np.any(index.splits == name)]
    splits = index.splits.astype(f"<U{max(map(len, (*SPLITS, UNUSED)))}")
    if own and "train" not in own:
        raise InputError(f"`data.source` must have a train split. Received: {', '.join(own)}.")
    if len(own) == 2:
        splits[splits == "validation"] = "test"
        wanted = {"validation": split[1] / (split[0] + split[1])}
    elif len(own) < 2:
        splits[:] = "train"
        wanted = {"validation": split[1], "test": split[2]}
    else:
        wanted = {}
    _cut(index, splits, wanted, seed, cap, nouns)
    return splits


def hold_out(index: Index, share: float, *, seed: int = 0, nouns: tuple[str, str] = Input.noun) -> Index:
    """Use every example for training, but a share of each class for validation; there is no test split.

    Args:
        index: splits of its own are ignored.
        share: of validation; 0: every example is for training.
        seed: as for `assign_splits`.
        nouns: as for `assign_splits`.

    Returns:
        The index with new `splits`.

    Raises:
        InputError: a class has too few different examples.
    """
    splits = np.full(len(index), "train", f"<U{max(map(len, SPLITS))}")
    if share:
        _cut(index, splits, {"validation": share}, seed, 0, nouns)
    return dataclasses.replace(index, splits=splits)


def find_leaks(index: Index) -> dict[tuple[str, str], np.ndarray]:
    """Find the examples whose exact content is also in another split, for every pair of splits.

    Returns:
        For each pair (split, other split), the int64 rows of the other split whose content is also in the first one:
        ("train", "test") gives the test examples that the model was trained on. In the order train, validation, test.
    """
    contents = index.contents()
    rows = {name: index.rows(name) for name in SPLITS}
    return {
        (a, b): rows[b][np.isin(contents[rows[b]], contents[rows[a]])] for a, b in itertools.combinations(SPLITS, 2)
    }


def count_leaks(index: Index) -> dict[tuple[str, str], int]:
    """Return the number of rows that `find_leaks` finds for every pair of splits."""
    return {pair: len(rows) for pair, rows in find_leaks(index).items()}


def find_contradictions(index: Index) -> list[np.ndarray]:
    """Return the rows of each content that has more than one label: at least one of these labels must be wrong."""
    labels = np.unique(index.labels, axis=0, return_inverse=True)[1].reshape(-1)
    return [rows for rows in _copies(index.contents()) if len(set(labels[rows])) > 1]


def _groups_in_two_splits(index: Index) -> list[str]:
    """Return the groups with examples in several splits: only a source with splits of its own can have them."""
    if not len(index.groups):
        return []
    used = np.isin(index.splits, SPLITS) & (index.groups != "")
    pairs = np.unique(np.stack([index.groups[used], index.splits[used]], axis=1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    return names[counts > 1].tolist()


def _copies(contents: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each content that occurs more than once."""
    order = np.argsort(contents, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(contents[order])) + 1)
    return [group for group in groups if len(group) > 1]


def _cut(
    index: Index, splits: np.ndarray, wanted: dict[str, float], seed: int, cap: int, nouns: tuple[str, str]
) -> None:
    """Move examples of "train" to the other splits, class by class, in place.

    Copies of one image, and the examples of one group, stay together even if their labels differ.
    """
    contents, in_train = index.together(), splits == "train"
    copies = {int(contents[rows[0]]): rows[in_train[rows]] for rows in _copies(contents)}
    placed = ~in_train
    for name, rows in strata_of(index, np.flatnonzero(in_train)).items():
        ranked = _ranked(index, rows, name, seed)
        counts = _held_out_counts(name, len(rows), len(np.unique(contents[rows])), wanted, nouns[1])
        firsts = ranked[np.sort(np.unique(contents[ranked], return_index=True)[1])]
        groups = [copies.get(int(contents[row]), np.array([row])) for row in firsts if not placed[row]]
        sizes = {
            int(content): int(size)
            for content, size in zip(*np.unique(contents[rows], return_counts=True), strict=True)
        }
        for number, (part, count) in enumerate(counts.items()):
            there = int(np.sum(splits[rows] == part))
            chosen = _choose(
                [sizes[int(contents[group[0]])] for group in groups],
                count - there,
                at_least=0 if there else 1,
                keep=len(counts) - number,
            )
            for place in chosen:
                splits[groups[place]] = part
            groups = [group for place, group in enumerate(groups) if place not in chosen]
        placed[np.concatenate([rows, *groups])] = True
        if cap:
            splits[ranked[splits[ranked] == "train"][cap:]] = UNUSED
    _check_every_class(index, splits, wanted, nouns)


def _choose(sizes: list[int], room: int, at_least: int, keep: int) -> set[int]:
    """Choose groups, in order, that together have at most `room` examples.

    Args:
        sizes: of the groups, in order.
        room: wanted number of examples.
        at_least: smallest number of groups, 0 or 1; if no group fits, the smallest group is chosen.
        keep: number of groups that must remain for the other splits.
    """
    chosen: set[int] = set()
    for place, size in enumerate(sizes):
        if room <= 0 or len(sizes) - len(chosen) <= keep:
            break
        if size <= room:
            chosen.add(place)
            room -= size
    if len(chosen) < at_least and len(sizes) > keep:
        chosen = {int(np.argmin(sizes))}
    return chosen


def _ranked(index: Index, rows: np.ndarray, class_name: str, seed: int) -> np.ndarray:
    def key(row: int) -> bytes:
        text = f"{seed}/{class_name}/{index.ids[row]}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

    return np.array(sorted(rows, key=key), np.int64)


def _held_out_counts(
    class_name: str, count: int, different: int, fractions: dict[str, float], several: str
) -> dict[str, int]:
    """Round the fractions to whole examples, at least one in each split and in train."""
    if different <= len(fractions):
        subject = f"Class '{class_name}' of `data.source`" if class_name else "`data.source`"
        names = ", ".join(("train", *fractions))
        raise InputError(
            f"{subject} must have at least {len(fractions) + 1} usable {several}, one for each of {names}. "
            f"Received: {count} {several}{'' if different == count else f', of which only {different} are different'}."
        )
    counts = {part: max(1, round(count * fraction)) for part, fraction in fractions.items()}
    while sum(counts.values()) >= count:
        counts[max(counts, key=lambda part: counts[part])] -= 1
    return counts


def _classes_that_lack(index: Index, splits: np.ndarray, parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each class that has no example in some splits, with the names of these splits."""
    for name, rows in strata_of(index, np.arange(len(index))).items():
        missing = [part for part in parts if not np.any(splits[rows] == part)]
        if missing:
            yield name, " and ".join(missing)


def _check_every_split(index: Index, splits: np.ndarray, by: str, nouns: tuple[str, str]) -> None:
    """Refuse a split by a rule that leaves a class without examples in some split."""
    for name, missing in _classes_that_lack(index, splits, SPLITS):
        of_class = f" of class '{name}'" if name else ""
        raise InputError(
            f"`data.split_by` must put {nouns[1]} of every class into train, validation and test. "
            f"Received: data.split_by={by!r}, which puts no {nouns[0]}{of_class} into {missing}."
        )


def _check_every_class(index: Index, splits: np.ndarray, wanted: dict[str, float], nouns: tuple[str, str]) -> None:
    """Refuse a class that has no examples in some split, because its examples are also in other classes."""
    if index.is_multiclass and wanted:
        for name, missing in _classes_that_lack(index, splits, ("train", *wanted)):
            raise InputError(
                f"Class '{name}' of `data.source` must have {nouns[1]} that no other class has. Received: no "
                f"{nouns[0]} for {missing}, because other classes have the same {nouns[1]}"
                f"{' or groups' if len(index.groups) else ''}."
            )


def _warn_of_copies(index: Index, nouns: tuple[str, str]) -> None:
    leaks = {pair: count for pair, count in count_leaks(index).items() if count}
    if leaks:
        found = ", ".join(f"{count} of {other} are also in {split}" for (split, other), count in leaks.items())
        progress.say(
            f"Warning: two splits have the same {nouns[1]}, byte for byte: {found}. The results are too optimistic."
        )
    shared = _groups_in_two_splits(index)
    if shared:
        progress.say(
            f"Warning: {len(shared)} groups are in more than one split, the first: {shared[0]!r}. The results may be "
            "too optimistic."
        )
    contradictions = find_contradictions(index)
    if contradictions:
        names = ", ".join(str(index.ids[row]) for row in contradictions[0][:3])
        have = f"{nouns[1]} have" if len(contradictions) > 1 else f"{nouns[0]} has"
        progress.say(
            f"Warning: {len(contradictions)} {have} more than one label, the first: {names}. "
            "One of the labels is wrong."
        )
