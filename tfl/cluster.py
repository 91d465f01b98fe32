"""Which processes train together: `TF_CONFIG` read and checked, and the names of strategies, without TensorFlow.

TensorFlow reads `TF_CONFIG` too, but answers a mistake in it late, with a traceback or by waiting for ever.
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
    """The group of processes that this one belongs to."""

    index: int  # among all, the chief first; not that of TF_CONFIG where there is a chief
    num_workers: int  # the chief counted
    addresses: tuple[str, ...]  # host:port of each, in the order of `index`

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Cluster | None":
        """Read `TF_CONFIG`.

        Args:
            environment: where it stands; `os.environ` by default.

        Returns:
            The cluster, of one worker too; None where `TF_CONFIG` is not set or names no cluster.

        Raises:
            InputError: it is no JSON, does not say which task this is, or lists what tfl cannot work with.

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
        addresses: host:port of every worker, the same list for all.
        index: which of them it is for.
    """
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}})


def parse_strategy(name: str, argument: str = "strategy") -> tuple[str, int]:
    """Take the name of a strategy apart.

    Args:
        name: auto, one, mirrored, multi_worker, tpu, or cpu:N with N >= 2, in any case.
        argument: the option's name, for the error text.

    Returns:
        The kind (`cpu` for cpu:N) and N, 0 for all others.

    Raises:
        InputError: it is none of them.

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
                f"`{VARIABLE}` must have tasks of the types chief and worker alone: tfl trains synchronously and has "
                f"no parameter servers or evaluators. Received: cluster.{name}."
            )
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            raise InputError(f"`{VARIABLE}` must list addresses. Received: cluster.{name}={_short(addresses)}.")
    if len(jobs.get("chief", ())) > 1:
        raise InputError(f"`{VARIABLE}` must have one chief at most. Received: {len(jobs['chief'])}.")


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
    kind, index = str(task["type"]), str(task["index"])  # orchestrators write the index as a string, too
    if kind not in jobs:
        raise InputError(
            f"`{VARIABLE}` must have a task.type of its cluster: {', '.join(jobs)}. Received: {_short(kind)}."
            f"{did_you_mean(str(kind), jobs)}"
        )
    if not index.isdecimal() or int(index) >= len(jobs[kind]):
        last = len(jobs[kind]) - 1
        raise InputError(f"`{VARIABLE}` must have a task.index from 0 to {last} for {kind}. Received: {_short(index)}.")
    return kind, int(index)


def _short(value: Any) -> str:
    text = " ".join((value if isinstance(value, str) else json.dumps(value)).split())
    return text if len(text) <= 100 else text[:97] + "..."
