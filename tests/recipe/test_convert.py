"""A conversion holds what its source holds: the same splits, labels, pixels and results; a killed one goes on."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import warm
from option_runs import make_config, tiny_networks, write_photos

import tfl
from tfl.data.records.examples import parse_example
from tfl.data.records.manifest import MANIFEST, verify_conversion
from tfl.errors import InputError
from tfl.runs.evaluate import evaluate_workdir

PHOTOS = 12  # of each of two classes


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convert") / "photos"
    write_photos(folder, (PHOTOS, PHOTOS))
    (folder / "class_0" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    return folder


def config_of(source, **options):
    return tfl.TransferConfig(
        data=tfl.DataConfig(source=source, **options), backbone=tfl.BackboneConfig(weights="none")
    )


@pytest.fixture(scope="module")
def records(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "records"
    tfl.convert_data(config_of(f"folder:{photos}"), folder, shards=3)
    return folder


def assert_same(here, there):
    assert here.class_names == there.class_names
    for column in ("ids", "labels", "splits", "groups", "times", "weights"):
        np.testing.assert_array_equal(getattr(here.index, column), getattr(there.index, column), column)
    assert {name: own.tolist() for name, own in here.index.facts.items()} == {
        name: own.tolist() for name, own in there.index.facts.items()
    }
    np.testing.assert_array_equal(pixels_of(here), pixels_of(there))


def pixels_of(splits):
    """Return the prepared examples in the order of the index, also of a stream."""
    batches = tfl.make_dataset(splits.source, np.arange(len(splits.index)), image_size=16, batch_size=7)
    pairs = [(batch["id"], batch["input"]) for batch in batches.as_numpy_iterator()]
    ids, pixels = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return pixels[np.argsort(ids)]


def test_files_are_copied_and_the_splits_are_those_of_the_folder(photos, records):
    here, there = tfl.load_data(f"tfrecord:{records}"), tfl.load_data(f"folder:{photos}")
    assert_same(here, there)
    np.testing.assert_array_equal(here.index.sha256, there.index.sha256)
    names = {"manifest.json", "labels.txt", "quarantine.csv"}
    assert {path.name for path in records.glob("[!.]*")} - names == {
        f"data-0000{n}-of-00003.tfrecord" for n in range(3)
    }
    assert "cut.png" in (records / "quarantine.csv").read_text()
    assert (records / "labels.txt").read_text() == "class_0\nclass_1\n"
    (file, *_) = sorted(records.glob("data-*"))
    example = tf.train.Example.FromString(next(tf.data.TFRecordDataset(str(file)).as_numpy_iterator()))
    feature = example.features.feature
    path = photos / feature["id"].bytes_list.value[0].decode()
    assert feature["image/encoded"].bytes_list.value[0] == path.read_bytes()
    assert feature["image/class/text"].bytes_list.value[0].decode() == path.parent.name
    assert feature["image/height"].int64_list.value[0] == tf.io.decode_png(path.read_bytes()).shape[0]


def tables(photos):
    """Tables of the same photos: with splits, groups and times; of several labels; of values."""
    files = sorted(str(path) for path in photos.glob("*/[0-9]*"))
    numbers = np.arange(len(files))
    base = pd.DataFrame({"path": files, "label": [Path(file).parent.name for file in files]})
    splits = base.assign(split=np.array(["train", "val", "test"])[numbers % 3])
    yield "splits", splits, {}, "multiclass"
    yield (
        "groups",
        base.assign(group=[f"g{n // 2}" for n in numbers], time=numbers + 5, weight=1 + numbers % 5 / 3),
        {},
        "multiclass",
    )
    flags = base.assign(red=numbers % 2, big=(numbers % 3 > 0).astype(int))
    yield "sets", flags, {"columns": "label=red+big"}, "multilabel"
    yield "values", base.assign(price=numbers / 7, age=-numbers / 3), {"columns": "label=price+age"}, "regression"


@pytest.mark.parametrize("number", range(4), ids=["splits", "groups", "sets", "values"])
def test_labels_splits_and_groups_of_tables_stay(photos, tmp_path, number):
    name, table, options, task = list(tables(photos))[number]
    table.to_csv(tmp_path / "table.csv", index=False)
    config = config_of(f"csv:{tmp_path / 'table.csv'}", **options)
    config.task.name = task
    tfl.convert_data(config, tmp_path / name)
    labels = tfl.tasks.get_task(task).labels
    there = tfl.load_data(config.data.source, labels=labels, **options)
    here = tfl.load_data(f"tfrecord:{tmp_path / name}", labels=labels)
    assert_same(here, there)
    assert here.index.value_names == there.index.value_names
    if name == "splits":
        prefixes = {file.name.partition("-")[0] for file in (tmp_path / name).glob("*.tfrecord")}
        assert prefixes == {"train", "validation", "test"}


def test_pixels_are_written_as_png_and_it_is_said(tmp_path, capsys):
    tfl.convert_data(config_of("digits:0-1"), tmp_path / "digits")
    assert "360 images are written in another format than that of the source" in capsys.readouterr().err
    assert_same(tfl.load_data(f"tfrecord:{tmp_path / 'digits'}"), tfl.load_data("digits:0-1"))


def test_a_stream_is_read_once_for_each_split(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (40, 9, 7, 3), np.uint8), np.arange(40) % 2
    streams = {
        name: tf.data.Dataset.from_tensor_slices((images[part], labels[part]))
        for name, part in {"train": slice(0, 24), "test": slice(24, 40)}.items()
    }
    manifest = tfl.convert_data(config_of("digits"), tmp_path / "streams", shards=5, data=streams)
    assert [(shard.file.partition("-of-")[0], shard.records) for shard in manifest.shards] == [
        *((f"train-0000{n}", 8) for n in range(3)),
        *((f"test-0000{n}", 8) for n in range(2)),
    ]
    assert_same(tfl.load_data(f"tfrecord:{tmp_path / 'streams'}"), tfl.load_data(streams))


def test_array_records_hold_the_same_examples(photos, records, tmp_path):
    reading = pytest.importorskip("array_record.python.array_record_module")
    manifest = tfl.convert_data(config_of(f"folder:{photos}"), tmp_path, "array_record", shards=3)
    for shard, other in zip(manifest.shards, verify_conversion(records).shards, strict=True):
        reader = reading.ArrayRecordReader(str(tmp_path / shard.file))
        there = [*tf.data.TFRecordDataset(str(records / other.file)).as_numpy_iterator()]
        assert reader.read_all() == there and len(there) == shard.records
        assert parse_example(there[0])["image/encoded"]


def test_a_run_gives_the_same_numbers(photos, records, tmp_path):
    """Fine-tuning too: its order and augmentation depend on ids and contents only."""
    results = {}
    with tiny_networks():
        for name, source in {"folder": f"folder:{photos}", "records": f"tfrecord:{records}"}.items():
            options = {
                "data.source": source,
                "finetune.epochs": 1,
                "finetune.learning_rate": 1e-3,
                "data.batch_size": 8,
            }
            results[name] = tfl.transfer(make_config(photos, tmp_path / "store", options), tmp_path / name)
        again = evaluate_workdir(tmp_path / "records", f"folder:{photos}")["test"]
    for file in ("predictions.csv", "validation_predictions.csv"):
        assert (tmp_path / "folder" / file).read_bytes() == (tmp_path / "records" / file).read_bytes()
    metrics = {name: json.loads((tmp_path / name / "metrics.json").read_text()) for name in results}
    for part in ("test", "validation", "phases"):
        assert metrics["folder"][part] == metrics["records"][part]
    assert again["accuracy"] == metrics["folder"]["test"]["accuracy"]


def test_verifying_names_a_changed_and_a_missing_file(photos, tmp_path):
    manifest = tfl.convert_data(config_of(f"folder:{photos}"), tmp_path, shards=2)
    assert verify_conversion(tmp_path) == manifest
    file = tmp_path / manifest.shards[1].file
    content = bytearray(file.read_bytes())
    assert manifest.shards[1].sha256 == hashlib.sha256(content).hexdigest()
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=f"{file.name} with another SHA-256"):
        verify_conversion(tmp_path)
    file.write_bytes(content[:-1])
    for act in (verify_conversion, lambda folder: tfl.load_data(f"tfrecord:{folder}")):
        with pytest.raises(InputError, match=rf"{file.name} with [\d,]+ bytes, but [\d,]+ in manifest.json"):
            act(tmp_path)
    file.unlink()
    with pytest.raises(InputError, match=f"without {file.name}"):
        verify_conversion(tmp_path)


def test_a_folder_with_something_else_is_refused_and_unchanged(photos, records, tmp_path):
    config = config_of(f"folder:{photos}")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    before = {path: path.read_bytes() for path in records.iterdir() if path.is_file()}
    for output, options, match in (
        (tmp_path / "full", {}, "which has thesis.txt and no manifest.json"),
        (records, {"shards": 2}, "holds another conversion"),
        (records, {"file_format": "array_record"}, "holds another conversion"),
        (photos / "records", {}, "`output` must be outside the folder of the photos"),
        (tmp_path / "new", {"shards": -1}, "`shards` must be between 0 and"),
        (tmp_path / "new", {"file_format": "tfrecrd"}, "Did you mean 'tfrecord'"),
    ):
        with pytest.raises(InputError, match=match):
            tfl.convert_data(config, output, **options)
    assert {path: path.read_bytes() for path in records.iterdir() if path.is_file()} == before
    assert not (tmp_path / "new").exists()


KILLED = """
import os, signal, sys
import tfl
from tfl.data.records import write
calls = []
def stop(number):
    calls.append(number)
    if len(calls) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
