"""16-bit PNG files that use fewer bits: cameras, microscopes and scanners store 10, 12 or 14 bits without scaling."""

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.errors import InputError
from tfl.inputs.input import FULL_DEPTH

_DEPTHS = (8, 10, 12, 14)  # common depths below 16


def read_peak(encoded: bytes, content: tf.Tensor) -> int:
    """Return the largest colour value in a 16-bit PNG file; 0 for every other file.

    Args:
        encoded: the content of a file that decodes without error.
        content: the same bytes as a tensor.
    """
    is_deep = encoded.startswith(b"\x89PNG") and encoded[24:25] == bytes([FULL_DEPTH])
    return int(_largest_colour(content)) if is_deep else 0


def describe_excess(peak: int, bit_depth: int) -> str:
    """Return the reason, for quarantine, if a file uses more bits than `bit_depth`; "" if it does not."""
    return f"a value of {peak:,}, more than data.bit_depth={bit_depth} allows" if peak >= 2**bit_depth else ""


def check_depths(bit_depth: int, peaks: np.ndarray, ids: np.ndarray, splits: np.ndarray) -> None:
    """Check the bit depth that the user gave; warn if 16-bit images seem to use fewer bits.

    Args:
        bit_depth: 8 to 16; values from 0 to 2**bit_depth - 1 become 0 to 255.
        peaks: int64 (N,), the largest colour value in each 16-bit PNG file, 0 for other examples.
        ids: N names.
        splits: N names of splits.

    Raises:
        InputError: a file uses more bits.
    """
    over = np.flatnonzero(peaks >= 2**bit_depth)
    if len(over):
        raise InputError(
            "`data.bit_depth` must be at least the number of bits that the files use. Received: "
            f"data.bit_depth={bit_depth}, but {len(over)} of {np.count_nonzero(peaks)} images of 16 bits have larger "
            f"values, the first: {ids[over[0]]} with {peaks[over[0]]:,}. Did you mean "
            f"data.bit_depth={_least_depth(int(peaks.max()))}?"
        )
    if bit_depth < FULL_DEPTH and not peaks.any():
        progress.say(f"data.bit_depth={bit_depth} changes nothing: no file is a PNG of 16 bits with colours.")
    for split in dict.fromkeys(splits.tolist()):
        own = peaks[splits == split]
        peak, count = int(own.max(initial=0)), np.count_nonzero(own)
        if count and _least_depth(peak) < bit_depth:
            progress.say(
                f"Warning: {count} images of 16 bits{f' in {split}' if split else ''} have no value above {peak:,}, "
                f"so only {round(255 * peak / (2**bit_depth - 1)) + 1} of 256 levels are used. "
                f"Did you mean data.bit_depth={_least_depth(peak)}?"
            )


def _least_depth(peak: int) -> int:
    return next((depth for depth in _DEPTHS if peak < 2**depth), FULL_DEPTH)


@tf.function(input_signature=(tf.TensorSpec((), tf.string),), autograph=False)
def _largest_colour(content: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.cast(tf.io.decode_png(content, channels=4, dtype=tf.uint16)[:, :, :3], tf.int32))
