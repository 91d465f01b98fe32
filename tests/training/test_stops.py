"""A signal at any place of a training stops it there, and the same call again ends to the bit where one alone does."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
import warm

import tfl
from tfl.distribution.strategy import make_strategy
from tfl.errors import StoppedError
from tfl.training import CheckpointOptions
from tfl.training.loop.stopping import StopListener

HOOKS = ("on_epoch_begin", "on_steps", "on_test_begin", "on_test_end", "on_epoch_end")
EPOCHS = 3


class Sender(keras.callbacks.Callback):
    """Sends itself a signal at one of the places that training passes; counts the places of all starts together."""

    def __init__(self, place: int, number: int) -> None:
        super().__init__()
        self.aim, self.passed = [place, number], []
        for hook in HOOKS:
            setattr(self, hook, lambda *_, name=hook: self._pass(name))

    def _pass(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.aim[0]:
            signal.raise_signal(self.aim[1])


class Training:
    """One model, and what it starts from each time."""

    def __init__(self, strategy: str) -> None:
        rng = np.random.default_rng(0)
        self.images, self.labels = rng.integers(0, 256, (40, 8, 8, 3), np.uint8), np.arange(40) % 3
        chosen = make_strategy(strategy)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")  # out of the scope, as users make them
        with chosen.scope():
            keras.utils.set_random_seed(1)
            inputs = keras.Input((8, 8, 3))
            x = keras.layers.Conv2D(4, 3)(inputs)
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
            x = keras.layers.Dropout(0.3)(keras.layers.GlobalAveragePooling2D()(x))
            self.model = keras.Model(inputs, keras.layers.Dense(3, name="head_logits")(x))
            tfl.compile(self.model, tfl.make_optimizer("adam", 0.01), "multiclass", [accuracy], ema=0.9)
        self.weights = self.model.get_weights()

    def run(self, folder: Path, place: int = 0, number: int = signal.SIGTERM) -> tuple[list[np.ndarray], int]:
        """Train to the end, starting again after each stop; return weights and history, and how often it stopped."""
        sender, stops = Sender(place, number), 0
        while True:
            self.model.set_weights(self.weights)
            for variable in self.model.optimizer.variables:
                if variable is not self.model.optimizer._learning_rate:
                    variable.assign(np.zeros(variable.shape))
            best = keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True)
            try:
                history = tfl.fit(
                    self.model,
                    self.images,
                    self.labels,
                    batch_size=8,
                    epochs=EPOCHS,
                    validation_data=(self.images[20:], self.labels[20:]),
                    callbacks=[sender, best],
                    verbose=False,
                    checkpoint=CheckpointOptions(folder, every_seconds=1e9),
                )
            except StoppedError as error:
                assert error.signal_number == number
                stops += 1
                continue
            columns = [np.array(history.history[name]) for name in sorted(history.history)]
            return [*self.model.get_weights(), *columns, np.array(history.steps)], stops


def check_places(strategy: str, folder: Path, places: Sequence[int], numbers: Sequence[int] = ()) -> None:
    """Stop at each place by each of the signals; without any named, by SIGTERM and SIGINT in turn."""
    training = Training(strategy)
    alone, stops = training.run(folder / "alone")
    assert stops == 0
    for place in places:
        for number in numbers or [signal.SIGINT if place % 2 else signal.SIGTERM]:
            values, stops = training.run(folder / f"{place}_{number}", place, number)
            assert stops == 1, f"place {place}"
            for one, other in zip(values, alone, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"place {place}, signal {number}")


def test_a_stop_at_any_of_15_places_changes_no_bit(tmp_path: Path) -> None:
    check_places("one", tmp_path, range(1, 16))


def check_two_replicas(tmp_path: Path, places: Sequence[int], numbers: Sequence[int] = ()) -> None:
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_stops import check_places
check_places("cpu:2", Path({str(tmp_path)!r}), {list(places)}, {[int(number) for number in numbers]})
"""
    done = warm.run(["-c", program])
    assert done.returncode == 0, done.stderr


def test_nor_on_two_replicas(tmp_path: Path) -> None:
    check_two_replicas(tmp_path, range(3, 16, 4))


@pytest.mark.slow
@pytest.mark.skipif("TFL_SOAK" not in os.environ, reason="30 stops take 10 minutes: set TFL_SOAK=1")
def test_nor_by_either_signal_at_any_of_15_places_on_two_replicas(tmp_path: Path) -> None:
    check_two_replicas(tmp_path, range(1, 16), (signal.SIGTERM, signal.SIGINT))


def test_a_signal_that_nobody_acted_on_reaches_who_listened_before() -> None:
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with StopListener():
            signal.raise_signal(signal.SIGTERM)
            assert not heard
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
