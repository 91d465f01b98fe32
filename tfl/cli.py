"""What every script does around its one call: quiet start, one line for a mistake, exit code out."""

import importlib
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging

from tfl.config import check_option
from tfl.config.listing import options_text
from tfl.errors import InputError, StoppedError, WorkerLostError
from tfl.files.writing import NO_ROOM
from tfl.keras_settings import check_keras_settings
from tfl.registry import did_you_mean

USAGE_EXIT_CODE = 2
HELP_FLAGS = ("help", "helpshort", "helpfull", "?")
WORKER_LOST_EXIT_CODE = 75  # of sysexits.h: a failure that another attempt may not meet


def run(main: Callable[[list[str]], None], *, takes_files: bool = False, tensorflow: bool = True) -> None:
    """Run a script's `main`: what the user can mend is one line and exit code 2, a bug keeps its traceback.

    Args:
        main: called with the arguments that are no flags, the script's name first.
        takes_files: whether it has a use for such arguments; otherwise they are refused.
        tensorflow: whether TensorFlow is imported before `main`, quietly.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported, or it has no effect
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    logging.set_verbosity(logging.WARNING)
    app.run(lambda argv: _guarded(main, argv, takes_files, tensorflow), flags_parser=_parse_flags)


def _guarded(main: Callable[[list[str]], None], argv: list[str], takes_files: bool, tensorflow: bool) -> None:
    try:
        if len(argv) > 1 and not takes_files:
            raise InputError(f"Arguments must be flags, as in --name=value. Received: {' '.join(argv[1:])}.")
        if tensorflow:
            check_keras_settings()
            import_tensorflow_quietly()
        sys.stdout.reconfigure(errors="surrogateescape")  # a file's name may be no UTF-8  # pyright: ignore
        main(argv)
        sys.stdout.flush()
    except InputError as error:
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
        leave(WORKER_LOST_EXIT_CODE)  # or it would wait for the worker that is gone
    except StoppedError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(128 + error.signal_number)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on from the last finished phase.\n")
        sys.exit(130)


def _discard_output() -> None:
    """Write no more to a full disk or to a reader that has seen enough, as `head`: Python would try it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: int = 0) -> NoReturn:
    """End the process at once, where an ordinary exit would wait for threads whose work nobody wants any more."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def import_tensorflow_quietly() -> None:
    """Import TensorFlow with its C++ chatter held back: it has no log level for what it says at import."""
    sys.stderr.flush()
    keep = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
            importlib.import_module("keras")
        except ImportError:
            chatter.seek(0)
            os.write(keep, chatter.read())  # it may hold the reason
            raise
        finally:
            os.dup2(keep, 2)
            os.close(keep)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    """Parse flags like absl, but answer a mistake with one line and exit code 2."""
    try:
        _check_config_flags(argv)
        return _parse_or_help(argv)
    except flags.UnrecognizedFlagError as error:
        known = [name for name in flags.FLAGS if not name.startswith(("test_", "config."))]
        command = next((word for word in _own_flags(argv) if word.endswith(".py") and not word.startswith("-")), "")
        hint = did_you_mean(error.flagname, known)
        if error.flagname.startswith("config.") and "config" in known:
            hint = " Did you mean to give the recipe too, as in --config=configs/folder.py?"
        if command and not hint:
            hint = f" Did you mean `-- {command}`, which leaves its flags to it?"
        _stop(f"Flags must be known ones. Received: --{error.flagname}.{hint} Try --help.")
    except InputError as error:
        _stop(str(error))
    except flags.Error as error:
        _stop(" ".join(str(error).split()))
    except BrokenPipeError:
        _discard_output()
        sys.exit()


def _parse_or_help(argv: Sequence[str]) -> list[str]:
    """Parse flags; `--help` lists the options of the config, too, where the script has one."""
    try:
        return flags.FLAGS(list(argv))
    except SystemExit:  # absl has written the flags, and calls that a failure
        if not any(word.lstrip("-") in HELP_FLAGS for word in _own_flags(argv)):
            raise
        if "config" in flags.FLAGS:
            sys.stdout.write("\n" + options_text())
        sys.stdout.flush()
        sys.exit(0)


def _own_flags(argv: Sequence[str]) -> list[str]:
    """Return the arguments that are for the script, not for the command behind `--`."""
    return list(itertools.takewhile(lambda word: word != "--", argv[1:]))


def _check_config_flags(argv: Sequence[str]) -> None:
    """Check `--config` and its overrides first: ml_collections answers a mistyped path with a traceback."""
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
        raise InputError(f"`config` must be a config file. Received: {str(path)!r}.{did_you_mean(str(path), known)}")


def _stop(message: str) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(USAGE_EXIT_CODE)
