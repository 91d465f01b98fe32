"""PNG files of 16 bits that hold fewer: said at the scan, read by `data.bit_depth`, and kept with the model."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfl
from tfl.data import load_source, make_dataset
from tfl.errors import InputError
from tfl.export import load_artefact
from tfl.inputs.image.decode import decode_image, resize
from tfl.inputs.untrusted import RefusedError
from tfl.runs.evaluate import evaluate_workdir
from tfl.runs.predict import predict_files

RNG = np.random.default_rng(0)


def deep_png(values: np.ndarray) -> bytes:
    return tf.io.encode_png(values.astype(np.uint16)).numpy()


def draw(folder: Path, bits: int, *, splits: tuple[str, ...] = (".",), count: int = 8) -> Path:
    """Write grey images of two classes, dark and bright, with values of so many bits."""
    for split in splits:
        for number, name in enumerate(("bright", "dark")):
            (folder / split / name).mkdir(parents=True)
            for row in range(count):
                values = RNG.integers(0, 2**bits, (16, 16, 1)) // (1 + 3 * number)
                values[0, 0] = 2**bits - 1
                (folder / split / name / f"{row}.png").write_bytes(deep_png(values))
    return folder


@pytest.mark.parametrize("bits", [8, 12, 13, 16])
def test_values_are_scaled_from_their_own_range(bits):
    decode = tf.function(lambda encoded: decode_image(encoded, ("PNG",), bits))
    for channels in (1, 2, 3, 4):
        values = RNG.integers(0, 2**bits, (7, 5, channels))
        scaled = np.floor(values * 255 / (2**bits - 1) + 0.5).astype(np.int64)
        alpha = scaled[..., -1:] if channels in (2, 4) else 255
        colour = scaled[..., :-1] if channels in (2, 4) else scaled
        expected = np.broadcast_to((colour * alpha + 255 * (255 - alpha) + 127) // 255, (7, 5, 3))
        np.testing.assert_array_equal(decode(tf.constant(deep_png(values))), expected)


def test_files_of_other_depths_do_not_change():
    file = io.BytesIO()
    pixels = RNG.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    np.testing.assert_array_equal(decode_image(tf.constant(file.getvalue()), ("PNG",), 12), pixels)


def test_the_range_is_said_with_the_remedy(tmp_path, capsys):
    source = f"folder:{draw(tmp_path, 12)}"
    load_source(source)
    assert (
        "Warning: 16 images of 16 bits have no value above 4,095, so only 17 of 256 levels are used. "
        "Did you mean data.bit_depth=12?"
    ) in capsys.readouterr().err
    opened = load_source(source, bit_depth=12)
    assert "Warning" not in capsys.readouterr().err
    (batch,) = make_dataset(opened, np.arange(16), image_size=16, batch_size=16)
    assert batch["input"].numpy().max() == 255 and len(np.unique(batch["input"])) > 200


def test_each_split_is_judged_for_itself(tmp_path, capsys):
    draw(draw(draw(tmp_path, 16, splits=("train",)), 10, splits=("validation",)), 8, splits=("test",))
    load_source(f"folder:{tmp_path}")
    said = capsys.readouterr().err
    assert "16 images of 16 bits in validation have no value above 1,023" in said and "bit_depth=10" in said
    assert "16 images of 16 bits in test have no value above 255, so only 2 of 256 levels are used" in said
    assert "in train" not in said


def test_files_with_more_bits_are_refused(tmp_path):
    draw(tmp_path, 12)
    (tmp_path / "dark" / "9.png").write_bytes(deep_png(np.full((4, 4, 1), 5000)))
    line = r"data.bit_depth=12, but 1 of 17 .*the first: dark/9.png with 5,000\. Did you mean data.bit_depth=14\?"
    with pytest.raises(InputError, match=line):
        tfl.load_data(f"folder:{tmp_path}", bit_depth=12)


@pytest.mark.parametrize(("bits", "line"), [(12, "bit_depth=12?"), (16, "")])
def test_streams_of_files(bits, line, capsys):
    files = [deep_png(RNG.integers(0, 2**bits, (8, 8, 1))) for _ in range(8)]
    stream = tf.data.Dataset.from_tensor_slices((files, np.arange(8) % 2))
    load_source(stream)
    assert line in capsys.readouterr().err
    opened = load_source(stream, bit_depth=bits)
    (batch,) = make_dataset(opened, np.arange(8), image_size=8, batch_size=8)
    np.testing.assert_array_equal(batch["input"][0], decode_image(tf.constant(files[0]), ("PNG",), bits))


def test_the_option_without_such_files_is_said(capsys):
    load_source("digits:0-1", bit_depth=12)
    assert "data.bit_depth=12 changes nothing" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"`data.bit_depth` must"):
        tfl.TransferConfig(data=tfl.DataConfig(bit_depth=7)).validate()
    for depth in (7, 17, 12.0, True):
        with pytest.raises(InputError, match="`bit_depth` must be a whole number from 8 to 16"):
            tfl.Metadata("MobileNetV2", 1.0, 32, "multiclass", ("a", "b"), bit_depth=depth)
    older = {
        "backbone": "MobileNetV2",
        "alpha": 1.0,
        "image_size": 32,
        "target": "multiclass",
        "class_names": ["a", "b"],
    }
    assert tfl.Metadata.from_dict(older).bit_depth == 16


def test_a_model_keeps_the_depth_of_its_images(tmp_path):
    """Training, evaluation, prediction and service see the same pixels; a file with more bits is refused."""
    folder = draw(tmp_path / "photos", 12, count=12)
    config = tfl.TransferConfig(
        data=tfl.DataConfig(source=f"folder:{folder}", image_size=32, bit_depth=12),
        backbone=tfl.BackboneConfig(alpha=0.35, weights="none"),
        features=tfl.FeaturesConfig(store="none", runtime="tensorflow"),
        report=tfl.config.ReportConfig(gallery=0),
    )
    result = tfl.transfer(config, tmp_path / "run")
    assert tfl.load_model(result.workdir).metadata.bit_depth == 12
    assert evaluate_workdir(result.workdir)["test"] == pytest.approx(result.metrics["test"], rel=1e-4)
    file = folder / "dark" / "3.png"
    pixels = resize(decode_image(tf.constant(file.read_bytes()), ("PNG",), 12), 32).numpy()
    artefact = load_artefact(result.workdir)
    (expected,) = artefact.predict_pixels(pixels[None])
    np.testing.assert_allclose(artefact.predict_bytes([file.read_bytes()])[0], expected, atol=1e-6)
    (row,) = predict_files(result.workdir, [str(file)], str(tmp_path / "out.csv"))
    assert float(row[2]) == pytest.approx(expected.max(), abs=1e-5)
    served = artefact.metadata.input.decoder(10_000)
    np.testing.assert_array_equal(served.decode(served.check(file.read_bytes())), pixels)
    deeper = deep_png(np.full((4, 4, 1), 5000))
    with pytest.raises(RefusedError, match="values of more than 12 bits"):
        served.decode(served.check(deeper))
    with pytest.raises(InputError, match="values of more than 12 bits"):
        artefact.predict_bytes([deeper])
    (tmp_path / "deeper.png").write_bytes(deeper)
    with pytest.raises(InputError, match=r"a value of 5,000, more than data\.bit_depth=12 allows"):
        predict_files(result.workdir, [str(tmp_path / "deeper.png")])


def test_features_of_another_depth_stand_elsewhere(tmp_path):
    """The key of the store holds the depth: the same files are other images."""
    source = f"folder:{draw(tmp_path / 'photos', 12)}"
    backbone = tfl.build_backbone("MobileNetV2", image_size=32, alpha=0.35, weights="none")
    lower = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
    store = tfl.FeatureStore(tmp_path / "store", 10**6)
    sources = [load_source(source, bit_depth=bits) for bits in (16, 12, 16)]
    found = [tfl.Extractor(lower, opened, 32, store=store)(np.arange(16)).values[:] for opened in sources]
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 0.1 * found[0].max()
