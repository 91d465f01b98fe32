"""The contract: every injected fault is caught and named, and an honest run raises no alarm."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
import warm
from keras import layers

import tfl
from tfl.errors import ContractError
from tfl.training.contract.checks import Contract, check_evaluation
from tfl.training.contract.measure import measure_updates


def staged_network(seed: int = 0) -> keras.Model:
    """Three resolutions, so three stages; BatchNorm in each; a head with dropout."""
    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input((32, 32, 3))
    for number, channels in enumerate((4, 6, 8)):
        x = layers.Conv2D(channels, 3, strides=2, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}", momentum=0.5)(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"mix{number}")(x)
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = layers.Dropout(0.2, name="head_dropout")(x)
    return keras.Model(inputs, layers.Dense(3, name="head_logits")(x))


def data(count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 32, 32, 3)).astype(np.float32), rng.integers(0, 3, count)


def prepared(
    unfreeze: int | str = 2,
    batch_norm: str = "train",
    layer_decay: float = 0.5,
    optimizer: str = "adam",
    **pulls: float,
) -> tuple[keras.Model, Contract]:
    model = staged_network()
    tfl.unfreeze(model, unfreeze, batch_norm=batch_norm)
    tfl.regularize(model, **(pulls or {"head_l2": 1e-3, "l2_sp": 1e-2}))
    tfl.compile(model, optimizer, layer_decay=layer_decay)
    return model, Contract.before(model, phase="finetune")


def trained(model: keras.Model, epochs: int = 2) -> keras.callbacks.History:
    return tfl.fit(model, *data(), batch_size=8, epochs=epochs, verbose=False)


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_an_honest_run_raises_no_alarm_and_is_recorded(optimizer: str, batch_norm: str) -> None:
    model, promise = prepared(optimizer=optimizer, batch_norm=batch_norm)
    history = trained(model)
    weights = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    record = promise.verify(history, steps=6)
    assert record["steps"] == 6 and record["skipped_steps"] == 0 and record["frozen_changed"] == 0
    assert record["penalty"] == pytest.approx(record["penalty_expected"], rel=1e-4) and record["penalty"] > 0
    ratios = record["learning_rate_ratios"]
    assert ratios == pytest.approx({"stage2": 0.25, "stage3": 0.5, "head": 1.0}, rel=0.02)
    assert record["batch_norm_trained"] == (2 if batch_norm == "train" else 0)
    after = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    for left, right in zip(weights, after, strict=True):  # the measurement left no trace
        np.testing.assert_array_equal(left, right)


def flip_one_bit(variable: keras.Variable) -> None:
    values = variable.numpy().copy()
    values.view(np.uint32).ravel()[0] ^= 1
    variable.assign(values)


def get(model: keras.Model, path: str) -> keras.Variable:
    return next(v for v in model.variables if v.path == path)


def drop_all(model: keras.Model) -> None:
    for variable in model.variables:
        variable.regularizer = None


def pull(model: keras.Model, path: str, strength: float) -> None:
    get(model, path).regularizer = keras.regularizers.L2(strength)


def options(model: keras.Model, **changes: object) -> None:
    trainer = model._tfl_trainer.trainer
    trainer.options = dataclasses.replace(trainer.options, **changes)


def reverse_multipliers(model: keras.Model) -> None:
    swapped = {0.25: 0.5, 0.5: 0.25}
    multipliers = model._tfl_trainer.trainer.options.multipliers
    options(model, multipliers={path: swapped.get(m, m) for path, m in multipliers.items()})


def restart_head(model: keras.Model, promise: Contract) -> None:
    for variable, old in promise.values:
        if variable.path.startswith("head_"):
            variable.assign(old)


def restart_all(model: keras.Model, promise: Contract) -> None:
    for variable, old in promise.values:
        variable.assign(old)


def forget_backbone(model: keras.Model) -> None:
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.get_layer("head_logits").trainable_variables)
    model.optimizer = optimizer


# What is done behind the back of an honest run after its training, and what the message must say.
FAULTS: dict[str, tuple[Callable[..., object], str]] = {
    "one bit of a frozen kernel": (
        lambda m, p, h: flip_one_bit(get(m, "conv0/kernel")),
        "conv0/kernel is frozen but ch",
    ),
    "one bit of a frozen bias": (
        lambda m, p, h: flip_one_bit(get(m, "conv0/bias")),
        "conv0/bias is frozen but changed",
    ),
    "frozen gamma moved": (lambda m, p, h: flip_one_bit(get(m, "bn0/gamma")), "bn0/gamma is frozen but changed"),
    "frozen moving mean moved": (
        lambda m, p, h: get(m, "bn0/moving_mean").assign_add(np.ones(4) * 1e-6),
        "bn0/moving_mean is a statistic of a frozen BatchNorm",
    ),
    "frozen moving variance moved": (
        lambda m, p, h: flip_one_bit(get(m, "bn0/moving_variance")),
        "bn0/moving_variance is a statistic of a frozen BatchNorm",
    ),
    "layer thawed": (
        lambda m, p, h: setattr(m.get_layer("mix0"), "trainable", True),
        "mix0/kernel was frozen when the phase began and is trainable now",
    ),
    "layer frozen": (
        lambda m, p, h: setattr(m.get_layer("mix2"), "trainable", False),
        "mix2/kernel was trainable when the phase began and is frozen now",
    ),
    "statistics of a trained BatchNorm stood still": (
        lambda m, p, h: [v.assign(old) for v, old in p.values if v.path.startswith("bn2/moving")],
        "bn2 is a trained BatchNorm, but its statistics did not change",
    ),
    "regulariser dropped from one": (
        lambda m, p, h: setattr(get(m, "mix2/kernel"), "regularizer", None),
        "mix2/kernel (0 instead of",
    ),
    "regulariser dropped from all": (lambda m, p, h: drop_all(m), "head_logits/kernel (0 instead of"),
    "lambda doubled": (lambda m, p, h: pull(m, "head_logits/kernel", 2e-3), "head_logits/kernel ("),
    "L2 instead of L2-SP": (lambda m, p, h: pull(m, "conv2/kernel", 1e-2), "conv2/kernel ("),
    "regulariser on a bias": (
        lambda m, p, h: pull(m, "head_logits/bias", 1e-3),
        "head_logits/bias (",
    ),
    "regulariser on a scale": (lambda m, p, h: pull(m, "bn2/gamma", 1e-3), "bn2/gamma ("),
    "regulariser on a frozen kernel": (lambda m, p, h: pull(m, "conv0/kernel", 1e-3), "conv0/kernel ("),
    "regulariser of strength zero on a bias": (
        lambda m, p, h: pull(m, "head_logits/bias", 0.0),
        "head_logits/bias has a penalty but is not a trained kernel",
    ),
    "L2-SP pulls to another start": (
        lambda m, p, h: setattr(
            get(m, "mix1/kernel"),
            "regularizer",
            tfl.models.regularization.L2SP(1e-2, np.zeros((3, 3, 6, 6), np.float32)),
        ),
        "mix1/kernel (",
    ),
    "multipliers ignored": (lambda m, p, h: options(m, multipliers={}), "the learning rate of stage2 is 1 times"),
    "multipliers in the wrong order": (
        lambda m, p, h: reverse_multipliers(m),
        "the learning rate of stage2 is 0.5 times",
    ),
    "one multiplier lost": (
        lambda m, p, h: options(
            m,
            multipliers={k: f for k, f in m._tfl_trainer.trainer.options.multipliers.items() if k != "conv1/kernel"},
        ),
        "the learning rate of stage",
    ),
    "NaN in a trained weight": (
        lambda m, p, h: get(m, "mix2/kernel").assign(np.full((3, 3, 8, 8), np.nan)),
        "mix2/kernel is not finite",
    ),
    "infinity in a trained bias": (
        lambda m, p, h: get(m, "head_logits/bias").assign([0.0, np.inf, 0.0]),
        "head_logits/bias is not finite",
    ),
    "nothing trained": (lambda m, p, h: restart_all(m, p), "no trained variable changed"),
    "head not trained": (lambda m, p, h: restart_head(m, p), "head_logits should be trained but did not change"),
    "optimizer without the backbone": (
        lambda m, p, h: forget_backbone(m),
        "mix1/kernel",
    ),
    "a step too many": (
        lambda m, p, h: m.optimizer.iterations.assign_add(1),
        "7 steps changed the weights, but 6 were made",
    ),
    "a step too few": (lambda m, p, h: setattr(h, "steps", 5), "6 steps changed the weights, but 5 were made"),
    "every step skipped": (
        lambda m, p, h: h.history.update(skipped_steps=[3, 3]),
        "every step was skipped",
    ),
}


@pytest.fixture(scope="module")
def honest() -> tuple[keras.Model, Contract, keras.callbacks.History]:
    model, promise = prepared()
    return model, promise, trained(model)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_caught_and_named(name: str, honest: tuple) -> None:
    model, promise, history = honest
    inject, message = FAULTS[name]
    held = [*model.variables, *model.optimizer.variables]
    values = [variable.numpy() for variable in held]
    flags = [(layer, layer.trainable) for layer in model.layers]
    pulls = [(variable, variable.regularizer) for variable in model.variables]
    optimizer, trainer = model.optimizer, model._tfl_trainer.trainer
    kept, record = trainer.options, (history.steps, dict(history.history))
    try:
        inject(model, promise, history)
        with pytest.raises(ContractError) as caught:
            promise.verify(history, steps=6)
        assert message in str(caught.value) and "phase 'finetune'" in str(caught.value)
    finally:
        for layer, flag in flags:
            layer.trainable = flag
        for variable, value in zip(held, values, strict=True):
            variable.assign(value)
        for variable, regularizer in pulls:
            variable.regularizer = regularizer
        model.optimizer, trainer.options = optimizer, kept
        history.steps, history.history = record
    promise.verify(history, steps=6)  # and it was the fault alone


def test_training_less_than_asked_is_caught(honest: tuple) -> None:
    _, promise, history = honest
    with pytest.raises(ContractError, match="6 steps were made instead of 9"):
        promise.verify(history, steps=9)


def test_a_phase_without_training_must_leave_the_backbone_alone() -> None:
    model = staged_network()
    tfl.freeze(model, "all")
    promise = Contract.before(model, phase="probe")
    with pytest.raises(ContractError, match="no trained variable changed"):
        promise.verify()
    get(model, "head_logits/kernel").assign(np.ones((8, 3)))
    assert promise.verify()["frozen_changed"] == 0
    flip_one_bit(get(model, "mix2/kernel"))
    with pytest.raises(ContractError, match="mix2/kernel is frozen but changed"):
        promise.verify()


def test_thawed_behind_the_back_during_training_is_caught() -> None:
    model, promise = prepared(unfreeze=1)
    model.get_layer("conv1").trainable = True
    history = trained(model, epochs=1)
    model.get_layer("conv1").trainable = False
    with pytest.raises(ContractError, match="conv1/kernel, conv1/bias is frozen but changed"):
        promise.verify(history)


def test_stock_keras_batchnorm_trap_is_caught() -> None:
    model, promise = prepared(unfreeze=1, batch_norm="frozen")
    tf.function(lambda x: model(x, training=True))  # inference mode: no harm
    model.get_layer("bn0").trainable = True
    model(data(4)[0], training=True)
    model.get_layer("bn0").trainable = False
    with pytest.raises(ContractError, match="bn0/moving_mean"):
        promise.verify()


def test_no_penalty_asked_means_none_measured() -> None:
    model, promise = prepared(head_l2=0.0)
    assert promise.verify(trained(model))["penalty"] == 0.0
    pull(model, "head_logits/kernel", 1e-4)
    with pytest.raises(ContractError, match=r"head_logits/kernel .* does not have the penalty"):
        promise.verify()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 1, 2], "example 3, example 4 is missing"),
        ([0, 1, 2, 3, 4, 4], "example 4 was evaluated more than once"),
        ([0, 1, 2, 3, 9], "example 4 is missing.*example 9 does not belong"),
        ([0, 1, 2, 3, 3], "example 4 is missing.*example 3 was evaluated more than once"),
        ([], "is missing"),
    ],
)
def test_an_evaluation_that_is_not_whole_is_caught(ids: list[int], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_evaluation(np.array(ids, np.int64), np.arange(5))
    assert check_evaluation([3, 1, 0, 4, 2], np.arange(5)) == {"examples": 5, "each_once": True}


def test_measured_update_is_the_update() -> None:
    model, _ = prepared(optimizer="sgd", batch_norm="frozen", layer_decay=0.5)
    trained(model, epochs=1)
    for update in measure_updates(model._tfl_trainer.trainer):
        factor = {"1": 0.25, "2": 0.5}.get(update.path.split("/")[0][-1], 1.0)
        np.testing.assert_allclose(update.scaled, factor * update.plain, atol=1e-5 + 20 * update.rounding)


def one_real_step(name: str) -> None:
    size = max(32, tfl.get_backbone_spec(name).minimum_size)
    keras.utils.set_random_seed(0)
    backbone = tfl.build_backbone(name, image_size=size, weights="none")
    model = tfl.build_classifier(backbone, tfl.HeadSpec(num_outputs=3))
    tfl.unfreeze(model, "1")
    tfl.regularize(model, head_l2=1e-3, l2_sp=1e-2)
    tfl.compile(model, "adam", layer_decay=0.5)
    promise = Contract.before(model)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4, size, size, 3), dtype=np.uint8), np.array([0, 1, 2, 0])
    history = tfl.fit(model, images, labels, batch_size=4, verbose=False)
    record = promise.verify(history, steps=1)
    assert record["learning_rate_ratios"]["head"] == pytest.approx(1.0)


@pytest.mark.slow_but_for("MobileNetV2", "ResNet50V2")
def test_no_false_alarm_on_a_real_network(family: str) -> None:
    warm.call(one_real_step, family)
