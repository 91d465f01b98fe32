"""The store against plain arrays: what is read is what was written, and what is damaged is not there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfl.config import FeaturesConfig
from tfl.errors import InputError
from tfl.features import open_store
from tfl.features import shelf as shelf_module
from tfl.features.shards import estimate_bytes
from tfl.features.store import FeatureStore, default_store
from tfl.files.room import StoreFullError, StoreRoom, human_size

# Other processes load the files of the store alone, not their room: that would take TensorFlow along, and seconds each.
PREAMBLE = f"""
import json, os, pathlib, resource, signal, sys, time, types
import numpy as np
sys.modules["tfl.features"] = types.ModuleType("tfl.features")
sys.modules["tfl.features"].__path__ = [{str(Path(shelf_module.__file__).parent)!r}]
from tfl.features import shelf as shelf_module, store
assert "tensorflow" not in sys.modules
shelf_module.track = lambda paths, *arguments, **options: paths  # a child killed in it keeps tqdm's lock

def values_of(keys):
    return np.stack([np.random.default_rng(int(key[3:])).normal(size=20).astype(np.float32) for key in keys])

def fill(root, keys, portion, pause=0.0):
    shelf = store.FeatureStore(root, 10**9).open("digest", (20,), "float32")
    missing = [keys[position] for position in shelf.missing(keys)]
    for start in range(0, len(missing), portion):
        shelf.write(missing[start : start + portion], values_of(missing[start : start + portion]))
        time.sleep(pause)
    return shelf
