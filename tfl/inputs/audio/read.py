"""Read audio files of any rate, number of channels and bits as one channel at the rate of the models."""

import dataclasses
import io
import math
import warnings
from typing import Any

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from tfl.errors import BadExampleError
from tfl.version import install_command

RATE = 16_000  # samples a second of every prepared clip
MAX_VALUES = 2**27  # samples times channels of one file
MAX_SAMPLES = 2**25  # of a file at the rate of the models: 35 minutes
_RATES = range(1_000, 768_001)
_LONGEST_STEP = 200_000  # rates that have nothing in common with that of the models need a long filter
_LOUDEST = 2.0  # a peak of floats above it says that they are not in [-1, 1]
_WAV = "WAV"
_STARTS = ((b"fLaC", "FLAC"), (b"OggS", "OGG"), (b"ID3", "MP3"), (b"FORM", "AIFF"))


@dataclasses.dataclass(frozen=True)
class Sound:
    """A whole audio file.

    Attributes:
        values: float64 `(N, C)`, in [-1, 1].
        rate: samples a second.
    """

    values: np.ndarray
    rate: int

    @property
    def wave(self) -> np.ndarray:
        """The mean of the channels at the rate of the models, float64 `(N,)`."""
        mono = self.values.mean(axis=1)
        common = math.gcd(self.rate, RATE)
        return mono if self.rate == RATE else resample_poly(mono, RATE // common, self.rate // common)


def read_sound(encoded: bytes) -> Sound:
    """Read the bytes of a file.

    WAV files of 8, 16, 24 and 32 bits and of floats need no other package; FLAC, OGG, MP3, AIFF and compressed WAV need
    soundfile. Floats a little above 1, which a player cuts off, are cut off.

    Raises:
        BadExampleError: the file is no whole audio file; the message says why.

    Example:
        >>> read_sound(write_wav(np.array([0.5, -0.5]))).values.ravel().tolist()
        [0.5, -0.5]
    """
    kind = sniff(encoded)
    values, rate = _read_wav(encoded) if kind == _WAV else _read_with_soundfile(encoded, kind)
    if not values.size:
        raise BadExampleError("0 seconds: the file holds no samples")
    if rate not in _RATES:
        raise BadExampleError(f"a rate of {rate:,} samples a second, outside of {_RATES[0]:,} to {_RATES[-1]:,}")
    if rate // math.gcd(rate, RATE) > _LONGEST_STEP:
        raise BadExampleError(f"a rate of {rate:,} samples a second, which cannot be resampled to {RATE:,}")
    if len(values) * RATE // rate > MAX_SAMPLES:
        raise BadExampleError(f"{len(values) / rate / 60:,.0f} minutes, more than {MAX_SAMPLES // RATE // 60}")
    if not np.isfinite(values).all():
        raise BadExampleError("samples that are NaN or infinite")
    if (peak := float(np.abs(values).max())) > _LOUDEST:
        raise BadExampleError(f"samples up to {peak:,.6g}, outside of [-1, 1]")
    return Sound(np.clip(values, -1.0, 1.0), rate)


def sniff(encoded: bytes) -> str:
    """Return the format of an audio file by its first bytes.

    Raises:
        BadExampleError: it is none.
    """
    if not encoded:
        raise BadExampleError("an empty file")
    if encoded[:4] in (b"RIFF", b"RIFX", b"RF64") and encoded[8:12] == b"WAVE":
        return _WAV
    if encoded[0] == 0xFF and encoded[1:2] and encoded[1] & 0xE6 == 0xE2:  # a frame of layer III
        return "MP3"
    found = next((kind for start, kind in _STARTS if encoded.startswith(start)), "")
    if not found:
        raise BadExampleError("not an audio file: neither WAV, FLAC, OGG, MP3 nor AIFF")
    return found


def write_wav(wave: np.ndarray) -> bytes:
    """Return samples `(N,)` in [-1, 1] as a WAV file of 16 bits at the rate of the models."""
    file = io.BytesIO()
    wavfile.write(file, RATE, to_16_bits(wave))
    return file.getvalue()


def to_16_bits(wave: np.ndarray) -> np.ndarray:
    """Return samples in [-1, 1] as int16, to the nearest."""
    return np.clip(np.round(np.asarray(wave, np.float64) * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def _read_wav(encoded: bytes) -> tuple[np.ndarray, int]:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", wavfile.WavFileWarning)
            rate, values = wavfile.read(io.BytesIO(encoded))
    except ValueError as error:
        if "Unknown wave file format" in str(error):
            return _read_with_soundfile(encoded, f"compressed {_WAV}")
        raise BadExampleError(f"broken {_WAV} file: {_line(error)}") from error
    except Exception as error:  # scipy raises errors of many types on damaged files
        raise BadExampleError(f"broken or truncated {_WAV} file: {_line(error)}") from error
    if any("EOF" in str(warning.message) for warning in caught):
        raise BadExampleError(f"truncated {_WAV} file: it ends before the length that its header names")
    return _as_floats(values), int(rate)


def _as_floats(values: np.ndarray) -> np.ndarray:
    """Return samples `(N,)` or `(N, C)` of any type of a WAV file as float64 `(N, C)` in [-1, 1]."""
    columns = values[:, None] if values.ndim == 1 else values
    if columns.dtype.kind == "u":
        return (columns.astype(np.float64) - 128) / 128
    scale = 1 if columns.dtype.kind == "f" else 2.0 ** (8 * columns.dtype.itemsize - 1)
    return columns.astype(np.float64) / scale


def _read_with_soundfile(encoded: bytes, kind: str) -> tuple[np.ndarray, int]:
    try:
        import soundfile  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError) as error:
        raise BadExampleError(f"{kind} needs soundfile: {install_command('audio')}") from error
    library: Any = soundfile
    try:
        with library.SoundFile(io.BytesIO(encoded)) as file:
            if file.frames * file.channels > MAX_VALUES:  # before memory is allocated
                raise BadExampleError(f"{file.frames * file.channels:,} samples are more than {MAX_VALUES:,}")
            values, wanted, rate = file.read(dtype="float64", always_2d=True), file.frames, file.samplerate
    except library.LibsndfileError as error:
        raise BadExampleError(f"broken or truncated {kind} file: {_line(error)}") from error
    if len(values) < wanted:
        raise BadExampleError(f"truncated {kind} file: {len(values):,} of {wanted:,} samples")
    return values, int(rate)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
