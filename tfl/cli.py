"""What every command does around its one call: start quietly, print one line for a user error, return an exit code."""

import importlib
import itertools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging

from tfl.config import SHORT_NAMES, check_option, move_flags, nearest_option
from tfl.config.listing import options_text
from tfl.environment import device_names, package_versions, python_version
from tfl.errors import IncompleteError, InputError, StoppedError, WorkerLostError
from tfl.files.writing import NO_ROOM
from tfl.keras_settings import check_keras_settings
from tfl.progress import quiet, say
from tfl.recipes import recipes
from tfl.registry import did_you_mean, in_our_words

USAGE_EXIT_CODE = 2
INCOMPLETE_EXIT_CODE = 1
HELP_FLAGS = ("help", "helpshort", "helpfull", "?")
_QUIET = flags.DEFINE_boolean("quiet", False, "Say nothing but warnings, errors and the output.")
_VERBOSE = flags.DEFINE_boolean(
    "verbose", False, "Say more: versions, devices, TensorFlow's own messages, and the traceback of an error."
)
WORKER_LOST_EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: another attempt may succeed


def run(
    main: Callable[[list[str]], None],
    *,
    check: Callable[[list[str]], object] | None = None,
    translate: Callable[[list[str]], list[str]] = list,
    takes_files: bool = False,
    tensorflow: bool = True,
) -> None:
    """Run the `main` of a command: a user error gives one line and exit code 2, a bug keeps its traceback.

    Args:
        main: called with the arguments that are not flags; the first one is the name of the command.
        check: called with the same arguments before TensorFlow is imported, so that a mistake is answered at once; if
            it returns True, the command has been answered, and `main` is not called.
        translate: returns the words after the name of the command in the form that the flags have.
        takes_files: whether `main` uses arguments that are not flags; if not, they are refused.
        tensorflow: whether to import TensorFlow, quietly, before `main`.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    for module in (main.__module__, __name__):
        _show_flags_of(module)

    def work(argv: list[str]) -> None:
        _set_verbosity()
        if _VERBOSE.value:
            say(f"Python {python_version()}; {package_versions()}")
        if len(argv) > 1 and not takes_files:
            raise InputError(f"Arguments must be flags, as in --name=value. Received: {' '.join(argv[1:])}.")
        if tensorflow:
            check_keras_settings()
        if check is not None and check(argv) is True:
            return
        if tensorflow and _VERBOSE.value:
            importlib.import_module("tensorflow")
            say(f"devices: {device_names()}")
        elif tensorflow:
            import_tensorflow_quietly()
        main(argv)

    app.run(lambda argv: _guarded(work, argv), flags_parser=lambda argv: _parse_flags(argv, translate))


def _set_verbosity() -> None:
    """Make TensorFlow and absl say as much as the flags ask for; has an effect before TensorFlow is imported."""
    if _QUIET.value and _VERBOSE.value:
        raise InputError("`quiet` must not be given together with `verbose`. Received: --quiet --verbose.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if _VERBOSE.value else "3")
    logging.set_verbosity(logging.INFO if _VERBOSE.value else logging.WARNING)


def _show_flags_of(module: str) -> None:
    """Let `--help` list the flags of a module: absl lists those of the script alone."""
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _guarded(work: Callable[[list[str]], None], argv: list[str]) -> None:
    try:
        encoding = "utf-8" if os.name == "nt" else None  # Windows would write a file in the code page of the country
        sys.stdout.reconfigure(encoding=encoding, errors="surrogateescape")  # file names may not be UTF-8  # pyright: ignore
        with quiet(_QUIET.value):
            work(argv)
        sys.stdout.flush()
    except InputError as error:
        if _VERBOSE.value and not _QUIET.value:
            traceback.print_exc()
        _stop(str(error))
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _discard_output()
        _stop(f"The disk must have room for the output. Received: {error.filename or 'screen'}: {error.strerror}.")
    except WorkerLostError as error:
        sys.stderr.write(f"{error}\n")
        leave(WORKER_LOST_EXIT_CODE)  # an ordinary exit would wait for the lost worker
    except IncompleteError as error:
        sys.stdout.flush()
        _stop(str(error), INCOMPLETE_EXIT_CODE)
    except StoppedError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(128 + error.signal_number)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command continues from the last finished phase.\n")
        sys.exit(130)


def _discard_output() -> None:
    """Send further output to /dev/null: Python would write at exit to a full disk or to a closed pipe (`| head`)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: int = 0) -> NoReturn:
    """End the process at once: an ordinary exit would wait for threads whose work is no longer needed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def import_tensorflow_quietly() -> None:
    """Import TensorFlow and hide the messages of its C++ code: no log level covers those that it prints at import."""
    sys.stderr.flush()
    keep = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
            importlib.import_module("keras")
        except ImportError:
            chatter.seek(0)
            os.write(keep, chatter.read())  # it may contain the reason
            raise
        finally:
            os.dup2(keep, 2)
            os.close(keep)


def _parse_flags(argv: Sequence[str], translate: Callable[[list[str]], list[str]]) -> list[str]:
    """Parse flags as absl does, but print one line and exit with code 2 for a user error."""
    try:
        # ml_collections reads the overrides in `sys.argv` itself, so their new names must stand there.
        words = flags.FLAGS.read_flags_from_files(argv[1:], force_gnu=False)
        argv = sys.argv[:] = [*argv[:1], *move_flags(translate(words))]
        _check_config_flags(argv)
        return _parse_or_help(argv)
    except flags.UnrecognizedFlagError as error:
        _stop(f"A flag must be one of {_name(argv)}. Received: --{error.flagname}.{_hint(error, argv)} Try --help.")
    except InputError as error:
        _stop(str(error))
    except flags.Error as error:
        _stop(_input_error_behind(error) or " ".join(str(error).split()))
    except BrokenPipeError:
        _discard_output()
        sys.exit()


def _name(argv: Sequence[str]) -> str:
    return "this script" if argv[0].endswith(".py") else f"`{argv[0]}`"


def _hint(error: flags.UnrecognizedFlagError, argv: Sequence[str]) -> str:
    """Return " Did you mean ...?" for a flag that does not exist, "" if nothing is similar."""
    known = [name for name in flags.FLAGS if not name.startswith(("test_", "config."))]
    if error.flagname.startswith("config.") and "config" in known:
        return " Did you mean to give a config file too, as in --config=configs/folder.py?"
    name = in_our_words(error.flagname)
    option = nearest_option(name) if "config" in known else ""
    if name not in known and option.rpartition(".")[2] == name:  # an option that has no flag of its own
        return f" Did you mean '{_flag_of(option, known)}'?"
    hint = did_you_mean(error.flagname, known)
    command = next((word for word in _own_flags(argv) if word.endswith(".py") and not word.startswith("-")), "")
    if command and not hint:
        return f" Did you mean `-- {command}`, which passes the flags after it to that script?"
    return hint


def _flag_of(option: str, known: Sequence[str]) -> str:
    short = next((name for name, path in SHORT_NAMES.items() if path == option and name in known), "")
    return short or f"config.{option}"


def _input_error_behind(error: BaseException | None) -> str:
    """Return the line of tfl that a config file caused, "" if there is none: ml_collections adds a traceback to it."""
    while error is not None:
        if isinstance(error, InputError) and "\n" not in str(error):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""


def _parse_or_help(argv: Sequence[str]) -> list[str]:
    """Parse flags; `--help` also lists the options of the config if the script has a flag `--config`."""
    try:
        return flags.FLAGS(list(argv))
    except SystemExit:  # after --help absl exits with an error code
        if not any(word.lstrip("-") in HELP_FLAGS for word in _own_flags(argv)):
            raise
        if "config" in flags.FLAGS:
            sys.stdout.write("\n" + options_text())
        sys.stdout.flush()
        sys.exit(0)


def _own_flags(argv: Sequence[str]) -> list[str]:
    """Return the arguments of the script itself, without those of the command after `--`."""
    return list(itertools.takewhile(lambda word: word != "--", argv[1:]))


def _check_config_flags(argv: Sequence[str]) -> None:
    """Check `--config` and its overrides first: ml_collections raises a traceback for a mistyped path."""
    own = _own_flags(argv)
    for position, argument in enumerate(own, start=1):
        name, equals, value = argument.lstrip("-").partition("=")
        if name == "config":
            value = value if equals else next(iter(own[position:]), "")
            _check_config_file(Path(value.partition(":")[0]))
        elif name.startswith("config."):
            check_option(name.removeprefix("config."))


def _check_config_file(path: Path) -> None:
    if not path.is_file():
        known = [str(file) for file in sorted(path.parent.glob("*.py"))]
        is_recipe = str(path) in recipes()
        hint = f" Did you mean --recipe={path}?" if is_recipe else did_you_mean(str(path), known)
        raise InputError(f"`config` must be a config file. Received: {str(path)!r}.{hint}")


def _stop(message: str, code: int = USAGE_EXIT_CODE) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(code)
