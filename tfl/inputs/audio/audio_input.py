"""An audio clip as an example: its waveform."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import tensorflow as tf

from tfl.errors import BadExampleError, InputError
from tfl.inputs import converted
from tfl.inputs.audio.augment import augment_wave
from tfl.inputs.audio.endings import NOUN, may_be_audio
from tfl.inputs.audio.read import RATE, Sound, read_sound, sniff, to_16_bits, write_wav
from tfl.inputs.input import Input, Scanned, fingerprint_of
from tfl.inputs.regular import read_regular
from tfl.inputs.untrusted import Decoder, PlainBytes, PlainDecoder, RefusedError

RULES = 1  # part of the name of stored features: raise it when the same file gives other samples


@dataclasses.dataclass(frozen=True)
class ScannedClip(Scanned):
    """What the scan of one clip found.

    Attributes:
        samples: its length at the rate of the models.
    """

    samples: int = 0

    @property
    def facts(self) -> Mapping[str, int]:
        """The number of samples."""
        return {"samples": self.samples}


@dataclasses.dataclass(frozen=True)
class AudioInput(Input):
    """An audio clip: one channel of 16,000 samples a second in [-1, 1]; `size` is the number of samples of the model.

    A shorter clip ends with silence, and the end of a longer one is cut off. Several channels become their mean. The
    graph reads WAV files of 16 bits and 16,000 Hz; all other files are converted to them, once.

    Example:
        >>> AudioInput(size=4).prepare(np.array([0.5, -0.5])).numpy().tolist()
        [0.5, -0.5, 0.0, 0.0]
    """

    name = "audio"
    noun = NOUN
    facts = ("samples",)
    augmentations = ("none", "light", "shift")
    tensors = ("clips", "waveforms")
    file_types = ("audio/*",)
    has_sounds = True
    scanned = ScannedClip
    size_step = RATE // 10
    shape_hint = "(samples,)"

    @property
    def spec(self) -> tf.TensorSpec:
        """float32 (size,)."""
        return tf.TensorSpec((self.size,), tf.float32)

    def describe_size(self, size: int) -> str:
        """Return a number of samples and its seconds."""
        return f"{size:,} samples ({size / RATE:.3g} s)"

    def prepare(self, raw: tf.Tensor) -> tf.Tensor:
        """Return the first samples, float32 (size,), with silence after the end of the clip.

        Args:
            raw: the bytes of a WAV file of 16 bits and 16,000 Hz, a scalar string; or samples `(N,)` in [-1, 1].
        """
        wave = self._whole(raw)[: self.size]
        return tf.ensure_shape(tf.pad(wave, [[0, self.size - tf.shape(wave)[0]]]), self.spec.shape)

    def augment(self, raw: tf.Tensor, name: str, seed: tf.Tensor) -> tf.Tensor:
        """Return a changed version of the prepared clip; see `augment_wave`."""
        return self.prepare(augment_wave(self._whole(raw), self.size, name, seed))

    def _whole(self, raw: tf.Tensor) -> tf.Tensor:
        raw = tf.convert_to_tensor(raw)
        if raw.dtype != tf.string:
            return tf.cast(raw, tf.float32)
        values, rate = tf.audio.decode_wav(raw)
        told = f"a clip must be a WAV file of {RATE:,} samples a second; it has"
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(rate, RATE), [told, rate])]):
            return tf.reduce_mean(values, axis=1)

    def encode(self, raw: tf.Tensor) -> bytes:
        """Return the file itself; of samples a WAV file."""
        return raw.numpy() if raw.dtype == tf.string else write_wav(raw.numpy())

    def graph_bytes(self, encoded: bytes) -> bytes:
        """Return the bytes of a WAV file of 16 bits and 16,000 Hz."""
        sound = read_sound(encoded)
        return encoded if _is_plain(encoded, sound) else write_wav(sound.wave)

    def rules(self) -> list[Any]:
        """Return name, size, the number of the rules of reading, and that of the cache of converted files."""
        return [self.name, self.size, RULES, converted.RULES]

    def may_be(self, suffix: str) -> bool:
        """Return whether files with this ending may be clips."""
        return may_be_audio(suffix)

    def scan(self, encoded: bytes) -> ScannedClip:
        """Check that bytes are a whole audio file that the graph can decode."""
        sound = read_sound(encoded)
        if not _is_plain(encoded, sound):
            raise BadExampleError("a file that must be converted, which tfl does only with files (folder:PATH)")
        return _scanned(encoded, len(sound.values))

    def scan_file(self, path: str, data_set: str) -> ScannedClip:
        """Read and check a file; what the graph cannot read is stored once as a WAV file in the cache."""
        encoded = read_regular(path)
        sound = read_sound(encoded)
        if _is_plain(encoded, sound):
            return _scanned(encoded, len(sound.values))
        name = hashlib.sha256(encoded + bytes([RULES])).hexdigest()
        place, content = converted.cached_file(
            f"{name}.wav", "audio", data_set, make=lambda: write_wav(sound.wave), read=_read_whole
        )
        found = _scanned(encoded, len(read_sound(content).values))
        return dataclasses.replace(found, replacement=str(place))

    @property
    def scan_rules(self) -> list[Any]:
        """The number of the rules, and the versions of what reads the files."""
        return [RULES, scipy.__version__, tf.__version__]

    def after_scan(self, scanned: Sequence[Any]) -> None:
        """Keep the cache of converted files below its limit."""
        if any(isinstance(result, Scanned) and result.replacement for result in scanned):
            converted.trim_cache()

    def read_examples(self, given: Any, names: Sequence[str], split: str = "") -> list[np.ndarray]:
        """Check waveforms in memory, which have 16,000 samples a second, and round them to 16 bits as in a file."""
        examples = [np.asarray(example) for example in given]
        for example, name in zip(examples, names, strict=True):
            self.check_example(example, name)
        return [np.asarray(to_16_bits(example) / 2**15, np.float32) for example in examples]

    def check_example(self, example: np.ndarray, name: str) -> ScannedClip:
        """Check one waveform in memory."""
        if example.dtype.kind != "f" or example.ndim != 1 or not example.size:
            raise InputError(
                f"`source` must have clips of shape {self.shape_hint}, floats in [-1, 1] at {RATE:,} samples a second. "
                f"Received: {example.dtype} of shape {example.shape} at clip {name}."
            )
        if not np.abs(example).max() <= 1:
            raise InputError(f"`source` must have samples in [-1, 1]. Received: another value at clip {name}.")
        digest = hashlib.sha256(np.ascontiguousarray(example).tobytes()).hexdigest()
        return ScannedClip(digest, highest=float(np.abs(example).max()), samples=len(example))

    def facts_of(self, example: np.ndarray) -> Mapping[str, int]:
        """Return the number of samples of a waveform in memory."""
        return {"samples": len(example)}

    def is_example(self, spec: tf.TensorSpec) -> bool:
        """Return whether elements can be single clips: bytes of files, or waveforms."""
        return spec.shape.rank in (0, None) if spec.dtype == tf.string else spec.shape.rank in (1, None)

    def decoder(self, most: int) -> Decoder:
        """Return the decoder for audio files of clients, of at most `most` bytes."""
        return AudioDecoder(self, most)

    def blanks(self) -> list[bytes]:
        """Return a tenth of a second of silence."""
        return [write_wav(np.zeros(self.size_step))]

    def sizes(self, facts: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the number of samples of each clip."""
        return facts.get("samples")

    def slice_by_facts(self, facts: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, str | Sequence[str]]]:
        """Return the length in milliseconds."""
        return {"length": (facts["samples"] * 1000 // RATE, "ms")} if "samples" in facts else {}


class AudioDecoder(PlainDecoder):
    """The decoder of training for files of every format that the scan reads; see `Decoder`."""

    def __init__(self, kind: AudioInput, most: int) -> None:
        super().__init__(kind.prepare, kind.noun[0], most)
        self._kind = kind

    def check(self, encoded: bytes) -> PlainBytes:
        """Refuse bytes that are too long, or no audio file."""
        try:
            sniff(encoded)
        except BadExampleError as error:
            raise RefusedError(415, f"The clip must be an audio file. Received: {error}.") from error
        return super().check(encoded)

    def decode(self, example: PlainBytes) -> np.ndarray:
        """Return the prepared clip."""
        try:
            plain = self._kind.graph_bytes(example.encoded)
        except BadExampleError as error:
            raise RefusedError(400, f"The clip is broken: {error}.") from error
        return super().decode(dataclasses.replace(example, encoded=plain))


def _scanned(encoded: bytes, samples: int) -> ScannedClip:
    return ScannedClip(hashlib.sha256(encoded).hexdigest(), fingerprint_of(encoded), samples=samples)


def _is_plain(encoded: bytes, sound: Sound) -> bool:
    """Return whether the graph reads a file as it is, and finds the same samples."""
    if sound.rate != RATE or not encoded.startswith(b"RIFF"):
        return False
    try:
        values, rate = tf.audio.decode_wav(encoded)
    except tf.errors.OpError:
        return False
    return int(rate) == RATE and np.array_equal(values.numpy(), sound.values.astype(np.float32))


def _read_whole(path: Path) -> bytes | None:
    """Return the content of a WAV file that tfl wrote, None if it does not exist or is damaged."""
    try:
        content = path.read_bytes()
        read_sound(content)
    except (OSError, BadExampleError):
        return None
    return content
