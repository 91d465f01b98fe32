"""The script for fish."""

from collections.abc import Iterator, Sequence

from tfl.completion.words import Command, Flag


def fish_script(commands: Sequence[Command]) -> str:
    """Return the script that completes the commands in fish."""
    lines = ["# Completion of the command tfl for fish, written by `tfl completion fish`.", "complete -c tfl -f"]
    lines += [
        f"complete -c tfl -n __fish_use_subcommand -a {command.name} -d {_quoted(command.help)}" for command in commands
    ]
    return "\n".join([*lines, *(line for command in commands for line in _lines(command))]) + "\n"


def _lines(command: Command) -> Iterator[str]:
    used = f"complete -c tfl -n '__fish_seen_subcommand_from {command.name}'"
    if command.takes_files:
        yield f"{used} -F"
    if command.words:
        yield f"{used} -a {_quoted(' '.join(command.words))}"
    for flag in command.flags:
        yield f"{used} -l {flag.name}{_value(flag)} -d {_quoted(flag.help)}"


def _value(flag: Flag) -> str:
    if not flag.takes_value:
        return ""
    files = " -r -F" if flag.is_file else " -x"
    return files + (f" -a {_quoted(' '.join(flag.values))}" if flag.values else "")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
