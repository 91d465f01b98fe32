"""How long BatchNorm's moving statistics remember."""

import keras

MEMORY_FRACTION = 0.1  # of the steps of a phase


def shorten_statistics(model: keras.Model, total_steps: int) -> None:
    """Let the moving statistics of trained BatchNorm layers forget within a tenth of the steps.

    keras.applications sets momenta up to 0.999: after the few hundred steps of a small data set the
    statistics are still mostly their initial values, and a network that trains to 100 % predicts one
    class. Longer momenta than that are shortened; shorter ones are left.

    Args:
        model: its layers' `momentum` is set, also in the saved file.
        total_steps: steps that the phase will make, at least 1.
    """
    momentum = max(0.5, 1.0 - 1.0 / max(1.0, MEMORY_FRACTION * total_steps))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            layer.momentum = min(layer.momentum, momentum)