"""


def run_python(script, *arguments, expected=0):
    command = [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == expected, result.stderr
    return result


def make_keys(count, start=0):
    return [f"key{number}" for number in range(start, start + count)]


def open_shelf(root, shape=(20,), dtype="float32"):
    """A new store each time, as a new process has it."""
    return FeatureStore(root, 10**9).open("digest", shape, dtype)


def fill(root, keys, portion=10, shape=(20,), dtype="float32"):
    values = np.random.default_rng(0).normal(size=(len(keys), *shape)).astype(np.float32)
    shelf = open_shelf(root, shape, dtype)
    for start in range(0, len(keys), portion):
        shelf.write(keys[start : start + portion], values[start : start + portion])
    return shelf, values


def shard_files(root):
    return sorted(Path(root).glob("*/*.npy"))


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in shard_files(root)}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", [(20,), (3, 3, 5), ()])
def test_what_is_read_is_what_was_written(tmp_path, shape, dtype):
    keys = make_keys(37)
    shelf, values = fill(tmp_path, keys, 10, shape, dtype)
    expected = values.astype(dtype).astype(np.float32)
    for same_or_next in (shelf, open_shelf(tmp_path, shape, dtype)):
        stored = same_or_next.read(keys)
        assert (len(stored), stored.shape, stored.dtype) == (37, (37, *shape), np.float32)
        assert stored[:].dtype == np.float32
        np.testing.assert_array_equal(stored[:], expected)
        np.testing.assert_array_equal(np.asarray(stored), expected)


def test_rows_come_in_the_order_of_the_keys_with_repeats(tmp_path):
    keys = make_keys(50)
    _, values = fill(tmp_path, keys, 7)
    wanted = np.random.default_rng(1).integers(0, 50, 200)
    stored, expected = open_shelf(tmp_path).read([keys[row] for row in wanted]), values[wanted]
    shuffled = np.random.default_rng(2).permutation(200)
    for index in (
        slice(None), slice(3, 90), slice(150, 10, -3), slice(5, 5), slice(190, 1000), shuffled, shuffled[:32],
        np.array([-1, 0, 0, 199]), np.array([], np.int64), [4, 2], expected[:, 0] > 0, 7, -1,
    ):  # fmt: skip
        np.testing.assert_array_equal(stored[index], expected[index], strict=True)
    for outside in (200, [0, 200]):
        with pytest.raises(IndexError):
            stored[outside]


def test_no_keys_are_no_rows(tmp_path):
    shelf = open_shelf(tmp_path)
    assert shelf.missing([]).shape == (0,)
    stored = shelf.read([])
    assert stored.shape == (0, 20)
    assert stored[:].shape == (0, 20)


def test_only_what_is_new_is_missing(tmp_path):
    keys = make_keys(100)
    fill(tmp_path, keys)
    asked = make_keys(3, start=1000) + keys[::-1] + ["key1", "other"]
    missing = open_shelf(tmp_path).missing(asked)
    assert missing.dtype == np.int64
    assert missing.tolist() == [0, 1, 2, 104]
    with pytest.raises(KeyError, match="4 of 105 keys are not stored, the first: 'key1000'"):
        open_shelf(tmp_path).read(asked)


def test_extractors_shapes_and_dtypes_do_not_mix(tmp_path):
    keys = make_keys(4)
    fill(tmp_path, keys)
    store = FeatureStore(tmp_path, 10**9)
    for other in (("other", (20,), "float32"), ("digest", (4, 5), "float32"), ("digest", (20,), "float16")):
        assert len(store.open(*other).missing(keys)) == 4
    assert len(store.open("digest", (20,), "float32").missing(keys)) == 0


def test_a_shard_is_a_plain_npy_file(tmp_path):
    _, values = fill(tmp_path, make_keys(10))
    np.testing.assert_array_equal(np.load(shard_files(tmp_path)[0]), values)


def test_wrong_shapes_and_numbers_beyond_float16_are_refused(tmp_path):
    shelf = open_shelf(tmp_path, (2,), "float16")
    for values in (np.zeros((1, 2)), np.zeros((2, 3)), np.zeros(2)):
        with pytest.raises(ValueError, match="`values` must be"):
            shelf.write(["a", "b"], values)
    with pytest.raises(
        InputError,
        match=r"`features.dtype` must be a type that can hold the largest feature, 70000. Received: 'float16'",
    ):
        shelf.write(["a", "b"], np.array([[1, 2], [3, -70000]], np.float32))
    with pytest.raises(InputError, match=r"`features\.dtype` must be float32 or float16"):
        FeatureStore(tmp_path, 1).open("digest", (2,), "int8")
    assert not shard_files(tmp_path)
    shelf.write(["a", "b"], np.array([[np.inf, np.nan], [1, 65504]], np.float32))  # as the model gave them
    np.testing.assert_array_equal(shelf.read(["b", "a"])[:], [[1, 65504], [np.inf, np.nan]])


def flip(position, bit):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[position % len(content)] ^= 1 << bit
        path.write_bytes(content)

    return damage


def keep(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def put(content):
    return lambda path: path.write_bytes(content)


def replace(old, new):
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new))


FLIPS = [(int(position), int(position) % 8) for position in np.random.default_rng(0).integers(0, 1200, 12)]
# first byte, header, first value, keys, the length, the digest, the line feed
FLIPS += [(0, 0), (20, 1), (128, 7), (-150, 0), (-100, 5), (-82, 4), (-67, 5), (-66, 0), (-30, 5), (-1, 1)]
DAMAGES = {
    **{f"bit {bit} of byte {position}": flip(position, bit) for position, bit in FLIPS},
    **{f"cut to {share}": keep(share) for share in (0, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)},
    "one byte more": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "no keys": lambda path: path.write_bytes(path.read_bytes().partition(b'["key')[0]),
    "no rows": lambda path: path.write_bytes(b"".join(path.read_bytes().partition(b'["key')[1:])),
    "garbage for keys": replace(b'["key', b'{"[['),
    "other keys": replace(b', "key', b', "kex'),
    "garbage": put(os.urandom(3000)),
    "zeros": put(bytes(3000)),
    "an array alone": lambda path: np.save(path, np.zeros((10, 20), np.float32)),
    "text": put(b"{not json"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_found_said_and_made_good(tmp_path, name, capsys):
    keys = make_keys(30)
    _, values = fill(tmp_path, keys)
    before = contents(tmp_path)
    victim = shard_files(tmp_path)[1]
    lost = [key for key in keys if f'"{key}"'.encode() in victim.read_bytes()]
    DAMAGES[name](victim)
    assert contents(tmp_path) != before

    shelf = open_shelf(tmp_path)
    missing = shelf.missing(keys)
    assert [keys[position] for position in missing] == lost
    assert not victim.exists()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert line.endswith(f"features: a stored file is damaged and is computed again: {victim}")

    shelf.write(lost, values[missing])
    assert contents(tmp_path) == before
    np.testing.assert_array_equal(shelf.read(keys)[:], values)
    np.testing.assert_array_equal(open_shelf(tmp_path).read(keys)[:], values)


def test_a_whole_shard_of_another_shelf_is_not_taken(tmp_path):
    keys = make_keys(10)
    fill(tmp_path / "a", keys, shape=(4, 5))
    fill(tmp_path / "b", keys)
    shutil.copy(shard_files(tmp_path / "a")[0], shard_files(tmp_path / "b")[0])
    assert len(open_shelf(tmp_path / "b").missing(keys)) == 10


def test_a_shard_is_checked_once_in_a_process_and_only_if_it_is_needed(tmp_path, monkeypatch):
    keys = make_keys(30)
    fill(tmp_path, keys)
    checked, is_whole = [], shelf_module.is_whole
    monkeypatch.setattr(shelf_module, "is_whole", lambda path, *rest: checked.append(path) or is_whole(path, *rest))
    store = FeatureStore(tmp_path, 10**9)
    for _ in range(3):
        store.open("digest", (20,), "float32").read(keys[:15])[:]
    assert len(checked) == len(set(checked)) == 2
    store.open("digest", (20,), "float32").write(["new"], np.zeros((1, 20), np.float32))
    assert len(checked) == 3  # whether another process has written it
    assert len(store.open("digest", (20,), "float32").missing([*keys, "new"])) == 0
    assert len(checked) == len(set(checked)) == 4


def test_a_damaged_shard_that_another_process_replaced_is_kept(tmp_path, monkeypatch):
    keys = make_keys(10)
    fill(tmp_path, keys)
    path = shard_files(tmp_path)[0]
    good = path.read_bytes()
    flip(300, 0)(path)
    lock = StoreRoom.lock

    def replaced_meanwhile(room):
        path.write_bytes(good)
        return lock(room)

    shelf = open_shelf(tmp_path)
    monkeypatch.setattr(StoreRoom, "lock", replaced_meanwhile)
    assert len(shelf.missing(keys)) == 10  # found damaged, so computed again
    assert path.read_bytes() == good
    assert len(shelf.missing(keys)) == 0


def test_damaged_keys_are_found_without_reading_rows(tmp_path):
    fill(tmp_path, ["key0"])
    (path,) = shard_files(tmp_path)
    replace(b'["key0"]', b'["key1"]')(path)
    assert open_shelf(tmp_path).missing(["key0"]).tolist() == [0]  # nobody asks for key1, so its rows are not read
    assert not path.exists()


def test_what_other_processes_write_is_seen(tmp_path):
    ours, theirs = open_shelf(tmp_path), open_shelf(tmp_path)
    values = np.ones((2, 20), np.float32)
    assert len(ours.missing(["a", "b"])) == 2
    theirs.write(["a", "b"], values)
    assert len(ours.missing(["a", "b"])) == 0
    np.testing.assert_array_equal(ours.read(["b"])[:], values[:1])


def test_two_processes_at_once(tmp_path):
    """Two write the same shards and other portions of the same keys, while a third reads all the time."""
    result = run_python(
        """
