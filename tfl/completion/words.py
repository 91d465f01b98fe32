"""What a shell can complete, read from the definitions of the flags and of the options."""

import dataclasses
import importlib
from collections.abc import Iterator, Mapping, Sequence

from absl import flags

from tfl.backbones.catalog import list_backbones
from tfl.cluster import STRATEGIES
from tfl.config import CHOSEN_NAME, SHORT_NAMES
from tfl.config.listing import Option, list_options
from tfl.config.option import OneOf, Place, Switch, Text
from tfl.config.values import SOURCES
from tfl.export.format_table import FORMATS, QUANTIZATIONS
from tfl.recipe import feature_file
from tfl.recipes import recipes

SHELLS = ("bash", "zsh", "fish")
COMMON = "tfl.cli"  # the module whose flags every command has
_FILES = ("config", "model", "output", "predictions", "recipe", "slices", "source", "workdir")  # flags that name files
_HELP = "Show the flags and options of this command."


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of a command.

    Attributes:
        name: without dashes.
        help: one sentence.
        takes_value: whether it stands as in --name=value.
        values: the known values; empty: any.
        is_file: whether a value may be a file or folder.
    """

    name: str
    help: str
    takes_value: bool = True
    values: tuple[str, ...] = ()
    is_file: bool = False


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `tfl`.

    Attributes:
        name: of the command.
        help: one sentence.
        flags: all that it takes.
        words: known words that are not flags.
        takes_files: whether a word may be a file or folder.
    """

    name: str
    help: str
    flags: tuple[Flag, ...]
    words: tuple[str, ...] = ()
    takes_files: bool = True


def read_commands(commands: Mapping[str, str]) -> list[Command]:
    """Return all commands with their flags.

    The modules of the commands are imported one after the other. Flags are global, and two commands may have a flag
    of the same name, so the flags of a module are removed before the next one is imported.

    Args:
        commands: the help of each command, by name.
    """
    common = [*map(_flag, _flags_of(COMMON)), Flag("help", _HELP, takes_value=False)]
    words = _known_words(commands)
    return [
        Command(
            name,
            help,
            tuple(sorted([*_own_flags(f"tfl.commands.{name}"), *common], key=lambda flag: flag.name)),
            words.get(name, ()),
            takes_files=name not in ("backbones", "options", "completion"),
        )
        for name, help in commands.items()
    ]


def _known_words(commands: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {
        "train": ("digits",),
        "features": ("digits",),
        "backbones": tuple(list_backbones()),
        "options": tuple(option.path for option in list_options()),
        "completion": SHELLS,
        "launch": tuple(commands),
    }


def _own_flags(module: str) -> Iterator[Flag]:
    """Yield the flags that a module defines, and the options of the config if it has the flag `config`."""
    known = set(flags.FLAGS)
    importlib.import_module(module)
    own = _flags_of(module)
    yield from map(_flag, own)
    if any(flag.name == "config" for flag in own):
        yield from map(_flag_of_option, list_options())
    for name in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, name)


def _flags_of(module: str) -> Sequence[flags.Flag]:
    return flags.FLAGS.flags_by_module_dict().get(module, [])


def _flag(flag: flags.Flag) -> Flag:
    """Return what a shell completes of a flag of absl."""
    option = {option.path: option for option in list_options()}.get(SHORT_NAMES.get(flag.name, ""))
    if option is not None:
        return dataclasses.replace(_flag_of_option(option), name=flag.name)
    values = {
        "recipe": tuple(sorted(recipes())),
        "formats": FORMATS,
        "quantize": QUANTIZATIONS,
        "format": feature_file.FORMATS,
    }
    text = " ".join((flag.help or "").split())
    return Flag(flag.name, text, not flag.boolean, values.get(flag.name, ()), flag.name in _FILES)


def _flag_of_option(option: Option) -> Flag:
    return Flag(f"config.{option.path}", option.help, True, _values(option), isinstance(option.rule, Place))


def _values(option: Option) -> tuple[str, ...]:
    """Return the known values of an option."""
    special = {
        "backbone.name": (*list_backbones(), CHOSEN_NAME),
        "data.source": tuple(name if name == "digits" else f"{name}:" for name in SOURCES),
        "strategy": tuple(name for name in STRATEGIES if ":" not in name),
    }
    rule = option.rule
    if option.path in special:
        return special[option.path]
    if isinstance(rule, OneOf):
        return tuple(rule.names)
    if isinstance(rule, Switch):
        return ("true", "false")
    return rule.words if isinstance(rule, Text) else ()
