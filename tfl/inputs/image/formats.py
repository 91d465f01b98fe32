"""Recognise the format of a file by its first bytes."""

GRAPH_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WebP")  # TensorFlow decodes them
PHOTO_FORMATS = ("HEIC", "AVIF", "TIFF", "JPEG 2000")  # Pillow decodes them
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}
_AVIF_BRANDS = {b"avif", b"avis"}
_ANY_HEIF_BRANDS = {b"mif1", b"mif2", b"msf1"}  # do not say how the image is coded
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_MOST_BRANDS = 64


def sniff(encoded: bytes) -> str:
    """Return the format of a file, or "" if the format is not known.

    Args:
        encoded: its content. The first 12 bytes show whether the format is known; the distinction between AVIF and HEIC
            may need more.
    """
    if encoded[:4] == b"RIFF":
        return "WebP" if encoded[8:12] == b"WEBP" else ""
    if encoded[4:8] == b"ftyp":
        return _sniff_heif(encoded)
    return next((kind for start, kind in _STARTS.items() if encoded.startswith(start)), "")


def is_plain_bmp(encoded: bytes) -> bool:
    """Return whether the graph can read a BMP, by its header: 8, 24 or 32 bits, no channel masks, no compression."""
    header, bits = int.from_bytes(encoded[14:18], "little"), int.from_bytes(encoded[28:30], "little")
    return header > 12 and bits in (8, 24, 32) and encoded[30:34] == b"\0\0\0\0"


def _sniff_heif(encoded: bytes) -> str:
    """Return the format of a photo, or "" for a video: both begin with the same kind of header."""
    major, end = encoded[8:12], min(int.from_bytes(encoded[:4], "big"), 16 + 4 * _MOST_BRANDS)
    others = {encoded[place : place + 4] for place in range(16, end, 4)}
    if major in _AVIF_BRANDS or (major in _ANY_HEIF_BRANDS and others & _AVIF_BRANDS):
        return "AVIF"
    return "HEIC" if major in _HEIC_BRANDS | _ANY_HEIF_BRANDS else ""