keys = [f"key{number}" for number in range(200)]
children = []
for portion in (10, 10, 7):
    children.append(os.fork())
    if not children[-1]:
        shelf = fill(sys.argv[1], keys, portion, pause=0.002)
        assert np.array_equal(shelf.read(keys)[:], values_of(keys))
        os._exit(0)
reads = 0
while children:
    shelf = store.FeatureStore(sys.argv[1], 10**9).open("digest", (20,), "float32")
    missing = set(shelf.missing(keys).tolist())
    present = [key for position, key in enumerate(keys) if position not in missing]
    if present:
        assert np.array_equal(shelf.read(present)[:], values_of(present))
        reads += len(present) < len(keys)
    child, status = os.waitpid(-1, os.WNOHANG)
    if child:
        assert status == 0
        children.remove(child)
assert reads > 0
""",
        tmp_path,
    )
    assert "damaged" not in result.stderr
    keys = make_keys(200)
    assert len(open_shelf(tmp_path).missing(keys)) == 0
    assert not list(tmp_path.rglob(".writing-*"))


def test_killed_at_random_moments_then_run_again_gives_the_same_bytes(tmp_path):
    result = run_python(
        """
keys = [f"key{number}" for number in range(150)]
rng = np.random.default_rng(0)

def count(root):
    return len(list(pathlib.Path(root).glob("*/*.npy")))

