"""The script for bash."""

from collections.abc import Iterable, Sequence

from tfl.completion.words import Command, Flag

# Bash breaks words at "=" and ":" (COMP_WORDBREAKS), so the script reads the line itself, and removes from its answers
# the part of the word that stands before the last break.
_SCRIPT = """\
# Completion of the command tfl for bash, written by `tfl completion bash`.

_tfl_flags() {
    case $1 in
@flags@
    esac
}

_tfl_values() {
    case $1 in
@values@
    esac
}

_tfl_words() {
    case $1 in
@words@
    esac
}

_tfl_is_file() {
    case $1 in
        @files@) return 0 ;;
    esac
    return 1
}

_tfl_takes_files() {
    case $1 in
        @takers@) return 0 ;;
    esac
    return 1
}

_tfl_option() {
    compopt -o "$1" 2>/dev/null
}

# Complete the values of a flag: $1 is its name, $2 the begin of the value, $3 the text before it.
_tfl_complete_value() {
    local value
    COMPREPLY=()
    if _tfl_is_file "$1"; then
        _tfl_option filenames
        while IFS= read -r value; do COMPREPLY+=("$3$value"); done < <(compgen -f -- "$2")
    fi
    for value in $(compgen -W "$(_tfl_values "$1")" -- "$2"); do COMPREPLY+=("$3$value"); done
}

_tfl() {
    local line=${COMP_LINE:0:COMP_POINT} current command= word previous= cut position
    current=${line##*[[:space:]]}
    for word in ${line%"$current"}; do
        if [[ -n $previous && $word != -* ]]; then
            [[ -z $command || ( $command == launch && " @commands@ " == *" $word "* ) ]] && command=$word
        fi
        previous=$word
    done
    COMPREPLY=()
    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "@commands@ --help --version" -- "$current"))
    elif [[ $current == --*=* ]]; then
        word=${current%%=*}
        _tfl_complete_value "${word#--}" "${current#*=}" "$word="
    elif [[ $previous == --* && " $(_tfl_flags "$command") " == *" $previous= "* ]]; then
        _tfl_complete_value "${previous#--}" "$current" ""
    elif [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$(_tfl_flags "$command")" -- "$current"))
        [[ ${#COMPREPLY[@]} -eq 1 && $COMPREPLY == *= ]] && _tfl_option nospace
    else
        COMPREPLY=($(compgen -W "$(_tfl_words "$command")" -- "$current"))
        if _tfl_takes_files "$command"; then
            _tfl_option filenames
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
        fi
    fi
    for word in "=" ":"; do
        if [[ $COMP_WORDBREAKS == *"$word"* && $current == *"$word"* ]]; then
            cut=${current%"${current##*"$word"}"}
            for position in "${!COMPREPLY[@]}"; do COMPREPLY[position]=${COMPREPLY[position]#"$cut"}; done
            current=${current#"$cut"}
        fi
    done
}

complete -F _tfl tfl
"""


def bash_script(commands: Sequence[Command]) -> str:
    """Return the script that completes the commands in bash 3.2 or newer."""
    flags = {flag.name: flag for command in commands for flag in command.flags}
    parts = {
        "flags": _cases({command.name: _names(command.flags) for command in commands}),
        "values": _cases({name: flag.values for name, flag in flags.items() if flag.values}),
        "words": _cases({command.name: command.words for command in commands if command.words}),
        "files": "|".join(name for name, flag in flags.items() if flag.is_file),
        "takers": "|".join(command.name for command in commands if command.takes_files),
        "commands": " ".join(command.name for command in commands),
    }
    script = _SCRIPT
    for name, text in parts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _names(flags: Iterable[Flag]) -> list[str]:
    return [f"--{flag.name}{'=' if flag.takes_value else ''}" for flag in flags]


def _cases(words: dict[str, Sequence[str]]) -> str:
    return "\n".join(f"        {name}) echo '{' '.join(values)}' ;;" for name, values in words.items())
