"""Where the frozen part of a model ends: what lies below is a function of the image alone."""

import bisect
import dataclasses

import keras

from tfl.backbones.stages import HEAD_PREFIX, find_cut_points, head_layers


@dataclasses.dataclass(frozen=True)
class Halves:
    """A model in two, sharing its layers: training one trains the model.

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

    What lies below always gives the same for the same image, so it need not run more than once. Dropout
    of a frozen part is off for that reason: it is run in inference mode, as the Keras guide asks for too.

    Args:
        model: any model; one that is no flat functional graph has no cut.

    Returns:
        The two halves, or None where something is trained right from the start.

    Example:
        >>> tfl.unfreeze(model, "1")
        >>> halves = split_frozen(model)
        >>> logits = halves.upper(halves.lower(images))
    """
    if not hasattr(model, "_nodes_by_depth") or len(model.inputs) != 1:
        return None
    cuts = [(cut.name, cut.tensor) for cut in find_cut_points(model)]
    cuts += [(layer.name, layer.output) for layer in head_layers(model) if layer.name == HEAD_PREFIX + "pool"]
    # Frozen below one point is frozen below all points beneath it.
    frozen = bisect.bisect_left(cuts, True, key=lambda cut: _is_trained(keras.Model(model.input, cut[1])))
    if not frozen:
        return None
    name, tensor = cuts[frozen - 1]
    return Halves(name, keras.Model(model.input, tensor, name="lower"), keras.Model(tensor, model.output, name="upper"))


def _is_trained(model: keras.Model) -> bool:
    norms = (layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization))
    return bool(model.trainable_weights) or any(layer.trainable for layer in norms)
