"""The only decoder of tfl: bytes of an image file in, RGB pixels out, in the TensorFlow graph.

Training, evaluation, prediction and the exported model all use `decode_image` and `resize`, so that
a pixel has the same value everywhere. All of it runs in the graph (no `py_function`, no Pillow), because exported
models contain the decoder. The rules for each format:

| format | rule |
|---|---|
| JPEG | grey, YCbCr, CMYK and YCCK to RGB; accurate DCT, as in Pillow; EXIF orientation applied |
| PNG | grey and palette to RGB; alpha, also from a tRNS chunk, over white; 16 bits, or `bit_depth`, to 8; upright |
| GIF | first frame on its canvas, the transparent colour white; later frames are ignored |
| BMP | 8 (palette applied), 24 and 32 bits without masks; the fourth byte of 32 bits is ignored |
| WebP | lossy and lossless; alpha over white; first frame of an animation; EXIF orientation applied |

Pillow decodes all other formats, outside the graph: see `tfl.inputs.image.photos`.
"""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfl.inputs.image.content import byte_at, cut, little_endian, to_numbers
from tfl.inputs.image.gif import decode_gif
from tfl.inputs.image.orientation import exif_orientation, may_be_turned, png_orientation, upright, webp_orientation
from tfl.inputs.image.window import apply_window

TURNED = {kind: f"{kind} with EXIF orientation" for kind in ("JPEG", "PNG", "WebP")}
TURNED_JPEG, TURNED_PNG, TURNED_WEBP = TURNED.values()
FORMATS = ("JPEG", TURNED_JPEG, TURNED_PNG, "PNG", "GIF", "BMP", TURNED_WEBP, "WebP")
_BYTES = tuple(bytes([value]) for value in range(256))
_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG"


def decode_image(
    encoded: tf.Tensor, formats: Sequence[str] = FORMATS, bit_depth: int = 16, window: Sequence[float] = ()
) -> tf.Tensor:
    """Decode the bytes of one image file to RGB, in any known format.

    The content of the file decides its format, not its name (a PNG called `.jpg` is a PNG). All rules in the table of
    this module apply, so that a rotated phone photo is upright, and a logo with alpha has a white background.

    Args:
        encoded: scalar string tensor, the whole file.
        formats: the formats from `FORMATS` that occur, if they are known: the graph is then built for these only. The
            pixels are the same, but the graph is smaller: TensorFlow prepares it again for every pass over a data set,
            which takes half a second with all formats.
        bit_depth: number of bits that 16-bit PNG files really use, 8 to 16.
        window: (low, high), the values of a file that become 0 and 255; see `tfl.inputs.image.window`. Empty: the whole
            range.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not an image of a known format, are damaged, or use more than
            `bit_depth` bits.

    Example:
        >>> decode_image(tf.io.encode_png(tf.zeros((2, 3, 3), tf.uint8))).shape
        TensorShape([2, 3, 3])
    """
    encoded = tf.ensure_shape(encoded, ())
    others = tuple(name for name in FORMATS if name in formats and name != "JPEG")
    window = tuple(window)
    if not others:
        return apply_window(_decode_jpeg(encoded), window)
    is_plain_jpeg = is_jpeg(encoded)
    if TURNED_JPEG in others:
        is_plain_jpeg &= ~may_be_turned(encoded)
    image = tf.cond(
        is_plain_jpeg,
        lambda: apply_window(_decode_jpeg(encoded), window),
        lambda: _other_decoder(others, bit_depth, window)(encoded),
    )
    return tf.ensure_shape(image, (None, None, 3))


