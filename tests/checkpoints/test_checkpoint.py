"""After a crash at any moment, a full disk or a damaged file, `load` gives the old checkpoint or the new one."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import warm
from checkpoint_program import make_arrays
from crash_disk import Disk, Recorder
from etils.epath import backend, gpath

import tfl.checkpoints.store
import tfl.workdir
from tfl.checkpoints.store import Checkpoint, CheckpointStore
from tfl.errors import InputError

PROGRAM = Path(__file__).with_name("checkpoint_program.py")


@pytest.fixture
def said(monkeypatch):
    """The lines on the screen."""
    lines = []
    monkeypatch.setattr(tfl.checkpoints.store, "say", lines.append)
    return lines


@pytest.fixture
def memory():
    """A folder that is fast to fill and to clear."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


def make(step, marker=0, size=50):
    return Checkpoint(step, make_arrays(step + 1000 * marker, size), {"step": step, "marker": marker})


def assert_same(loaded, expected):
    assert loaded.step == expected.step
    assert loaded.state == expected.state
    assert list(loaded.arrays) == list(expected.arrays)
    for name, values in expected.arrays.items():
        assert loaded.arrays[name].dtype == values.dtype
        assert loaded.arrays[name].shape == values.shape
        assert loaded.arrays[name].tobytes() == values.tobytes()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def contents_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in files_in(folder)}


def test_everything_comes_back_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    dtypes = [np.dtype(name) for name in ("bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64")]
    dtypes += [np.dtype(t) for t in (np.complex64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4)]
    arrays = {}
    for dtype in dtypes:
        for shape in ((), (0,), (0, 3), (7,), (2, 3, 5)):
            arrays[f"{dtype}/{shape}"] = np.asarray(rng.integers(0, 2, shape) * 3).astype(dtype)
    arrays["nan"] = np.array([np.nan, -0.0, np.inf], np.float32)
    arrays["columns"] = np.asfortranarray(rng.random((3, 4)))
    arrays["strided"] = rng.random((6, 6))[::2, ::-1]
    arrays["ü/\n'\""] = np.arange(3)
    arrays["long"] = rng.random(400_000)  # several pieces
    state = {"epoch": 3, "best": float("inf"), "loss": 0.1 + 0.2, "names": ["a", "ü\ud800"], "none": None, "of": {}}
    expected = Checkpoint(12, arrays, state)
    CheckpointStore(tmp_path / "a" / "b").save(expected)
    loaded = CheckpointStore(tmp_path / "a" / "b").load()
    assert_same(loaded, expected)
    assert all(array.flags.writeable and array.flags.aligned for array in loaded.arrays.values())


def test_other_byte_orders_come_back_as_this_machines(tmp_path):
    CheckpointStore(tmp_path).save(Checkpoint(1, {"a": np.arange(3, dtype=">f4")}, {}))
    loaded = CheckpointStore(tmp_path).load().arrays["a"]
    assert (loaded.dtype, loaded.tolist()) == (np.dtype(np.float32), [0, 1, 2])


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([b"bytes"]), np.array([None]), np.zeros(2, "f4,i4")])
def test_what_is_no_numbers_is_refused_where_it_is_made(array):
    with pytest.raises(TypeError, match=r"`arrays` must hold numbers. Received: 'head'"):
        Checkpoint(1, {"head": array}, {})


def test_what_is_no_json_is_refused_where_it_is_made():
    with pytest.raises(TypeError, match="JSON"):
        Checkpoint(1, {}, {"a": {1, 2}})
    with pytest.raises(ValueError, match="`step` must"):
        Checkpoint(-1, {}, {})


