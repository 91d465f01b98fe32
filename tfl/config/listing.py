"""The list of all options, for `--help` and for the page `docs/reference/options.md`."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from absl import flags

from tfl.config.option import Rule, is_section
from tfl.config.paths import nearest_option
from tfl.config.transfer import TransferConfig
from tfl.errors import InputError


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of the config."""

    path: str  # dotted name, as in "data.batch_size"
    default: Any
    rule: Rule
    help: str


def list_options(section: Any = TransferConfig, prefix: str = "") -> Iterator[Option]:
    """Yield every option of a section and of its subsections, in order.

    Example:
        >>> next(list_options()).path
        'seed'
    """
    for field in dataclasses.fields(section):
        if is_section(field):
            yield from list_options(field.default_factory, f"{prefix}{field.name}.")
        else:
            yield Option(prefix + field.name, field.default, field.metadata["rule"], field.metadata["help"])


def options_text(*words: str) -> str:
    """Return the list of options in the format of absl's flags, with lines as wide as the screen.

    Args:
        words: parts of the names of the options to list; without words: all options.

    Raises:
        InputError: no option has such a name.
    """
    lines = ["Options of --config:"]
    sections = [(title, [o for o in options if _is_asked(o, words)]) for title, options in _by_section()]
    if not any(options for _, options in sections):
        hint = f" Did you mean '{nearest_option(words[0])}'?" if nearest_option(words[0]) else ""
        raise InputError(f"`words` must be part of the name of an option. Received: {' '.join(words)}.{hint}")
    for title, options in sections:
        lines += ["", flags.text_wrap(title)] if options else []
        for option in options:
            rule = f"(default: {option.default!r}; {option.rule.describe()})"
            lines.append(flags.text_wrap(f"--config.{option.path}: {option.help}", None, "    ", "  "))
            lines.append(flags.text_wrap(rule, None, "    "))
    return "\n".join(lines) + "\n"


def options_page() -> str:
    """Return the list of options as a page of Markdown."""
    lines = [
        "# Options",
        "",
        "Each can be set as in `--config.data.batch_size=64`, or in Python. Written by `make reference`.",
    ]
    for title, options in _by_section():
        lines += ["", f"## {title}", "", "| option | default | must be | what it does |", "|---|---|---|---|"]
        for option in options:
            rule = option.rule.describe().replace("|", "\\|")
            lines.append(f"| `{option.path}` | `{option.default!r}` | {rule} | {option.help} |")
    return "\n".join(lines) + "\n"


def _is_asked(option: Option, words: tuple[str, ...]) -> bool:
    return not words or any(word.lower() in option.path for word in words)


def _by_section() -> Iterator[tuple[str, list[Option]]]:
    everything = list(list_options())
    yield "The whole run", [option for option in everything if "." not in option.path]
    for field in filter(is_section, dataclasses.fields(TransferConfig)):
        sentence = (field.default_factory.__doc__ or "").partition("\n")[0]
        yield f"{field.name}: {sentence}", [o for o in everything if o.path.startswith(field.name + ".")]
