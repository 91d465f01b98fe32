"""A small model for boxes that says something else about each cell of a picture."""

import keras

from tfl.models.classifier import Metadata

SIZE, NAMES = 64, ("<b>cat</b>", "dog")  # a name that must not become HTML


def make_box_model(seed: int = 1) -> keras.Model:
    """Return a model from pictures to 3 logits and a box for each cell of 8 pixels."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    tensor = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    tensor = keras.layers.Conv2D(8, 8, strides=8, activation="relu")(tensor)
    wide = keras.initializers.RandomNormal(stddev=1.0)
    outputs = keras.layers.Dense(7, kernel_initializer=wide, name="head_logits")(tensor)
    low, far = (10.0 * keras.ops.abs(outputs[..., start : start + 2]) for start in (3, 5))
    corners = keras.ops.minimum(keras.ops.concatenate([low, low + far + 4.0], axis=-1), float(SIZE))
    model = keras.Model(image, keras.ops.concatenate([outputs[..., :3], corners], axis=-1))
    model.metadata = Metadata("MobileNetV2", 1.0, SIZE, "detection", NAMES)
    return model