def is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether a file is a JPEG by its first bytes, a scalar bool."""
    return tf.equal(tf.strings.substr(encoded, 0, 3), _JPEG)


def resize(image: tf.Tensor, image_size: int, margins: tf.Tensor | None = None) -> tf.Tensor:
    """Resize a whole image to a square, in the same way for training, evaluation, prediction and export.

    The method is bilinear with antialiasing. Without antialiasing, a large photo that shrinks to network size keeps one
    pixel in a hundred, and the network sees noise that no other tool reproduces. The resize keeps the whole image, so
    that nothing at the border is lost, but it changes the aspect ratio. The result is rounded to uint8, so that pixels
    in memory, on disk and in requests to a served model are the same numbers.

    Args:
        image: (H, W, 3), pixels in [0, 255].
        image_size: pixels per side of the result, at least 1.
        margins: float32 (2, 2), the parts of a pixel at (top, bottom) and (left, right) that are not the photo's; see
            `decode_scaled`. None: there are none.

    Returns:
        uint8 (image_size, image_size, 3).

    Example:
        >>> resize(tf.zeros((4, 6, 3), tf.uint8), 2).shape
        TensorShape([2, 2, 3])
    """
    size = (image_size, image_size)
    if margins is not None:
        return _rounded(_resize_inside(image, size, margins))

    def shrink_or_enlarge() -> tf.Tensor:
        return _rounded(tf.image.resize(image, size, method="bilinear", antialias=True))

    if image.dtype != tf.uint8:
        return shrink_or_enlarge()
    # The operation costs 0.1 ms even for an image that has the size already, twice the decoding of a small one.
    has_size = tf.reduce_all(tf.equal(tf.shape(image)[:2], image_size))
    return tf.ensure_shape(tf.cond(has_size, lambda: image, shrink_or_enlarge), (*size, 3))


def _resize_inside(image: tf.Tensor, size: tuple[int, int], margins: tf.Tensor) -> tf.Tensor:
    """Resize what is inside the margins, by the operation of `tf.image.resize`, which takes no parts of pixels."""
    scale = tf.cast(size, tf.float32) / (tf.cast(tf.shape(image)[:2], tf.float32) - tf.reduce_sum(margins, axis=1))
    resized = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=size,
        scale=scale,
        translation=-margins[:, 0] * scale,
        kernel_type="triangle",
        antialias=True,
    )
    return tf.ensure_shape(resized[0], (*size, 3))


def _rounded(pixels: tf.Tensor) -> tf.Tensor:
    return tf.saturate_cast(tf.round(pixels), tf.uint8)


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


@functools.cache
def _other_decoder(
    formats: tuple[str, ...], bit_depth: int, window: tuple[float, ...]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Build the decoder of all files except plain JPEG, as a function that is not inlined into the caller's graph.

    TensorFlow visits every op, also in branches that are not taken: inlined, these ops would take half the time of a
    small JPEG file.
    """

    png_decoder = functools.partial(_decode_png, bit_depth=bit_depth, window=window)

    def windowed(decoder: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        return lambda encoded: apply_window(decoder(encoded), window)

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        own = {"PNG": (_PNG, png_decoder), TURNED_PNG: (_PNG, lambda encoded: _turn_png(encoded, png_decoder))}
        others = {name: (start, windowed(decoder)) for name, (start, decoder) in _DECODERS.items()}
        head, decoders = tf.strings.substr(encoded, 0, 4), others | own
        branches = [
            (tf.equal(tf.strings.substr(head, 0, len(start)), start), functools.partial(decoder, encoded))
            for name, (start, decoder) in decoders.items()
            if name in formats and TURNED.get(name) not in formats  # the TURNED decoder reads both
        ]
        # By default, raise TensorFlow's error that lists the known formats.
        default = functools.partial(tf.io.decode_image, encoded, channels=3, expand_animations=False)
        return tf.case(branches, default) if branches else default()

    signature = (tf.TensorSpec((), tf.string),)
    return tf.function(decode, input_signature=signature, experimental_attributes={"_noinline": True})


def _decode_turned_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return upright(_decode_jpeg(encoded), exif_orientation(encoded))


def _turn_png(encoded: tf.Tensor, decoder: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    return upright(decoder(encoded), png_orientation(encoded))


def _decode_png(encoded: tf.Tensor, bit_depth: int = 16, window: tuple[float, ...] = ()) -> tf.Tensor:
    # 8-bit RGB with the pixels directly after the header has no transparency. PNGs in the photo cache are such files.
    head = cut(encoded, 24, 17)
    is_opaque_rgb = tf.equal(cut(head, 0, 2), b"\x08\x02") & tf.equal(cut(head, 13, 4), b"IDAT")
    return tf.cond(
        is_opaque_rgb,
        lambda: apply_window(tf.io.decode_png(encoded, channels=3), window),
        lambda: _decode_any_png(encoded, bit_depth, window),
    )


def _decode_any_png(encoded: tf.Tensor, bit_depth: int, window: tuple[float, ...]) -> tf.Tensor:
    most = 2**bit_depth - 1

    def decode_deep() -> tf.Tensor:
        deep = tf.cast(tf.io.decode_png(encoded, channels=4, dtype=tf.uint16), tf.int32)
        if window:
            alpha = tf.cast((deep[:, :, 3:] * 255 + most // 2) // most, tf.uint8)
            return tf.concat([apply_window(deep[:, :, :3], window), alpha], axis=-1)
        checks = []
        if bit_depth < 16:
            fits = tf.reduce_max(deep[:, :, :3]) <= most
            checks = [tf.debugging.Assert(fits, [f"values of more than {bit_depth} bits"])]
        with tf.control_dependencies(checks):  # in the op, opaque is 65535 for every depth
            return tf.cast(tf.minimum((deep * 255 + most // 2) // most, 255), tf.uint8)

    def decode_bytes() -> tf.Tensor:
        image = tf.io.decode_png(encoded, channels=4)
        return tf.concat([apply_window(image[:, :, :3], window), image[:, :, 3:]], axis=-1) if window else image

    depth = byte_at(encoded, 24)
    image = tf.cond(depth == 16, decode_deep, decode_bytes)
    # If a file without alpha has fewer than 8 bits, the op returns 1, 3 or 15 for opaque.
    return _over_white(image, opaque=tf.where(depth < 8, 2 ** tf.minimum(depth, 8) - 1, 255))


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    # The op would read every other layout as a plain one, with bytes for blue, green and red.
    is_plain = (little_endian(encoded, 14, 4) > 12) & tf.equal(little_endian(encoded, 30, 4), 0)
    check = tf.debugging.Assert(is_plain, ["a BMP with channel masks or compression has no decoder in the graph"])
    with tf.control_dependencies([check]):
        image = tf.io.decode_bmp(encoded)

    def apply_palette() -> tf.Tensor:  # the op returns the indices
        start = 14 + little_endian(encoded, 14, 4)
        size = little_endian(encoded, 10, 4) - start
        palette = tf.reshape(tf.io.decode_raw(tf.strings.substr(encoded, start, size // 4 * 4), tf.uint8), (-1, 4))
        return tf.gather(palette[:, 2::-1], tf.cast(image[:, :, 0], tf.int32))

    return tf.cond(tf.shape(image)[2] == 1, apply_palette, lambda: image[:, :, :3])


def _decode_webp(encoded: tf.Tensor) -> tf.Tensor:
    is_extended = tf.equal(tf.strings.substr(encoded, 12, 4), b"VP8X")
    is_animation = is_extended & (to_numbers(tf.strings.substr(encoded, 20, 1) + b"\0")[0] & 2 > 0)
    return tf.cond(is_animation, lambda: _first_webp_frame(encoded), lambda: _decode_still_webp(encoded))


def _decode_turned_webp(encoded: tf.Tensor) -> tf.Tensor:
    return upright(_decode_webp(encoded), webp_orientation(encoded))


def _decode_still_webp(encoded: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_webp(encoded)[0]
    return tf.cond(tf.shape(image)[2] == 4, lambda: _over_white(image), lambda: image[:, :, :3])


def _first_webp_frame(encoded: tf.Tensor) -> tf.Tensor:
    """Cut out the first frame as a separate still image, decode it, and put it on a white canvas.

    TensorFlow's op decodes only animations with alpha. It refuses an animation without alpha, or, if the number of
    channels is not given, writes past the end of its buffer.
    """
    position = tf.while_loop(
        lambda at: tf.not_equal(tf.strings.substr(encoded, at, 4), b"ANMF"),
        lambda at: (at + 8 + (little_endian(encoded, at + 4, 4) + 1) // 2 * 2,),
        (tf.constant(12),),
    )[0]
    size = little_endian(encoded, position + 4, 4)
    geometry = tf.strings.substr(encoded, position + 8, 12)  # x / 2, y / 2, width - 1, height - 1: 3 bytes each
    frame = tf.strings.substr(encoded, position + 24, size - 16)
    body = b"WEBPVP8X\x0a\0\0\0\x10\0\0\0" + tf.strings.substr(geometry, 6, 6) + frame
    riff_size = tf.gather(_BYTES, (tf.strings.length(body) // (1, 256, 65536, 16777216)) % 256)
    image = _decode_still_webp(b"RIFF" + tf.strings.reduce_join(riff_size) + body)
    left, top = 2 * little_endian(geometry, 0, 3), 2 * little_endian(geometry, 3, 3)
    right = 1 + little_endian(encoded, 24, 3) - left - tf.shape(image)[1]
    bottom = 1 + little_endian(encoded, 27, 3) - top - tf.shape(image)[0]
    return tf.pad(image, [[top, bottom], [left, right], [0, 0]], constant_values=255)


def _over_white(rgba: tf.Tensor, opaque: int | tf.Tensor = 255) -> tf.Tensor:
    rgb, alpha = tf.cast(rgba[:, :, :3], tf.int32), tf.cast(rgba[:, :, 3:], tf.int32)
    return tf.cond(
        tf.reduce_all(alpha == opaque),
        lambda: rgba[:, :, :3],
        lambda: tf.cast((rgb * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8),
    )


# Format -> first bytes of the file, and its decoder.
_DECODERS = {
    TURNED_JPEG: (_JPEG, _decode_turned_jpeg),
    "GIF": (b"GIF8", decode_gif),
    "BMP": (b"BM", _decode_bmp),
    "WebP": (b"RIFF", _decode_webp),
    TURNED_WEBP: (b"RIFF", _decode_turned_webp),
}
