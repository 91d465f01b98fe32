"""The command `tfl train` for a given config, with only the options that differ from its recipe."""

import os
from collections.abc import Iterator
from typing import Any

from tfl.config import SHORT_NAMES, TransferConfig, flatten
from tfl.config.values import split_source
from tfl.recipes import default_recipe, load_recipe, recipes

SAVED = 3  # words: a recipe for other data is named only if the command is so much shorter
_SHORT = {path: name for name, path in SHORT_NAMES.items()}
_SOURCE = "data.source"


def train_command(config: TransferConfig, workdir: str) -> list[str]:
    """Return the words of the command `tfl train` for a config: a recipe, and the options that differ from it.

    Args:
        config: a config whose paths are absolute; its source is one that a command can name.
        workdir: the folder of the run.

    Example:
        >>> config = tfl.load_recipe(source="digits")
        >>> train_command(config, "runs/again")
        ['tfl', 'train', 'digits', '--workdir=runs/again']
    """
    usual, *others = (_command(config, workdir, name, recipe) for name, recipe in _known_recipes(config.data.source))
    shortest = min(others, key=len, default=usual)
    return shortest if len(shortest) + SAVED <= len(usual) else usual


def _known_recipes(source: str) -> Iterator[tuple[str, TransferConfig]]:
    """Yield the name and the config of each recipe, that of commands with this source and without a name first."""
    for name in sorted(recipes(), key=lambda name: (name != default_recipe(source), name)):
        yield name, load_recipe(name)


def _command(config: TransferConfig, workdir: str, name: str, recipe: TransferConfig) -> list[str]:
    wanted, given = flatten(config.to_dict()), flatten(recipe.to_dict())
    source = wanted.pop(_SOURCE)
    is_default = name == default_recipe(source)
    return [
        "tfl",
        "train",
        *([_place(source)] if is_default or source != given[_SOURCE] else []),
        *([] if is_default else [f"--recipe={name}"]),
        f"--workdir={workdir}",
        *(_flag(path, value) for path, value in wanted.items() if value != given[path]),
    ]


def _place(source: str) -> str:
    """Return the word for a source: the path of a folder, or the source itself."""
    kind, _, path = source.partition(":")
    is_path = kind == "folder" and os.path.isabs(path) and len(split_source(source)) == 1  # noqa: PTH117
    return path if is_path else source


def _flag(path: str, value: Any) -> str:
    return f"--{_SHORT.get(path, f'config.{path}')}={_text(value)}"


def _text(value: Any) -> str:
    """Return the value of an option as its flag reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "()"
    return str(value)
