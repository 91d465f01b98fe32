"""The names of the entries in a batch."""

from collections.abc import Mapping
from typing import Any

OLDER = "image"  # in data sets that users wrote for older versions


def has_input(element: Any) -> bool:
    """Return whether an element of a data set is a dict with "input" (or "image", its older name) and "label"."""
    return isinstance(element, Mapping) and "label" in element and bool({"input", OLDER} & set(element))


def input_of(batch: Mapping[str, Any]) -> Any:
    """Return the inputs of the model in a batch: the entry "input", or "image", its older name."""
    return batch["input"] if "input" in batch else batch[OLDER]
