"""Mistakes of a new user: each gets one line and exit code 2, and TensorFlow is not imported for it."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import warm

from tfl.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("answers_program.py")
sys.path.insert(0, str(ROOT / "benchmarks"))  # the list is shared with benchmarks/mistakes.py

from wrong_commands import HOOK, WRONG, busy_run, write_home  # noqa: E402


@pytest.fixture
def run_without_tensorflow(run_cold, tmp_path):
    """Run the command in an interpreter that cannot import TensorFlow."""
    places = [str(path_of_hook(tmp_path)), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return lambda *words: run_cold("-m", "tfl", *words, PYTHONPATH=os.pathsep.join(places))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the files that the wrong commands name."""
    folder = tmp_path_factory.mktemp("mistakes") / "home"
    folder.mkdir()
    write_home(folder)
    return folder


@pytest.fixture(scope="module")
def answers(home, tmp_path_factory):
    """The exit code and the output of each wrong command, from interpreters that cannot import TensorFlow."""
    places = [str(path_of_hook(tmp_path_factory.mktemp("hook"))), str(ROOT)]
    asked = json.dumps([(wrong.words.split(), wrong.without) for wrong in WRONG])
    with busy_run(home):
        done = subprocess.run(
            [sys.executable, PROGRAM],
            cwd=home,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
            input=asked,
            capture_output=True,
            text=True,
            timeout=warm.PATIENCE,
        )
    assert done.returncode == 0, done.stderr
    return dict(zip(WRONG, json.loads(done.stdout), strict=True))


def path_of_hook(folder):
    (folder / "sitecustomize.py").write_text(HOOK)
    return folder


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong.words for wrong in WRONG])
def test_a_mistake_is_answered_in_one_line_without_tensorflow(answers, home, wrong):
    code, stdout, stderr = answers[wrong]
    assert code == 2, stderr
    assert wrong.answer.format(home=home) in stderr
    assert stderr.count("\n") == 1
    assert stdout == ""


def test_mistakes_leave_no_files(answers, home, tmp_path):
    write_home(tmp_path / "again")
    names = [{path.relative_to(top) for path in top.rglob("*")} for top in (home, tmp_path / "again")]
    assert names[0] - {Path("runs/busy/.lock")} == names[1]


def test_the_hook_sees_an_import_of_tensorflow(run_without_tensorflow, tmp_path):
    result = run_without_tensorflow("train", "digits", "--config.backbone.weights=none", f"--workdir={tmp_path / 'w'}")
    assert result.returncode == 1
    assert result.stderr.endswith("ImportError: tensorflow was imported\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_how_a_command_is_used(run_without_tensorflow, command):
    result = run_without_tensorflow(command, "--help")
    assert result.returncode == 0 and result.stderr == ""
    module = (ROOT / "tfl" / "commands" / f"{command}.py").read_text()
    assert result.stdout.startswith(module.removeprefix('"""').partition("\n")[0])
    assert f"\ntfl {command}" in result.stdout
    assert run_without_tensorflow(command, "-h").stdout == result.stdout


@pytest.mark.parametrize("words", [[], ["help"], ["-h"], ["--help"]])
def test_the_commands_are_listed(run_without_tensorflow, words):
    result = run_without_tensorflow(*words)
    assert result.returncode == 0 and result.stderr == ""
    assert [line.split()[0] for line in result.stdout.splitlines()[2:-2]] == list(COMMANDS)


def test_every_command_has_a_module_and_every_module_with_flags_a_command():
    modules = {file.stem for file in (ROOT / "tfl" / "commands").glob("*.py") if "\ndef run()" in file.read_text()}
    assert modules == set(COMMANDS)


def test_the_version_is_said_with_the_name_of_the_distribution(run_without_tensorflow):
    version = importlib.import_module("tfl.version")
    assert run_without_tensorflow("--version").stdout == f"tfl {version.VERSION} ({version.DISTRIBUTION})\n"


def test_backbones_and_options_are_listed(run_without_tensorflow):
    table = run_without_tensorflow("backbones", "resnet50*").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["name", "ResNet50", "ResNet50V2"]
    table = run_without_tensorflow("backbones", "mobilenetv3").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["name", "MobileNetV3Large", "MobileNetV3Small"]
    text = run_without_tensorflow("options", "learning_rate").stdout
    assert "--config.finetune.learning_rate: " in text and "--config.pretrain.learning_rate: " in text
    assert text.count("--config.") == 3
    assert run_without_tensorflow("options").stdout.count("  --config.") > 50


@pytest.mark.slow  # imports TensorFlow in a new process, as the peer
def test_the_benchmark_of_mistakes_times_each_of_them(run_cold):
    result = run_cold("benchmarks/mistakes.py", "--rounds=1", "--slowest=3", "--most=4")
    assert result.returncode == 0, result.stderr
    rows = [line.split("|")[1:-1] for line in result.stdout.splitlines() if line.startswith("| `")]
    assert len(rows) == 3 and all(
        float(seconds.strip().removesuffix(" s")) > 0 for _, *both, _ in rows for seconds in both
    )
    assert "4 wrong commands" in result.stdout
