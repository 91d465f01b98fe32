"""Which split a name speaks of: `Training`, `test_set`, `seg_train`, `train1`, `valid`, ..."""

import re
from collections.abc import Iterable

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
_EVALUATION = ("eval", "evaluation")
_FILLERS = {  # say nothing of which part of the data it is
    *("set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "photo", "photos", "picture"),
    *("pictures", "pic", "pics", "sample", "samples", "file", "files", "folder", "dir", "split", "seg", "v", "the"),
    *("annot", "annotation", "annotations", "label", "labels", "mask", "masks", "new", "final", "small", "full", "all"),
}
_FUSED = re.compile(rf"\b({'|'.join(SPLIT_WORDS)})({'|'.join(_FILLERS)})\b")
_EDGES = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=\D)(?=\d)|(?<=\d)(?=\D)")


def find_splits(names: Iterable[str]) -> dict[str, str]:
    """Return for each name that speaks of a split which one: "train", "validation" or "test".

    Words beside the split's must say nothing (`training_set`, `TestData`, `train1`), or stand in the name of another
    split, too (`asl_alphabet_train`, `asl_alphabet_test`): a "train station" alone is no split.

    Args:
        names: of the folders that stand side by side.

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
    # Beside a validation folder, what is called "eval" is the test set.
    evaluation = [name for name in found if read[name][0] in _EVALUATION]
    if list(found.values()).count("validation") > len(evaluation) > 0:
        found |= dict.fromkeys(evaluation, "test")
    return found


def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the first word that names a split ("" where none does), and the words that say something else."""
    text = re.sub(r"[\W_]+", " ", _EDGES.sub(" ", name).lower())
    words = _FUSED.sub(r"\1 \2", text).split()
    split = next((word for word in words if word in SPLIT_WORDS), "")
    known = (*SPLIT_WORDS, *_FILLERS)
    return split, tuple(word for word in words if word not in known and not word.isdigit())
