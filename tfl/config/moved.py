"""Options that have another name than before: the old name is still read in `config.json` and in flags."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from tfl.errors import InputError

MOVED = {"head.target": "task.name"}  # old name -> name


def move_options(values: Any) -> Any:
    """Return nested options in which the value of an old name stands under the new name; the input is not changed.

    Args:
        values: the contents of a `config.json`. What is not a section is left for `read_options` to refuse.

    Raises:
        InputError: both names are there, with different values.

    Example:
        >>> move_options({"head": {"target": "binary"}})
        {'head': {}, 'task': {'name': 'binary'}}
    """
    for old, new in MOVED.items():
        (section, name), (new_section, new_name) = old.split("."), new.split(".")
        if not isinstance(values, dict) or not _has(values.get(section), name):
            continue
        values = copy.deepcopy(values)
        value, options = values[section].pop(name), values.setdefault(new_section, {})
        if _has(options, new_name) and options[new_name] != value:
            received = f"{new}={options[new_name]!r} and {old}={value!r}"
            raise InputError(f"`{new}` must have one value, also under its old name `{old}`. Received: {received}.")
        if isinstance(options, dict):
            options[new_name] = value
    return values


def move_flags(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command with the new names of its flags `--config.OLD`; those after `--` are kept.

    Raises:
        InputError: a flag is given under both names.

    Example:
        >>> move_flags(["--config.head.target=binary"])
        ['--config.task.name=binary']
    """
    own = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    for old, new in MOVED.items():
        flags = {f"{dashes}config.{old}": f"{dashes}config.{new}" for dashes in ("-", "--")}
        given = [argument.partition("=")[0] for argument in own]
        if not any(flag in flags for flag in given):
            continue
        if any(flag in flags.values() for flag in given):
            received = f"--config.{new} and --config.{old}"
            raise InputError(f"`{new}` must be given once, not also under its old name. Received: {received}.")
        own = [flags.get(flag, flag) + argument[len(flag) :] for flag, argument in zip(given, own, strict=True)]
    return own + list(arguments[len(own) :])


def refuse_moved(section: str, options: Iterable[tuple[str, Any]]) -> None:
    """Refuse the old names of options in Python, where the value would otherwise have no effect.

    Args:
        section: the name of the section, as in "head".
        options: names and values that the section is to get.

    Raises:
        InputError: one of them is an old name; the message says the new one.
    """
    for name, value in options:
        old = f"{section}.{name}"
        if old in MOVED:
            new_section, _, new_name = MOVED[old].partition(".")
            hint = f"Did you mean {new_section.title()}Config({new_name}={value!r})?"
            raise InputError(f"`{old}` must be given as `{MOVED[old]}`. Received: {old}={value!r}. {hint}")


def _has(section: Any, name: str) -> bool:
    return isinstance(section, dict) and name in section
