"""The formats of true labels: a class, a set of labels, values, a mask, or boxes. Each task has one of them."""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.data.boxes.text import from_text, to_rows
from tfl.errors import InputError
from tfl.registry import did_you_mean, find_same, look_alike

SEPARATOR = "|"  # between the labels or values of one example, in files


class LabelFormat(abc.ABC):
    """The form of labels in an index and in files.

    Attributes:
        has_one_class: whether each example belongs to exactly one class: splits and folds are then stratified, and
            classes may have weights.
        has_names: whether labels stand for names from the data.
        is_numbered_by_tfl: whether tfl itself makes the labels of an index, so that a run need not check them.
        are_files: whether a label is a file of its own, which a table names.
        form: the allowed numbers, see `tfl.models.labels.LabelRule`.
        soft_form: the allowed numbers if soft labels are allowed too.
    """

    has_one_class: bool = False
    has_names: bool = True
    is_numbered_by_tfl: bool = False
    are_files: bool = False
    form: str
    soft_form: str

    @abc.abstractmethod
    def describe_misfit(self, labels: np.ndarray) -> str:
        """Return why the labels of an index do not have this format, and what to do; "" if they have it.

        Args:
            labels: int64 `(N,)` class numbers, float32 `(N,)` values, `(N, K)` rows, str `(N,)` digests of masks, or
                `(N,)` texts of boxes.
        """

    @abc.abstractmethod
    def output_names(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
        """Return the name of each output: the class names, or the given or a new name for each value."""

    @abc.abstractmethod
    def text(self, label: Any, names: Sequence[str]) -> str:
        """Return one label as text for a file."""

    def names_in(self, text: str) -> list[str]:
        """Return the names of the classes or labels in a text from `text`."""
        return [text]

    @abc.abstractmethod
    def parse(self, texts: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """Return the labels of texts from `text`.

        Raises:
            KeyError: a name is not in `names`.
            ValueError: a text is not a label.
        """

    @abc.abstractmethod
    def name_labels(self, labels: np.ndarray, names: Sequence[str]) -> list[Any]:
        """Return labels in a form that does not depend on the order of the names."""

    def reorder(self, labels: np.ndarray, columns: Sequence[int]) -> np.ndarray:
        """Return labels for a new order of the outputs: new output k is the old output `columns[k]`."""
        return labels[:, list(columns)]

    def in_order_of_model(self, labels: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the labels of another source as those of a model; `order` is from `match`."""
        return labels[:, order] if labels.ndim == 2 else labels

    @abc.abstractmethod
    def match(self, labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
        """Return the mapping from the labels of another source to the labels of a model.

        Args:
            labels: of the source.
            names: class names of the source.
            known: class names of the model.

        Returns:
            For classes: for each class of the source its number in the model; the source may have fewer classes. Else:
            for each output of the model its column in the source.

        Raises:
            InputError: the model does not know a class, or a column is missing.
        """


class ClassLabels(LabelFormat):
    """One class: its number."""

    has_one_class = True
    is_numbered_by_tfl = True

    def __init__(self, form: str = "numbers", soft_form: str = "numbers") -> None:
        self.form, self.soft_form = form, soft_form

    def describe_misfit(self, labels: np.ndarray) -> str:
        """See `LabelFormat`."""
        return "" if labels.dtype.kind == "i" else _describe_numbers(labels)

    def output_names(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
        """See `LabelFormat`."""
        return tuple(class_names)

    def text(self, label: Any, names: Sequence[str]) -> str:
        """See `LabelFormat`."""
        return names[int(label)]

    def parse(self, texts: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        number = {name: position for position, name in enumerate(names)}
        return np.array([number[text] for text in texts], np.int64)

    def name_labels(self, labels: np.ndarray, names: Sequence[str]) -> list[Any]:
        """See `LabelFormat`."""
        return [names[label] for label in labels]

    def reorder(self, labels: np.ndarray, columns: Sequence[int]) -> np.ndarray:
        """See `LabelFormat`."""
        return np.argsort(columns)[labels]

    def in_order_of_model(self, labels: np.ndarray, order: np.ndarray) -> np.ndarray:
        """See `LabelFormat`."""
        return order[labels]

    def match(self, labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        return _number_names(names, known)


class SetLabels(LabelFormat):
    """A set of labels: a row of 0 and 1."""

    form, soft_form = "zero_or_one", "zero_to_one"

    def describe_misfit(self, labels: np.ndarray) -> str:
        """See `LabelFormat`."""
        if labels.dtype.kind == "i":
            return "class numbers. Did you mean rows of 0 and 1?"
        return "" if labels.dtype.kind == "f" and labels.ndim == 2 else _describe_numbers(labels)

    def output_names(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
        """See `LabelFormat`."""
        return tuple(class_names)

    def text(self, label: Any, names: Sequence[str]) -> str:
        """See `LabelFormat`."""
        return SEPARATOR.join(name for name, present in zip(names, np.ravel(label), strict=True) if present)

    def names_in(self, text: str) -> list[str]:
        """See `LabelFormat`."""
        return text.split(SEPARATOR)

    def parse(self, texts: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        number = {name: position for position, name in enumerate(names)}
        present = np.zeros((len(texts), len(names)), np.float32)
        for row, text in enumerate(texts):
            present[row, [number[name] for name in text.split(SEPARATOR) if text]] = 1.0
        return present

    def name_labels(self, labels: np.ndarray, names: Sequence[str]) -> list[Any]:
        """See `LabelFormat`."""
        return [{names[k] for k in np.flatnonzero(row).tolist()} for row in labels]

    def match(self, labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        numbers = _number_names(names, known)
        lacking = [name for number, name in enumerate(known) if number not in numbers]
        if lacking:
            raise InputError(
                f"`source` must have a column for every label of the model. Received: no column for "
                f"{', '.join(map(repr, lacking))}."
            )
        return np.argsort(numbers)


class ValueLabels(LabelFormat):
    """One value, or a row of values."""

    form = soft_form = "finite"
    has_names = False

    def describe_misfit(self, labels: np.ndarray) -> str:
        """See `LabelFormat`."""
        if labels.dtype.kind == "i":
            return "class numbers. Did you mean values as float?"
        return "" if labels.dtype.kind == "f" else _describe_numbers(labels)

    def output_names(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
        """See `LabelFormat`."""
        return tuple(class_names) or _positions(labels)

    def text(self, label: Any, names: Sequence[str]) -> str:
        """See `LabelFormat`."""
        return SEPARATOR.join(f"{value:.9g}" for value in np.ravel(label))  # enough digits for float32

    def parse(self, texts: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        values = np.array([[float(part) for part in text.split(SEPARATOR)] for text in texts])
        if not np.isfinite(values).all() or values.shape[1] != len(names):
            raise ValueError(f"a label is not {len(names)} finite numbers")
        return values[:, 0] if len(names) == 1 else values

    def name_labels(self, labels: np.ndarray, names: Sequence[str]) -> list[Any]:
        """See `LabelFormat`."""
        return labels.tolist()

    def match(self, labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        found = labels.shape[1] if labels.ndim == 2 else 1
        if found != len(known):
            raise InputError(
                f"`source` must have {len(known)} values for each example, as the model has. Received: {found} values."
            )
        if found == 1 or not names or tuple(known) == _positions(labels):  # one of them has no names
            return np.arange(found)
        return np.argsort(_number_names(names, known, "columns"))


class TextLabels(LabelFormat):
    """A text that does not depend on the numbers of the classes; the source makes the numbers of a label."""

    is_numbered_by_tfl = True
    are_files = True
    form = soft_form = "any"

    def output_names(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
        """See `LabelFormat`."""
        return tuple(class_names)

    def text(self, label: Any, names: Sequence[str]) -> str:
        """See `LabelFormat`: the text itself."""
        return str(label)

    def name_labels(self, labels: np.ndarray, names: Sequence[str]) -> list[Any]:
        """See `LabelFormat`."""
        return labels.tolist()

    def reorder(self, labels: np.ndarray, columns: Sequence[int]) -> np.ndarray:
        """See `LabelFormat`: the text is the same, whatever the order of the classes."""
        return labels

    def match(self, labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        return _number_names(names, known)


class MaskLabels(TextLabels):
    """A class for each position of an example: the label is a mask, and the index holds a digest of it."""

    def describe_misfit(self, labels: np.ndarray) -> str:
        """See `LabelFormat`."""
        return "" if labels.dtype.kind == "U" else "no masks. Did you mean data.source=masks:PATH?"

    def names_in(self, text: str) -> list[str]:
        """See `LabelFormat`: a digest does not say which classes a mask has."""
        return []

    def parse(self, texts: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        return np.array(texts, np.str_)


class BoxLabels(TextLabels):
    """Boxes of classes: the index holds them as text, with corners in pixels; see `tfl.data.boxes.text`.

    The labels of an index are a NumPy array of strings of variable width, because crowded images have long texts.
    """

    def describe_misfit(self, labels: np.ndarray) -> str:
        """See `LabelFormat`."""
        return "" if labels.dtype.kind == "T" else "no boxes. Did you mean data.source=boxes:PATH?"

    def names_in(self, text: str) -> list[str]:
        """See `LabelFormat`."""
        return sorted({box.name for box in from_text(text)})

    def parse(self, texts: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """See `LabelFormat`."""
        for text in texts:
            to_rows(text, {name: number for number, name in enumerate(names)})
        return np.array(texts, np.dtypes.StringDType())


def label_format_of(labels: np.ndarray, names: Sequence[str]) -> LabelFormat:
    """Return the format of the labels of an index.

    Args:
        labels: int64 `(N,)`, float32 `(N,)` or `(N, K)`, str `(N,)`, or strings of variable width `(N,)`.
        names: of classes or labels; rows of values may have names of columns, too.
    """
    by_kind = {"i": ClassLabels, "U": MaskLabels, "T": BoxLabels}
    if labels.dtype.kind in by_kind:
        return by_kind[labels.dtype.kind]()
    is_set = labels.ndim == 2 and bool(names) and bool(np.isin(labels, (0, 1)).all())
    return SetLabels() if is_set else ValueLabels()


def _positions(labels: np.ndarray) -> tuple[str, ...]:
    """Return names for values that have none."""
    return tuple(f"value_{k}" for k in range(labels.shape[1])) if labels.ndim == 2 else ("value",)


def _describe_numbers(labels: np.ndarray) -> str:
    """Describe labels that are not class numbers, and say what to do."""
    if labels.dtype.kind in "UT":
        what, target = ("masks", "segmentation") if labels.dtype.kind == "U" else ("boxes", "detection")
        return f"{what}. Did you mean the target '{target}'?"
    if labels.ndim == 2:
        one_hot = bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())
        remedy = "np.argmax(labels, axis=1)" if one_hot else "the target 'multilabel' or 'regression'"
        return f"rows of {labels.shape[1]} values. Did you mean {remedy}?"
    is_whole = bool((labels == np.round(labels)).all())
    remedy = "labels.astype(int)" if is_whole else "the target 'regression'"
    return f"one value for each example. Did you mean {remedy}?"


def _number_names(names: Sequence[str], known: Sequence[str], noun: str = "classes") -> np.ndarray:
    """Return for each class or column of a source its number in the model.

    Raises:
        InputError: the model does not know a class or column.
    """
    found = [find_same(name, known) for name in names]
    unknown = [name for name, same in zip(names, found, strict=True) if same is None]
    if unknown:
        alike = next((name for name in known if look_alike(name, unknown[0])), None)
        hint = f" The model has {alike!r}; names must be equal also in case and blanks." if alike else ""
        raise InputError(
            f"`source` must have {noun} that the model knows: {', '.join(map(repr, known))}. "
            f"Received: {', '.join(map(repr, unknown))}.{hint or did_you_mean(unknown[0], known)}"
        )
    return np.array([known.index(name) for name in found if name is not None], np.int64)
