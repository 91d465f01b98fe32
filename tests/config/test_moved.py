"""An option under its old name is read in `config.json` and in flags, and refused in one line in Python."""

import copy
import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for finished_run
from finished_run import write_finished_run

import tfl
from tfl.config import move_flags, move_options, value_of
from tfl.config.listing import list_options
from tfl.config.moved import MOVED
from tfl.errors import InputError
from tfl.report import write_report
from tfl.runs.compare import compare_runs
from tfl.runs.evaluate import evaluate_workdir
from tfl.workdir import Workdir, read_config

FLAGS = ("--config=configs/folder.py", "--config.data.source=digits", "--config.backbone.weights=none")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_finished_run(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def older(finished, tmp_path):
    """The run as an older version left it."""
    run = shutil.copytree(finished, tmp_path / "run")
    set_target(run, "multiclass")
    return run


def set_target(run, target, **sections):
    values = json.loads((run / "config.json").read_text())
    values.pop("task", None)
    values["head"]["target"] = target
    (run / "config.json").write_text(json.dumps(values | sections))


def test_every_old_name_has_a_new_one_and_is_none_itself():
    paths = {option.path for option in list_options()}
    assert set(MOVED.values()) <= paths
    assert not paths & set(MOVED)


def test_an_old_name_gives_its_value_to_the_new_one():
    values = {"seed": 1, "head": {"dropout": 0.5, "target": "binary"}}
    given = copy.deepcopy(values)
    assert move_options(values) == {"seed": 1, "head": {"dropout": 0.5}, "task": {"name": "binary"}}
    assert values == given
    config = tfl.TransferConfig.from_dict(values)
    assert (config.task.name, config.head.dropout) == ("binary", 0.5)
    assert "target" not in config.to_dict()["head"]


def test_both_names_must_have_one_value():
    assert move_options({"head": {"target": "binary"}, "task": {"name": "binary"}})["task"] == {"name": "binary"}
    with pytest.raises(
        InputError, match=r"`task\.name` must have one value.*task.name='binary' and head.target='x'\.$"
    ):
        tfl.TransferConfig.from_dict({"head": {"target": "x"}, "task": {"name": "binary"}})


@pytest.mark.parametrize("values", [[], {"head": 5}, {"head": {"target": "binary"}, "task": 5}])
def test_what_is_no_section_is_refused_as_before(values):
    with pytest.raises(InputError, match="must be a section of options"):
        tfl.TransferConfig.from_dict(values)


def test_a_run_of_an_older_version_opens_and_is_finished(older, finished, capsys):
    assert read_config(older).task.name == "multiclass"
    evaluation = evaluate_workdir(older)
    assert evaluation["test"] == pytest.approx(json.loads((older / "metrics.json").read_text())["test"])
    write_report(older)
    assert compare_runs([str(older), str(finished)])[1]["p_value"] == 1.0
    capsys.readouterr()
    result = tfl.transfer(read_config(finished), older)
    assert "this run is finished" in capsys.readouterr().err
    assert result.metrics == json.loads((finished / "metrics.json").read_text())


def test_the_old_name_in_a_workdir_counts(older):
    set_target(older, "regression")
    with pytest.raises(InputError, match=r"task.name is 'regression', but 'multiclass' in the model.*") as caught:
        evaluate_workdir(older)
    assert "config.json" in str(caught.value)
    with pytest.raises(InputError, match=r"differs in task.name='multiclass' \(recorded: 'regression'\)\.$"):
        Workdir.open(older, tfl.TransferConfig.from_dict(Workdir(older).read_config() | {"task": {}}).to_dict())
    set_target(older, "regression", task={"name": "multiclass"})
    for call in (lambda: evaluate_workdir(older), lambda: write_report(older), lambda: Workdir.open(older, {})):
        with pytest.raises(InputError, match=r"config.json.*`task.name` must have one value") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--config.head.target=binary"], ["--config.task.name=binary"]),
        (["-config.head.target", "binary"], ["-config.task.name", "binary"]),
        (["--config.head.targets=x", "--workdir=head.target"], ["--config.head.targets=x", "--workdir=head.target"]),
        (["--n=2", "--", "t.py", "--config.head.target=x"], ["--n=2", "--", "t.py", "--config.head.target=x"]),
    ],
)
def test_flags_get_the_new_name(given, expected):
    assert move_flags(given) == expected


@pytest.mark.parametrize(
    "form", ["--config.head.target=multilabl", "--config.head.target multilabl", "--flagfile=FILE"]
)
def test_the_old_flag_sets_the_new_option(run_script, tmp_path, form):
    (tmp_path / "flags").write_text("--config.head.target=multilabl\n")
    flags = form.replace("FILE", str(tmp_path / "flags")).split()
    result = run_script("scripts/train.py", *FLAGS, f"--workdir={tmp_path / 'w'}", *flags)
    assert result.returncode == 2
    assert result.stderr == "`task.name` must be a known name. Received: 'multilabl'. Did you mean 'multilabel'?\n"


def test_a_flag_is_given_under_one_name(run_script, tmp_path):
    flags = ("--config.task.name=binary", "--config.head.target=binary")
    result = run_script("scripts/train.py", *FLAGS, f"--workdir={tmp_path / 'w'}", *flags)
    assert result.returncode == 2
    assert result.stderr.startswith("`task.name` must be given once, not also under its old name. Received: --config.")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "body", ["TransferConfig(head=HeadConfig(target='binary'))", "set_in(TransferConfig(), 'binary')"]
)
def test_a_config_file_with_the_old_name_is_refused_in_one_line(run_script, tmp_path, body):
    (tmp_path / "mine.py").write_text(
        "from tfl.config import HeadConfig, TransferConfig\n\n\n"
        "def set_in(config, name):\n    config.head.target = name\n    return config\n\n\n"
        f"def get_config():\n    return {body}\n"
    )
    result = run_script("scripts/train.py", f"--config={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'w'}")
    assert result.returncode == 2
    assert result.stderr == (
        "`head.target` must be given as `task.name`. Received: head.target='binary'. "
        "Did you mean TaskConfig(name='binary')?\n"
    )


def test_other_attributes_and_copies_of_the_section_are_as_before():
    head = tfl.HeadConfig("gem", dropout=0.5)
    head.hidden_units = (4,)
    for again in (copy.deepcopy(head), pickle.loads(pickle.dumps(head))):
        assert again == head
    with pytest.raises(TypeError, match="targets"):
        tfl.HeadConfig(targets="binary")
    assert value_of(tfl.TransferConfig(), "task.name") == "multiclass"
