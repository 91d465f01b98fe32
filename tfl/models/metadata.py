"""What must travel with a classifier, and the class of model whose copies keep it."""

import dataclasses
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
from keras.src.models.functional import Functional

from tfl.registry import resolve
from tfl.rules import TARGETS

METADATA_FILE = "tfl.json"  # in the archive of a `.keras` file
CONFIG_KEY = "tfl"  # in the config of a model


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a model file must say of itself, because its weights do not.

    Attributes:
        backbone: name in keras.applications.
        alpha: width multiplier.
        image_size: pixels per side that the decoder resizes to.
        target: "multiclass", "binary", "multilabel" or "regression".
        class_names: in the order of the logits (binary: negative class, positive class).
        temperature: what logits are divided by before they become probabilities, fitted on validation so that
            90 % sure is right 9 times in 10 (Guo et al. 2017, arXiv:1706.04599); 1 changes nothing.
    """

    backbone: str
    alpha: float
    image_size: int
    target: str
    class_names: tuple[str, ...]
    temperature: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", resolve(self.target, TARGETS, "target"))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Metadata":
        """Return the metadata that `dataclasses.asdict` turned into `values`, JSON in between or not."""
        return cls(**{**values, "class_names": tuple(values["class_names"])})


class Classifier(Functional):
    """A functional model that carries its `Metadata`, and whose copies do.

    The metadata is one more entry in the model's config. Keras does not know the entry and passes over it, and the
    class says that it is Keras' own one, so that a file that `model.save` wrote loads where tfl is not installed.

    A class stands behind each piece of metadata: `keras.models.clone_model` makes a model of the same class, and hands
    on nothing else.
    """

    carried: Metadata | None = None

    @property
    def metadata(self) -> Metadata | None:
        """What the outputs mean; None where it is not known."""
        return self.carried

    @metadata.setter
    def metadata(self, value: Metadata | None) -> None:
        carrier = type(Functional.__name__, (Classifier,), {"carried": value, "__module__": Functional.__module__})
        object.__setattr__(self, "__class__", carrier)

    def get_config(self) -> dict[str, Any]:
        """Return the config of the model, with the metadata in it."""
        config = super().get_config()
        return config if self.metadata is None else config | {CONFIG_KEY: dataclasses.asdict(self.metadata)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Classifier":
        """Return the model of a config; see `get_config`."""
        model = super().from_config(config, custom_objects=custom_objects)
        if CONFIG_KEY in config:
            model.metadata = Metadata.from_dict(config[CONFIG_KEY])
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle, joblib and copy use the content of a `.keras` file: data, never code."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            self.save(file)
            return _revive, (file.read_bytes(),)


Classifier.__name__ = Classifier.__qualname__ = Functional.__name__
Classifier.__module__ = Functional.__module__


def load_classifier(file: Any, *, compile: bool = False) -> keras.Model:
    """Load a `.keras` file; only data is read, never code.

    Args:
        file: its path.
        compile: whether the model is compiled again, where it was.

    Returns:
        The model, with `model.metadata` where the file has it, else None.
    """
    model: Any = keras.saving.load_model(
        file, custom_objects={Functional.__name__: Classifier}, compile=compile, safe_mode=True
    )
    with zipfile.ZipFile(file) as archive:
        if METADATA_FILE in archive.namelist():
            model.metadata = Metadata.from_dict(json.loads(archive.read(METADATA_FILE)))
    if not hasattr(model, "metadata"):  # Sequential, for one
        model.metadata = None
    return model


def _revive(content: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(content)
        return load_classifier(file, compile=True)
