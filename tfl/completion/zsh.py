"""The script for zsh."""

from collections.abc import Iterator, Sequence

from tfl.completion.words import Command, Flag

_SCRIPT = """\
#compdef tfl
# Completion of the command tfl for zsh, written by `tfl completion zsh`.

_tfl() {
    local -a commands
    commands=(
@commands@
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2] position
    if [[ $command == launch ]]; then # complete the command that it launches
        for (( position = 3; position < CURRENT; position++ )); do
            if (( ${commands[(I)$words[position]:*]} )); then
                words=(tfl "${(@)words[position,-1]}")
                (( CURRENT -= position - 2 ))
                _tfl
                return
            fi
        done
    fi
    case $command in
@cases@
    esac
}

if [[ $funcstack[1] == _tfl ]]; then
    _tfl "$@"
else
    compdef _tfl tfl
fi
"""


def zsh_script(commands: Sequence[Command]) -> str:
    """Return the script that completes the commands in zsh: to be sourced, or as a file `_tfl` in `fpath`."""
    listed = "\n".join(f"        {_quoted(f'{command.name}:{command.help}')}" for command in commands)
    cases = "\n".join(line for command in commands for line in _case(command))
    return _SCRIPT.replace("@commands@", listed).replace("@cases@", cases)


def _case(command: Command) -> Iterator[str]:
    yield f"        {command.name})"
    yield "            _arguments -S \\"
    for flag in command.flags:
        yield f"                {_quoted(_argument(flag))} \\"
    yield f"                {_quoted(f'*:word:{_action(command.words, command.takes_files)}')}"
    yield "            ;;"


def _argument(flag: Flag) -> str:
    about = "".join(f"\\{letter}" if letter in "[]\\:" else letter for letter in flag.help)
    if not flag.takes_value:
        return f"--{flag.name}[{about}]"
    return f"--{flag.name}=[{about}]:value:{_action(flag.values, flag.is_file)}"


def _action(values: Sequence[str], is_file: bool) -> str:
    """Return what completes a value; a space leaves it to the user."""
    words = " ".join(value.replace(":", "\\:") for value in values)
    if values and is_file:
        return f'_alternative "words:word:({words})" "files:file:_files"'
    return f"({words})" if values else "_files" if is_file else " "


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
