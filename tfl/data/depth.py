"""PNG files of 16 bits that hold fewer: cameras, microscopes and scanners write 10, 12 or 14 bits as they are."""

import dataclasses
from typing import TypeVar

import numpy as np
import tensorflow as tf

from tfl import progress
from tfl.data.source import Source
from tfl.errors import InputError

FULL_DEPTH = 16
_DEPTHS = (8, 10, 12, 14)  # that are in use, below the full one
AnySource = TypeVar("AnySource", bound=Source)


def read_peak(encoded: bytes, content: tf.Tensor) -> int:
    """Return the largest value of a colour in a PNG file of 16 bits; 0 for every other file.

    Args:
        encoded: the content of a file that decodes whole.
        content: the same as a tensor.
    """
    is_deep = encoded.startswith(b"\x89PNG") and encoded[24:25] == bytes([FULL_DEPTH])
    return int(_largest_colour(content)) if is_deep else 0


def describe_excess(peak: int, bit_depth: int) -> str:
    """Say that a file holds more than so many bits, for quarantine; "" where it does not."""
    return f"a value of {peak:,}, more than data.bit_depth={bit_depth} admits" if peak >= 2**bit_depth else ""


def at_depth(source: AnySource, bit_depth: int) -> AnySource:
    """Return a source whose PNG files of 16 bits hold `bit_depth` bits; say where they seem to hold fewer.

    Args:
        source: its files are scanned.
        bit_depth: 8 to 16; values from 0 to 2**bit_depth - 1 become 0 to 255.

    Raises:
        InputError: a file holds more.
    """
    peaks = source.peaks if len(source.peaks) else np.zeros(len(source.index), np.int64)
    over = np.flatnonzero(peaks >= 2**bit_depth)
    if len(over):
        raise InputError(
            f"`data.bit_depth` must be as many bits as the files hold. Received: data.bit_depth={bit_depth}, and "
            f"{len(over)} of {np.count_nonzero(peaks)} PNG files of 16 bits with more, the first: "
            f"{source.index.ids[over[0]]} with {peaks[over[0]]:,}. "
            f"Did you mean data.bit_depth={_least_depth(int(peaks.max()))}?"
        )
    if bit_depth < FULL_DEPTH and not peaks.any():
        progress.say(f"data.bit_depth={bit_depth} changes nothing: no file is a PNG of 16 bits with colours.")
    for split in dict.fromkeys(source.index.splits.tolist()):
        own = peaks[source.index.splits == split]
        peak, count = int(own.max(initial=0)), np.count_nonzero(own)
        if count and _least_depth(peak) < bit_depth:
            progress.say(
                f"Warning: {count} PNG files of 16 bits{f' in {split}' if split else ''} hold no value above {peak:,}: "
                f"of 256 levels {round(255 * peak / (2**bit_depth - 1)) + 1} are left. "
                f"Did you mean data.bit_depth={_least_depth(peak)}?"
            )
    return dataclasses.replace(source, bit_depth=bit_depth)


def _least_depth(peak: int) -> int:
    return next((depth for depth in _DEPTHS if peak < 2**depth), FULL_DEPTH)


@tf.function(input_signature=(tf.TensorSpec((), tf.string),), autograph=False)
def _largest_colour(content: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.cast(tf.io.decode_png(content, channels=4, dtype=tf.uint16)[:, :, :3], tf.int32))
