"""Read the layers of a whole saved network, and find the wanted backbone among them."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import h5py
import keras
from etils import epath


class SavedLayer(NamedTuple):
    """One layer with weights: its name, and its variables or arrays in the order of `layer.weights`."""

    name: str
    values: list[Any]


def read_keras_layers(path: epath.PathLike) -> list[SavedLayer]:
    """Return the layers with weights of a `.keras` file; the layers of a nested model take its place.

    Raises:
        ValueError, KeyError, OSError, TypeError: Keras cannot read the file.
    """
    model: Any = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    return [SavedLayer(layer.name, list(layer.weights)) for layer in leaves(model) if layer.weights]


def read_h5_layers(path: epath.PathLike) -> list[SavedLayer]:
    """Return the layers of an `.h5` file of Keras 2 or 3 (`model.save("model.h5")`, or weights of Keras 2).

    The file stores the weights of a nested model under the name of that model; the name of each weight gives its layer.

    Returns:
        The layers; an empty list if the file has another form, such as `.weights.h5`.
    """
    layers: dict[str, list[Any]] = {}
    with h5py.File(path) as file:
        root: Any = file.get("model_weights", file)
        for layer in root.attrs.get("layer_names", ()):
            group = root[_text(layer)]
            for name in map(_text, group.attrs["weight_names"]):
                layers.setdefault(_layer_of(name, _text(layer)), []).append(group[name][()])
    return [SavedLayer(*item) for item in layers.items()]


def find_backbone(saved: Sequence[SavedLayer], layers: Sequence[keras.layers.Layer]) -> list[Any] | str:
    """Find the weights of a backbone in a larger network that contains it: below a head, or nested in a model.

    The backbone is the only sequence of layers with the same shapes. If there is no such sequence, layers are matched
    by name. Names come second because they are equal only if the same version of Keras built both networks.

    Args:
        saved: the layers of the larger network, in their order.
        layers: the layers of the backbone, in their order.

    Returns:
        The values, in the order of the weights of `layers`; if they are not found, one line that says why.
    """
    wanted = [layer for layer in layers if layer.weights]
    shapes = [[tuple(weight.shape) for weight in layer.weights] for layer in wanted]
    theirs = [[tuple(value.shape) for value in layer.values] for layer in saved]
    starts = [n for n in range(len(theirs) - len(shapes) + 1) if theirs[n : n + len(shapes)] == shapes]
    if len(starts) > 1:
        return f"it holds {len(starts)} networks that fit; save only the one that you want in a file"
    if starts:
        chosen = saved[starts[0] : starts[0] + len(shapes)]
        return [value for layer in chosen for value in layer.values]
    by_name = {layer.name: layer for layer in saved}
    missing = [layer.name for layer in wanted if layer.name not in by_name]
    if missing:
        return f"it has {len(theirs)} layers with weights and this network has {len(shapes)}; it lacks {missing[0]}"
    for layer, mine in zip(wanted, shapes, strict=True):
        other = [tuple(value.shape) for value in by_name[layer.name].values]
        if other != mine:
            there, here = (", ".join(map(str, shapes)) for shapes in (other, mine))
            return f"{layer.name} has the shapes {there} in the file and {here} in this network"
    return [value for layer in wanted for value in by_name[layer.name].values]


def leaves(model: Any) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model from bottom to top; the layers of a nested model take its place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):  # functional, Sequential, or subclassed
            yield from leaves(layer)
        else:
            yield layer


def _layer_of(name: str, group: str) -> str:
    """Return the layer name in a weight's name: `layer/kernel:0` or `layer/sublayer/kernel`, with or without a prefix.

    `group` is the answer for a name without "/".
    """
    parts = name.split("/")
    return parts[-2] if len(parts) > 1 else group


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
