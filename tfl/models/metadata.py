"""The metadata of a classifier, and a model class whose copies keep it."""

import dataclasses
import json
import math
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
from keras.src.models.functional import Functional

from tfl.config import validate_window
from tfl.data.index import describe_order
from tfl.errors import InputError
from tfl.files.reading import first_twice, parse_json
from tfl.inputs import Input, get_input
from tfl.progress import say
from tfl.registry import normal_name
from tfl.tasks import Task, get_task

METADATA_FILE = "tfl.json"  # in the archive of a `.keras` file
CONFIG_KEY = "tfl"  # in the config of a model
DEFAULT_KIND = "image"
_NEWER: dict[str, Any] = {
    "kind": DEFAULT_KIND,
    "window": (),
    "scaled_decoding": False,
    "tokenizer": "",
}  # entries with their defaults
VERSION = 1  # of the metadata in files; raise it with every new entry that an older reader may ignore


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Facts about a model that its weights do not contain, so that the model file must store them.

    Attributes:
        backbone: name in keras.applications.
        alpha: width multiplier.
        image_size: pixels per side that the decoder resizes to; for another kind of example its size.
        target: "multiclass", "binary", "multilabel" or "regression".
        class_names: in the order of the logits (binary: negative class, positive class).
        temperature: logits are divided by it before they become probabilities. It is fitted on validation so that
            predictions with a confidence of 90 % are correct 9 times in 10 (Guo et al. 2017, arXiv:1706.04599); 1
            changes nothing.
        bit_depth: number of bits that 16-bit PNG files really use, as in the images of training.
        kind: what an example is, the name of an input in `tfl.inputs`.
        window: (low, high), the values in image files that become 0 and 255, as in training; empty: the whole range.
        scaled_decoding: whether JPEG photos that are much larger than `image_size` are decoded at a part of their size,
            as in training.
        tokenizer: rules by which texts are divided, as in training; "" for other kinds of example.

    Raises:
        InputError: a value is not valid: a size, width multiplier or temperature that is not above 0, an unknown
            target, class names that are one string or are repeated, a bit depth that is not 8 to 16, a
            window that is not two increasing numbers.

    Example:
        >>> metadata = Metadata("MobileNetV2", 1.0, 224, "multiclass", ("ant", "bee"))
        >>> metadata.num_outputs, metadata.temperature
        (2, 1.0)
    """

    backbone: str
    alpha: float
    image_size: int
    target: str
    class_names: tuple[str, ...]
    temperature: float = 1.0
    bit_depth: int = 16
    kind: str = DEFAULT_KIND
    window: tuple[float, ...] = ()
    scaled_decoding: bool = False
    tokenizer: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", get_task(self.target).name)
        object.__setattr__(self, "kind", get_input(self.kind).name)
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
        object.__setattr__(self, "window", validate_window(self.window, "window"))
        if type(self.scaled_decoding) is not bool:
            raise InputError(f"`scaled_decoding` must be true or false. Received: {self.scaled_decoding!r}.")
        if not isinstance(self.tokenizer, str):
            raise InputError(f"`tokenizer` must be text. Received: {type(self.tokenizer).__name__}.")
        if not isinstance(self.backbone, str):
            raise InputError(f"`backbone` must be a name. Received: backbone={self.backbone!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the values that a model file stores: the attributes, and the version of their format.

        Kind, window, scaled decoding and tokenizer are left out if they have their defaults, so that older versions can
        read the file. Older versions refuse other values, which they do not know.
        """
        values = {"version": VERSION, **dataclasses.asdict(self)}
        return {name: value for name, value in values.items() if name not in _NEWER or value != _NEWER[name]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Metadata":
        """Return the metadata that `to_dict` turned into `values`, directly or through JSON.

        Unknown entries are ignored if the file has a newer version. In any other file they are refused: the entry has
        a wrong name, and its value would be lost.

        Raises:
            InputError: the values are not valid metadata.
        """
        if not isinstance(values, dict):
            raise InputError(f"`metadata` must be an object. Received: {repr(values)[:80]}.")
        version = values.get("version", 0)  # the first files have none
        if type(version) is not int or version < 0:
            raise InputError(f"`version` of the metadata must be a whole number. Received: version={version!r}.")
        known = {field.name for field in dataclasses.fields(cls)}
        needed = known - {"temperature", "bit_depth", *_NEWER}  # older files do not have them
        entries = values.keys() - {"version"}
        unknown = sorted(map(str, entries - known)) if version <= VERSION else []
        if unknown or not needed <= entries:
            found = f"{unknown[0]!r}" if unknown else f"no {min(needed - entries)!r}"
            raise InputError(f"`metadata` must have the entries {', '.join(sorted(known))}. Received: {found}.")
        return cls(**{name: values[name] for name in entries & known})

    @property
    def network(self) -> str:
        """The network with its width, such as "MobileNetV2 (alpha 0.35)"."""
        return self.backbone + (f" (alpha {self.alpha:g})" if self.alpha != 1 else "")

    @property
    def task(self) -> Task:
        """The task that `target` names."""
        return get_task(self.target)

    @property
    def input(self) -> Input:
        """The input of the model: examples of this kind and size, read from files as in training."""
        return dataclasses.replace(
            get_input(self.kind),
            size=self.image_size,
            bit_depth=self.bit_depth,
            window=self.window,
            scaled_decoding=self.scaled_decoding,
            tokenizer=self.tokenizer,
        )

    @property
    def num_outputs(self) -> int:
        """Number of logits of the model: one for binary, else one for each class, label or value."""
        return self.task.num_outputs(len(self.class_names))

    def check_model(self, model: keras.Model) -> None:
        """Check that a model takes images of this size and has this number of outputs.

        Raises:
            InputError: the metadata belongs to another model.
        """
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise InputError("`metadata` must belong to a model with one input and one output.")
        entrance, outputs = model.inputs[0].shape, model.outputs[0].shape
        wanted = self.input.spec.shape
        if not wanted.is_compatible_with(entrance[1:]):
            raise InputError(
                f"`image_size` must be that of the model's input, {entrance[1]}. "
                f"Received: image_size={self.image_size}, which gives {self.input.noun[1]} of shape {tuple(wanted)}."
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
        raise InputError(f"`class_names` must be different names. Received: {name!r} twice.")
    task.check_names(names)
    return tuple(str(name) for name in names)


class Classifier(Functional):
    """A functional model that keeps its `Metadata`, also in copies.

    The metadata is one more entry in the model's config. Keras ignores this unknown entry. The class has the name and
    module of Keras' own `Functional`, so that a file from `model.save` can be loaded without tfl.

    Each model with metadata has a class of its own, which holds the metadata: `keras.models.clone_model` makes a model
    of the same class, and copies nothing else.
    """

    carried: Metadata | None = None

    @property
    def metadata(self) -> Metadata | None:
        """The meaning of the outputs; None if it is not known."""
        return self.carried

    @metadata.setter
    def metadata(self, value: Metadata | None) -> None:
        if value is not None:
            value.check_model(self)
        carrier = type(Functional.__name__, (Classifier,), {"carried": value, "__module__": Functional.__module__})
        object.__setattr__(self, "__class__", carrier)

    def get_config(self) -> dict[str, Any]:
        """Return the config of the model, including the metadata."""
        config = super().get_config()
        return config if self.metadata is None else config | {CONFIG_KEY: self.metadata.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Classifier":
        """Build the model from a config; see `get_config`."""
        model = super().from_config(config, custom_objects=custom_objects)
        if CONFIG_KEY in config:
            model.metadata = Metadata.from_dict(config[CONFIG_KEY])
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle, joblib and copy use the content of a `.keras` file, which holds data and never code."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            self.save(file)
            return _revive, (file.read_bytes(),)


Classifier.__name__ = Classifier.__qualname__ = Functional.__name__
Classifier.__module__ = Functional.__module__


def load_classifier(file: Any, *, compile: bool = False) -> keras.Model:
    """Load a `.keras` file; it reads only data, and never runs code from the file.

    Args:
        file: its path.
        compile: whether to compile the model again, if it was compiled when it was saved.

    Returns:
        The model; `model.metadata` is the metadata of the file, or None if the file has none.
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
    """Read the metadata of a `.keras` file; None if the file has no metadata.

    `save_model` writes the metadata twice: as a separate file in the zip archive, which any zip program can read, and
    in the config of the model, which copies of the model keep.

    Raises:
        InputError: the metadata is not valid, or the two differ.
        zipfile.BadZipFile, KeyError, TypeError, ValueError: the file is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():  # Keras does not check the checksum of the weights
            raise zipfile.BadZipFile(f"{damaged} does not match its checksum")
        config = json.loads(archive.read("config.json"))["config"]
        values = [config[CONFIG_KEY]] if CONFIG_KEY in config else []
        if METADATA_FILE in archive.namelist():
            values.insert(0, parse_json(archive.read(METADATA_FILE)))
    if len(values) == 2 and values[0] != values[1]:
        raise InputError(
            f"`{METADATA_FILE}` must be equal to the metadata in the model's config. Received: two that differ."
        )
    return Metadata.from_dict(values[0]) if values else None


def read_date(file: Any) -> str:
    """Return the day on which Keras wrote a `.keras` file, such as "2026-05-04"; "" if the file does not say it.

    The time of the file itself is often that of a copy.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return str(json.loads(archive.read("metadata.json"))["date_saved"]).partition("@")[0]
    except (zipfile.BadZipFile, LookupError, OSError, TypeError, ValueError):
        return ""


def _revive(content: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(content)
        return load_classifier(file, compile=True)


def show_label_order(metadata: Metadata) -> None:
    """Tell the user, when a model is written, that its classes are not in the order that Keras would use."""
    line = describe_order(metadata.class_names) if metadata.task.labels.has_one_class else ""
    if line:
        say(line)
