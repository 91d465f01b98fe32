"""Choose the devices and processes for training: one strategy, by its name or from the environment.

TensorFlow allows some strategies only once in a process, so each is made once and then returned again.
"""

import functools
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tfl.cluster import VARIABLE, Cluster, parse_strategy
from tfl.errors import InputError
from tfl.progress import say

TPU_VARIABLES = ("TPU_NAME", "KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS")  # set on machines with a TPU
METADATA_SERVER = "metadata.google.internal:80"  # turns the name of a TPU into an address
REACH_SECONDS = 3.0
TOO_LATE = (
    "`strategy` must be chosen before TensorFlow runs anything, because {name} changes how TensorFlow starts. "
    "Received: strategy={name!r}, but TensorFlow has already started in this process."
)


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Choose the devices and processes for training, and print one line that names them and the reason.

    With one CPU or GPU this is TensorFlow's default strategy, so that nothing changes. Call this function first:
    `multi_worker` and `cpu:N` set up the runtime of TensorFlow, which cannot change after the first operation. Several
    workers wait here for each other.

    Args:
        name: `auto` (several workers in TF_CONFIG, else a TPU, else several GPUs, else one device), `one`,
            `mirrored` (all GPUs of this machine), `multi_worker`, `tpu`, or `cpu:N` for N logical CPU devices.

    Returns:
        The strategy; the same object for the same name in the same process. If a `strategy.scope()` is open,
        `auto` returns its strategy.

    Raises:
        InputError: the name is unknown, does not fit `TF_CONFIG`, the devices or an open scope, or the call comes too
            late.

    Example:
        >>> strategy = make_strategy("cpu:2")
        >>> strategy.num_replicas_in_sync
        2
    """
    kind, count = parse_strategy(name)
    if tf.distribute.has_strategy():
        if kind == "auto":
            return tf.distribute.get_strategy()
        raise InputError(f"`strategy` must be auto inside the scope of a strategy. Received: {name!r}.")
    cluster = Cluster.from_environment()
    if cluster is not None and cluster.num_workers > 1:
        if kind in ("auto", "multi_worker"):
            return _multi_worker(cluster)
        raise InputError(
            f"`strategy` must be auto or multi_worker if {VARIABLE} names {cluster.num_workers} workers; "
            f"otherwise each of them would train its own model. Received: {name!r}."
        )
    if kind == "multi_worker":
        raise InputError(
            f"`{VARIABLE}` must name several workers for strategy=multi_worker; `tfl launch` sets it. "
            f"Received: {'none' if cluster is None else 'one worker'}."
        )
    if kind == "tpu" or (kind == "auto" and _tpu_address() is not None):
        return _tpu(_tpu_address())
    if kind == "cpu":
        return _logical_cpus(count)
    if kind == "mirrored" or (kind == "auto" and len(tf.config.list_physical_devices("GPU")) > 1):
        return _mirrored()
    return _one()


def make_deterministic() -> None:
    """Make every operation of TensorFlow give the same bits in every run on the same machine, until the process ends.

    Some operations become slower, on a GPU by tens of percent; an operation without a deterministic version raises an
    error. A CPU run of tfl with the same number of threads repeats to the bit even without this call.
    """
    tf.config.experimental.enable_op_determinism()
    say("deterministic: operations of TensorFlow give the same bits in every run; some of them are slower")


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Return the number of processes that run this program together; 1 for all strategies except multi_worker."""
    tasks = _tasks(strategy)
    return sum(map(len, tasks.values())) or 1


def worker_index(strategy: tf.distribute.Strategy) -> int:
    """Return the number of this process among all, from 0; if `TF_CONFIG` names a chief, the chief is 0."""
    tasks = _tasks(strategy)
    if not tasks:
        return 0
    resolver = strategy.cluster_resolver
    return resolver.task_id + (len(tasks.get("chief", ())) if resolver.task_type == "worker" else 0)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process is the only one that writes files."""
    return worker_index(strategy) == 0


def _tasks(strategy: tf.distribute.Strategy) -> dict[str, list[str]]:
    """Return the addresses of each task type; empty if one process controls all devices, as on a TPU."""
    resolver = strategy.cluster_resolver
    if resolver is None or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return {}
    return resolver.cluster_spec().as_dict()


@functools.cache
def _multi_worker(cluster: Cluster) -> tf.distribute.Strategy:
    gpus = len(tf.config.list_physical_devices("GPU"))
    implementation = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=implementation.NCCL if gpus else implementation.RING
    )
    say(
        f"strategy: multi_worker, from {VARIABLE}: worker {cluster.index} of {cluster.num_workers} at "
        f"{cluster.addresses[cluster.index]}, {_count(max(gpus, 1), 'GPU' if gpus else 'CPU')} each, "
        f"gradients summed by {'NCCL' if gpus else 'ring'}; waiting for the other workers"
    )
    try:
        with _signals_kept():
            return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except (RuntimeError, ValueError) as error:
        if "Collective ops" not in str(error):
            raise
        raise InputError(TOO_LATE.format(name="multi_worker")) from None
    except tf.errors.UnknownError as error:
        if "Could not start gRPC server" not in str(error):
            raise
        raise InputError(
            f"`{VARIABLE}` must give this worker a free address of this machine. "
            f"Received: {cluster.addresses[cluster.index]}."
        ) from None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Let Ctrl-C end the process while TensorFlow waits, and restore the handler of SIGTERM afterwards.

    TensorFlow waits in C++, where Python's signal handlers do not run. It also installs its own handler, which would
    ignore SIGTERM for the rest of the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if handlers[signal.SIGINT] is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@functools.cache
def _logical_cpus(count: int) -> tf.distribute.Strategy:
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise InputError(TOO_LATE.format(name=f"cpu:{count}")) from None
    say(f"strategy: cpu:{count}: {count} logical devices on one CPU")
    return tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(count)])


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    gpus = len(tf.config.list_physical_devices("GPU"))
    devices = [f"GPU:{number}" for number in range(gpus)] or ["CPU:0"]
    say(f"strategy: mirrored: {_count(len(devices), devices[0][:3])} of this machine")
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _one() -> tf.distribute.Strategy:
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    say(f"strategy: one device ({device})")
    return tf.distribute.get_strategy()


def _tpu_address() -> str | None:
    """Return the address of this machine's TPU, else None; never ask a metadata server, which may not exist."""
    for variable in TPU_VARIABLES:
        if os.environ.get(variable):
            return os.environ[variable]
    return "local" if tf.config.list_physical_devices("TPU") else None


@functools.cache
def _tpu(address: str | None) -> tf.distribute.Strategy:
    if address is None:
        raise InputError(
            f"`strategy=tpu` must have a TPU. Received: no TPU on this machine and no {' or '.join(TPU_VARIABLES)}."
        )
    if address != "local":
        _check_reach(address)
    say(f"strategy: tpu: {address}")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(tpu=address)
    except (ImportError, ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"`strategy=tpu` must find the TPU. Received: {address}: {reason}") from error
    return tf.distribute.TPUStrategy(resolver)


def _check_reach(address: str) -> None:
    """Check that the TPU, or the server that knows its name, answers; TensorFlow itself would wait for minutes."""
    first = address.split(",")[0].rpartition("://")[2]
    host, _, port = (first if ":" in first else METADATA_SERVER).rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"`strategy=tpu` must reach the TPU. Received: {address}, but {host}:{port} does not answer: {error}."
        ) from None


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' if number > 1 else ''}"
