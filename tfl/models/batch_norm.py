"""Shorten the memory of BatchNorm's moving statistics for short trainings."""

import keras

MEMORY_FRACTION = 0.1  # of the steps of a phase


def shorten_statistics(model: keras.Model, total_steps: int) -> None:
    """Limit the momentum of trained BatchNorm layers, so that old statistics fade within a tenth of the steps.

    keras.applications sets momenta up to 0.999. After the few hundred steps of a small data set the statistics are
    then still mostly their initial values, and a network with 100 % training accuracy predicts one class. Larger
    momenta than the limit are reduced; smaller momenta do not change.

    Args:
        model: the `momentum` of its layers is changed, also in the saved file.
        total_steps: number of steps of the phase, at least 1.
    """
    momentum = max(0.5, 1.0 - 1.0 / max(1.0, MEMORY_FRACTION * total_steps))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            layer.momentum = min(layer.momentum, momentum)
