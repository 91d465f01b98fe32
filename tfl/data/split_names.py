"""Find the split that a folder name means: `Training`, `test_set`, `seg_train`, `train1`, `valid`, ..."""

import re
from collections.abc import Iterable, Sequence

NO_SPLIT = "it is in none of the splits, which other files have"
SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
_EVALUATION = ("eval", "evaluation")
_FILLERS = {  # words that do not say which part of the data it is
    *("set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "photo", "photos", "picture"),
    *("pictures", "pic", "pics", "sample", "samples", "file", "files", "folder", "dir", "split", "seg", "v", "the"),
    *("annot", "annotation", "annotations", "label", "labels", "mask", "masks", "new", "final", "small", "full", "all"),
}
_FUSED = re.compile(rf"\b({'|'.join(SPLIT_WORDS)})({'|'.join(_FILLERS)})\b")
_EDGES = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=\D)(?=\d)|(?<=\d)(?=\D)")


def in_no_split(splits: Sequence[str]) -> list[bool]:
    """Return which examples are in no split, although others are in two or more: they would never be used.

    Example:
        >>> in_no_split(["train", "", "test"]), in_no_split(["", "train"])
        ([False, True, False], [False, False])
    """
    is_divided = len({*splits} - {""}) > 1
    return [is_divided and not split for split in splits]


def find_splits(names: Iterable[str]) -> dict[str, str]:
    """Return the split, "train", "validation" or "test", of each name that means one.

    The other words in a name must have no meaning (`training_set`, `TestData`, `train1`), or must also be in the name
    of another split (`asl_alphabet_train`, `asl_alphabet_test`): a folder "train station" alone is not a split.

    Args:
        names: of the folders in one folder.

    Example:
        >>> find_splits(["Training", "test_set", "cat"])
        {'Training': 'train', 'test_set': 'test'}
    """
    read = {name: _read(name) for name in names}
    found = {
        name: SPLIT_WORDS[word]
        for name, (word, rest) in read.items()
        if word and (not rest or any(w and rest == r and SPLIT_WORDS[w] != SPLIT_WORDS[word] for w, r in read.values()))
    }
    # If there is also a validation folder, "eval" means the test set.
    evaluation = [name for name in found if read[name][0] in _EVALUATION]
    if list(found.values()).count("validation") > len(evaluation) > 0:
        found |= dict.fromkeys(evaluation, "test")
    return found


def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the first word that names a split ("" if none does), and all words with another meaning."""
    text = re.sub(r"[\W_]+", " ", _EDGES.sub(" ", name).lower())
    words = _FUSED.sub(r"\1 \2", text).split()
    split = next((word for word in words if word in SPLIT_WORDS), "")
    known = (*SPLIT_WORDS, *_FILLERS)
    return split, tuple(word for word in words if word not in known and not word.isdigit())
