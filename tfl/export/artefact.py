"""Use a model of any format in the same way: files or prepared examples in, probabilities out."""

import functools
import importlib
import re
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.errors import BadExampleError, InputError
from tfl.export.format_table import OwnFormat, own_format
from tfl.export.graph import PROBABILITIES, decode_batch, metadata_from_json, probabilities_of
from tfl.export.model_files import METADATA_NAME, find_format
from tfl.export.operations import check_operations
from tfl.export.runner import num_cores
from tfl.export.saved_model import BYTES_SIGNATURE, prepared_signature
from tfl.models.classifier import Metadata, load_model
from tfl.version import install_command

BATCH = 32  # most images in one call of the model, to limit memory

_Run = Callable[[Any], np.ndarray]


class Artefact:
    """A trained classifier of any format, ready to predict.

    A lock lets only one thread at a time run the model: a LiteRT interpreter keeps its input images inside itself.

    Attributes:
        path: the path that it was loaded from.
        format: "keras", "saved_model", "litert", "onnx", or a format of your own.
        metadata: labels, image size, target, and the temperature of its probabilities.
        model: the Keras model from images to logits; None for a format without Keras layers.

    Example:
        >>> artefact = tfl.load_artefact("runs/photos")
        >>> artefact.format, artefact.metadata.class_names
        ('keras', ('ant', 'bee', 'wasp'))
    """

    def __init__(
        self,
        path: epath.Path,
        format: str,
        metadata: Metadata,
        run: _Run,
        run_bytes: Any = None,
        model: keras.Model | None = None,
    ) -> None:
        self.path, self.format, self.metadata, self.model = path, format, metadata, model
        self._run = run
        self._run_bytes = run_bytes  # None if the format does not decode image files itself
        self._lock = threading.Lock()
        self._decode = tf.function(
            lambda images: decode_batch(images, metadata), input_signature=[tf.TensorSpec((None,), tf.string)]
        )

    def predict_pixels(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of images that are already decoded and resized; see `predict_prepared`.

        Args:
            images: RGB images, `(N, S, S, 3)` uint8, with any N, and with S equal to the metadata's `image_size`.

        Returns:
            `(N, C)` float32, one column per class (binary: two columns); for regression the values.

        Raises:
            InputError: the images have another type or shape.
        """
        return self.predict_prepared(images)

    def predict_prepared(self, examples: np.ndarray) -> np.ndarray:
        """Return the probabilities of examples in the form that the model takes.

        Args:
            examples: `(N, ...)`, with the type and the shape of `metadata.input.spec`.

        Returns:
            `(N, C)` float32, one column per class (binary: two columns); for regression the values.

        Raises:
            InputError: the examples have another type or shape.
        """
        examples, kind = np.asarray(examples), self.metadata.input
        shape, dtype = tuple(kind.spec.shape), kind.spec.dtype.as_numpy_dtype
        if examples.dtype != dtype or examples.shape[1:] != shape or not examples.ndim:
            raise InputError(
                f"`{kind.noun[1]}` must be {np.dtype(dtype)} of shape (N, {', '.join(map(str, shape))}). "
                f"Received: {examples.dtype} of shape {examples.shape}."
            )
        return self._in_batches(self._run, examples)

    def predict_bytes(self, images: Sequence[bytes]) -> np.ndarray:
        """Return the probabilities of files; one call may mix image files of different sizes and formats.

        Args:
            images: the bytes of whole image files, in any format that tfl reads from a folder.

        Returns:
            `(N, C)` float32, as from `predict_pixels`.

        Raises:
            InputError: some of them are not images, or are broken; the message names the first one.
        """
        run = self._run_bytes or (lambda batch: self._run(self._decode(batch).numpy()))

        def run_files(numbered: Sequence[tuple[int, bytes]]) -> np.ndarray:
            return run(tf.constant([self._to_graph_format(*pair) for pair in numbered], tf.string))

        try:
            return self._in_batches(run_files, list(enumerate(images)))
        except tf.errors.OpError:
            for number, encoded in enumerate(images):
                self._check_example(number, self._to_graph_format(number, encoded))
            raise  # every example can be decoded, so the error has another cause

    def _check_example(self, number: int, encoded: bytes) -> None:
        try:
            self._decode(tf.constant([encoded], tf.string))
        except tf.errors.OpError as error:
            reason = re.sub(r"{{.*?}} ?|\.? \[\[.*", "", " ".join(error.message.split()))[:160]
            raise self._refusal(number, reason) from error

    def _to_graph_format(self, number: int, encoded: bytes) -> bytes:
        """Convert a file to a format that the graph can decode."""
        try:
            return self.metadata.input.graph_bytes(encoded)
        except BadExampleError as error:
            raise self._refusal(number, error) from error

    def _refusal(self, number: int, reason: Any) -> InputError:
        one, several = self.metadata.input.noun
        return InputError(f"`{several}` must be undamaged {one} files. Received: number {number}: {reason}.")

    def _in_batches(self, run: _Run, images: Any) -> np.ndarray:
        with self._lock:
            parts = [run(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.metadata.class_names)), np.float32)


def load_artefact(path: epath.PathLike) -> Artefact:
    """Load a model that tfl trained or exported; the path decides the format.

    No code from the file runs: a `.keras` file is read with `safe_mode`, a SavedModel is refused if its graph does
    more than compute (see `check_operations`), and LiteRT and ONNX have no operations that access files.

    Args:
        path: a finished workdir, a `.keras` file, a SavedModel folder, a `.tflite` or an `.onnx` file, or a folder of
            a format of your own (`register_format`).

    Raises:
        InputError: the path does not exist or is another kind of file, it has no metadata of tfl, the SavedModel does
            more than compute, or the runtime of its format is not installed.

    Example:
        >>> artefact = tfl.load_artefact("runs/photos/export/model.tflite")
        >>> artefact.predict_bytes([Path("ant.jpg").read_bytes()]).shape
        (1, 3)
    """
    path = epath.Path(path).expanduser()
    load = _loader(path)
    try:
        return load(path)
    except (KeyError, OSError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile, tf.errors.OpError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"`model` must be an undamaged model that tfl saved or exported. Received: {str(path)!r}: {reason}."
        ) from error


def _loader(path: epath.Path) -> Callable[[epath.Path], Artefact]:
    name = find_format(path)
    loaders = {"keras": _load_keras, "saved_model": _load_saved_model, "litert": _load_litert, "onnx": _load_onnx}
    own = own_format(name)
    return loaders[name] if own is None else functools.partial(_load_own, own)


def _load_keras(path: epath.Path) -> Artefact:
    model = load_model(path)
    if model.metadata is None:
        raise InputError(f"`model` must be a model that tfl saved. Received: {str(path)!r}, which has no class names.")
    return artefact_of_model(model, path)


def artefact_of_model(model: keras.Model, path: epath.Path) -> Artefact:
    """Return a classifier in memory as an artefact.

    Args:
        model: a classifier with metadata.
        path: where it is saved, or would be.
    """
    metadata = model.metadata
    forward = tf.function(lambda inputs: probabilities_of(model(inputs, training=False), metadata))
    shape = (None, *model.input.shape[1:])
    concrete = forward.get_concrete_function(tf.TensorSpec(shape, metadata.input.spec.dtype))
    return Artefact(path, "keras", metadata, lambda inputs: concrete(tf.constant(inputs)).numpy(), model=model)


def _load_saved_model(path: epath.Path) -> Artefact:
    metadata = metadata_from_json((path / "assets" / METADATA_NAME).read_text("utf-8"))
    check_operations(path)
    loaded: Any = tf.saved_model.load(str(path))
    of_bytes, of_prepared = loaded.signatures[BYTES_SIGNATURE], loaded.signatures[prepared_signature(metadata)]
    raw_name, prepared_name = metadata.input.tensors
    return Artefact(
        path,
        "saved_model",
        metadata,
        lambda inputs: of_prepared(**{prepared_name: tf.constant(inputs)})["probabilities"].numpy(),
        lambda encoded: of_bytes(**{raw_name: encoded})["probabilities"].numpy(),
    )


def _load_litert(path: epath.Path) -> Artefact:
    interpreter_of = _runtime("ai_edge_litert.interpreter").Interpreter
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        metadata = metadata_from_json(archive.read(METADATA_NAME))
    interpreter = interpreter_of(model_content=content, num_threads=num_cores())
    (input_details,) = interpreter.get_input_details()
    outputs = interpreter.get_signature_runner("serving_default").get_output_details()
    probabilities = outputs[PROBABILITIES]["index"]

    def run(pixels: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(input_details["index"], pixels.shape)
        interpreter.allocate_tensors()  # does nothing if the shape did not change
        interpreter.set_tensor(input_details["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(probabilities)  # a copy

    return Artefact(path, "litert", metadata, run)


def _load_onnx(path: epath.Path) -> Artefact:
    runtime = _runtime("onnxruntime")
    try:
        session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    except _errors_of(runtime) as error:
        raise ValueError(str(error)) from error
    properties = session.get_modelmeta().custom_metadata_map
    metadata = metadata_from_json(properties[METADATA_NAME])
    (input_info,) = session.get_inputs()
    return Artefact(path, "onnx", metadata, lambda pixels: session.run([PROBABILITIES], {input_info.name: pixels})[0])


def _load_own(own: OwnFormat, path: epath.Path) -> Artefact:
    metadata, run = metadata_from_json((path / METADATA_NAME).read_text("utf-8")), own.load(Path(path))
    return Artefact(path, own.name, metadata, lambda pixels: np.asarray(run(pixels), np.float32))


def _runtime(name: str) -> Any:
    """Import the runtime of a format, which is an optional package."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"`model` must be of a format whose runtime is installed: {install_command('export')}. Received: no {name}."
        ) from error


def _errors_of(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """Return the exception classes of ONNX Runtime; their only common base class is Exception."""
    names = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    return tuple(kind for kind in names if isinstance(kind, type) and issubclass(kind, Exception))
