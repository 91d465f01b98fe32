"""`Input`, the base class of the kinds of example: the only path from the raw data of a source to a model's input."""

import abc
import dataclasses
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf

from tfl.errors import BadExampleError, InputError
from tfl.inputs.geometry import Geometry
from tfl.inputs.measure import Measure
from tfl.inputs.regular import read_regular
from tfl.inputs.untrusted import Decoder, PlainDecoder, first_line

FULL_DEPTH = 16
HASH_BUCKETS = 2**62


@dataclasses.dataclass(frozen=True)
class Scanned:
    """What the scan of one good example found.

    Attributes:
        sha256: of the bytes of the file, or of the values in memory.
        fingerprint: a fast hash of the same bytes, which the pipeline checks again when it reads the file.
        format: of the file that the graph reads; "" if all files of this kind have one format.
        replacement: path of the file that the graph reads in place of this one; "": this file itself.
        peak: largest value in a file of 16 bits a sample; 0 for others.
        highest: largest value of an example in memory.
    """

    sha256: str
    fingerprint: int = 0
    format: str = ""
    replacement: str = ""
    peak: int = 0
    highest: float = 0.0

    @property
    def facts(self) -> Mapping[str, int]:
        """Whole numbers by name, one for each name in `Input.facts`."""
        return {}


