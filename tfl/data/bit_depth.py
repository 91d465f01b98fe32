"""`data.bit_depth`: how many of the 16 bits the PNG files of a source use."""

import dataclasses
from typing import TypeVar

import numpy as np

from tfl import progress
from tfl.data.source import Source
from tfl.errors import InputError
from tfl.inputs.image.depth import FULL_DEPTH

_DEPTHS = (8, 10, 12, 14)  # common depths below 16
AnySource = TypeVar("AnySource", bound=Source)


def at_depth(source: AnySource, bit_depth: int) -> AnySource:
    """Return the source with its bit depth set; warn if its 16-bit images seem to use fewer bits.

    Args:
        source: a source whose files are scanned already.
        bit_depth: 8 to 16; values from 0 to 2**bit_depth - 1 become 0 to 255.

    Raises:
        InputError: a file uses more bits.
    """
    peaks = source.peaks if len(source.peaks) else np.zeros(len(source.index), np.int64)
    over = np.flatnonzero(peaks >= 2**bit_depth)
    if len(over):
        raise InputError(
            "`data.bit_depth` must be at least the number of bits that the files use. Received: "
            f"data.bit_depth={bit_depth}, but {len(over)} of {np.count_nonzero(peaks)} images of 16 bits have larger "
            f"values, the first: {source.index.ids[over[0]]} with {peaks[over[0]]:,}. Did you mean "
            f"data.bit_depth={_least_depth(int(peaks.max()))}?"
        )
    if bit_depth < FULL_DEPTH and not peaks.any():
        progress.say(f"data.bit_depth={bit_depth} changes nothing: no file is a PNG of 16 bits with colours.")
    for split in dict.fromkeys(source.index.splits.tolist()):
        own = peaks[source.index.splits == split]
        peak, count = int(own.max(initial=0)), np.count_nonzero(own)
        if count and _least_depth(peak) < bit_depth:
            progress.say(
                f"Warning: {count} images of 16 bits{f' in {split}' if split else ''} have no value above {peak:,}, "
                f"so only {round(255 * peak / (2**bit_depth - 1)) + 1} of 256 levels are used. "
                f"Did you mean data.bit_depth={_least_depth(peak)}?"
            )
    return dataclasses.replace(source, bit_depth=bit_depth)


def _least_depth(peak: int) -> int:
    return next((depth for depth in _DEPTHS if peak < 2**depth), FULL_DEPTH)