def fill_and_be_killed(root, enough):
    child = os.fork()
    if not child:
        fill(root, keys, 10)
        time.sleep(60)
    while count(root) < enough:
        time.sleep(0.0001)
    time.sleep(rng.uniform(0, 0.005))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return count(root)

fill(sys.argv[1] + "/undisturbed", keys, 10)
present = []
for attempt in range(5):
    root = f"{sys.argv[1]}/killed-{attempt}"
    present.append(fill_and_be_killed(root, rng.integers(0, 13)))
    fill(root, keys, 10)
root = sys.argv[1] + "/killed-again-and-again"
for attempt in range(5):
    present.append(fill_and_be_killed(root, 2 * attempt))
fill(root, keys, 10)
print(json.dumps(present))
""",
        tmp_path,
    )
    present = json.loads(result.stdout)
    assert sum(count < 15 for count in present) >= 5, f"killed too late: {present}"
    expected = contents(tmp_path / "undisturbed")
    assert len(expected) == 15
    for root in [*(tmp_path / f"killed-{attempt}" for attempt in range(5)), tmp_path / "killed-again-and-again"]:
        assert contents(root) == expected


def test_what_a_killed_writer_left_is_swept_when_the_shelf_is_opened(tmp_path):
    folder = open_shelf(tmp_path).folder
    (folder / ".writing-a").mkdir()
    (folder / ".writing-a" / "a.npy").write_bytes(b"half")
    assert FeatureStore(tmp_path, 10**9).used_bytes() == 4  # until then it counts
    assert open_shelf(tmp_path).missing(["a"]).tolist() == [0]
    assert not list(folder.glob(".writing-*"))


def test_the_first_facts_count(tmp_path):
    assert open_shelf(tmp_path).facts() == {}
    assert open_shelf(tmp_path).agree({"runtime": "openvino"}) == {"runtime": "openvino"}
    assert open_shelf(tmp_path).agree({"runtime": "tensorflow"}) == {"runtime": "openvino"}
    assert open_shelf(tmp_path).facts() == {"runtime": "openvino"}
    (file,) = tmp_path.rglob("facts.json")
    for damaged in (b"", b"{", b"[]", b"\xff\x00"):
        file.write_bytes(damaged)
        assert open_shelf(tmp_path).agree({"runtime": "tensorflow"}) == {"runtime": "tensorflow"}
        assert json.loads(file.read_text()) == {"runtime": "tensorflow"}


def test_of_processes_that_race_all_get_the_same_facts(tmp_path):
    result = run_python(
        """
for attempt in range(4):
    root = f"{sys.argv[1]}/{attempt}"
    start, readers = time.time() + 0.05, []
    for number in range(8):
        reader, writer = os.pipe()
        if not os.fork():
            time.sleep(max(start - time.time(), 0))
            shelf = store.FeatureStore(root, 1).open("digest", (20,), "float32")
            os.write(writer, json.dumps(shelf.agree({"runtime": number + 1})).encode())
            os._exit(0)
        os.close(writer)
        readers.append(reader)
    print(json.dumps([json.loads(os.read(reader, 100))["runtime"] for reader in readers]))
    for _ in readers:
        os.wait()
