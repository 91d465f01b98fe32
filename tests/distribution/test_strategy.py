"""Which strategy is chosen: each case in a process of its own, because TensorFlow sets up its runtime once."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import warm
from warm import PATIENCE

ROOT = Path(__file__).resolve().parent.parent.parent
PREAMBLE = """
import json, os, sys, time
import tensorflow as tf
from tfl.errors import InputError
from tfl.distribution.strategy import is_chief, make_strategy, num_workers, worker_index
def facts(strategy):
    return [type(strategy).__name__, strategy.num_replicas_in_sync, num_workers(strategy), worker_index(strategy)]
"""
ALL_REDUCE = """
import signal
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
strategy = make_strategy()
assert make_strategy("multi_worker") is strategy

@tf.function
def total():
    return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", tf.constant(2.0 ** index)))

index = worker_index(strategy)
os.kill(os.getpid(), signal.SIGTERM)  # TensorFlow would swallow it
print(json.dumps([*facts(strategy), is_chief(strategy), float(total()), len(asked)]), flush=True)
"""


def run(code, **environment):
    names = {name: value for name, value in os.environ.items() if name not in ("TF_CONFIG", "TPU_NAME")}
    return warm.run(["-c", PREAMBLE + code], {**names, **environment})


def said(result):
    return [line for line in result.stderr.splitlines() if line.startswith("strategy: ")]


def tf_config(count, index=0, **jobs):
    cluster = {"worker": [f"127.0.0.1:{2000 + number}" for number in range(count)], **jobs}
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})


def test_names_on_one_cpu():
    """All that a process can try one after the other; what fails, fails as one line."""
    code = """
default = tf.distribute.get_strategy()
assert make_strategy() is default and make_strategy("auto") is default and make_strategy("ONE") is default
mirrored = make_strategy("mirrored")
assert make_strategy("mirrored") is mirrored
print(json.dumps([facts(default), facts(mirrored), is_chief(mirrored)]))
for name in ("tpu", "multi_worker", "miror"):
    try: make_strategy(name)
    except InputError as error: print(error)
with mirrored.scope():
    assert make_strategy() is mirrored
    try: make_strategy("one")
    except InputError as error: print(error)
tf.constant(1)
try: make_strategy("cpu:2")
except InputError as error: print(error)
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
    first, *errors = result.stdout.splitlines()
    name = "_DefaultDistributionStrategy"
    assert json.loads(first) == [[name, 1, 1, 0], ["MirroredStrategy", 1, 1, 0], True]
    assert said(result) == ["strategy: one device (CPU)", "strategy: mirrored: 1 CPU of this machine"]
    for error, expected in zip(
        errors,
        [
            "`strategy=tpu` must have a TPU",
            "`TF_CONFIG` must name several workers for strategy=multi_worker",
            "Did you mean 'mirrored'?",
            "must be auto inside the scope of a strategy",
            "must be chosen before TensorFlow runs anything",
        ],
        strict=True,
    ):
        assert expected in error


def test_logical_devices_are_replicas():
    code = """
strategy = make_strategy("cpu:3")
assert make_strategy("cpu:3") is strategy
total = strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", tf.constant(2.0)))
values = [float(value) for value in strategy.experimental_local_results(total)]
print(json.dumps([facts(strategy), values, is_chief(strategy)]))
try: make_strategy("cpu:5")
except InputError as error: print("too late" if "before TensorFlow" in str(error) else error)
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
    line, late = result.stdout.splitlines()
    assert json.loads(line) == [["MirroredStrategy", 3, 1, 0], [6.0] * 3, True]
    assert late == "too late"
    assert said(result) == ["strategy: cpu:3: 3 logical devices on one CPU"]


def test_what_does_not_fit_the_environment_is_one_line_at_once():
    code = """
cases = [("one", ENV, ""), ("cpu:2", ENV, ""), ("auto", "{x", ""), ("auto", "", "a-tpu"), ("tpu", "", "grpc://127.0.0.1:9")]
for name, os.environ["TF_CONFIG"], os.environ["TPU_NAME"] in cases:
    try: make_strategy(name)
    except InputError as error: print(error)
os.environ["TF_CONFIG"], os.environ["TPU_NAME"] = ONE, ""
print(facts(make_strategy())[0])
tf.constant(1)
os.environ["TF_CONFIG"] = ENV
try: make_strategy()
except InputError as error: print(error)
"""
    result = run(f"ENV, ONE = {tf_config(3)!r}, {tf_config(1)!r}" + code)
    assert result.returncode == 0, result.stderr
    expected = [
        "must be auto or multi_worker if TF_CONFIG names 3 workers",
        "must be auto or multi_worker if TF_CONFIG names 3 workers",
        "`TF_CONFIG` must be JSON",
        "must reach the TPU. Received: a-tpu, but metadata.google.internal:80 does not answer",
        "must reach the TPU. Received: grpc://127.0.0.1:9, but 127.0.0.1:9 does not answer",
        "_DefaultDistributionStrategy",  # one worker is no cluster
        "`strategy` must be chosen before TensorFlow runs anything, because multi_worker",
    ]
    for line, part in zip(result.stdout.splitlines(), expected, strict=True):
        assert part in line


def test_two_processes_sum_over_the_loopback(tmp_path):
    """The proof that the launcher, TF_CONFIG and the strategy fit together; SIGTERM still reaches Python."""
    program = tmp_path / "program.py"
    program.write_text(PREAMBLE + ALL_REDUCE)
    command = [sys.executable, "scripts/launch_local.py", "--workers=2", "--max_restarts=0", "--", str(program)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    name = "CollectiveAllReduceStrategy"
    assert json.loads(result.stdout) == [name, 2, 2, 0, True, 3.0, 1]
    (other,) = [line for line in result.stderr.splitlines() if line.startswith("[1] [")]
    assert json.loads(other.removeprefix("[1] ")) == [name, 2, 2, 1, False, 3.0, 1]
    lines = [line for line in result.stderr.splitlines() if "strategy: multi_worker, from TF_CONFIG: worker" in line]
    assert len(lines) == 2  # each says it once
    assert any(line.startswith("strategy: multi_worker, from TF_CONFIG: worker 0 of 2 at 127.0.0.1:") for line in lines)
    assert all("gradients summed by ring" in line for line in lines)


def test_a_worker_that_waits_for_the_others_can_be_interrupted():
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        ports = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in (first, second)]}
    process = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + "make_strategy()"],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": tf_config(0, **ports)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert any("waiting for the other workers" in line for line in process.stderr)
    time.sleep(1)  # into the wait
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == -signal.SIGINT
    process.stderr.close()


def test_the_rank_counts_the_chief_first():
    """Without starting a group: TensorFlow's own resolver reads TF_CONFIG, and the helpers read the resolver."""
    code = """
from unittest import mock
cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
strategy = mock.Mock(spec=tf.distribute.MultiWorkerMirroredStrategy)
strategy.cluster_resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
for kind, number in ("chief", 0), ("worker", 0), ("worker", 1):
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": kind, "index": number}})
    print(num_workers(strategy), worker_index(strategy), is_chief(strategy))
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["3 0 True", "3 1 False", "3 2 False"]
