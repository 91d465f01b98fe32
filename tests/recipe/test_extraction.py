"""Features for use elsewhere: every format holds the same rows, and they are those of the backbone."""

import csv

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfl
from tfl.errors import InputError


def config(store: str = "none") -> tfl.TransferConfig:
    return tfl.TransferConfig(
        data=tfl.DataConfig(source="digits:0-1", image_size=32, train_examples_per_class=20),
        backbone=tfl.BackboneConfig(alpha=0.35, weights="none"),
        features=tfl.FeaturesConfig(store=store),
    )


def read(path, file_format: str) -> tuple[list[list[str]], np.ndarray]:
    if file_format == "npy":
        with (path / "examples.csv").open() as file:
            _, *rows = csv.reader(file)
        return rows, np.load(path / "features.npy")
    if file_format == "parquet":
        table = pq.read_table(path).to_pydict()
        names = zip(*(table[name] for name in ("id", "label", "split")), strict=True)
        return [list(row) for row in names], np.array(table["features"])
    records = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    examples = [tf.train.Example.FromString(record).features.feature for record in records]
    texts = [[e[name].bytes_list.value[0].decode() for name in ("id", "label", "split")] for e in examples]
    return texts, np.array([e["features"].float_list.value for e in examples], np.float32)


@pytest.mark.parametrize("file_format", ["npy", "parquet", "tfrecord"])
def test_every_format_holds_every_example_once_with_its_features(tmp_path, file_format, monkeypatch):
    monkeypatch.setattr("tfl.features.rows.BLOCK_ELEMENTS", 100 * 1280)
    keras.utils.set_random_seed(0)
    features = tfl.extract_features(config(), tmp_path / "out", file_format)
    rows, values = read(tmp_path / "out", file_format)
    splits = tfl.load_data("digits:0-1", train_examples_per_class=20)
    labels = [splits.class_names[label] for label in splits.index.labels]
    assert rows == [list(row) for row in zip(splits.index.ids, labels, splits.index.splits, strict=True)]
    np.testing.assert_array_equal(values, features.values)
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights="none")
    (batch,) = tfl.make_dataset(splits.source, np.arange(5), image_size=32, batch_size=5)
    expected = keras.ops.mean(backbone(batch["input"]), axis=(1, 2))
    np.testing.assert_allclose(values[:5], expected, atol=1e-4)


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("mine")
    for output, file_format, expected in (
        (tmp_path / "file", "npy", "`output` must be a folder"),
        (tmp_path, "parquet", "`output` must be a file"),
        ("", "npy", "`output` must be"),
        (tmp_path / "x", "parqet", "Did you mean 'parquet'"),
    ):
        with pytest.raises(InputError, match=expected):
            tfl.extract_features(config(store="none"), output, file_format)
    assert (tmp_path / "file").read_text() == "mine"


def test_the_script_writes_and_says_where(run_script, tmp_path):
    flags = ["--config.data.source=digits:0-1", "--config.data.image_size=32", "--config.backbone.weights=none"]
    result = run_script(
        "scripts/extract_features.py", "--config=configs/folder.py", *flags, f"--output={tmp_path / 'f.parquet'}",
        "--format=parquet",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert f"written: {tmp_path / 'f.parquet'}: 360 rows of 1280 features" in result.stderr
    wrong = run_script("scripts/extract_features.py", f"--output={tmp_path / 'g'}", "--format=csv", *flags)
    assert wrong.returncode == 2 and "`format` must be a known name" in wrong.stderr
