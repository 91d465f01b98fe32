"""Check that a file is one complete image and nothing more, which decoders do not check."""

from tfl.errors import BadImageError
from tfl.inputs.image.jpeg import check_jpeg

_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_RIFF_HEADER = 8  # bytes, not included in the size that a WebP file declares


def check_whole(content: bytes, kind: str) -> None:
    """Find problems that a decoder ignores: damage in a JPEG file, joined files, a WebP file that was copied as text.

    Damaged PNG and GIF files do not decode at all. BMP and lossy WebP files have no checksum, so this check finds only
    damage that changes their length.

    Args:
        content: the whole file.
        kind: one of `decode.FORMATS`.

    Raises:
        BadImageError: the file is not complete, or holds more than the image.

    Example:
        >>> check_whole(tf.io.encode_png(tf.zeros((8, 8, 3), tf.uint8)).numpy(), "PNG")
    """
    if kind == "JPEG":
        check_jpeg(content)
    elif kind == "PNG":
        end = content.find(_PNG_END)
        if end >= 0 and content.startswith(_PNG_START, end + len(_PNG_END)):
            raise BadImageError("a PNG with another one behind it, as in joined files")
    elif kind == "WebP":
        _check_webp_size(content)


def _check_webp_size(content: bytes) -> None:
    size = int.from_bytes(content[4:8], "little")
    rest = content[_RIFF_HEADER + size + size % 2 :]
    if rest.strip(b"\0"):
        raise BadImageError(f"broken or truncated WebP: {len(rest):,} bytes more than its header says")
