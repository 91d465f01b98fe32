"""A remembered scan: what has not changed is not checked again, and whatever has changed is."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfl.data import load_source
from tfl.inputs import get_input, remembered, scan
from tfl.inputs.image.image_input import ImageInput


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four images, and a cache of their own in which even so few are remembered."""
    monkeypatch.setenv("TFL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remembered, "LEAST", 2)
    paths = []
    for number in range(4):
        path = tmp_path / "photos" / f"{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(np.full((6, 4, 3), 10 * number, np.uint8)).numpy())
        paths.append(str(path))
    return paths


@pytest.fixture
def checked(monkeypatch):
    """The files that are really checked."""
    found, check = [], scan._scan_file

    def note(kind, path, data_set):
        found.append(path)
        return check(kind, path, data_set)

    monkeypatch.setattr(scan, "_scan_file", note)
    return found


def scan_all(paths, kind=None):
    return scan.scan_files(kind or get_input("image"), paths)


def test_unchanged_files_are_not_checked_again_and_give_the_same(photos, checked, capsys):
    first = scan_all(photos)
    assert sorted(checked) == sorted(photos)
    checked.clear()
    assert scan_all(photos) == first and not checked
    assert "4 of 4 images have not changed since their last check" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["content", "time", "size", "gone", "new"])
def test_what_has_changed_is_checked(change, photos, checked):
    scan_all(photos)
    checked.clear()
    path = Path(photos[1])
    old, times = path.read_bytes(), path.stat()
    if change == "content":  # of the same length, and with its old times set again
        path.write_bytes(old[:-1] + bytes([old[-1] ^ 1]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "time":
        os.utime(path)
    elif change == "size":
        path.write_bytes(old + b" ")
    elif change == "gone":
        path.unlink()
    else:
        path = path.with_name("9.png")
        path.write_bytes(old)
    results = scan_all([*photos, str(path)] if change == "new" else photos)
    assert checked == [str(path)]
    assert isinstance(results[1], Exception) == (change in ("gone", "content"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"path": 5}', "no JSON", '{"path": ["a"], "stamp": []}'])
def test_a_damaged_memory_costs_only_time(text, photos, checked, tmp_path):
    first = scan_all(photos)
    (file,) = (tmp_path / "cache" / "scans").glob("*.json")
    file.write_text(text)
    checked.clear()
    assert scan_all(photos) == first and len(checked) == 4
    checked.clear()
    assert scan_all(photos) == first and not checked


def test_bad_files_and_replaced_files_are_checked_every_time(photos, checked, tmp_path):
    bad = tmp_path / "photos" / "0" / "bad.png"
    bad.write_bytes(b"\x89PNG")
    tiff = tmp_path / "photos" / "1" / "scan.tif"
    Image.fromarray(np.full((4, 4, 3), 7, np.uint8)).save(tiff)
    paths = [*photos, str(bad), str(tiff)]
    scan_all(paths)
    checked.clear()
    results = scan_all(paths)
    assert sorted(checked) == sorted([str(bad), str(tiff)])
    assert isinstance(results[4], Exception) and results[5].replacement


def test_another_rule_and_another_kind_have_their_own_memory(photos, checked):
    scan_all(photos)
    checked.clear()
    scan_all(photos, ImageInput(window=(0.0, 9.0)))
    assert len(checked) == 4


def test_few_files_and_a_cache_that_cannot_be_written_are_no_error(photos, checked, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TFL_CACHE", str(tmp_path / "file"))
    assert len(scan_all(photos)) == len(scan_all(photos)) == 4 and len(checked) == 8
    monkeypatch.setattr(remembered, "LEAST", 5)
    monkeypatch.setenv("TFL_CACHE", str(tmp_path / "cache"))
    scan_all(photos)
    assert not (tmp_path / "cache").exists()


def test_old_memories_are_deleted(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(remembered, "MOST_SETS", 2)
    for count in (2, 3, 4):
        scan_all(photos[:count], ImageInput(window=(0.0, float(count))) if count > 2 else None)
    scan_all(photos[:1] + photos[2:3])
    assert len(list((tmp_path / "cache" / "scans").glob("*.json"))) == 2


def test_a_source_from_memory_reads_the_same_examples(photos, tmp_path):
    sources = [load_source(f"folder:{tmp_path / 'photos'}") for _ in range(2)]
    rows = [[example["input"].numpy() for example in source.examples(np.arange(4))] for source in sources]
    assert rows[0] == rows[1]
    assert sources[0].index.facts["height"].tolist() == sources[1].index.facts["height"].tolist() == [6] * 4