def test_an_empty_folder_holds_none(tmp_path, said):
    for folder in (tmp_path, tmp_path / "missing"):
        store = CheckpointStore(folder)
        assert store.load() is None
        assert store.load_best() is None
    assert not said
    assert not (tmp_path / "missing").exists()
    with pytest.raises(InputError, match=r"`checkpoint.keep` must be at least 1. Received: keep=0"):
        CheckpointStore(tmp_path, keep=0)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_so_many_are_kept_and_the_best_one(tmp_path, keep):
    store = CheckpointStore(tmp_path, keep=keep)
    for step in range(1, 8):
        store.save(make(step), best=step == 2)
        newest = {f"step_{there:08d}" for there in range(1, step + 1)[-keep:]}
        assert set(names_in(tmp_path)) == {"LATEST", *newest} | ({"step_00000002"} if step >= 2 else set())
    assert store.load_best().step == CheckpointStore(tmp_path).load_best().step == 2
    store = CheckpointStore(tmp_path, keep=keep)  # the next run
    store.save(make(8))
    assert store.load_best().step == 2
    store.save(make(9), best=True)
    assert store.load_best().step == 9
    assert ("step_00000002" in names_in(tmp_path)) == (keep > 1)  # it was the best of one that is kept


def test_the_best_is_the_best_as_of_the_checkpoint_that_is_loaded(tmp_path, said):
    store = CheckpointStore(tmp_path, keep=2)
    for step, best in ((1, True), (2, False), (3, True)):
        store.save(make(step), best=best)
    damage(tmp_path / "step_00000003" / "arrays.bin")
    store = CheckpointStore(tmp_path, keep=2)
    assert_same(store.load(), make(2))
    store.save(make(3, marker=1))  # this time it is not the best
    assert_same(store.load_best(), make(1))
    assert names_in(tmp_path) == ["LATEST", "step_00000001", "step_00000002", "step_00000003-1"]


def damage(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_damaged_best_one_gives_way_to_the_one_before_it(tmp_path, said):
    store = CheckpointStore(tmp_path, keep=3)
    for step in (1, 2, 3):
        store.save(make(step), best=step < 3)
    damage(tmp_path / "step_00000002" / "arrays.bin")
    assert_same(store.load_best(), make(1))
    assert len(said) == 1
    assert "step_00000002/arrays.bin does not match its checksum" in said[0]
    assert str(tmp_path / "step_00000001") in said[0]
    damage(tmp_path / "step_00000001" / "arrays.bin")
    assert store.load_best() is None


@pytest.mark.parametrize("keep", [1, 2])
def test_the_same_step_again(tmp_path, keep):
    for marker in range(4):
        store = CheckpointStore(tmp_path, keep=keep)
        assert marker == 0 or store.load().state["marker"] == marker - 1
        store.save(make(5, marker))
        assert_same(CheckpointStore(tmp_path).load(), make(5, marker))
        assert len(names_in(tmp_path)) == 2


def test_what_was_gone_back_on_is_removed(tmp_path, said):
    store = CheckpointStore(tmp_path, keep=3)
    for step in (10, 20, 30):
        store.save(make(step))
    damage(tmp_path / "step_00000030" / "manifest.json")
    store = CheckpointStore(tmp_path, keep=3)
    assert store.load().step == 20
    store.save(make(25))
    assert names_in(tmp_path) == ["LATEST", "step_00000010", "step_00000020", "step_00000025"]
    damage(tmp_path / "LATEST")
    assert store.load().step == 25


def test_foreign_files_stay_and_leftovers_go(tmp_path):
    foreign = {"probe.keras", "step_00000001.txt", "old_step_00000001", "step_1", ".hidden", "LATEST.bak"}
    for name in foreign:
        (tmp_path / name).mkdir() if "step" in name else (tmp_path / name).write_text("mine")
    for name in (".writing-abc", ".writing-xyz/step_00000009"):  # of killed writers
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "arrays.bin").write_text("half")
    (tmp_path / "step_00000004").mkdir()  # without a manifest: no checkpoint
    store = CheckpointStore(tmp_path, keep=1)
    assert store.load() is None
    store.save(make(5))
    assert set(names_in(tmp_path)) == foreign | {"LATEST", "step_00000005"}
    store.save(make(1), best=True)  # of a training that was gone back on
    assert set(names_in(tmp_path)) == foreign | {"LATEST", "step_00000001"}
    assert_same(store.load(), make(1))


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^`checkpoint.folder` must be a usable folder. Received: .*file': Not"):
        CheckpointStore(tmp_path / "file").save(make(1))


