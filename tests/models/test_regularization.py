"""Which variables are pulled, how hard, and that the pull stays out of files."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import tfl
from tfl.errors import InputError
from tfl.models.regularization import L2SP, is_kernel, penalty


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv", bias_initializer="ones")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise", bias_initializer="ones")(x)
    x = layers.SeparableConv2D(5, 3, name="separable", bias_initializer="ones")(x)
    x = layers.LayerNormalization(name="ln")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(inputs, layers.Dense(2, name="head_logits", bias_initializer="ones")(x))


KERNELS = {"conv/kernel", "depthwise/kernel", "separable/depthwise_kernel", "separable/pointwise_kernel"}


def squares(model: keras.Model, head: bool) -> float:
    chosen = {"head_logits/kernel"} if head else KERNELS
    return sum(float(np.sum(v.numpy().astype(np.float64) ** 2)) for v in model.variables if v.path in chosen)


def test_penalty_is_the_sum_of_squares_of_kernels_alone() -> None:
    model = network()
    tfl.regularize(model, head_l2=0.3, l2=0.02)
    expected = 0.3 * squares(model, head=True) + 0.02 * squares(model, head=False)
    assert float(penalty(model)) == pytest.approx(expected, rel=1e-6)
    pulled = {v.path for v in model.variables if v.regularizer is not None}
    assert pulled == KERNELS | {"head_logits/kernel"} == {v.path for v in model.variables if is_kernel(v)}


def test_l2_sp_is_the_distance_from_the_values_at_the_call() -> None:
    model = network()
    tfl.regularize(model, l2_sp=0.5)
    assert float(penalty(model)) == 0.0
    kernel = model.get_layer("conv").kernel
    kernel.assign_add(np.full(kernel.shape, 0.25))
    model.get_layer("conv").bias.assign_add(np.ones(4))
    assert float(penalty(model)) == pytest.approx(0.5 * 0.0625 * np.prod(kernel.shape), rel=1e-5)


def test_each_call_sets_the_whole_state() -> None:
    model = network()
    tfl.regularize(model, head_l2=1.0, l2=1.0)
    tfl.regularize(model, l2_sp=1.0)
    assert model.get_layer("head_logits").kernel.regularizer is None
    assert isinstance(model.get_layer("conv").kernel.regularizer, L2SP)
    tfl.regularize(model)
    assert all(v.regularizer is None for v in model.variables) and float(penalty(model)) == 0.0


def test_what_is_frozen_is_not_pulled() -> None:
    model = network()
    model.get_layer("conv").trainable = False
    tfl.regularize(model, l2=1.0)
    assert model.get_layer("conv").kernel.regularizer is None
    expected = squares(model, head=False) - np.sum(model.get_layer("conv").kernel.numpy() ** 2)
    assert float(penalty(model)) == pytest.approx(expected, rel=1e-6)
    model.get_layer("depthwise").trainable = False  # frozen afterwards: no part of the penalty any more
    expected -= np.sum(model.get_layer("depthwise").kernel.numpy() ** 2)
    assert float(penalty(model)) == pytest.approx(expected, rel=1e-6)


def test_layer_scale_of_convnext_is_not_pulled() -> None:
    backbone = keras.applications.ConvNeXtTiny(include_top=False, weights=None, input_shape=(32, 32, 3))
    tfl.regularize(backbone, l2=1.0)
    gammas = [v for v in backbone.variables if v.name == "gamma"]
    assert gammas and all(v.regularizer is None for v in gammas)
    assert sum(v.regularizer is not None for v in backbone.variables) == sum(v.ndim > 1 for v in backbone.variables)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"l2": -1.0}, "l2"), ({"head_l2": float("nan")}, "head_l2"), ({"l2_sp": float("inf")}, "l2_sp")],
)
def test_bad_strength_is_refused(arguments: dict[str, float], name: str) -> None:
    with pytest.raises(InputError, match=f"`{name}` must be a finite number, at least 0"):
        tfl.regularize(network(), **arguments)


def test_two_pulls_of_the_same_weights_are_refused() -> None:
    with pytest.raises(InputError, match="must not both be set"):
        tfl.regularize(network(), l2=1.0, l2_sp=1.0)


def test_a_saved_model_has_no_regulariser_and_loads_without_tfl(tmp_path: Path) -> None:
    model = network()
    tfl.regularize(model, head_l2=0.1, l2_sp=0.1)
    tfl.compile(model, tfl.make_optimizer("adamw", tfl.make_schedule("cosine", 1e-3, 10), weight_decay=0.1))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    tfl.fit(model, images, np.array([0, 1, 0, 1]), verbose=False)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "check.npz", images=images, logits=model(images))
    script = f"""
import sys, keras, numpy as np
data = np.load({str(tmp_path / "check.npz")!r})
model = keras.saving.load_model({str(tmp_path / "model.keras")!r})
assert not any(name.split(".")[0] == "tfl" for name in sys.modules)
assert all(v.regularizer is None for v in model.variables)
np.testing.assert_allclose(model(data["images"]), data["logits"], atol=1e-5)
model.evaluate(data["images"], np.array([0, 1, 0, 1]), verbose=0)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
