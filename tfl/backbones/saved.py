"""Backbone weights that somebody saved: a weights file, a `.keras` file, or the workdir of an earlier run."""

import dataclasses
import json
from collections.abc import Iterable, Sequence

import keras
from etils import epath

from tfl.backbones.catalog import BackboneSpec
from tfl.backbones.stages import backbone_layers
from tfl.errors import InputError


@dataclasses.dataclass(frozen=True)
class SavedWeights:
    """Where the weights of a backbone lie, and how they get into a model."""

    path: epath.Path
    spec: BackboneSpec

    def as_keras_builds_it(self, model: keras.Model) -> bool:
        """Try to load a weights file into the network in the form that Keras itself saves.

        Returns:
            Whether that is the form of the file; `load` tries the other, and reports.
        """
        if self.path.suffix != ".h5":
            return False
        try:
            model.load_weights(str(self.path))
        except (ValueError, KeyError, OSError):
            return False
        return True

    def load(self, model: keras.Model) -> None:
        """Load the weights into a flat backbone.

        Raises:
            InputError: they belong to another network, or the file cannot be read.
        """
        try:
            if self.path.suffix == ".h5":
                model.load_weights(str(self.path))
            else:
                self._copy(keras.saving.load_model(str(self.path), compile=False, safe_mode=True), model)
        except (ValueError, KeyError, OSError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise self._refusal(" ".join(str(error).split())[:200]) from error

    def _copy(self, donor: keras.Model, model: keras.Model) -> None:
        """By order and shape: names of layers are the same only where the same Keras built both."""
        sources = [variable for layer in backbone_layers(donor) for variable in layer.weights]
        targets = [variable for layer in backbone_layers(model) for variable in layer.weights]
        for source, target in zip(sources, targets, strict=False):
            if source.shape != target.shape:
                raise self._refusal(f"{source.path} is {source.shape} there, and {target.shape} here")
        if len(sources) != len(targets):
            raise self._refusal(f"{len(sources)} weights there, {len(targets)} here")
        copy_weights(sources, backbone_layers(model))

    def _refusal(self, reason: str) -> InputError:
        return InputError(
            f"`backbone.weights` must hold the weights of {self.spec.name} as it is asked for. "
            f"Received: backbone.weights={str(self.path)!r} ({reason})."
        )


def copy_weights(sources: Iterable[keras.Variable], layers: Sequence[keras.layers.Layer]) -> None:
    """Give layers the values of as many variables of the same shapes.

    Plain assignment leaves EfficientNet's Normalization with the constants that it derived from the old values.

    Args:
        sources: the variables to copy from, in the order of `layer.weights`.
        layers: the layers to copy into.
    """
    for source, target in zip(sources, [weight for layer in layers for weight in layer.weights], strict=True):
        target.assign(source)
    for layer in layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def find_weights(weights: str, spec: BackboneSpec, alpha: float) -> SavedWeights:
    """Find what `backbone.weights` names on disk, and refuse it where it is of another network.

    Args:
        weights: path of a `.h5`, `.weights.h5` or `.keras` file, or of a tfl workdir.
        spec: of the network that is to be built.
        alpha: its width multiplier.

    Raises:
        InputError: nothing is there, it is of another kind, or the workdir is of another network.
    """
    path = epath.Path(weights).expanduser()
    if path.is_dir():
        _check_workdir(path, spec, alpha)
        return SavedWeights(path / "model.keras", spec)
    if not path.exists() or path.suffix not in (".h5", ".keras"):
        raise InputError(
            "`backbone.weights` must be 'imagenet', 'none', a weights file (.h5, .weights.h5, .keras) or a tfl "
            f"workdir. Received: backbone.weights={weights!r}{'' if path.exists() else ', which does not exist'}."
        )
    return SavedWeights(path, spec)


def _check_workdir(workdir: epath.Path, spec: BackboneSpec, alpha: float) -> None:
    if not (workdir / "model.keras").exists():
        raise InputError(
            "`backbone.weights` must name a finished run where it names a folder: it holds no model.keras. "
            f"Received: backbone.weights={str(workdir)!r}."
        )
    if not (workdir / "config.json").exists():
        return  # a bare folder with a model in it: shapes are compared when it is read
    theirs = json.loads((workdir / "config.json").read_text()).get("backbone", {})
    name, their_alpha = theirs.get("name", spec.name), theirs.get("alpha", alpha)
    if (str(name).lower(), their_alpha) != (spec.name.lower(), alpha):
        raise InputError(
            f"`backbone.weights` must be of the same network: {workdir} holds {name} with alpha {their_alpha}. "
            f"Received: backbone.name={spec.name!r}, backbone.alpha={alpha}."
        )
