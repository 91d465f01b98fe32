"""What is written is the old file or the new one, and a full disk is one line."""

import errno
import gc
import json
import subprocess
import sys

import pytest
from etils import epath

import tfl
from tfl.config import MAY_DIFFER, TransferConfig, flatten
from tfl.errors import InputError
from tfl.files.writing import sweep_unfinished, write_atomically, write_folder_atomically
from tfl.runs.predict import predict_files
from tfl.workdir import Workdir, write_csv, write_json


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.json"
    write_json(target, {"x": 1})

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match=r"`workdir` must be on a disk with free space.*nothing was changed"):
        write_atomically(target, fail)
    assert json.loads(target.read_text()) == {"x": 1}
    assert leftovers(tmp_path) == ["a.json"]


def test_a_bug_in_a_writer_keeps_its_traceback(tmp_path):
    def fail(temporary):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        write_atomically(tmp_path / "a", fail)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("limit", [0, 1, 7, 20, 1000, 4000])
def test_a_really_full_disk_is_one_line_and_leaves_nothing(tmp_path, limit):
    write_json(tmp_path / "a.json", {"old": True})
    script = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tfl.workdir import write_json
from tfl.errors import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    write_json({str(tmp_path / "a.json")!r}, {{"new": "x" * 5000}})
except InputError as error:
    sys.exit(str(error))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "`workdir` must be on a disk with free space" in result.stderr
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": True}
    assert leftovers(tmp_path) == ["a.json"]


def test_nan_never_reaches_a_json_file(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert leftovers(tmp_path) == []


def test_csv_quotes_what_must_be_quoted(tmp_path):
    write_csv(tmp_path / "a.csv", ["path", "reason"], [["a,b.jpg", 'say "x"']])
    assert (tmp_path / "a.csv").read_text() == 'path,reason\n"a,b.jpg","say ""x"""\n'


def test_a_workdir_belongs_to_one_config(tmp_path):
    config = {"seed": 0, "data": {"source": "digits", "split": (0.7, 0.15, 0.15)}}
    Workdir.open(tmp_path / "w", config).begin(config)
    Workdir.open(tmp_path / "w", config)  # the same again is fine
    other = {"seed": 1, "data": {"source": "digits", "split": (0.7, 0.15, 0.15)}}
    with pytest.raises(InputError, match=r"which differs in seed=1 \(recorded: 0\)\.$"):
        Workdir.open(tmp_path / "w", other)


@pytest.mark.parametrize("path", list(flatten(TransferConfig().to_dict())))
def test_an_option_that_an_older_run_did_not_record_has_its_default_there(tmp_path, path):
    config = TransferConfig().to_dict()
    recorded = TransferConfig().to_dict()
    *sections, name = path.split(".")
    section, changed = recorded, config
    for part in sections:
        section, changed = section[part], changed[part]
    del section[name]
    write_json(tmp_path / "config.json", recorded)
    with Workdir.open(tmp_path, config) as run:
        run.begin(config)
    assert Workdir(tmp_path).read_config() == json.loads(json.dumps(config))
    write_json(tmp_path / "config.json", recorded)
    changed[name] = "another"
    if path.startswith((*MAY_DIFFER, "backbone.sha256")):  # of an older run only the path of the network is known
        Workdir.open(tmp_path, config)
    else:
        with pytest.raises(InputError, match=rf"which differs in {path}='another' \(recorded: "):
            Workdir.open(tmp_path, config)


def test_a_refused_run_changes_nothing_of_the_one_at_work(tmp_path):
    config, same = {"seed": 0, "strategy": "one"}, {"seed": 0, "strategy": "cpu:2"}
    early = Workdir.open(tmp_path / "w", same)  # before there was anything
    with Workdir.open(tmp_path / "w", config) as first:
        first.begin(config)
        (tmp_path / "w" / ".writing-a").mkdir()
        for refused in (lambda: early.begin(same), lambda: Workdir.open(tmp_path / "w", same)):
            with pytest.raises(
                InputError, match=r"`workdir` must be used by one run at a time.*another run is using it"
            ):
                refused()
        assert first.read_config() == config
        assert (tmp_path / "w" / ".writing-a").exists()
    with pytest.raises(InputError, match="another run has used it since this one started; start this run again"):
        early.begin(same)
    assert first.read_config() == config
    with Workdir.open(tmp_path / "w", same) as second:
        second.begin(same)
    assert second.read_config() == same


def test_no_other_handle_frees_the_lock_of_a_run(tmp_path):
    with Workdir.open(tmp_path / "w", {}) as first:
        first.begin({})
        (tmp_path / "w" / ".lock").open("a").close()
        another = Workdir(tmp_path / "w")
        another.release()
        del another
        for _ in range(2):  # the refused one is collected
            with pytest.raises(InputError, match="one run at a time"):
                Workdir.open(tmp_path / "w", {})
            gc.collect()
    Workdir.open(tmp_path / "w", {}).begin({})


def test_a_run_that_fails_lets_the_next_one_in(tmp_path):
    def fail():
        with Workdir.open(tmp_path / "w", {}) as run:
            run.begin({})
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug") as kept:  # and with it the frame that holds the run
        fail()
    Workdir.open(tmp_path / "w", {}).begin({})
    assert kept.value


UNFINISHED_USES = {
    "evaluate": tfl.evaluate_workdir,
    "predict": lambda run: predict_files(run, ["a.jpg"]),
    "compare": lambda run: tfl.compare_runs([run, f"{run}/../other"]),
    "export": tfl.export_workdir,
    "report": tfl.remake_report,
    "load": tfl.load_model,
    "serve": tfl.load_artefact,
    "transfer from": lambda run: tfl.build_backbone("MobileNetV2", alpha=0.35, weights=run),
}


@pytest.mark.parametrize("use", UNFINISHED_USES)
def test_a_run_that_is_being_written_is_not_taken_for_a_finished_one(tmp_path, use):
    run = tmp_path / "run"
    for name in ("model.keras", "splits.csv", "predictions.csv", "evaluation.json", "export/certificate.json"):
        write_json(run / name, {})
    write_json(run / "config.json", TransferConfig().to_dict())
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"must be a finished run. Received: '.*run', which .*still training"):
        UNFINISHED_USES[use](str(run))


