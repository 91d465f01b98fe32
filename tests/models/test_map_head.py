"""The head on maps: its grid, the exact split at the maps, and a file that plain Keras loads."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from option_runs import build_tiny

import tfl
from tfl.models.classifier import Metadata, before_logits, logits_layer, split_at_features
from tfl.models.cuts import split_frozen
from tfl.models.heads import HeadSpec


def make_model(size=64, num_outputs=3):
    keras.utils.set_random_seed(0)
    backbone = build_tiny(input_tensor=keras.Input((size, size, 3), name="image"))
    metadata = Metadata("MobileNet", 1.0, size, "segmentation", ("a", "b", "c"))
    model = tfl.build_classifier(backbone, HeadSpec(num_outputs, stands_on="map"), metadata)
    for weight in (logits_layer(model).kernel, logits_layer(model).bias):
        weight.assign(np.random.default_rng(0).normal(0, 0.1, weight.shape))
    return model


@pytest.mark.parametrize(
    "head",
    [HeadSpec(3), HeadSpec(3, pooling="gem"), HeadSpec(3, stands_on="map"), HeadSpec(8, stands_on="boxes")],
    ids=lambda head: head.stands_on + head.pooling,
)
def test_every_operation_of_a_head_has_a_name_of_its_own(head):
    """A network that was built before `clear_session`, or in another process, may have an operation `add`, too."""
    backbone = build_tiny(input_tensor=keras.Input((64, 64, 3), name="image"))
    known = {operation.name for operation in backbone.operations}
    model = tfl.build_classifier(backbone, head)
    own = [operation.name for operation in model.operations if operation.name not in known]
    assert own and all(name.startswith("head_") for name in own)


IMAGES = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)


def test_logits_have_the_size_of_the_image_and_are_those_of_its_parts():
    model = make_model()
    logits = model(IMAGES, training=False).numpy()
    assert logits.shape == (2, 64, 64, 3)
    lower, upper = split_at_features(model)
    maps = lower(IMAGES, training=False)
    assert maps.shape == (2, 8, 8, 32 + 48)  # strides 4 and 8, on the grid of stride 8
    np.testing.assert_allclose(upper(maps, training=False).numpy(), logits, atol=1e-5)


def test_the_linear_layer_gets_the_stages_their_means_and_the_place():
    model = make_model()
    lower, upper = split_at_features(model)
    maps = lower(IMAGES, training=False).numpy()
    wide = before_logits(model)(maps, training=False).numpy()
    np.testing.assert_array_equal(wide[..., :80], maps)
    for row, column in ((0, 0), (3, 4), (7, 2)):
        near = maps[:, max(0, row - 4) : row + 5, max(0, column - 4) : column + 5]
        np.testing.assert_allclose(wide[:, row, column, 80:160], near.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
        y, x = (2 * (place + 0.5) / 8 - 1 for place in (row, column))
        np.testing.assert_allclose(wide[:, row, column, 160:], [[y, y * y, x, x * x]] * 2, atol=1e-6)
    layer = logits_layer(model)
    coarse = wide @ layer.kernel.numpy() + layer.bias.numpy()
    logits = upper(maps, training=False).numpy()
    # Between the centres of two cells the logits are linear: 8 pixels of a cell, from centre to centre.
    row, left, right = 4 * 8 + 4, coarse[:, 4, 3], coarse[:, 4, 4]
    share = (np.arange(8) + 0.5) / 8
    above = coarse[:, 3, 3:5]
    for place, part in enumerate(share):
        lower_row = (1 - part) * left + part * right
        upper_row = (1 - part) * above[:, 0] + part * above[:, 1]
        expected = (0.5 + 0.5 / 8) * lower_row + (0.5 - 0.5 / 8) * upper_row  # of pixel 32, 4.5 pixels above the centre
        np.testing.assert_allclose(logits[:, row - 4, 28 + place], expected, atol=1e-4)


@pytest.mark.parametrize("size", [32, 50, 96])
def test_a_network_of_any_size_gets_a_head(size):
    model = make_model(size)
    assert model.output_shape == (None, size, size, 3)


def test_the_file_is_loaded_by_plain_keras(tmp_path):
    model = make_model()
    tfl.save_model(model, tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    program = (
        "import keras, numpy, sys; model = keras.saving.load_model(sys.argv[1] + '/model.keras');"
        "numpy.save(sys.argv[1] + '/logits.npy', model(numpy.load(sys.argv[1] + '/images.npy'), training=False));"
        "assert 'tfl' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), model(IMAGES, training=False).numpy(), atol=1e-4)
    assert tfl.load_model(tmp_path / "model.keras").metadata == model.metadata


@pytest.mark.parametrize(("what", "cut"), [("0", "head_features"), ("1", "relu2"), ("2", "relu1"), ("all", "")])
def test_the_frozen_part_gives_all_that_the_stages_of_the_head_need(what, cut):
    """Stage 1 is below the lowest stage of the head; what is above the cut reads nothing but its output."""
    model = make_model()
    tfl.unfreeze(model, what)
    halves = split_frozen(model)
    assert (halves.cut if halves is not None and halves.lower.weights else "") == cut
    if cut:
        both = halves.upper(halves.lower(IMAGES, training=False), training=False)
        np.testing.assert_allclose(both, model(IMAGES, training=False), atol=1e-5)
        again = split_frozen(halves.upper)  # a part of a model has a frozen part, too
        assert again is None or not again.lower.weights
