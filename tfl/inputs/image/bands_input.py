"""An image of more than three channels as an example: satellite and microscope images."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.errors import BadImageError, InputError
from tfl.inputs.converted import cached_file
from tfl.inputs.geometry import Geometry
from tfl.inputs.image.bands_decode import augment_bands, decode_bands, resize_bands, to_range
from tfl.inputs.image.bands_files import (
    NPY,
    is_plain,
    read_bands,
    read_whole_npy,
    sniff_bands,
    write_bands,
)
from tfl.inputs.image.endings import may_be_bands
from tfl.inputs.image.image_input import ImageInput
from tfl.inputs.image.scan import ScannedImage, read_image_file
from tfl.inputs.image.window import refuse_pixels
from tfl.inputs.input import FULL_DEPTH, Input, Scanned, fingerprint_of
from tfl.inputs.measure import Measure
from tfl.inputs.untrusted import PlainDecoder

RULES = 1  # part of the name of stored features: raise it when decoding, resizing or augmentation changes values


@dataclasses.dataclass(frozen=True)
class BandsInput(ImageInput):
    """An image of several channels of one size, float32 in [0, 255]; it is not rounded, because 16 bits may matter.

    Its files are NumPy arrays (`.npy`) or TIFF, of shape (H, W, C) or (C, H, W). TIFF needs `tifffile`.

    Attributes:
        channels: C.

    Example:
        >>> BandsInput(channels=5).sized(64).spec.shape
        TensorShape([64, 64, 5])
    """

    formats: Sequence[str] = (NPY,)
    channels: int = 4

    augmentations = ("none", "light", "shift")
    has_pictures = False
    file_options = ("window",)
    file_types = (".npy", ".tif", ".tiff")

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The name in `get_input`, with the number of channels."""
        return f"bands:{self.channels}"

    @property
    def spec(self) -> tf.TensorSpec:
        """float32 (size, size, C)."""
        return tf.TensorSpec((self.size, self.size, self.channels), tf.float32)

    @property
    def adaptation(self) -> str:
        """How the first convolution was widened."""
        return (
            f"The network was made for 3 colours. Each of the {self.channels} channels here began with the mean "
            f"weights of the colours in the first convolution, times 3/{self.channels}: a network whose first "
            "convolution is frozen sees only the sum of the channels."
        )

    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return the whole image, mapped by the window to [0, 255] and resized: float32 (size, size, C).

        Args:
            raw: the bytes of a NumPy file, a scalar string; or values (H, W, C).
        """
        return tf.ensure_shape(resize_bands(self._whole(raw), self.size), self.spec.shape)

    def augment_with_places(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tuple[tf.Tensor, Geometry]:
        """Return an augmented version, and what happened to its places; see `augment_bands`."""
        if name == "none":
            return self.prepare(raw), Geometry.whole(self.size)
        values, places = augment_bands(self._whole(raw), self.size, name, seed)
        return tf.ensure_shape(values, self.spec.shape), places

    def _whole(self, raw: tf.Tensor) -> tf.Tensor:
        return to_range(decode_bands(raw, self.channels) if raw.dtype == tf.string else raw, self.window)

    def encode(self, raw: tf.Tensor) -> bytes:
        """Return the bytes of a NumPy file."""
        return raw.numpy() if raw.dtype == tf.string else write_bands(raw.numpy())

    def graph_bytes(self, encoded: bytes) -> bytes:
        """Return the bytes of a NumPy file that the graph reads."""
        values = read_bands(encoded, self.channels)
        return encoded if is_plain(encoded, values) else write_bands(values)

    def rules(self) -> list[Any]:
        """Return name, size, the number of the rules of decoding, and the window."""
        return [self.name, self.size, RULES, *self.window]

    def may_be(self, suffix: str) -> bool:
        """Return whether files with this ending may be such images."""
        return may_be_bands(suffix)

    def scan(self, encoded: bytes) -> ScannedImage:
        """Check that the bytes of a file are a whole image of C channels that the graph can decode."""
        values = read_bands(encoded, self.channels)
        if not is_plain(encoded, values):
            raise BadImageError("a file that must be converted, which tfl does only with files (folder:PATH)")
        return self._scanned(encoded, values)

    def scan_file(self, path: str, data_set: str) -> ScannedImage:
        """Read and check a file; what the graph cannot read is stored once as a NumPy file in the cache."""
        encoded = read_image_file(path, sniff_bands)
        values = read_bands(encoded, self.channels)
        found = self._scanned(encoded, values)
        if is_plain(encoded, values):
            return found
        name = f"{found.sha256}.npy"
        place, _ = cached_file(name, "TIFF", data_set, make=functools.partial(write_bands, values), read=read_whole_npy)
        return dataclasses.replace(found, replacement=str(place))

    def _scanned(self, encoded: bytes, values: np.ndarray) -> ScannedImage:
        return ScannedImage(
            hashlib.sha256(encoded).hexdigest(),
            fingerprint_of(encoded),
            NPY,
            peak=0 if values.dtype == np.uint8 else max(1, int(np.ceil(values.max()))),
            width=values.shape[1],
            height=values.shape[0],
        )

    @property
    def scan_rules(self) -> list[Any]:
        """Nothing: scans are not remembered."""
        return []

    def with_depth(self, bit_depth: int, peaks: np.ndarray, ids: np.ndarray, splits: np.ndarray) -> "BandsInput":
        """Return the same input, after a check that a window says what values of more than 8 bits mean.

        Raises:
            InputError: there is none, or a bit depth is given, which only PNG files have.
        """
        if bit_depth != FULL_DEPTH:
            raise InputError(
                f"`data.bit_depth` must be {FULL_DEPTH} for images of {self.channels} channels. Received: {bit_depth}. "
                f"Did you mean data.window=0,{2**bit_depth - 1}?"
            )
        peak = int(peaks.max(initial=0))
        if peak and not self.window:
            row = int(np.argmax(peaks))
            raise InputError(
                "`data.window` must say which values become 0 and 255 for images of 16 bits or floats. Received: no "
                f"window, values up to {peak:,} in {ids[row]}. Did you mean data.window=0,{peak}?"
            )
        return self

    def describe_excess(self, scanned: Scanned) -> str:
        """Return the reason for leaving out a file of more than 8 bits if there is no window."""
        return f"values up to {scanned.peak:,}, and the model has no window" if scanned.peak and not self.window else ""

    def read_examples(self, given: Any, names: Sequence[str], split: str = "") -> list[np.ndarray]:
        """Convert images in memory, (N, H, W, C) in [0, 255], to float32."""
        examples = [np.asarray(example) for example in given]
        for example, name in zip(examples, names, strict=True):
            self.check_example(example, name)
        return [example.astype(np.float32) for example in examples]

    def check_example(self, example: np.ndarray, name: str) -> ScannedImage:
        """Check the values of one image in memory."""
        refuse_pixels(self.window)
        if example.dtype.kind not in "uif" or example.ndim != 3 or example.shape[-1] != self.channels:
            raise InputError(
                f"`source` must have images of shape (H, W, {self.channels}). "
                f"Received: {example.dtype} of shape {example.shape} at image {name}."
            )
        if not (np.isfinite(example).all() and example.min() >= 0 and example.max() <= 255):
            raise InputError(f"`source` must have values in [0, 255]. Received: another value at image {name}.")
        digest = hashlib.sha256(np.ascontiguousarray(example).tobytes()).hexdigest()
        return ScannedImage(digest, highest=float(example.max()), width=example.shape[1], height=example.shape[0])

    def check_split(self, highest: float, split: str) -> None:
        """Nothing is known of the usual range of such images."""
        return

    def is_example(self, spec: tf.TensorSpec) -> bool:
        """Return whether elements can be single images or the bytes of single files."""
        if spec.dtype == tf.string:
            return spec.shape.rank in (0, None)
        return spec.shape.rank is None or spec.shape.is_compatible_with((None, None, self.channels))

    def check_array(self, examples: np.ndarray, name: str) -> None:
        """Nothing is known of the usual range of such images."""
        return

    def describe_wrong(self, examples: tf.Tensor, name: str) -> tf.Tensor | None:
        """Nothing is known of the usual range of such images."""
        return None

    def decoder(self, most: int) -> Any:
        """Return the decoder for images of clients, of at most `most` bytes."""
        return PlainDecoder(self.prepare, self.noun[0], most)

    def blanks(self) -> list[bytes]:
        """Return a NumPy file of zeros."""
        return [write_bands(np.zeros(self.spec.shape, np.uint8))]

    def file_traits(self, path: str) -> Mapping[str, str | float]:
        """Return the traits of every file."""
        return Input.file_traits(self, path)

    @property
    def measure(self) -> Measure | None:
        """The mean of all channels."""
        return Measure("brightness", "of 255", 64, lambda images: images.mean(axis=(1, 2, 3)))
