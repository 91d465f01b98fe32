"""Write small dataclasses as JSON values, and read them again."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

KEY = "key"  # metadata of a field: the name of its JSON entry, if Python does not allow the name


def to_json(value: Any) -> Any:
    """Return a dataclass as a dict in the order of its fields, and a tuple as a list, at any depth."""
    if dataclasses.is_dataclass(value):
        return {field.metadata.get(KEY, field.name): to_json(getattr(value, field.name)) for field in _fields(value)}
    return [to_json(inner) for inner in value] if isinstance(value, tuple) else value


def from_json(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return a dataclass from a dict: a missing entry has the default of its field, further entries are ignored."""
    names = {field.metadata.get(KEY, field.name): field.name for field in _fields(kind)}
    return kind(**{name: values[key] for key, name in names.items() if key in values})


def rows_from_json(kind: type[T], rows: Iterable[Mapping[str, Any]]) -> tuple[T, ...]:
    """Return one dataclass for each dict."""
    return tuple(from_json(kind, row) for row in rows)


def _fields(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind)
