"""One way to use whatever was shipped: image files or pixels in, probabilities out, whichever runtime is behind it."""

import importlib
import re
import threading
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfl.errors import BadImageError, InputError
from tfl.export.graph import METADATA_NAME, decode_batch, metadata_from_json, probabilities_of
from tfl.export.operations import check_operations
from tfl.export.runner import num_cores
from tfl.export.saved_model import BYTES_SIGNATURE, IMAGES, PIXELS_SIGNATURE
from tfl.inputs.image.photos import graph_bytes
from tfl.models.classifier import Metadata, load_model

BATCH = 32  # images that run together; more are cut, so that memory stays bounded

_Run = Callable[[Any], np.ndarray]


class Artefact:
    """A trained classifier in some format, ready to be asked.

    Calls from several threads take turns: a LiteRT interpreter holds the images that it works on.

    Attributes:
        path: where it was read from.
        format: "keras", "saved_model", "litert" or "onnx".
        metadata: labels, image size, target, and the temperature that its probabilities have.
        model: the Keras model from images to logits; None where the format has no layers to look at.
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
        self._run_bytes = run_bytes  # where the format decodes image files itself
        self._lock = threading.Lock()
        self._decode = tf.function(
            lambda images: decode_batch(images, metadata), input_signature=[tf.TensorSpec((None,), tf.string)]
        )

    def predict_pixels(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of images that are already decoded and resized.

        Args:
            images: RGB `(N, S, S, 3)` uint8 with S the metadata's `image_size`, any N.

        Returns:
            `(N, C)` float32, one column a class (binary: both); for regression the values.

        Raises:
            InputError: images of another type or shape.
        """
        images, size = np.asarray(images), self.metadata.image_size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise InputError(
                f"`images` must be uint8 of shape (N, {size}, {size}, 3). "
                f"Received: {images.dtype} of shape {images.shape}."
            )
        return self._in_batches(self._run, images)

    def predict_bytes(self, images: Sequence[bytes]) -> np.ndarray:
        """Return the probabilities of image files of any size and format, mixed as they come.

        Args:
            images: the bytes of whole files of any format that a folder may hold.

        Returns:
            `(N, C)` float32, as `predict_pixels`.

        Raises:
            InputError: some of them are no images, or broken ones; the message names the first.
        """
        run = self._run_bytes or (lambda batch: self._run(self._decode(batch).numpy()))

        def run_files(numbered: Sequence[tuple[int, bytes]]) -> np.ndarray:
            return run(tf.constant([_for_the_graph(*pair) for pair in numbered], tf.string))

        try:
            return self._in_batches(run_files, list(enumerate(images)))
        except tf.errors.OpError:
            for number, encoded in enumerate(images):
                self._check_image(number, _for_the_graph(number, encoded))
            raise  # all could be decoded, so this is another matter

    def _check_image(self, number: int, encoded: bytes) -> None:
        try:
            self._decode(tf.constant([encoded], tf.string))
        except tf.errors.OpError as error:
            reason = re.sub(r"{{.*?}} ?|\.? \[\[.*", "", " ".join(error.message.split()))[:160]
            raise InputError(f"`images` must be whole image files. Received: number {number}: {reason}.") from error

    def _in_batches(self, run: _Run, images: Any) -> np.ndarray:
        with self._lock:
            parts = [run(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate([np.zeros((0, len(self.metadata.class_names)), np.float32), *parts])


def _for_the_graph(number: int, encoded: bytes) -> bytes:
    """Bring a photo that the graph has no decoder for into the form of one that it has."""
    try:
        return graph_bytes(encoded)
    except BadImageError as error:
        raise InputError(f"`images` must be whole image files. Received: number {number}: {error}.") from error


def load_artefact(path: epath.PathLike) -> Artefact:
    """Load what tfl trained or exported, by what stands at `path`; no code of it is run.

    A `.keras` file is read with `safe_mode`, a SavedModel is refused where its graph does more than compute
    (see `check_operations`), and LiteRT and ONNX files know no operation that reaches files.

    Args:
        path: a finished workdir, a `.keras` file, a SavedModel folder, a `.tflite` or an `.onnx` file.

    Raises:
        InputError: nothing there, another kind of file, no metadata of tfl in it, a SavedModel that does more than
            compute, or the runtime of its format is not installed.

    Example:
        >>> artefact = tfl.load_artefact("runs/photos/export/model.tflite")
        >>> artefact.predict_bytes([Path("bee.jpg").read_bytes()])
    """
    path = epath.Path(path).expanduser()
    load = _loader(path)
    try:
        return load(path)
    except (KeyError, OSError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile, tf.errors.OpError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"`model` must be a whole artefact of tfl. Received: {str(path)!r}: {reason}.") from error


def _loader(path: epath.Path) -> Callable[[epath.Path], Artefact]:
    if not path.exists():
        raise InputError(f"`model` must be a workdir or an exported model. Received: {str(path)!r}: does not exist.")
    if path.is_dir():
        return _load_saved_model if (path / "saved_model.pb").exists() else _load_keras
    loaders = {".keras": _load_keras, ".tflite": _load_litert, ".onnx": _load_onnx}
    if path.suffix not in loaders:
        raise InputError(
            f"`model` must be a workdir, a SavedModel folder or a file that ends with {', '.join(loaders)}. "
            f"Received: {str(path)!r}."
        )
    return loaders[path.suffix]


def _load_keras(path: epath.Path) -> Artefact:
    model = load_model(path)
    if model.metadata is None:
        raise InputError(f"`model` must be a model that tfl saved. Received: {str(path)!r}: no class names in it.")
    metadata = model.metadata
    forward = tf.function(lambda pixels: probabilities_of(model(pixels, training=False), metadata))
    shape = (None, *model.input.shape[1:])
    concrete = forward.get_concrete_function(tf.TensorSpec(shape, tf.uint8))
    return Artefact(path, "keras", metadata, lambda pixels: concrete(tf.constant(pixels)).numpy(), model=model)


def _load_saved_model(path: epath.Path) -> Artefact:
    metadata = metadata_from_json((path / "assets" / METADATA_NAME).read_text())
    check_operations(path)
    loaded: Any = tf.saved_model.load(str(path))
    of_bytes, of_pixels = loaded.signatures[BYTES_SIGNATURE], loaded.signatures[PIXELS_SIGNATURE]
    return Artefact(
        path,
        "saved_model",
        metadata,
        lambda pixels: of_pixels(pixels=tf.constant(pixels))["probabilities"].numpy(),
        lambda images: of_bytes(**{IMAGES: images})["probabilities"].numpy(),
    )


def _load_litert(path: epath.Path) -> Artefact:
    interpreter_of = _runtime("ai_edge_litert.interpreter").Interpreter
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        metadata = metadata_from_json(archive.read(METADATA_NAME))
    interpreter = interpreter_of(model_content=content, num_threads=num_cores())
    (entrance,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(pixels: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(entrance["index"], pixels.shape)
        interpreter.allocate_tensors()  # does nothing where the shape is as before
        interpreter.set_tensor(entrance["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(exit_["index"])  # a copy

    return Artefact(path, "litert", metadata, run)


def _load_onnx(path: epath.Path) -> Artefact:
    runtime = _runtime("onnxruntime")
    try:
        session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    except _errors_of(runtime) as error:
        raise ValueError(str(error)) from error
    properties = session.get_modelmeta().custom_metadata_map
    metadata = metadata_from_json(properties[METADATA_NAME])
    (entrance,) = session.get_inputs()
    return Artefact(path, "onnx", metadata, lambda pixels: session.run(None, {entrance.name: pixels})[0])


def _runtime(name: str) -> Any:
    """Import the runtime of a format, which not everyone has."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"`model` must be of a format whose runtime is installed: pip install 'tfl[export]'. Received: no {name}."
        ) from error


def _errors_of(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises: classes of its own without a common base but Exception."""
    names = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    return tuple(kind for kind in names if isinstance(kind, type) and issubclass(kind, Exception))
