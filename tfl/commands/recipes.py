"""The recipe of a command, and the options that its flags change."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from tfl.config import SHORT_NAMES, TransferConfig, long_flags
from tfl.config.listing import list_options
from tfl.errors import InputError
from tfl.files.existing import guess_source
from tfl.recipes import DEFAULT, default_recipe, find_recipe, recipes

flags.disclaim_key_flags()  # `define` defines the flags of the module that calls it


def define(*names: str) -> Any:
    """Define `--config`, `--recipe` and short flags, and return the holder of the config."""
    flags.DEFINE_string("recipe", DEFAULT, f"A recipe: {', '.join(sorted(recipes()))}, or a file.")
    options = {option.path: option for option in list_options()}
    for name in names:
        option = options[SHORT_NAMES[name]]
        flags.DEFINE_string(name, None, f"Short for --config.{option.path}: {option.help}")
    return config_flags.DEFINE_config_file(
        "config", None, "A recipe in a file; set any option as in --config.data.split=0.6,0.2,0.2."
    )


def with_named_recipe(words: list[str]) -> list[str]:
    """Return the words of a command as ml_collections reads them: `--config=FILE` first, then the options.

    Raises:
        InputError: the recipe or an option is given twice, or there is no such recipe.
    """
    names = [name for name in SHORT_NAMES if name in flags.FLAGS]
    files, rest = _take(words, "config")
    named, _ = _take(words, "recipe")
    if named and len(files) + len(named) > 1:
        raise InputError(f"`recipe` must be given once. Received: {' '.join([*named, *files])}.")
    files = files or [find_recipe(name) for name in named]
    return [*(f"--config={file}" for file in files), *long_flags(rest, names)]


def with_recipe(words: list[str]) -> list[str]:
    """Do the same, with the recipe for their source if the words name none."""
    words = with_named_recipe(words)
    if any(word.startswith("--config=") for word in words):
        return words
    sources = [word.lstrip("-").removeprefix("config.data.source=") for word in words]
    names = {default_recipe(source) for source in sources} - {DEFAULT}
    return [f"--config={find_recipe(min(names, default=DEFAULT))}", *words]


def with_source(config: TransferConfig, words: Sequence[str]) -> TransferConfig:
    """Return the config of a command, with the source that its words name.

    Raises:
        InputError: the source is given twice or not at all.
    """
    given = _names_source()
    if len(words) + given > 1:
        received = " ".join([*words, *(["--config.data.source"] * given)])
        flag = next((word for word in words if "=" in word and not Path(word).exists()), "")
        hint = f" Did you mean --{flag}?" if flag else ""
        raise InputError(f"`source` must be given once. Received: {received}.{hint}")
    if words:
        return dataclasses.replace(config, data=dataclasses.replace(config.data, source=guess_source(words[0])))
    if not has_source():
        raise InputError("`source` must be given, as in `tfl train photos`. Received: none.")
    return config


def has_source() -> bool:
    """Return whether the flags of a command name a source, by an option or by a recipe of one's own."""
    file = config_flags.get_config_filename(flags.FLAGS["config"])
    return _names_source() or bool(flags.FLAGS["recipe"].present) or file != find_recipe(DEFAULT)


def _names_source() -> bool:
    return "data.source" in config_flags.get_override_values(flags.FLAGS["config"])


def _take(words: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    """Return the values of a flag, as in --name=value or --name value, and the other words."""
    values, rest, left = [], [], iter(words)
    for word in left:
        flag, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and flag == name:
            values.append(value if equals else next(left, ""))
        else:
            rest.append(word)
    return values, rest
