"""What must travel with a classifier, and the class of model whose copies keep it."""

import dataclasses
import json
import math
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
from keras.src.models.functional import Functional

from tfl.data.index import describe_order
from tfl.errors import InputError
from tfl.files.reading import first_twice, parse_json
from tfl.inputs.image.image_input import ImageInput
from tfl.progress import say
from tfl.registry import normal_name
from tfl.tasks import Task, get_task

METADATA_FILE = "tfl.json"  # in the archive of a `.keras` file
CONFIG_KEY = "tfl"  # in the config of a model
VERSION = 1  # of what files say; raised with every new entry that a reader may leave out


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
        bit_depth: so many bits PNG files of 16 bits hold, as the images of training did.

    Raises:
        InputError: a value that no model has: a size or temperature that is not above 0, an unknown target, class
            names that are one string or repeated, a depth that is not 8 to 16.
    """

    backbone: str
    alpha: float
    image_size: int
    target: str
    class_names: tuple[str, ...]
    temperature: float = 1.0
    bit_depth: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", get_task(self.target).name)
        object.__setattr__(self, "class_names", _checked_names(self.class_names, self.task))
        for name, kinds, kind in (
            ("image_size", int, "whole"),
            ("alpha", (int, float), ""),
            ("temperature", (int, float), ""),
        ):
            value: Any = getattr(self, name)
            if not isinstance(value, kinds) or isinstance(value, bool) or not 0 < value < math.inf:
                raise InputError(f"`{name}` must be a {kind or 'finite'} number above 0. Received: {name}={value!r}.")
        if type(self.bit_depth) is not int or not 8 <= self.bit_depth <= 16:
            raise InputError(f"`bit_depth` must be a whole number from 8 to 16. Received: {self.bit_depth!r}.")
        if not isinstance(self.backbone, str):
            raise InputError(f"`backbone` must be a name. Received: backbone={self.backbone!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return what a file says of its model: the attributes, and the version of their format."""
        return {"version": VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Metadata":
        """Return the metadata that `to_dict` turned into `values`, JSON in between or not.

        Entries that this version does not know are ignored in a file of a newer version. In any other file they are
        refused: they are entries of a wrong name, whose value would be lost.

        Raises:
            InputError: the values are not those of metadata.
        """
        if not isinstance(values, dict):
            raise InputError(f"`metadata` must be an object. Received: {repr(values)[:80]}.")
        version = values.get("version", 0)  # the first files have none
        if type(version) is not int or version < 0:
            raise InputError(f"`version` of the metadata must be a whole number. Received: version={version!r}.")
        known = {field.name for field in dataclasses.fields(cls)}
        needed = known - {"temperature", "bit_depth"}  # older files do not have them
        entries = values.keys() - {"version"}
        unknown = sorted(map(str, entries - known)) if version <= VERSION else []
        if unknown or not needed <= entries:
            found = f"{unknown[0]!r}" if unknown else f"no {min(needed - entries)!r}"
            raise InputError(f"`metadata` must have the entries {', '.join(sorted(known))}. Received: {found}.")
        return cls(**{name: values[name] for name in entries & known})

    @property
    def task(self) -> Task:
        """What is asked of an example."""
        return get_task(self.target)

    @property
    def input(self) -> ImageInput:
        """What an example of the model is."""
        return ImageInput(self.image_size, self.bit_depth)

    @property
    def num_outputs(self) -> int:
        """How many logits the model has: one for binary, else one a class, label or value."""
        return self.task.num_outputs(len(self.class_names))

    def check_model(self, model: keras.Model) -> None:
        """Check that a model takes images of this size and has this many outputs.

        Raises:
            InputError: it is another model's metadata.
        """
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise InputError("`metadata` must be of a model with one input and one output.")
        entrance, outputs = model.inputs[0].shape, model.outputs[0].shape
        for side in entrance[1:3]:
            if side not in (None, self.image_size):
                raise InputError(
                    f"`image_size` must be that of the model's input, {side}. Received: image_size={self.image_size}."
                )
        if outputs[-1] != self.num_outputs:
            raise InputError(
                f"`class_names` must fit the model's {outputs[-1]} outputs. Received: {len(self.class_names)} names, "
                f"target={self.target!r}."
            )


def _checked_names(names: Any, task: Task) -> tuple[str, ...]:
    if not isinstance(names, (tuple, list)) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"`class_names` must be a list of names. Received: class_names={names!r}.")
    if (name := first_twice([normal_name(name) for name in names])) is not None:
        raise InputError(f"`class_names` must differ. Received: {name!r} twice.")
    task.check_names(names)
    return tuple(str(name) for name in names)


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
        if value is not None:
            value.check_model(self)
        carrier = type(Functional.__name__, (Classifier,), {"carried": value, "__module__": Functional.__module__})
        object.__setattr__(self, "__class__", carrier)

    def get_config(self) -> dict[str, Any]:
        """Return the config of the model, with the metadata in it."""
        config = super().get_config()
        return config if self.metadata is None else config | {CONFIG_KEY: self.metadata.to_dict()}

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
    metadata = read_metadata(file)
    model: Any = keras.saving.load_model(
        file, custom_objects={Functional.__name__: Classifier}, compile=compile, safe_mode=True
    )
    if metadata is not None:
        metadata.check_model(model)
    model.metadata = metadata
    return model


def read_metadata(file: Any) -> Metadata | None:
    """Read what a `.keras` file says of its model, or None where it says nothing.

    `save_model` writes it twice: as a file of its own, which every reader of a zip archive sees, and in the config of
    the model, which its copies keep.

    Raises:
        InputError: the metadata is that of no model, or the two differ.
        zipfile.BadZipFile, KeyError, TypeError, ValueError: the file is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():  # Keras reads the weights past their checksum
            raise zipfile.BadZipFile(f"{damaged} does not match its checksum")
        config = json.loads(archive.read("config.json"))["config"]
        values = [config[CONFIG_KEY]] if CONFIG_KEY in config else []
        if METADATA_FILE in archive.namelist():
            values.insert(0, parse_json(archive.read(METADATA_FILE)))
    if len(values) == 2 and values[0] != values[1]:
        raise InputError(f"`{METADATA_FILE}` must say the same as the model's config. Received: another one.")
    return Metadata.from_dict(values[0]) if values else None


def _revive(content: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(content)
        return load_classifier(file, compile=True)


def say_order(metadata: Metadata) -> None:
    """Say, where a model is written, that its classes are not in the order that Keras would give them."""
    line = describe_order(metadata.class_names) if metadata.task.labels.has_one_class else ""
    if line:
        say(line)
