"""Read and check `TF_CONFIG` (the processes that train together) and the names of strategies, without TensorFlow.

TensorFlow reads `TF_CONFIG` too, but it reports a mistake late, with a traceback, or waits forever.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfl.errors import InputError
from tfl.registry import did_you_mean

VARIABLE = "TF_CONFIG"
TASK_TYPES = ("chief", "worker")
STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu", "cpu:N")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The group of processes that this process belongs to."""

    index: int  # of this process among all, the chief first; with a chief it differs from the index in TF_CONFIG
    num_workers: int  # including the chief
    addresses: tuple[str, ...]  # host:port of each, in the order of `index`

    @property
    def is_chief(self) -> bool:
        """Whether this process is the only one that writes files."""
        return self.index == 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Cluster | None":
        """Read `TF_CONFIG`.

        Args:
            environment: variables to read; `os.environ` by default.

        Returns:
            The cluster, even if it has one worker only; None if `TF_CONFIG` is not set or names no cluster.

        Raises:
            InputError: it is not JSON, does not say which task this process is, or lists tasks that tfl does not
                support.

        Example:
            >>> tasks = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}
            >>> config = {"cluster": tasks, "task": {"type": "worker", "index": 1}}
            >>> Cluster.from_environment({"TF_CONFIG": json.dumps(config)}).is_chief
            False
        """
        text = (os.environ if environment is None else environment).get(VARIABLE, "")
        config = _parse(text)
        jobs = config.get("cluster") or {}
        if not jobs:
            return None
        _check_jobs(jobs)
        addresses = (*jobs.get("chief", ()), *jobs.get("worker", ()))
        _check_addresses(addresses)
        task_type, index = _task(config.get("task"), jobs)
        before = len(jobs.get("chief", ())) if task_type == "worker" else 0
        return cls(before + index, len(addresses), addresses)


def make_tf_config(addresses: Sequence[str], index: int) -> str:
    """Return the value of `TF_CONFIG` for one worker of a group.

    Args:
        addresses: host:port of every worker; all workers get the same list.
        index: position of the worker in the list.
    """
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}})


def parse_strategy(name: str, argument: str = "strategy") -> tuple[str, int]:
    """Split the name of a strategy into its kind and its number of devices.

    Args:
        name: auto, one, mirrored, multi_worker, tpu, or cpu:N with N >= 2; upper and lower case are the same.
        argument: name of the option, for the error message.

    Returns:
        The kind (`cpu` for cpu:N) and N; N is 0 for all other kinds.

    Raises:
        InputError: the name is none of these.

    Example:
        >>> parse_strategy("cpu:4")
        ('cpu', 4)
    """
    kind, colon, count = str(name).lower().partition(":")
    if not colon and kind in STRATEGIES:
        return kind, 0
    if kind == "cpu" and count.isdecimal() and int(count) >= 2:
        return kind, int(count)
    known = [known.replace("N", "2") for known in STRATEGIES]
    raise InputError(
        f"`{argument}` must be one of {', '.join(STRATEGIES)} (N at least 2). "
        f"Received: {name!r}.{did_you_mean(str(name), known)}"
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise InputError(f"`{VARIABLE}` must be JSON ({error}). Received: {_short(text)}.") from None
    if not isinstance(config, dict) or not isinstance(config.get("cluster") or {}, dict):
        raise InputError(
            f'`{VARIABLE}` must be an object such as {{"cluster": {{"worker": ["host:port", ...]}}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: {_short(text)}.'
        )
    return config


def _check_jobs(jobs: dict[str, Any]) -> None:
    for name, addresses in jobs.items():
        if name not in TASK_TYPES:
            raise InputError(
                f"`{VARIABLE}` must have only tasks of the types chief and worker: tfl trains synchronously and has "
                f"no parameter servers or evaluators. Received: cluster.{name}."
            )
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            raise InputError(
                f"`{VARIABLE}` must list addresses as host:port. Received: cluster.{name}={_short(addresses)}."
            )
    if len(jobs.get("chief", ())) > 1:
        raise InputError(f"`{VARIABLE}` must have at most one chief. Received: {len(jobs['chief'])} chiefs.")


def _check_addresses(addresses: Sequence[str]) -> None:
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InputError(f"`{VARIABLE}` must have addresses as host:port. Received: {_short(address)}.")
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise InputError(f"`{VARIABLE}` must list each address once. Received twice: {', '.join(twice)}.")
    if not addresses:
        raise InputError(f"`{VARIABLE}` must list at least one address. Received: none.")


def _task(task: Any, jobs: dict[str, Any]) -> tuple[str, int]:
    if not isinstance(task, dict) or "type" not in task or "index" not in task:
        raise InputError(
            f"`{VARIABLE}` must say which task this process is, as in "
            f'"task": {{"type": "worker", "index": 0}}. Received: task={_short(task)}.'
        )
    kind, index = str(task["type"]), str(task["index"])  # some orchestrators write the index as a string
    if kind not in jobs:
        raise InputError(
            f"`{VARIABLE}` must have a task.type that its cluster lists: {', '.join(jobs)}. Received: {_short(kind)}."
            f"{did_you_mean(str(kind), jobs)}"
        )
    if not index.isdecimal() or int(index) >= len(jobs[kind]):
        last = len(jobs[kind]) - 1
        raise InputError(f"`{VARIABLE}` must have a task.index from 0 to {last} for {kind}. Received: {_short(index)}.")
    return kind, int(index)


def _short(value: Any) -> str:
    text = " ".join((value if isinstance(value, str) else json.dumps(value)).split())
    return text if len(text) <= 100 else text[:97] + "..."
