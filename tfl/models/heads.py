"""The head on a backbone: pooling, optional hidden layers, and one linear layer of logits.

The name of every head layer starts with `head_`. The rest of tfl (and a reader of `model.summary()`) uses this prefix
to separate the head from the backbone, also in a model that was saved and loaded.
"""

import dataclasses

import keras
from keras import layers, ops

from tfl.backbones.stages import HEAD_PREFIX
from tfl.config import POOLINGS
from tfl.registry import resolve

GEM_EXPONENT = 3.0
_GEM_FLOOR = 1e-6  # the root has an infinite slope at zero


@dataclasses.dataclass(frozen=True)
class HeadSpec:
    """The shape of a head.

    Attributes:
        num_outputs: logits per example: the number of classes, labels or regression targets, or 1 for binary.
        pooling: `"avg"`, `"max"` or `"gem"`; of a network on texts also `"cls"`, `"layers"` or `"layers_cls"`, see
            `tfl.models.states.pool_states`.
        hidden_units: widths of the hidden ReLU layers, from bottom to top; empty for a linear head.
        dropout: rate in [0, 1) before each dense layer.
        stands_on: "vector": one row of logits for each example; "map": a map of logits at the size of the input, from
            the maps of all stages; "boxes": logits and a box for each cell of a grid. Pooling, hidden layers and
            dropout have a meaning for vectors only.

    Example:
        >>> HeadSpec(num_outputs=10, hidden_units=(256,), dropout=0.2).pooling
        'avg'
    """

    num_outputs: int
    pooling: str = "avg"
    hidden_units: tuple[int, ...] = ()
    dropout: float = 0.0
    stands_on: str = "vector"


def pool(feature_map: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """Reduce a feature map to one vector per image.

    Args:
        feature_map: `(B, h, w, C)`; vectors `(B, C)` stay as they are.
        pooling: `"avg"` (mean over positions), `"max"`, or `"gem"`: the generalised mean
            `(mean(max(x, 1e-6)^p))^(1/p)` with p = 3, between the two.

    Returns:
        `(B, C)` float tensor; the pooling layer is named `head_pool`.

    Reference:
        Radenović, Tolias, Chum 2018, Fine-tuning CNN image retrieval with no human annotation, arXiv:1711.02512.
    """
    pooling = resolve(pooling, POOLINGS, "head.pooling")
    name = HEAD_PREFIX + "pool"
    if len(feature_map.shape) == 2:
        return layers.Identity(name=name)(feature_map)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name=name)(feature_map)
    if pooling == "gem":
        # In float16 the floor to the power 3 is 0, and the root has no finite slope there.
        powered = ops.power(ops.maximum(ops.cast(feature_map, "float32"), _GEM_FLOOR), GEM_EXPONENT)
        mean = layers.GlobalAveragePooling2D(name=name)(powered)
        return ops.power(mean, 1.0 / GEM_EXPONENT)
    return layers.GlobalAveragePooling2D(name=name)(feature_map)


def apply_head(features: keras.KerasTensor, spec: HeadSpec) -> keras.KerasTensor:
    """Return the logits `(B, num_outputs)` of pooled features `(B, C)`.

    The last layer, `head_logits`, has no activation: losses take logits, which stay exact when
    a probability would round to 0 or 1. It computes in float32 under every dtype policy.
    """
    for position, units in enumerate(spec.hidden_units):
        if spec.dropout:
            features = layers.Dropout(spec.dropout, name=f"{HEAD_PREFIX}dropout{position + 1}")(features)
        features = layers.Dense(units, activation="relu", name=f"{HEAD_PREFIX}hidden{position + 1}")(features)
    if spec.dropout:
        features = layers.Dropout(spec.dropout, name=HEAD_PREFIX + "dropout")(features)
    return layers.Dense(spec.num_outputs, dtype="float32", name=HEAD_PREFIX + "logits")(features)
