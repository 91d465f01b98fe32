"""How files are read stays with a model: evaluation, prediction, artefacts and service see the pixels of training."""

import numpy as np
import pytest
import tensorflow as tf
from option_runs import make_config, tiny_networks
from PIL import Image

import tfl
from tfl.build import input_of_config
from tfl.export import load_artefact
from tfl.inputs.image.decode import decode_image, resize
from tfl.runs.evaluate import evaluate_workdir
from tfl.runs.predict import predict_files

OPTIONS = {"data.window": (1000.0, 5000.0), "data.scaled_decoding": True}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of JPEG and of 16-bit PNG files, all larger than the network's input."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label, name in enumerate(("dark", "bright")):
        (folder / name).mkdir()
        for number in range(8):
            coarse = rng.integers(20 + 80 * label, 120 + 80 * label, (7, 9, 3)).astype(np.uint8)
            image = Image.fromarray(coarse).resize((131, 107), Image.Resampling.BICUBIC)
            image.save(folder / name / f"{number}.jpg", quality=90)
            deep = np.asarray(image).astype(np.uint16) * 24
            (folder / name / f"{number}.png").write_bytes(tf.io.encode_png(deep).numpy())
    return folder


@pytest.mark.parametrize("option", OPTIONS)
def test_the_pixels_of_training_are_those_of_everything_else(option, photos, tmp_path):
    config = make_config(photos, tmp_path / "store", {option: OPTIONS[option]})
    with tiny_networks():
        result = tfl.transfer(config, tmp_path / "run")
    name = option.removeprefix("data.")
    assert getattr(tfl.load_model(result.workdir).metadata, name) == OPTIONS[option]
    assert evaluate_workdir(result.workdir)["test"] == pytest.approx(result.metrics["test"], rel=1e-4)
    artefact = load_artefact(result.workdir)
    kind, differs = input_of_config(config), False
    served = artefact.metadata.input.decoder(100_000)
    for file in (photos / "dark" / "3.jpg", photos / "bright" / "3.png"):
        pixels = kind.prepare(tf.io.read_file(str(file))).numpy()
        differs |= (pixels != resize(decode_image(tf.io.read_file(str(file))), 32).numpy()).any()
        (expected,) = artefact.predict_pixels(pixels[None])
        np.testing.assert_allclose(artefact.predict_bytes([file.read_bytes()])[0], expected, atol=1e-6)
        (row,) = predict_files(result.workdir, [str(file)], str(tmp_path / "out.csv"))
        assert float(row[2]) == pytest.approx(expected.max(), abs=1e-5)
        np.testing.assert_array_equal(served.decode(served.check(file.read_bytes())), pixels)
    assert differs


@pytest.mark.parametrize("option", OPTIONS)
def test_training_without_augmentation_sees_the_pixels_of_evaluation(option, photos, tmp_path):
    kind = input_of_config(make_config(photos, tmp_path, {option: OPTIONS[option]}))
    encoded = tf.io.read_file(str(photos / "dark" / "3.jpg"))
    seed = tf.constant([1, 2], tf.int64)
    np.testing.assert_array_equal(kind.augment(encoded, "none", seed), kind.prepare(encoded))
    assert kind.augment(encoded, "light", seed).shape == (32, 32, 3)
