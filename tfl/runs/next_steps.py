"""The last lines of a run: where its report is, and what can be done next."""

import os
import shlex

from tfl.workdir import REPORT, Workdir

_COMMANDS = ("tfl predict {} FILES", "tfl export {}", "tfl serve {}")  # with the folder of the run


def next_steps(run: Workdir) -> str:
    """Return the commands that fit a finished run, one in each line."""
    folder = shlex.quote(os.fspath(run))
    report = [f"open {folder}/{REPORT}"] if (run / REPORT).exists() else []
    return "\n".join(["next:", *(f"  {line}" for line in [*report, *(text.format(folder) for text in _COMMANDS)])])