def test_opening_writes_nothing(tmp_path):
    Workdir.open(tmp_path / "w", {})
    assert not (tmp_path / "w").exists()


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(InputError, match=r"has 'thesis.doc' but no config.json"):
        Workdir.open(tmp_path, {})
    with pytest.raises(InputError, match="must be a folder"):
        Workdir.open(tmp_path / "thesis.doc", {})


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="`workdir` must be writable"):
        write_json(tmp_path / "file" / "a.json", {})


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    def write(folder):
        (folder / "a").write_text("1")
        assert not (tmp_path / "x" / "y").exists()
        (folder / "b").write_text("2")

    write_folder_atomically(tmp_path / "x" / "y", write)
    assert leftovers(tmp_path / "x" / "y") == ["a", "b"]
    assert leftovers(tmp_path / "x") == ["y"]
    assert (tmp_path / "x" / "y").stat().st_mode & 0o777 == (tmp_path / "x").stat().st_mode & 0o777  # not only for us

    def fail(folder):
        (folder / "a").write_text("1")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match=r"`workdir` must be on a disk with free space.*nothing was changed"):
        write_folder_atomically(tmp_path / "x" / "z", fail)
    assert leftovers(tmp_path / "x") == ["y"]


def test_what_killed_writers_left_is_swept(tmp_path):
    (tmp_path / ".writing-abc" / "deep").mkdir(parents=True)
    (tmp_path / ".writing-abc" / "deep" / "half").write_text("half")
    (tmp_path / "whole").write_text("whole")
    sweep_unfinished(epath.Path(tmp_path))
    assert leftovers(tmp_path) == ["whole"]
    sweep_unfinished(epath.Path(tmp_path / "missing"))
