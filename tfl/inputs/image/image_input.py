"""An image as an example: bytes or pixels in, a square of uint8 RGB out."""

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfl.config import AUGMENTATIONS
from tfl.errors import BadImageError, InputError
from tfl.inputs import converted
from tfl.inputs.geometry import Geometry
from tfl.inputs.image import scaled
from tfl.inputs.image.augment import augment_with_places as augment
from tfl.inputs.image.decode import FORMATS, decode_image, resize
from tfl.inputs.image.depth import check_depths, describe_excess
from tfl.inputs.image.endings import NOUN, may_be_image
from tfl.inputs.image.memory import read_images
from tfl.inputs.image.photos import graph_bytes
from tfl.inputs.image.pixels import check_image, check_pixels, check_split, describe_wrong_pixels
from tfl.inputs.image.scaled import decode_scaled
from tfl.inputs.image.scan import RULES as SCAN_RULES
from tfl.inputs.image.scan import ScannedImage, scan_image, scan_image_file
from tfl.inputs.image.traits import image_traits
from tfl.inputs.image.untrusted import ImageDecoder
from tfl.inputs.image.window import check_window, refuse_pixels
from tfl.inputs.input import Input, Scanned
from tfl.inputs.luminance import LUMINANCE
from tfl.inputs.measure import Measure

RULES = 2  # part of the name of stored features: raise it when decoding, resizing or augmentation changes pixels
SMALL = 64  # pixels per side of the images for measuring brightness
SHAPES = ("taller than wide", "about square", "wider than tall")
SQUARE = (0.9, 1.1)  # width / height


