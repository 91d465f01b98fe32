"""Networks of the catalogue with the heads for masks and for boxes train a step, are loaded again, and exported."""

import keras
import numpy as np
import pytest

import tfl
from tfl.export import build, load_artefact
from tfl.models.classifier import Metadata, save_model
from tfl.models.freezing import select_layers, train_only
from tfl.models.heads import HeadSpec
from tfl.tasks import get_task

NAMES, NETWORKS = ("a", "b"), ("MobileNetV3Small", "EfficientNetB0")  # with gates, hard swish and a depth of 240 layers


def labels_of(task: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return masks of two classes, or one box for each of four pictures."""
    if task == "segmentation":
        return rng.integers(0, 2, (4, size, size)).astype(np.uint8)
    return np.array([[[8, 8, 40, 48, number % 2]] for number in range(4)], np.float32)


@pytest.mark.parametrize("task", ["segmentation", "detection"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_with_a_head_on_its_stages_trains_a_step_and_ships(task, network, built, tmp_path):
    backbone, rng = built(network), np.random.default_rng(0)
    backbone = keras.models.clone_model(backbone)
    keras.utils.clear_session()  # the head has an operation `add`, like the network
    size, kind = int(backbone.input_shape[1]), get_task(task)
    head = HeadSpec(kind.num_outputs(len(NAMES)), stands_on=kind.stands_on)
    model = tfl.build_classifier(backbone, head, Metadata(network, 1.0, size, task, NAMES))
    images = rng.integers(0, 256, (4, size, size, 3)).astype(np.uint8)
    train_only(model, select_layers(model, "1", from_top=True, batch_norm="frozen"), "frozen")
    before = [weight.numpy() for weight in model.trainable_weights]
    tfl.compile(model, tfl.make_optimizer("adam", 1e-3), loss=kind.loss())
    history = tfl.fit(model, images.astype(np.float32), labels_of(task, size, rng), batch_size=4, epochs=1)
    assert history.history["skipped_steps"] == [0] and model.trainable_weights[-2].path.startswith("head_logits")
    moved = [np.any(old != new.numpy()) for old, new in zip(before, model.trainable_weights, strict=True)]
    assert all(moved[-2:]) and any(moved[:-2])  # the head, and the network: random weights let little through
    outputs = model(images.astype(np.float32), training=False).numpy()
    save_model(model, tmp_path / "model.keras")
    plain = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(plain(images.astype(np.float32), training=False).numpy(), outputs)
    shipped = load_artefact(build(model, "litert", tmp_path).path)
    np.testing.assert_allclose(shipped.predict_prepared(images), kind.scores(outputs), rtol=1e-4, atol=1e-3)
