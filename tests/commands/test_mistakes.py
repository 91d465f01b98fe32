"""Mistakes of a new user: each gets one line and exit code 2, and TensorFlow is not imported for it."""

import importlib
import os
from pathlib import Path

import pytest

from tfl.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
# Python imports this file at its start: the program ends with a traceback if it imports TensorFlow.
HOOK = """
import importlib.util, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in ("tensorflow", "keras") else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise ImportError(module.__name__ + " was imported")
sys.meta_path.insert(0, Refuse())
"""
MISTAKES = [
    ("trian photos", "Did you mean 'train'?"),
    ("fit photos", "Did you mean 'train'?"),
    ("{folder}", "Did you mean 'tfl train {folder}'?"),
    ("train", "`source` must be given, as in `tfl train photos`."),
    (
        "train phots",
        "tfds:NAME. Received: 'phots', which does not exist.",
    ),
    ("train setup.py", "Received: 'setup.py', which is a file."),
    ("train {folder}s", "Did you mean '{folder}'?"),
    ("train folder:{folder}s", "`data.source` must name a folder that exists."),
    ("train tfds:", "`source` must name what to read"),
    ("train digits digits", "`source` must be given once. Received: digits digits."),
    ("train digits --config.data.source=digits", "Received: digits --config.data.source."),
    ("train digits --epoch=3", "A flag must be one of `tfl train`. Received: --epoch. Did you mean 'epochs'?"),
    ("train digits --lr=0.1", "Did you mean 'learning_rate'?"),
    ("train digits --freeze=2", "Did you mean 'unfreeze'?"),
    ("train digits --image-size=64", "Did you mean 'image_size'?"),
    ("train digits --arch=VGG16", "Did you mean 'backbone'?"),
    ("train digits --dropout_rate=0.2", "Did you mean 'config.head.dropout'?"),
    ("train digits --epochs=ten", "invalid literal for int()"),
    ("train digits --epochs=-1", "`finetune.epochs` must be at least 0."),
    ("train digits --epochs=3 --config.finetune.epochs=4", "`epochs` must be given once."),
    ("train digits --config.finetune.lr=1", "Did you mean 'finetune.learning_rate'?"),
    ("train digits --backbone=ResNet5", "Did you mean 'ResNet50'?"),
    (
        "train digits --recipe=foldr",
        "`recipe` must be a known recipe or a file. Received: 'foldr'. Did you mean 'folder'?",
    ),
    ("train digits --recipe=folder --config=configs/folder.py", "`recipe` must be given once."),
    ("train digits --backbone=VGG16 --config.backbone.alpha=0.35", "`backbone.alpha` must be 1 for VGG16"),
    ("train digits --image_size=8", "`data.image_size` must be at least 32 for MobileNetV2."),
    ("train digits --config=configs/foldr.py", "Did you mean 'configs/folder.py'?"),
    ("train digits --workdir=tests", "`workdir` must be a new folder"),
    ("train digits --seeds=a", "`seeds` must be two or more different seeds, as in 0,1,2, or their number from 2"),
    ("train digits --seeds=0,0", "Received: 0,0."),
    ("train digits --seeds=-1", "Received: -1."),
    ("train digits --seeds=1", "Received: 1. Did you mean --seed=1, which is one run?"),
    ("train digits --seeds=0,1 --seed=2", "`seeds` must be given without `seed`. Received: --seeds=0,1 and --seed=2."),
    ("train digits --seeds=0,1 --workdir=tests", "`workdir` must be a new folder or the folder of a study."),
    ("features phots --output=x", "`source` must be a folder of photos"),
    ("features digits", "--output must have a value"),
    ("features digits --output=x --epochs=3", "Received: --epochs. Did you mean 'config.finetune.epochs'?"),
    ("evaluate", "`workdir` must be given once. Received: none."),
    ("evaluate {folder}", "`workdir` must be the folder of a run."),
    ("evaluate {folder} --workdir={folder}", "`workdir` must be given once. Received: {folder} {folder}."),
    ("report nowhere", "`workdir` must be the folder of a run."),
    ("export nowhere", "`workdir` must be the folder of a run."),
    ("compare nowhere {folder}", "`workdir` must be the folder of a run. Received: 'nowhere'"),
    ("predict", "`model` must be given once, as --model or as --workdir."),
    ("predict nowhere ant.jpg", "`model` must be a finished workdir or an exported model. Received: 'nowhere'"),
    ("predict --model={folder} ant.jpg", "which has no model.keras or saved_model.pb."),
    ("serve nowhere", "`model` must be a finished workdir or an exported model. Received: 'nowhere'"),
    ("serve nowhere --model=nowhere", "`model` must be given once."),
    ("backbones resnt*", "Did you mean 'ResNet50'?"),
    ("options lr", "Did you mean 'finetune.learning_rate'?"),
    ("launch --workers=1 -- train phots", "`source` must be a folder of photos"),
    ("launch --workers=1 train digits --seed=-1", "`seed` must be between 0 and"),
    ("launch --worker=1 train digits", "Did you mean 'workers'?"),
    ("launch", "`command` must come after --"),
]


@pytest.fixture
def run_without_tensorflow(run_cold, tmp_path):
    """Run the command in an interpreter that cannot import TensorFlow."""
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    places = [str(tmp_path), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return lambda *words: run_cold("-m", "tfl", *words, PYTHONPATH=os.pathsep.join(places))


@pytest.mark.parametrize(("words", "expected"), MISTAKES, ids=[words for words, _ in MISTAKES])
def test_a_mistake_is_answered_in_one_line_without_tensorflow(run_without_tensorflow, tmp_path, words, expected):
    folder = tmp_path / "photo"
    folder.mkdir()
    result = run_without_tensorflow(*words.format(folder=folder).split())
    assert result.returncode == 2, result.stderr
    assert expected.format(folder=folder) in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


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
    text = run_without_tensorflow("options", "learning_rate").stdout
    assert "--config.finetune.learning_rate: " in text and "--config.pretrain.learning_rate: " in text
    assert text.count("--config.") == 3
    assert run_without_tensorflow("options").stdout.count("  --config.") > 50


@pytest.mark.slow  # imports TensorFlow in a new process, as the peer
def test_the_benchmark_of_mistakes_times_ten(run_cold):
    result = run_cold("benchmarks/mistakes.py", "--rounds=1")
    assert result.returncode == 0, result.stderr
    rows = [line.split("|")[1:-1] for line in result.stdout.splitlines()[2:]]
    assert len(rows) == 10 and all(float(seconds.strip().removesuffix(" s")) > 0 for _, seconds, _ in rows)