@dataclasses.dataclass(frozen=True)
class Input(abc.ABC):
    """A kind of example. Training, evaluation, prediction, export, the service and the report all ask it.

    Derive a class, give it a name, and define `spec` and `prepare`; then call `tfl.inputs.register_input`.

    Attributes:
        size: of a prepared example, in the unit of the kind: pixels per side of an image.
        bit_depth: number of bits that a sample really uses in files of 16 bits a sample.
        window: (low, high), the values in image files that become 0 and 255; empty: the whole range.
        scaled_decoding: whether JPEG photos that are much larger than `size` are decoded at a part of their size.
        formats: possible formats of the files; fewer formats can make a smaller graph. Empty: there is only one.
        tokenizer: rules by which texts are divided, as `tfl.inputs.text.wordpiece` writes them; "" for other kinds.
        name: in the config, in model files and of the input layer of backbones.
        noun: of one example and of several.
        facts: names of the numbers that the scan finds, columns of the index.
        augmentations: names that `augment` knows.
        tensors: names in exported files of a batch of encoded examples, and of a batch of prepared examples.
        has_pictures: whether a prepared example is an RGB picture, uint8 `(H, W, 3)`: the report and the service
            show it, with a heat map of the evidence.
        has_sounds: whether a prepared example is a waveform, float32 `(size,)` in [-1, 1] at 16,000 samples a second.
        file_options: which of the attributes `window` and `scaled_decoding` change how files of this kind are read.
        file_types: types and endings of files for the file dialog of the service's page, such as "image/*" and ".csv";
            empty: all files.
        cell: what a table calls the column whose cells are the examples themselves, such as "text"; "": a table names
            files.
        size_step: `data.image_size=-1` takes `size` from the examples for training, a multiple of this; 0: it does not.
        typed: what a person may type on the page in place of a file, such as "numbers with commas between them"; the
            text is sent as the content of a file. Empty: only files.
    """

    size: int = 0
    bit_depth: int = FULL_DEPTH
    formats: Sequence[str] = ()
    window: tuple[float, ...] = ()
    scaled_decoding: bool = False
    tokenizer: str = ""

    name: ClassVar[str]
    noun: ClassVar[tuple[str, str]] = ("example", "examples")
    facts: ClassVar[tuple[str, ...]] = ()
    augmentations: ClassVar[tuple[str, ...]] = ("none",)
    tensors: ClassVar[tuple[str, str]] = ("examples", "inputs")
    has_pictures: ClassVar[bool] = False
    has_sounds: ClassVar[bool] = False
    file_options: ClassVar[tuple[str, ...]] = ()
    file_types: ClassVar[tuple[str, ...]] = ()
    cell: ClassVar[str] = ""
    size_step: ClassVar[int] = 0
    typed: ClassVar[str] = ""
    scanned: ClassVar[type[Scanned]] = Scanned  # what `scan` returns
    error: ClassVar[type[BadExampleError]] = BadExampleError  # of a file that cannot be used
    shape_hint: ClassVar[str] = ""  # shape of a raw example in memory, for messages

    @property
    @abc.abstractmethod
    def spec(self) -> tf.TensorSpec:
        """Shape and type of one prepared example."""

    @abc.abstractmethod
    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return the model's input for one raw example, without augmentation; runs in a graph.

        Args:
            raw: the bytes of a file, a scalar string; or the values of an example in memory.
        """

    def fit_map(self, raw: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """Return a map `(H, W)` at the size of the raw example: each position gets a value, none is between two."""
        return values

    def fit_boxes(self, raw: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Return boxes `(N, 4)` in the places of the raw example, as `fit_map` returns a map; runs in a graph."""
        return boxes

    def augment(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tf.Tensor:
        """Return a randomly changed version of the prepared example; runs in a graph.

        Args:
            raw: as for `prepare`.
            name: of the augmentation, from `augmentations`.
            seed: int64 `(2,)`; the same seed gives the same version.
        """
        return self.prepare(raw)

    def augment_with_places(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tuple[tf.Tensor, Geometry]:
        """Return what `augment` gives, and what happened to the places of the original, so that masks can follow.

        Raises:
            InputError: examples of this kind have no places.
        """
        raise InputError(
            f"`data.source` must have examples with places to move masks and boxes. Received: {self.name}."
        )

    def encode(self, raw: tf.Tensor) -> bytes:
        """Return an example as the bytes of a file; `prepare` gives the same for both."""
        return raw.numpy() if raw.dtype == tf.string else tf.io.serialize_tensor(raw).numpy()

    def graph_bytes(self, encoded: bytes) -> bytes:
        """Return the bytes of a file in a format that the graph can decode.

        Raises:
            BadExampleError: there is no decoder for the file.
        """
        return encoded

    def rules(self) -> list[Any]:
        """Return all that decides what `prepare` and `augment` give: a part of the name of stored features."""
        return [self.name, self.size, self.bit_depth]

    def sized(self, size: int) -> Self:
        """Return the same input for prepared examples of another size."""
        return dataclasses.replace(self, size=size)

    # The scan of a source, before anything slow starts.

    def may_be(self, suffix: str) -> bool:
        """Return whether files with an ending such as ".txt" can be examples, to find the folders of classes."""
        return True

    def scan(self, encoded: bytes) -> Scanned:
        """Check that the bytes of a file are a whole example.

        Raises:
            BadExampleError: they are not; the message says why.
        """
        try:
            _scan_function(self)(tf.constant(encoded))
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise self.error(f"not a whole {self.noun[0]}: {first_line(error)}") from error
        return Scanned(hashlib.sha256(encoded).hexdigest(), fingerprint_of(encoded))

    def scan_file(self, path: str, data_set: str) -> Scanned:
        """Read and check a file.

        Args:
            path: of the file.
            data_set: the folder of all files in the same scan.

        Raises:
            BadExampleError: the file is not a whole example.
            OSError: the file cannot be read.
        """
        return self.scan(read_regular(path, self.error))

    @property
    def scan_rules(self) -> list[Any]:
        """All that decides what `scan` finds, so that its results may be remembered; empty: never remembered."""
        return []

    def after_scan(self, scanned: Sequence[Any]) -> None:
        """Clean up after a scan of many files."""
        return

    def with_depth(self, bit_depth: int, peaks: np.ndarray, ids: np.ndarray, splits: np.ndarray) -> "Input":
        """Return the input for files that use `bit_depth` bits a sample, after a check of the scanned files.

        Args:
            bit_depth: 8 to 16.
            peaks: int64 (N,), the largest value of each scanned example; see `Scanned.peak`.
            ids: N names.
            splits: N names of splits.
        """
        return dataclasses.replace(self, bit_depth=bit_depth)

    def describe_excess(self, scanned: Scanned) -> str:
        """Return the reason for leaving out a file that uses more bits than `bit_depth`; "" if it does not."""
        return ""

    # Examples in memory, and batches of the user.

    def read_examples(self, given: Any, names: Sequence[str], split: str = "") -> list[np.ndarray]:
        """Check N examples in memory, and return each as an array.

        Args:
            given: an array or a list.
            names: N names, for messages.
            split: name of their split, for messages.

        Raises:
            InputError: shapes or values do not fit.
        """
        examples = [np.asarray(example) for example in given]
        for example, name in zip(examples, names, strict=True):
            self.check_example(example, name)
        return [example.astype(self.spec.dtype.as_numpy_dtype) for example in examples]

    def check_example(self, example: np.ndarray, name: str) -> Scanned:
        """Check one example in memory.

        Raises:
            InputError: the shape is another one, or values are not finite numbers.
        """
        if example.dtype.kind not in "buif" or not self.spec.shape.is_compatible_with(example.shape):
            raise InputError(
                f"`source` must have {self.noun[1]} of shape {tuple(self.spec.shape)}. "
                f"Received: {example.dtype} of shape {example.shape} at {self.noun[0]} {name}."
            )
        if not np.isfinite(example).all():
            raise InputError(f"`source` must have finite values. Received: NaN or infinity at {self.noun[0]} {name}.")
        return Scanned(hashlib.sha256(np.ascontiguousarray(example).tobytes()).hexdigest())

    def facts_of(self, example: np.ndarray) -> Mapping[str, int]:
        """Return the facts of an example in memory, from `read_examples`."""
        return {}

    def check_split(self, highest: float, split: str) -> None:
        """Check a whole split of examples in memory by their largest value."""
        return

    def is_example(self, spec: tf.TensorSpec) -> bool:
        """Return whether the elements of a data set can be single examples of this kind, and not batches."""
        return spec.dtype == tf.string or spec.shape.is_compatible_with(self.spec.shape)

    def check_array(self, examples: np.ndarray, name: str) -> None:
        """Check an array of prepared examples that goes unchanged into a model."""
        return

    def describe_wrong(self, examples: tf.Tensor, name: str) -> tf.Tensor | None:
        """Return one line, a string tensor, about the first wrong example of a batch; None if nothing is checked."""
        return None

    # What people see.

    @property
    def adaptation(self) -> str:
        """What was changed in a pretrained network so that it takes these examples, a sentence; "" if nothing was."""
        return ""

    @property
    def one_example(self) -> str:
        """The noun of one example with its article, such as "an image"."""
        return f"{'an' if self.noun[0][:1].lower() in tuple('aeiou') else 'a'} {self.noun[0]}"

    def decoder(self, most: int) -> Decoder:
        """Return the decoder for examples from untrusted clients.

        Args:
            most: the largest cost of decoding one example: pixels of an image, bytes of another example.
        """
        return PlainDecoder(self.prepare, self.noun[0], most)

    def blanks(self) -> list[bytes]:
        """Return some encoded examples, to run everything once before the first request."""
        return []

    def aspect(self, facts: Mapping[str, np.ndarray], row: int) -> tuple[int, int]:
        """Return width and height of the original of a picture, for its thumbnail."""
        return 1, 1

    def sizes(self, facts: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the size of each original in the unit of `size`, `(N,)`; 0: unknown. None: all are unknown."""
        return None

    def describe_size(self, size: int) -> str:
        """Return a size with its unit, such as "12 pieces"."""
        return f"{size:,}"

    def median_size(self, facts: Mapping[str, np.ndarray]) -> float:
        """Return the median size of the originals in the unit of `size`; 0 if it is not known."""
        sizes = self.sizes(facts)
        return float(np.median(sizes)) if sizes is not None and len(sizes) else 0.0

    def slice_by_facts(self, facts: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, str | Sequence[str]]]:
        """Return ways to divide N examples by their facts.

        Returns:
            For each name `(values, unit)`, N numbers that evaluation divides by their range; or `(parts, names)`, the
            number of the part of each example and the names of the parts.
        """
        return {}

    def file_traits(self, path: str) -> Mapping[str, str | float]:
        """Return facts about a file that say nothing about what it shows; the audit looks for shortcuts in them.

        Args:
            path: of the file.

        Returns:
            By name: "file size" in bytes, and "name", the name without digits. Other kinds add to them.
        """
        file = Path(path)
        return {"file size": float(file.stat().st_size), "name": re.sub(r"\d+", "#", file.stem)}

    @property
    def measure(self) -> Measure | None:
        """A number of each prepared example that divides the examples; None: there is none."""
        return None


def fingerprint_of(encoded: bytes) -> int:
    """Return the hash of the bytes of a file that the graph compares when it reads the file."""
    return int(tf.strings.to_hash_bucket_fast(tf.constant(encoded), HASH_BUCKETS))


@functools.lru_cache(maxsize=8)
def _scan_function(input_: Input) -> Any:
    return tf.function(input_.prepare, input_signature=[tf.TensorSpec((), tf.string)])
