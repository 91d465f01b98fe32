"""Describe the environment of a report, and the command that repeats the run."""

import importlib.metadata
import platform
import shlex
import time

import tensorflow as tf

from tfl.config import PYTHON_DATA
from tfl.report.facts import Facts

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def describe_environment(facts: Facts) -> list[tuple[str, str]]:
    """Return what the result depends on, apart from config and data, as (name, value) pairs."""
    devices = [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices()]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return [
        ("time of this report", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ("duration of the run", f"{facts.seconds:.0f} s since its last start" if facts.seconds else "not known"),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("packages", versions),
        ("devices", ", ".join(devices)),
        ("strategy, precision", f"{facts.config.strategy}, {facts.config.precision}"),
        ("seed", str(facts.config.seed)),
    ]


def command_again(facts: Facts) -> str:
    """Return a shell command that repeats the run in a new folder, from its config.json.

    For a run on Python data the user must pass the same data again, as `data`.
    """
    given = ", data=data" if facts.config.data.source == PYTHON_DATA else ""
    code = (
        "import json, tfl; "
        f"tfl.transfer(tfl.TransferConfig.from_dict(json.load(open({str(facts.path / 'config.json')!r}))), "
        f"{str(facts.path) + '-again'!r}{given})"
    )
    return python_command(code)


def python_command(code: str) -> str:
    """Return a shell command that runs some Python code."""
    return f"python -c {shlex.quote(code)}"
