"""The names of the entries in a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

OLDER = "image"  # in data sets that users wrote for older versions


def has_input(element: Any) -> bool:
    """Return whether an element of a data set is a dict with "input" (or "image", its older name) and "label"."""
    return has_entries(element, ("label",))


def has_entries(element: Any, names: Sequence[str]) -> bool:
    """Return whether an element of a data set is a dict with "input" (or its older name) and some more entries."""
    return isinstance(element, Mapping) and bool({"input", OLDER} & set(element)) and set(element).issuperset(names)


def input_of(batch: Mapping[str, Any]) -> Any:
    """Return the inputs of the model in a batch: the entry "input", or "image", its older name."""
    return batch["input"] if "input" in batch else batch[OLDER]
