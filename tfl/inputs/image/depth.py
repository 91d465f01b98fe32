"""16-bit PNG files that use fewer bits: cameras, microscopes and scanners store 10, 12 or 14 bits without scaling."""

import tensorflow as tf

FULL_DEPTH = 16


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


@tf.function(input_signature=(tf.TensorSpec((), tf.string),), autograph=False)
def _largest_colour(content: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.cast(tf.io.decode_png(content, channels=4, dtype=tf.uint16)[:, :, :3], tf.int32))
