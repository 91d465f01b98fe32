"""Describe the environment of a report, and the command that repeats the run."""

import dataclasses
import shlex
import time

from tfl.backbones.catalog import is_in_keras
from tfl.config import PYTHON_DATA
from tfl.environment import device_names, package_versions, python_version
from tfl.report.facts import Facts
from tfl.train_command import train_command


def describe_environment(facts: Facts) -> list[tuple[str, str]]:
    """Return what the result depends on, apart from config and data, as (name, value) pairs."""
    return [
        ("time of this report", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("duration of the run", f"{facts.seconds:.0f} s since its last start" if facts.seconds else "not known"),
        ("Python", python_version()),
        ("packages", package_versions()),
        ("devices", device_names()),
        ("strategy, precision", f"{facts.config.strategy}, {facts.config.precision}"),
        ("seed", str(facts.config.seed)),
    ]


@dataclasses.dataclass(frozen=True)
class Again:
    """What repeats a run.

    Attributes:
        command: one line for a shell.
        note: what the line does, and what it needs.
    """

    command: str
    note: str


def repeat(facts: Facts) -> Again:
    """Return the command that repeats a run in a new folder: `tfl train`, or Python for what a command cannot name."""
    folder = f"{facts.path}-again"
    if not _is_on_the_command_line(facts):
        return _in_python(facts, folder)
    note = (
        f"This command repeats the run in the new folder {folder}, with the same options and the same seed. It needs "
        f"the same {facts.nouns[1]} in the same place."
    )
    return Again(shlex.join(train_command(facts.config, folder)), note)


def _is_on_the_command_line(facts: Facts) -> bool:
    """Return whether a command can name the data, the network and the task: those of the user exist in Python only."""
    is_own_task = not type(facts.task).__module__.startswith("tfl.")
    return facts.config.data.source != PYTHON_DATA and is_in_keras(facts.metadata.backbone) and not is_own_task


def _in_python(facts: Facts, folder: str) -> Again:
    is_data = facts.config.data.source == PYTHON_DATA
    config = f"tfl.TransferConfig.from_dict(json.load(open({str(facts.path / 'config.json')!r})))"
    code = f"import json, tfl; tfl.transfer({config}, {folder!r}{', data=data' if is_data else ''})"
    own = "pass the same data as `data`" if is_data else "register your own network or task first"
    return Again(code, f"This Python code repeats the run in the new folder {folder}. Before it, {own}.")


def python_command(code: str) -> str:
    """Return a shell command that runs some Python code."""
    return f"python -c {shlex.quote(code)}"
