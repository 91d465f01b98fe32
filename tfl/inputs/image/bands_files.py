"""Files of images with more than three channels: NumPy arrays and TIFF, such as satellite and microscope images."""

import io
import re
from pathlib import Path

import numpy as np

from tfl.errors import BadImageError

MAX_VALUES = 2**29
NPY, TIFF = "NumPy", "TIFF"
_STARTS = {b"\x93NUMPY": NPY, b"II*\0": TIFF, b"MM\0*": TIFF, b"II+\0": TIFF, b"MM\0+": TIFF}
_TYPES = {"|u1": np.uint8, "<u2": np.uint16, "<f4": np.float32}  # that the graph reads
_PLAIN = re.compile(rb"\x93NUMPY\x01\x00..\{'descr': '(\|u1|<u2|<f4)', 'fortran_order': False, ", re.DOTALL)


def sniff_bands(encoded: bytes) -> str:
    """Return the format of a file by its first bytes, "" if it is neither of the two."""
    return next((kind for start, kind in _STARTS.items() if encoded.startswith(start)), "")


def read_bands(encoded: bytes, channels: int) -> np.ndarray:
    """Read an image of several channels.

    Args:
        encoded: the content of a `.npy` or TIFF file; its array is (H, W, C), or (C, H, W) as satellites write it.
        channels: C.

    Returns:
        uint8, uint16 or float32 (H, W, C).

    Raises:
        BadImageError: the file is damaged, is of another format or has another number of channels.
    """
    kind = sniff_bands(encoded)
    if not kind:
        raise BadImageError(f"neither a NumPy file (.npy) nor TIFF, which images of {channels} channels must be")
    values = _read_npy(encoded) if kind == NPY else _read_tiff(encoded)
    if values.dtype.kind not in "uif" or values.ndim != 3:
        raise BadImageError(f"{values.dtype} of shape {values.shape}, not numbers of shape (H, W, {channels})")
    if values.shape[-1] != channels and values.shape[0] == channels:
        values = np.moveaxis(values, 0, -1)
    if values.shape[-1] != channels or not values.size or values.size > MAX_VALUES:
        raise BadImageError(
            f"an image of shape {values.shape}, and `data.channels` is {channels} (at most {MAX_VALUES:,} values)"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadImageError("it holds NaN or infinity")
    return _as_plain(values)


def write_bands(values: np.ndarray) -> bytes:
    """Return the content of a `.npy` file that the graph reads."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values))
    return file.getvalue()


def is_plain(encoded: bytes, values: np.ndarray) -> bool:
    """Return whether the graph reads a file as it is: `.npy`, (H, W, C) in C order, of a type that it knows."""
    return bool(_PLAIN.match(encoded)) and f"'shape': {values.shape}".encode() in encoded[:128]


def read_whole_npy(path: Path) -> bytes | None:
    """Return the content of a `.npy` file, None if it does not exist or is damaged."""
    try:
        content = path.read_bytes()
        _read_npy(content)
    except (OSError, BadImageError):
        return None
    return content


def _read_npy(encoded: bytes) -> np.ndarray:
    file = io.BytesIO(encoded)
    try:
        values = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:
        raise BadImageError(f"broken or truncated {NPY} file: {str(error).splitlines()[0][:200]}") from error
    if not isinstance(values, np.ndarray) or file.read(1):
        raise BadImageError(f"broken {NPY} file: it holds more than one array")
    return values


def _read_tiff(encoded: bytes) -> np.ndarray:
    try:
        import tifffile
    except ImportError as error:
        raise BadImageError(
            "TIFF with more than three channels needs tifffile: pip install 'tfl-transfer[bands]'"
        ) from error
    try:
        with tifffile.TiffFile(io.BytesIO(encoded)) as file:
            if file.pages[0].size > MAX_VALUES:  # before memory is allocated
                raise BadImageError(f"{file.pages[0].size:,} values are more than {MAX_VALUES:,}")
            return np.squeeze(file.series[0].asarray())
    except BadImageError:
        raise
    except Exception as error:  # tifffile and its codecs raise errors of many types on damaged files
        raise BadImageError(f"broken or truncated {TIFF}: {str(error).splitlines()[0][:200]}") from error


def _as_plain(values: np.ndarray) -> np.ndarray:
    """Return values in a type that the graph reads; whole numbers that fit stay whole."""
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind in "ui" and values.min() >= 0 and values.max() < 2**16:
        return values.astype(np.uint16)
    return values.astype(np.float32)
