"""Find where the frozen part of a model ends: the output of that part depends on the image only."""

import bisect
import dataclasses

import keras

from tfl.backbones.stages import find_crossings


@dataclasses.dataclass(frozen=True)
class Halves:
    """The two halves of a model, which share its layers: if you train a half, you train the model.

    Attributes:
        cut: name of the layer or operation where the lower half ends.
        lower: from images to activations; nothing in it is trained.
        upper: from activations to logits.
    """

    cut: str
    lower: keras.Model
    upper: keras.Model


def split_frozen(model: keras.Model) -> Halves | None:
    """Cut a model at the highest point below which nothing is trained.

    The part below the cut gives the same output for the same image every time, so it needs to run only once. For that
    reason it runs in inference mode, with dropout off, as the Keras guide recommends too.

    Args:
        model: any model; a model that is not a flat functional graph has no cut.

    Returns:
        The two halves, or None if the lowest layers are trained.

    Example:
        >>> table = tfl.unfreeze(model, "1")
        >>> halves = split_frozen(model)
        >>> logits = halves.upper(halves.lower(images))
    """
    if not hasattr(model, "_nodes_by_depth") or len(model.inputs) != 1:
        return None
    cuts = [(cut.name, cut.tensor) for cut in find_crossings(model)]
    # If all layers below one point are frozen, so are the layers below every lower point: bisection works.
    frozen = bisect.bisect_left(cuts, True, key=lambda cut: _is_trained(keras.Model(model.input, cut[1])))
    if not frozen:
        return None
    name, tensor = cuts[frozen - 1]
    return Halves(name, keras.Model(model.input, tensor, name="lower"), keras.Model(tensor, model.output, name="upper"))


def _is_trained(model: keras.Model) -> bool:
    norms = (layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization))
    return bool(model.trainable_weights) or any(layer.trainable for layer in norms)
