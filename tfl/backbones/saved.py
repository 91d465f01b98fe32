"""Load saved backbone weights: from a weights file, a `.keras` file, or the workdir of an earlier run."""

import dataclasses
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import h5py
import keras
from etils import epath

from tfl.backbones.donor import find_backbone, read_h5_layers, read_keras_layers
from tfl.backbones.spec import BackboneSpec
from tfl.backbones.stages import backbone_layers
from tfl.errors import InputError


@dataclasses.dataclass(frozen=True)
class SavedWeights:
    """The file that holds the weights of a backbone; `load` copies them into a model."""

    path: epath.Path
    spec: BackboneSpec

    def as_keras_builds_it(self, model: keras.Model) -> bool:
        """Try to load a weights file into the network as Keras builds it, before its layers are flattened.

        Returns:
            True if the file has that form. If not, `load` tries the other forms and reports the error.
        """
        return self.path.suffix == ".h5" and self._load_weights(model) == ""

    def load(self, model: keras.Model) -> None:
        """Load the weights into a flat backbone, from the same network or from a larger one that contains it.

        Raises:
            InputError: the weights belong to another network, or the file cannot be read.
        """
        reason = self._load_weights(model) if self.path.suffix == ".h5" else "it is not a weights file"
        if not reason:
            return
        try:
            saved = read_h5_layers(self.path) if self.path.suffix == ".h5" else read_keras_layers(self.path)
        except (ValueError, KeyError, OSError, TypeError) as error:
            raise self._refusal(" ".join(str(error).split())[:200]) from error
        if not saved:
            raise self._refusal(reason)
        layers = backbone_layers(model)
        values = find_backbone(saved, layers)
        if isinstance(values, str):
            raise self._refusal(values)
        copy_weights(values, layers)

    def _load_weights(self, model: keras.Model) -> str:
        """Load a weights file, or the part of it that is a nested model; return the reason of a failure, else "".

        After a failure the network may hold some of the weights. The caller must fill it from another form of the
        file, or refuse the file.
        """
        reason = ""
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="keras.src.saving")  # Keras warns of every missing layer
            for file in (str(self.path), *_nested_weights(self.path, folder)):
                try:
                    model.load_weights(file)
                except (ValueError, KeyError, OSError, TypeError) as error:
                    reason = reason or " ".join(str(error).split())[:200]
                else:
                    return ""
        return reason

    def _refusal(self, reason: str) -> InputError:
        return InputError(
            f"`backbone.weights` must hold weights that fit {self.spec.name} with these options. "
            f"Received: backbone.weights={str(self.path)!r} ({reason})."
        )


def _nested_weights(path: epath.Path, folder: str) -> Iterator[str]:
    """Write the weights of each nested model in a `.weights.h5` file to a separate weights file, and yield its path."""
    try:
        with h5py.File(path) as file:
            names: list[str] = []
            file.visit(names.append)  # from the top down
            for number, name in enumerate(names):
                if name.endswith("/layers") and name.count("/") > 1:
                    part = f"{folder}/{number}.weights.h5"
                    model: Any = file[name].parent
                    with h5py.File(part, "w") as alone:
                        for child in model:
                            file.copy(model[child], alone)
                    yield part
    except OSError:
        return  # not an HDF5 file: the code that loads it reports the error


def copy_weights(sources: Iterable[Any], layers: Sequence[keras.layers.Layer]) -> None:
    """Copy values into the weights of layers; there must be as many values as weights, with the same shapes.

    Plain assignment is not enough: EfficientNet's Normalization would keep constants that it computed from the old
    values.

    Args:
        sources: the variables or arrays to copy from, in the order of `layer.weights`.
        layers: the layers to copy into.
    """
    for source, target in zip(sources, [weight for layer in layers for weight in layer.weights], strict=True):
        target.assign(source)
    for layer in layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
