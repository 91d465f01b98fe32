"""Use options by their dotted names: look one up, list all in one flat dict, compare two configs."""

import dataclasses
import difflib
import json
from collections.abc import Mapping
from typing import Any

from etils import epath

from tfl.config.moved import MOVED
from tfl.config.names import CHOSEN, CHOSEN_WITH
from tfl.config.transfer import TransferConfig
from tfl.errors import InputError
from tfl.registry import find_nearest, in_our_words

_OLD_NAMES = {old.rpartition(".")[2]: new for old, new in MOVED.items()}
CONTENT = "backbone.sha256"
MAY_DIFFER = (
    "strategy",
    "budget_minutes",
    "tracking",
    "checkpoint.",
    "report.",
)  # options that do not change the result of a run


def value_of(config: Any, path: str) -> Any:
    """Return one option of a config by its dotted name.

    Example:
        >>> value_of(TransferConfig(), "data.batch_size")
        32
    """
    for name in path.split("."):
        config = getattr(config, name)
    return config


def set_options(config: TransferConfig, options: Mapping[str, Any]) -> None:
    """Set options of a config by their dotted names.

    Raises:
        InputError: there is no such option.

    Example:
        >>> config = TransferConfig()
        >>> set_options(config, {"data.batch_size": 8, "seed": 1})
        >>> config.data.batch_size, config.seed
        (8, 1)
    """
    for path, value in options.items():
        check_option(path)
        section, _, name = path.rpartition(".")
        setattr(value_of(config, section) if section else config, name, value)


def check_rules(config: Any, *rules: tuple[str, bool, str]) -> None:
    """Refuse a config that breaks one of some rules.

    Args:
        config: a config.
        rules: of each, the dotted name of an option, whether its value is right, and what it must be, as in "empty".

    Raises:
        InputError: a value is not right; the message names the first one.

    Example:
        >>> config = tfl.TransferConfig(seed=3)
        >>> check_rules(config, ("seed", config.seed > 0, "above 0"), ("strategy", bool(config.strategy), "a name"))
    """
    for path, is_right, rule in rules:
        if not is_right:
            raise InputError(f"`{path}` must be {rule}. Received: {path}={value_of(config, path)!r}.")


def check_option(path: str) -> None:
    """Raise `InputError` with a suggestion if a dotted path is not an option of `TransferConfig`.

    Example:
        >>> check_option("data.source")
    """
    section = TransferConfig()
    for name in path.split("."):
        if not dataclasses.is_dataclass(section) or not hasattr(section, name):
            nearest = nearest_option(path)
            hint = f" Did you mean '{nearest}'?" if nearest else ""
            raise InputError(f"`config.{path}` must be an option.{hint} Try --help.")
        section = getattr(section, name)
    if dataclasses.is_dataclass(section):
        raise InputError(f"`config.{path}` must name one option in that section, as in config.{path}.NAME=value.")


def nearest_option(path: str) -> str:
    """Return the option that was probably meant, "" if none is similar; compare its own name first, then its section.

    Whole paths are not compared, because paths in the same section have most of their letters in common.

    Example:
        >>> nearest_option("finetune.lr")
        'finetune.learning_rate'
    """
    known = list(flatten(TransferConfig().to_dict()))
    section, _, name = path.rpartition(".")
    if name.lower() in _OLD_NAMES:
        return _OLD_NAMES[name.lower()]
    of_section = [option for option in known if option.rpartition(".")[0] == section]
    word, options = in_our_words(name), known
    if word not in map(_last_name, known):
        options = of_section if find_nearest(word, map(_last_name, of_section)) else known
        word = find_nearest(word, map(_last_name, options))
    by_section = {option.rpartition(".")[0]: option for option in options if _last_name(option) == word}
    similar = difflib.get_close_matches(section, by_section, n=1, cutoff=0.8)
    return by_section[similar[0]] if similar else by_section.get("finetune", next(iter(by_section.values()), ""))


def _last_name(path: str) -> str:
    return path.rpartition(".")[2]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options as one flat dict from dotted path to value.

    Example:
        >>> flatten({"data": {"batch_size": 32}})
        {'data.batch_size': 32}
    """
    flat = {}
    for name, value in values.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def differing_options(recorded: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Describe the options in which a config differs from the recorded config of a run.

    A recorded config may lack an option that was added to tfl later. Such an option gets its default. An option that
    tfl was asked to choose does not differ from the value that it chose.

    Args:
        recorded: the contents of the run's `config.json`.
        config: nested options; a missing option gets its default, too.

    Returns:
        "path=value (recorded: value)" for each option that differs and that changes the result of a run.
    """
    defaults = flatten(TransferConfig().to_dict())
    both = json.dumps([defaults | flatten(recorded), defaults | flatten(config)])
    old, new = json.loads(both)  # tuples become lists, as in the file
    known = _same_by_content(old, new)
    return [
        f"{name}={new.get(name)!r} (recorded: {old.get(name)!r})"
        for name in sorted(old.keys() | new.keys())
        if name not in known
        and not _is_same(old.get(name), new.get(name))
        and not name.startswith(MAY_DIFFER)
        and not _is_left_to_tfl(name, new)
    ]


def _same_by_content(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, ...]:
    """Return options of the network that need not be compared: its path if the content is the same.

    A run of an older version has recorded no digest of the content, and then the path counts.
    """
    digests = old[CONTENT], new[CONTENT]
    if not all(digests):
        return (CONTENT,)
    return ("backbone.name", "backbone.torch_name") if digests[0] == digests[1] else ()


def with_options(config: TransferConfig, options: Mapping[str, Any]) -> TransferConfig:
    """Return a copy of a config with some options changed; it is not checked.

    The digest of the network (`backbone.sha256`) goes with its name.

    Example:
        >>> with_options(TransferConfig(), {"seed": 1}).seed
        1
    """
    copy = TransferConfig.from_dict(config.to_dict())
    set_options(copy, {CONTENT: "", **options} if "backbone.name" in options else options)
    return copy


def _is_left_to_tfl(path: str, values: Mapping[str, Any]) -> bool:
    """Return whether flat options ask tfl to choose one of them."""
    asked = CHOSEN_WITH.get(path, path)
    return asked in CHOSEN and values.get(asked) == CHOSEN[asked]


def left_to_tfl(config: TransferConfig) -> list[str]:
    """Return the options that tfl is to choose.

    Example:
        >>> left_to_tfl(TransferConfig.from_dict({"probe": {"folds": -1}}))
        ['probe.folds']
    """
    values = flatten(config.to_dict())
    return [path for path in (*CHOSEN, *CHOSEN_WITH) if _is_left_to_tfl(path, values)]


def _is_same(old: Any, new: Any) -> bool:
    """Compare two values of an option; older versions recorded paths as the user wrote them, not as absolute paths."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return old == new
    kind, colon, path = old.rpartition(":")
    return old == new or new == f"{kind}{colon}{epath.Path(path).expanduser().absolute()}"