""",
        tmp_path,
    )
    rounds = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rounds) == 4
    for answers in rounds:
        assert len(answers) == 8
        assert len(set(answers)) == 1


def test_room_is_what_max_bytes_and_the_disk_leave(tmp_path, monkeypatch):
    keys = make_keys(1000)
    shelf, _ = fill(tmp_path, keys, 500, shape=(1280,))
    store = FeatureStore(tmp_path, 8 * 10**6)
    used = sum(path.stat().st_size for path in shard_files(tmp_path))
    assert store.used_bytes() == used
    assert 1.0 <= estimate_bytes(1000, (1280,), "float32") / used < 1.02
    fitting = (8 * 10**6 - used) // estimate_bytes(1, (1280,), "float32")
    assert store.room_for(fitting, (1280,), "float32")
    assert not store.room_for(fitting + 1, (1280,), "float32")
    assert store.room_for(fitting + 1, (1280,), "float16")
    assert not store.room_for(fitting, (7, 7, 1280), "float32")
    del shelf  # nobody uses it: it would be dropped
    assert store.room_for(fitting + 1, (1280,), "float32")
    free = 2**30 + estimate_bytes(10, (1280,), "float32")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2 * free, free, free))
    assert store.room_for(10, (1280,), "float32")
    assert not store.room_for(11, (1280,), "float32")


def fill_shelves(root, names, last_used):
    """A shelf of about 10 kB for each name, used at these times."""
    for name, when in zip(names, last_used, strict=True):
        shelf = FeatureStore(root, 10**9).open(name, (250,), "float32")
        shelf.write(make_keys(10), np.zeros((10, 250), np.float32))
        os.utime(shelf.folder / ".lock", (when, when))


def test_the_shelves_that_were_not_used_for_the_longest_time_are_dropped_with_a_line(tmp_path, capsys):
    fill_shelves(tmp_path, ("newer", "oldest", "older", "in_use"), (3e8, 1e8, 2e8, 0))
    (tmp_path / "photos").mkdir()
    for foreign in ("photos/a.npy", "oldest-250-float32/mine.txt"):
        (tmp_path / foreign).write_bytes(b"not ours")
    store = FeatureStore(tmp_path, 43_000)
    used = FeatureStore(tmp_path, 10**9).open("in_use", (250,), "float32")
    new = store.open("new", (250,), "float32")
    new.write(make_keys(15), np.ones((15, 250), np.float32))
    lines = [line.partition("features: ")[2] for line in capsys.readouterr().err.splitlines() if "removed" in line]
    assert [line.rpartition("/")[2] for line in lines] == ["oldest-250-float32", "older-250-float32"]
    assert "last used on 1973-03-03, because features.max_bytes is 43.0 kB" in lines[0]
    assert store.used_bytes() <= 43_000
    left = {path.parent.name.partition("-")[0] for path in shard_files(tmp_path)}
    assert left == {"newer", "in_use", "new", "photos"}
    assert (tmp_path / "oldest-250-float32" / "mine.txt").exists() and not (tmp_path / "older-250-float32").exists()
    assert len(new.missing(make_keys(15))) == len(used.missing(make_keys(10))) == 0


def test_nothing_is_dropped_where_that_would_not_be_enough(tmp_path, capsys):
    fill_shelves(tmp_path, ("old", "in_use"), (1e8, 2e8))
    before = contents(tmp_path)
    store = FeatureStore(tmp_path, 22_000)
    stored = FeatureStore(tmp_path, 10**9).open("in_use", (250,), "float32").read(make_keys(10))  # keeps it in use
    new = store.open("new", (250,), "float32")
    assert store.room_for(8, (250,), "float32") and not store.room_for(12, (250,), "float32")
    with pytest.raises(StoreFullError, match=r"`features.max_bytes` must leave room .* Received: 22.0 kB, all used by"):
        new.write(make_keys(12), np.ones((12, 250), np.float32))
    assert contents(tmp_path) == before and "removed" not in capsys.readouterr().err
    new.write(make_keys(8), np.ones((8, 250), np.float32))
    assert len(stored[:]) == 10 and store.used_bytes() <= 22_000


def test_the_bound_holds_while_two_processes_write(tmp_path):
    result = run_python(
        """
bound = 30 * 1000
start, go = os.pipe()
reader, writer = os.pipe()
children = []
for number in range(2):
    children.append(os.fork())
    if not children[-1]:
        os.close(go)
        shelf = store.FeatureStore(sys.argv[1], bound).open(f"digest{number}", (20,), "float32")
        os.write(writer, b".")
        os.read(start, 1)
        for first in range(0, 300, 10):
            try:
                shelf.write([f"key{first + place}-{number}" for place in range(10)], np.zeros((10, 20), np.float32))
            except ValueError as error:
                os.write(writer, b"x" if "max_bytes" in str(error) else b"?")
                break
        time.sleep(600)  # its shelf is in use