SAVES = [(1, 0, True), (2, 0, False), (3, 0, True), (3, 1, False), (4, 0, False), (5, 0, False), (6, 0, True)]
BEST = [None, 0, 0, 2, 2, 2, 2, 6]  # place in SAVES of the best one, after so many saves


def place_of(checkpoint):
    """Return the place in SAVES, after a check of every value; None where there is none."""
    if checkpoint is None:
        return None
    key = checkpoint.step, checkpoint.state["marker"]
    assert_same(checkpoint, make(*key))
    return [save[:2] for save in SAVES].index(key)


def make_folder(folder, state):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in state.items():
        (folder / path).mkdir() if content is None else (folder / path).write_bytes(content)


def record(folder, keep):
    """Save everything; return what was done to the disk, and after how many operations each save had returned."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        recorder, ends = Recorder(folder, patch), []
        for place, (step, marker, best) in enumerate(SAVES):
            if place in (0, 3, 5):  # the next run
                store = CheckpointStore(folder / "checkpoints", keep=keep)
                store.load()
            store.save(make(step, marker), best=best)
            ends.append(len(recorder.operations))
    return recorder.operations, ends


def states_of(operations, ends):
    """Yield (operations done, state) for a crash before each operation and after the last.

    A state is given once for each save that it may be found in, and once for the moment at which one has returned.
    """
    disk, seen = Disk(), set()
    for done in range(len(operations) + 1):
        if done:
            disk.apply(operations[done - 1])
        for state in disk.states():
            key = sum(done > end for end in ends), done in ends, frozenset(state.items())
            if key not in seen:
                seen.add(key)
                yield done, state


@pytest.mark.parametrize("keep", [1, 2])
def test_a_crash_at_any_moment_leaves_the_old_or_the_new_one(memory, keep, said, monkeypatch):
    operations, ends = record(memory / "disk", keep)
    assert {kind for kind, _, _ in operations} == {"mkdir", "create", "write", "sync", "rename", "remove"}
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    count, case, finals = 0, memory / "case", []
    for done, state in states_of(operations, ends):
        count += 1
        make_folder(case, state)
        if done == len(operations):
            finals.append(contents_of(case))
        store = CheckpointStore(case / "checkpoints", keep=keep)
        loaded = place_of(store.load())
        saved = sum(done >= end for end in ends)
        where = f"{done} of {len(operations)} operations, {saved} saves, {state.keys()}"
        allowed = {saved - 1 if saved else None, saved}
        if done in ends:
            allowed = {saved - 1}
        assert loaded in allowed, where
        assert place_of(store.load_best()) == BEST[0 if loaded is None else loaded + 1], where
        store.save(make(99))
        assert_same(CheckpointStore(case / "checkpoints").load(), make(99))
        assert not list((case / "checkpoints").glob(".writing-*")), where
        assert len(names_in(case / "checkpoints")) <= 1 + keep + 1, where
    assert not said  # no crash may look like damage
    assert count >= 200
    assert contents_of(memory / "disk") in finals  # the recorder has missed nothing


def kill_while_saving(folder, seconds):
    """Return the last step that was said to be saved."""
    log = folder.parent / f"{folder.name}.log"
    log.unlink(missing_ok=True)
    process = warm.Process([PROGRAM, "save", folder], log)
    while process.poll() is None and not (log.exists() and "\n" in log.read_text()):
        time.sleep(0.001)
    time.sleep(seconds)
    process.kill()
    process.wait()
    return int(log.read_text().split()[-1])


@pytest.mark.parametrize("times", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_process_leaves_the_last_or_the_next_one(tmp_path, times, said):
    rng = np.random.default_rng(times)
    before, unfinished = 0, 0
    for _ in range(times):
        saved = kill_while_saving(tmp_path, rng.uniform(0, 0.03))
        assert saved > before
        unfinished += bool(list(tmp_path.glob(".writing-*")))
        loaded = CheckpointStore(tmp_path).load()
        assert loaded.step in (saved, saved + 1)
        assert_same(loaded, Checkpoint(loaded.step, make_arrays(loaded.step), {"step": loaded.step}))
        before = loaded.step
    assert not said
    assert times < 200 or unfinished > 20  # it was really killed within saves
    CheckpointStore(tmp_path).save(make(before + 1))
    assert not list(tmp_path.glob(".writing-*"))


def test_a_full_disk_leaves_the_one_before_and_is_one_line(tmp_path):
    result = warm.run([PROGRAM, "fill", tmp_path])
    answer = json.loads(result.stdout)
    assert len(answer["outcomes"]) == 20
    for outcome in answer["outcomes"]:
        assert outcome["error"].startswith("`checkpoint.folder` must be on a disk with free space. Received: ")
        assert str(tmp_path) in outcome["error"]
        assert "\n" not in outcome["error"]
        assert (outcome["step"], outcome["same"]) == (1, True)
        assert outcome["names"] == ["LATEST", "step_00000001"]
    assert answer["then"] == 2
    assert not result.stderr


@pytest.mark.parametrize("moved", [False, True])
def test_a_failure_at_the_last_file_leaves_no_orphan(tmp_path, monkeypatch, said, moved):
    """The disk may fill up between the values and LATEST, or fail to confirm that LATEST was replaced."""
    store = CheckpointStore(tmp_path)
    store.save(make(1))
    write = tfl.checkpoints.store.write_atomically

    def fail(path, fill):
        if moved:
            write(path, fill)
        raise InputError("`workdir` must be on a disk with free space. Received: no space left.")

    with monkeypatch.context() as full:
        full.setattr(tfl.checkpoints.store, "write_atomically", fail)
        with pytest.raises(InputError, match=r"^`checkpoint.folder` must be on a disk with free space"):
            store.save(make(2))
    assert_same(CheckpointStore(tmp_path).load(), make(2 if moved else 1))
    assert names_in(tmp_path) == ["LATEST", "step_00000001", "step_00000002"][: 3 if moved else 2]
    store.save(make(3))
    assert_same(store.load(), make(3))
    assert not said


@pytest.fixture
def three(memory):
    """Three checkpoints, and the loader of what is there."""
    store = CheckpointStore(memory / "whole", keep=3)
    for step in (1, 2, 3):
        store.save(make(step))
    return memory / "whole", memory / "damaged"


def check_damaged(folder, file, said):
    """`file` of the newest, of LATEST or of an older one has changed: what `load` must give and say."""
    expected = 2 if file.parent.name == "step_00000003" else 3
    assert_same(CheckpointStore(folder).load(), make(expected))
    if file.parent.name in ("step_00000001", "step_00000002"):  # which were not needed
        assert not said
    else:
        assert len(said) == 1
        assert "\n" not in said[0]
        assert str(file) in said[0]
        assert said[0].endswith(f"Continuing from {folder}/step_0000000{expected}.")
    said.clear()


def copies_to_damage(whole, damaged, count):
    """Yield the files of a fresh copy in turns, `count` in all."""
    names = [path.relative_to(whole) for path in files_in(whole)]
    for number in range(count):
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(whole, damaged)
        yield damaged / names[number % len(names)]


def test_no_flipped_bit_is_loaded(three, said):
    whole, damaged = three
    rng = np.random.default_rng(0)
    for file in copies_to_damage(whole, damaged, 210):
        content = bytearray(file.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        file.write_bytes(content)
        check_damaged(damaged, file, said)


def test_no_cut_file_is_loaded(three, said):
    whole, damaged = three
    rng, number_of_files = np.random.default_rng(0), len(files_in(whole))
    for count, file in enumerate(copies_to_damage(whole, damaged, 56)):
        content = file.read_bytes()
        length = rng.integers(len(content)) if count >= number_of_files else 0
        file.write_bytes(content[:length] if count % 8 else content + b"\0")  # one byte too many, now and then
        check_damaged(damaged, file, said)


@pytest.mark.parametrize("name", ["step_00000003", "step_00000003/manifest.json", "step_00000003/arrays.bin"])
def test_what_is_missing_is_named(three, said, name):
    path = three[0] / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert_same(CheckpointStore(three[0]).load(), make(2))
    assert len(said) == 1
    assert "is missing" in said[0]
    assert str(three[0] / "step_00000003") in said[0]


def test_files_of_two_checkpoints_do_not_mix(three, said):
    shutil.copy(three[0] / "step_00000002" / "arrays.bin", three[0] / "step_00000003")
    assert_same(CheckpointStore(three[0]).load(), make(2))
    assert "step_00000003/arrays.bin does not match its checksum at 'kernel'" in said[0]


def test_what_latest_does_not_name_does_not_count_yet(three, said):
    """In an object store a later folder may be whole while the save that wrote it has not returned."""
    shutil.copytree(three[0] / "step_00000003", three[0] / "step_00000007")
    shutil.rmtree(three[0] / "step_00000003")
    CheckpointStore(three[1]).save(make(2))
    shutil.copy(three[1] / "LATEST", three[0])
    assert_same(CheckpointStore(three[0]).load(), make(2))
    assert not said


def test_where_nothing_is_whole_training_does_not_begin_again_in_silence(three):
    for file in three[0].glob("*/arrays.bin"):
        damage(file)
    with pytest.raises(
        InputError, match=r"`checkpoint.folder` must hold an undamaged checkpoint, or none. Received: .*3"
    ):
        CheckpointStore(three[0]).load()


def test_only_numbers_are_read(tmp_path, monkeypatch):
    """A manifest may come from anywhere: it names no type whose values are more than their bytes."""
    store = CheckpointStore(tmp_path)
    store.save(make(1))
    manifest = json.loads((tmp_path / "step_00000001" / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["arrays"][1]["dtype"] = "object"
    tfl.checkpoints.store.write_sealed(store.folder / "step_00000001" / "manifest.json", manifest)
    with pytest.raises(InputError, match="the dtype 'object' is not a type of numbers"):
        store.load()


def test_an_object_store_renames_no_folder(tmp_path, monkeypatch, said):
    """The file interface of TensorFlow, which serves `gs://`, on local files."""
    monkeypatch.setattr(gpath, "_PREFIX_TO_BACKEND", {None: backend.tf_backend})
    monkeypatch.setattr(tfl.files.writing, "is_local", lambda path: False)
    renamed = []
    rename = backend.tf_backend.rename
    monkeypatch.setattr(
        backend.tf_backend, "rename", lambda *paths: renamed.append(paths) or rename(*paths), raising=False
    )
    store = CheckpointStore(tmp_path / "c", keep=2)
    assert store.load() is None
    for step in (1, 2, 3, 3, 4):
        store.save(make(step, size=300_000), best=step == 1)
        assert_same(CheckpointStore(tmp_path / "c").load(), make(step, size=300_000))
    assert not renamed
    (tmp_path / "c" / "step_00000005").mkdir()
    (tmp_path / "c" / "step_00000005" / "arrays.bin").write_text("half")  # of a killed writer
    assert CheckpointStore(tmp_path / "c").load().step == 4
    store.save(make(5))
    assert_same(store.load(), make(5))
    assert store.load_best().step == 1
    assert names_in(tmp_path / "c") == ["LATEST", "step_00000001", "step_00000004", "step_00000005-1"]
    damage(tmp_path / "c" / "step_00000005-1" / "arrays.bin")
    assert store.load().step == 4
    assert len(said) == 1