@dataclasses.dataclass(frozen=True)
class ImageInput(Input):
    """An image of one size; see `tfl.inputs.input.Input`.

    Example:
        >>> ImageInput(224).prepare(tf.io.read_file("ant.jpg")).shape
        TensorShape([224, 224, 3])
    """

    formats: Sequence[str] = FORMATS

    name = "image"
    noun = NOUN
    facts = ("width", "height")  # in pixels as displayed; 0 if unknown
    augmentations = tuple(AUGMENTATIONS)
    tensors = ("images", "pixels")
    has_pictures = True
    file_options = ("window", "scaled_decoding")
    file_types = ("image/*", ".avif", ".heic", ".heif", ".j2k", ".jp2", ".tif", ".tiff")
    scanned = ScannedImage
    error = BadImageError
    shape_hint = " (H, W, C)"

    @property
    def spec(self) -> tf.TensorSpec:
        """uint8 (size, size, 3)."""
        return tf.TensorSpec((self.size, self.size, 3), tf.uint8)

    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return the whole image, resized: uint8 (size, size, 3) RGB in [0, 255].

        Args:
            raw: the bytes of a file, a scalar string; or pixels (H, W, 3), (H, W, 1) or (H, W).
        """
        pixels, margins = self._decode(raw)
        return resize(pixels, self.size, margins)

    def fit_map(self, raw: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """Return a map at the size of the image as displayed; see `Input.fit_map`."""
        return tf.image.resize(values[:, :, None], tf.shape(self._whole(raw))[:2], "nearest")[:, :, 0]

    def fit_boxes(self, raw: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Return boxes in pixels of the image as displayed; see `Input.fit_boxes`."""
        height, width, _ = tf.unstack(tf.cast(tf.shape(self._whole(raw)), tf.float32))
        return boxes * tf.stack([width, height, width, height]) / self.size

    def _whole(self, raw: tf.Tensor) -> tf.Tensor:
        """Return a raw example at its own size, (H, W, C)."""
        return to_pixels(raw, self.formats, self.bit_depth, self.window)

    def augment(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tf.Tensor:
        """Return an augmented version with the same shape; see `tfl.inputs.image.augment`."""
        return self.augment_with_places(raw, name, seed)[0]

    def augment_with_places(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tuple[tf.Tensor, Geometry]:
        """Return an augmented version, and what happened to its places; see `tfl.inputs.image.augment`."""
        if name == "none":
            return self.prepare(raw), Geometry.whole(self.size)
        pixels, margins = self._decode(raw)
        image, places = augment(pixels, self.size, name, seed)  # a random crop needs no exact edge
        return image, places if margins is None else places.within(
            margins / tf.cast(tf.shape(pixels)[:2], tf.float32)[:, None]
        )

    def _decode(self, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        if self.scaled_decoding and raw.dtype == tf.string:
            return decode_scaled(raw, self.formats, self.size, self.bit_depth, self.window)
        return self._whole(raw), None

    def encode(self, raw: tf.Tensor) -> bytes:
        """Return the file itself; of pixels a PNG, which is lossless."""
        is_file = raw.dtype == tf.string
        return (raw if is_file else tf.io.encode_png(to_pixels(raw, self.formats, self.bit_depth))).numpy()

    def graph_bytes(self, encoded: bytes) -> bytes:
        """Return a photo in a format that the graph can decode; see `tfl.inputs.image.photos`."""
        return graph_bytes(encoded)

    def rules(self) -> list[Any]:
        """Return size, bit depth, and the numbers of the rules of decoding; window and scale if they are used."""
        window = [["window", *self.window]] if self.window else []
        scale = [["scaled", scaled.RULES]] if self.scaled_decoding else []
        return [self.size, self.bit_depth, RULES, converted.RULES, *window, *scale]

    def may_be(self, suffix: str) -> bool:
        """Return whether files with this ending may be images; a file without an ending may be one."""
        return may_be_image(suffix)

    def scan(self, encoded: bytes) -> ScannedImage:
        """Check that the bytes of a file are a complete image that the graph can decode."""
        return scan_image(encoded, needs_all_bits=bool(self.window))

    def scan_file(self, path: str, data_set: str) -> ScannedImage:
        """Read and check a file; see `scan_image_file`."""
        return scan_image_file(path, data_set, needs_all_bits=bool(self.window))

    @property
    def scan_rules(self) -> list[Any]:
        """The number of the rules, whether all bits are needed, and the versions of the decoders."""
        decoders = [importlib.metadata.version(name) for name in ("simplejpeg", "pillow")]
        return [SCAN_RULES, bool(self.window), tf.__version__, *decoders]

    def after_scan(self, scanned: Sequence[Any]) -> None:
        """Keep the cache of decoded photos below its limit."""
        if any(isinstance(result, ScannedImage) and result.replacement for result in scanned):
            converted.trim_cache()

    def with_depth(self, bit_depth: int, peaks: np.ndarray, ids: np.ndarray, splits: np.ndarray) -> "ImageInput":
        """Return the input with another bit depth; see `check_depths`. A window says more than a bit depth."""
        if self.window:
            check_window(self.window, peaks)
        else:
            check_depths(bit_depth, peaks, ids, splits)
        return dataclasses.replace(self, bit_depth=bit_depth)

    def describe_excess(self, scanned: Scanned) -> str:
        """Return the reason for leaving out a 16-bit PNG that uses more bits than `bit_depth`."""
        return "" if self.window else describe_excess(scanned.peak, self.bit_depth)

    def read_examples(self, given: Any, names: Sequence[str], split: str = "") -> list[np.ndarray]:
        """Convert images to uint8 (H, W, 3); see `read_images`."""
        refuse_pixels(self.window)
        return read_images(given, names, split)

    def check_example(self, example: np.ndarray, name: str) -> ScannedImage:
        """Check the pixels of one image; see `check_image`."""
        refuse_pixels(self.window)
        if example.ndim > 3 or example.dtype == object:
            raise InputError(
                "`source` must give single images (H, W, C), not batches or animations. "
                f"Received: shape {example.shape} at {name}. Did you mean source.unbatch(), or expand_animations=False?"
            )
        highest = check_image(example, f"image {name}")
        digest = hashlib.sha256(example.tobytes()).hexdigest()
        return ScannedImage(digest, highest=highest, width=example.shape[1], height=example.shape[0])

    def facts_of(self, example: np.ndarray) -> Mapping[str, int]:
        """Return width and height."""
        return {"width": example.shape[1], "height": example.shape[0]}

    def check_split(self, highest: float, split: str) -> None:
        """Refuse or warn if the largest pixel of a split is not that of images in [0, 255]."""
        check_split(highest, split)

    def is_example(self, spec: tf.TensorSpec) -> bool:
        """Return whether elements can be single images or the bytes of single files.

        The rank of images from `tf.io.decode_image`, or from a generator without shapes, is unknown before reading.
        """
        return spec.shape.rank in ((0, None) if spec.dtype == tf.string else (2, 3, None))

    def check_array(self, examples: np.ndarray, name: str) -> None:
        """Refuse pixels that are scaled to another range than [0, 255]."""
        check_pixels(examples, name)

    def describe_wrong(self, examples: tf.Tensor, name: str) -> tf.Tensor | None:
        """Return a line about pixels of another range; None for whole numbers, which are checked elsewhere."""
        if examples.dtype == tf.bool:
            raise InputError(f"`{name}` must have pixels in [0, 255]. Received: bool. Did you mean 255 * images?")
        return describe_wrong_pixels(examples, name) if examples.dtype.is_floating else None

    def decoder(self, most: int) -> ImageDecoder:
        """Return the decoder for images of clients, of at most `most` pixels."""
        return ImageDecoder(self.prepare, most, keeps_files=bool(self.window))

    def blanks(self) -> list[bytes]:
        """Return a black JPEG and a black PNG."""
        blank = np.zeros(self.spec.shape, np.uint8)
        return [write(blank).numpy() for write in (tf.io.encode_jpeg, tf.io.encode_png)]

    def aspect(self, facts: Mapping[str, np.ndarray], row: int) -> tuple[int, int]:
        """Return width and height of the original."""
        return int(facts["width"][row]), int(facts["height"][row])

    def sizes(self, facts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the shorter sides, in pixels."""
        return np.minimum(*(facts[name] for name in self.facts))

    def slice_by_facts(self, facts: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, str | Sequence[str]]]:
        """Divide by the number of pixels, and by the shape; not if an image has no known size."""
        width, height = (facts[name].astype(float) for name in self.facts)
        if not (width > 0).all():
            return {}
        return {
            "image size": (width * height, "pixels"),
            "shape": (np.searchsorted(SQUARE, width / height), SHAPES),
        }

    def file_traits(self, path: str) -> Mapping[str, str | float]:
        """Return the traits of every file, and format, camera and compression; see `image_traits`."""
        return {**super().file_traits(path), **image_traits(path)}

    @property
    def measure(self) -> Measure:
        """The mean luminance; reduced images are faster, and change it by less than 1."""
        return Measure("brightness", "of 255", SMALL, lambda images: images.mean(axis=(1, 2)) @ np.array(LUMINANCE))


def to_pixels(image: tf.Tensor, formats: Sequence[str], bit_depth: int = 16, window: Sequence[float] = ()) -> tf.Tensor:
    """Convert an undecoded example to uint8 (H, W, 3): decode bytes, round float pixels, repeat grey three times."""
    if image.dtype == tf.string:
        return decode_image(image, formats, bit_depth, window)
    if image.dtype != tf.uint8:
        image = tf.saturate_cast(tf.round(tf.cast(image, tf.float32)), tf.uint8)
    if image.shape.rank is None:  # never a scalar: the index was made from images
        image = tf.cond(tf.equal(tf.rank(image), 2), lambda: image[:, :, None], lambda: image)
    image = tf.ensure_shape(image[:, :, None] if image.shape.rank == 2 else image, (None, None, None))
    return tf.ensure_shape(tf.broadcast_to(image, tf.concat([tf.shape(image)[:2], [3]], axis=0)), (None, None, 3))
