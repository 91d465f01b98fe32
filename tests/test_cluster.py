"""TF_CONFIG as services write it, every mistake in it as one line, and the names of strategies."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tfl.cluster import Cluster, make_tf_config, parse_strategy
from tfl.errors import InputError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "distributed.md"
TWO = ["10.0.0.1:2222", "10.0.0.2:2222"]


def read(cluster, task=None, **others):
    config = {"cluster": cluster, **({} if task is None else {"task": task}), **others}
    return Cluster.from_environment({"TF_CONFIG": json.dumps(config)})


def test_two_workers():
    cluster = read({"worker": TWO}, {"type": "worker", "index": 1}, job={"args": []}, environment="cloud")
    assert cluster == Cluster(1, 2, tuple(TWO))
    assert not cluster.is_chief
    assert read({"worker": TWO}, {"type": "worker", "index": "0"}).is_chief  # orchestrators write strings


def test_a_chief_stands_before_the_workers():
    jobs = {"worker": TWO, "chief": ["10.0.0.9:2222"]}
    chief, last = read(jobs, {"type": "chief", "index": 0}), read(jobs, {"type": "worker", "index": 1})
    assert (chief.index, chief.num_workers, chief.is_chief) == (0, 3, True)
    assert (last.index, last.num_workers, last.is_chief) == (2, 3, False)
    assert last.addresses == ("10.0.0.9:2222", *TWO)


@pytest.mark.parametrize("text", ["", " ", "{}", '{"cluster": {}}', '{"task": {"type": "worker", "index": 0}}'])
def test_no_cluster_is_none(text):
    assert Cluster.from_environment({"TF_CONFIG": text}) is None
    assert Cluster.from_environment({}) is None


def test_the_real_environment_is_read(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", make_tf_config(TWO, 1))
    assert Cluster.from_environment() == Cluster(1, 2, tuple(TWO))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{cluster", "must be JSON"),
        ("[1]", "must be an object"),
        ('{"cluster": ["a:1"]}', "must be an object"),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "must list addresses"),
        ('{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}', "must list addresses"),
        ('{"cluster": {"worker": []}, "task": {"type": "worker", "index": 0}}', "at least one address"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "must say which task this process is"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker"}}', "must say which task this process is"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}', "from 0 to 1 for worker"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": -1}}', "from 0 to 1 for worker"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": true}}', "from 0 to 1"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "workr", "index": 0}}', "Did you mean 'worker'?"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "evaluator", "index": 0}}', "must have a task.type"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": ["worker"], "index": 0}}', "must have a task.type"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "each address once"),
        ('{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}', "host:port"),
        ('{"cluster": {"worker": ["a:0"]}, "task": {"type": "worker", "index": 0}}', "host:port"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}', "cluster.ps"),
        ('{"cluster": {"worker": ["a:1"], "evaluator": ["b:1"]}, "task": {}}', "cluster.evaluator"),
        ('{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}', "at most one chief"),
    ],
)
def test_a_mistake_is_one_line(text, expected):
    with pytest.raises(InputError) as caught:
        Cluster.from_environment({"TF_CONFIG": text})
    message = str(caught.value)
    assert expected in message
    assert message.startswith("`TF_CONFIG` must")
    assert "Received" in message
    assert "\n" not in message
    assert len(message) < 300


def test_what_is_received_is_cut_short():
    with pytest.raises(InputError) as caught:
        Cluster.from_environment({"TF_CONFIG": "{" + "x\n" * 5000})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["auto", "one", "mirrored", "multi_worker", "tpu"])
def test_names_of_strategies(name):
    assert parse_strategy(name) == (name, 0)
    assert parse_strategy(name.upper()) == (name, 0)
    assert parse_strategy("cpu:16") == ("cpu", 16)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("miror", "mirrored"),
        ("multiworker", "multi_worker"),
        ("cpu", "cpu:2"),
        ("cpu:1", "cpu:2"),
        ("cpu:N", "cpu:2"),
        ("cpu:-2", "cpu:2"),
        ("one:2", "one"),
        ("", None),
        ("horovod", None),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(name, meant):
    with pytest.raises(InputError, match=r"`training\.strategy` must be one of auto, one, ") as caught:
        parse_strategy(name, "training.strategy")
    assert f"Received: {name!r}." in str(caught.value)
    assert str(caught.value).endswith(f"Did you mean '{meant}'?" if meant else ".")


def test_it_needs_no_tensorflow():
    tensorflow = "[m for m in sys.modules if m in ('tensorflow', 'keras')]"
    code = f"import sys, tfl.cluster, tfl.distribution.launch; print({tensorflow})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def blocks_of_the_docs(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)


def run_shell(code, **environment):
    result = subprocess.run(
        ["bash", "-euc", code], env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return [Cluster.from_environment({"TF_CONFIG": line}) for line in result.stdout.splitlines()]


def test_the_script_for_slurm_names_this_task():
    """With SLURM's own commands replaced by what their manuals say that they do."""
    (script,) = blocks_of_the_docs("bash")
    fakes = """
scontrol() { [ "$*" = "show hostnames node[1-2]" ] && printf 'node1\\nnode2\\n'; }
srun() { shift; for SLURM_PROCID in 0 1; do SLURM_PROCID=$SLURM_PROCID "$@"; done; }
"""
    script, count = re.subn(r"exec \S+python .*?(?='$)", 'echo "$TF_CONFIG"', script, flags=re.MULTILINE)
    assert count == 1
    addresses = ("node1:2222", "node2:2222")
    expected = [Cluster(index, 2, addresses) for index in (0, 1)]
    assert run_shell(fakes + script, SLURM_JOB_NODELIST="node[1-2]") == expected


def test_the_jobs_for_kubernetes_name_this_pod():
    job_page, jobset_page = blocks_of_the_docs("yaml")
    service, job = yaml.safe_load_all(job_page)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert service["metadata"]["name"] == spec["subdomain"] == environment["DOMAIN"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert int(environment["WORKERS"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    shell, count = re.subn(r"exec python .*", 'echo "$TF_CONFIG"', container["args"][0])
    assert count == 1
    for index in range(2):
        (cluster,) = run_shell(shell, JOB_COMPLETION_INDEX=str(index), **environment)
        assert cluster == Cluster(index, 2, ("photos-0.photos:2222", "photos-1.photos:2222"))
    jobset = yaml.safe_load(jobset_page)
    host = f"{jobset['metadata']['name']}-{jobset['spec']['replicatedJobs'][0]['name']}-0"
    assert f"HOST={host}, DOMAIN={jobset['metadata']['name']}" in jobset_page