serialize = write.serialize_example
write.serialize_example = lambda features: (stop(0), serialize(features))[1]
config = tfl.TransferConfig(data=tfl.DataConfig(source="folder:" + sys.argv[1]))
config.backbone.weights = "none"
tfl.convert_data(config, sys.argv[2], shards=6)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_a_killed_conversion_goes_on_and_gives_the_same_files(photos, tmp_path, capsys):
    (tmp_path / "killed.py").write_text(KILLED)
    folder = tmp_path / "records"
    killed = warm.run([tmp_path / "killed.py", photos, folder, "17"], os.environ, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    manifest = json.loads((folder / MANIFEST).read_text())
    finished = {shard["file"] for shard in manifest["shards"]}
    assert not manifest["complete"] and 0 < len(finished) < 6
    with pytest.raises(InputError, match=r"must be a finished conversion.*run the same command again"):
        tfl.load_data(f"tfrecord:{folder}")
    times = {name: (folder / name).stat().st_mtime_ns for name in finished}
    config = config_of(f"folder:{photos}")
    made = tfl.convert_data(config, folder, shards=6)
    assert f"{len(finished)} of the files are finished already" in capsys.readouterr().err
    assert {name: (folder / name).stat().st_mtime_ns for name in finished} == times
    assert made == tfl.convert_data(config, tmp_path / "whole", shards=6)
    assert not list(folder.glob(".writing-*"))
    tfl.convert_data(config, folder, shards=6)
    assert "finished before" in capsys.readouterr().err
    verify_conversion(folder)


def test_the_script_and_the_command(photos, tmp_path):
    root = Path(__file__).resolve().parents[2]
    options = [f"--config.data.source=folder:{photos}", "--config.backbone.weights=none", "--shards=2"]
    script = [root / "scripts" / "convert_data.py", f"--config={root / 'configs' / 'folder.py'}", *options]
    done = warm.run([*script, f"--output={tmp_path / 'a'}"], os.environ, tmp_path)
    assert done.returncode == 0 and "24 examples in 2 tfrecord files" in done.stderr, done.stderr
    command = [sys.executable, "-m", "tfl", "convert", f"--output={tmp_path / 'a'}", "--verify"]
    verified = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert verified.returncode == 0 and "2 files are as they were written" in verified.stderr, verified.stderr


def test_features_and_the_preview_are_those_of_the_folder(photos, records, tmp_path):
    found = {}
    with tiny_networks():
        for name, source in {"folder": f"folder:{photos}", "records": f"tfrecord:{records}"}.items():
            config = make_config(photos, tmp_path / f"{name}.store", {"data.source": source})
            features = tfl.extract_features(config, tmp_path / name)
            tiles = tfl.preview_data(config, tmp_path / f"{name}.png", examples=3, versions=2)
            found[name] = features.values, features.labels, tiles
    for here, there in zip(*found.values(), strict=True):
        np.testing.assert_array_equal(here, there)


def test_records_join_other_sources(photos, records, tmp_path):
    source = f"tfrecord:{records},folder:{photos}"
    tfl.convert_data(config_of(source), tmp_path / "joined")
    joined = tfl.load_data(source)
    assert {name.partition("/")[0] for name in joined.index.ids} == {"records", "photos"}
    assert_same(tfl.load_data(f"tfrecord:{tmp_path / 'joined'}"), joined)