os.read(reader, 1), os.read(reader, 1)
os.close(go)
os.set_blocking(reader, False)
most, ends = 0, b""
while len(ends) < 2:
    most = max(most, sum(path.stat().st_size for path in pathlib.Path(sys.argv[1]).glob("*/*.npy")))
    try:
        ends += os.read(reader, 1)
    except BlockingIOError:
        pass
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(json.dumps([most, ends.decode()]))
""",
        tmp_path,
    )
    most, ends = json.loads(result.stdout)
    assert ends == "xx"
    assert 25_000 < most <= 30_000


def test_sizes_are_written_for_people():
    sizes = {0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 1_024_000_000: "1.0 GB", 2.5e15: "2500.0 TB"}
    assert {size: human_size(size) for size in sizes} == sizes


def test_the_store_stands_in_the_cache(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("TFL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_store() == Path("/home/me/.cache/tfl/features")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_store() == Path("/cache/tfl/features")
    monkeypatch.setenv("TFL_CACHE", "~/big")
    assert default_store() == Path("/home/me/big/features")


@pytest.mark.parametrize("why", ["no home", "a file in its place", "read-only"])
def test_where_the_cache_cannot_be_used_features_stay_in_memory_with_one_line(tmp_path, monkeypatch, capsys, why):
    monkeypatch.delenv("TFL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if why == "no home":
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what it does for a user without an entry
    elif why == "read-only":
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    else:
        monkeypatch.setenv("HOME", str(tmp_path / "file"))
        (tmp_path / "file").write_text("")
    assert open_store(FeaturesConfig()) is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("features stay in memory, and the next run computes them again: `")
    if why == "no home":
        with pytest.raises(InputError, match=r"`features.store` must not begin with ~ if the home folder is not"):
            open_store(FeaturesConfig(store="~/features"))
        assert not Path("~").exists()


def test_a_root_that_cannot_be_used_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"^`features\.store` must be a usable folder\. Received: '.*file.*\.$"):
            FeatureStore(root, 1)
    with pytest.raises(InputError, match=r"`features\.store` must be a local folder"):
        FeatureStore("gs://bucket/features", 1)
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with pytest.raises(InputError, match=r"`features\.store` must be a usable folder.*read-only"):
        FeatureStore(tmp_path, 1)


def test_a_store_that_is_deleted_meanwhile_is_one_line(tmp_path):
    keys = make_keys(10)
    shelf, _ = fill(tmp_path / "store", keys)
    stored = shelf.read(keys)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(InputError, match=r"`features\.store` must be a usable folder.*No such file"):
        stored[:]


def test_a_really_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    fill(tmp_path, make_keys(10))
    before = contents(tmp_path)
    result = run_python(
        """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
shelf = store.FeatureStore(sys.argv[1], 10**9).open("digest", (20,), "float32")
for limit in (0, 1, 100, 500, 4000, 8000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        shelf.write([f"key{number}" for number in range(100)], np.zeros((100, 20), np.float32))
    except ValueError as error:
        missing = shelf.missing([f"key{number}" for number in range(100)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(f"{type(error).__name__} {len(missing)} missing {error}")
""",
        tmp_path,
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 6
    for line in lines:
        assert line.startswith("InputError 90 missing `features.store` must be on a disk with free space. Received:")
        assert line.endswith("no space left; nothing was changed.")
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob(".writing-*"))


def test_memory_does_not_grow_with_the_store(tmp_path):
    """128 MB on disk, read in order and shuffled, within 16 MB; and shards are more than files may be open."""
    result = run_python(
        """
from tfl.export.runner import peak_memory
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
shelf_module.write_atomically = lambda path, write: write(path)  # syncing is not what is tested
keys = [f"key{number}" for number in range(64 * 256)]
shelf = store.FeatureStore(sys.argv[1], 10**9).open("digest", (2000,), "float32")
for start in range(0, len(keys), 256):
    shelf.write(keys[start : start + 256], np.full((256, 2000), start, np.float32))
fresh = store.FeatureStore(sys.argv[1], 10**9).open("digest", (2000,), "float32")
before = peak_memory()
array = fresh.read(keys)
for start in range(0, len(keys), 500):
    assert array[start : start + 500][-1, 0] == min(start + 499, len(keys) - 1) // 256 * 256
order = np.random.default_rng(0).permutation(len(keys))[:2048].reshape(-1, 64)
for rows in order:
    assert np.array_equal(array[rows][:, 7], rows // 256 * 256)
print(peak_memory() - before)
""",
        tmp_path,
    )
    assert 0 < int(result.stdout) < 16 * 10**6
