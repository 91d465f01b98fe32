"""Where the records of a TFRecord file begin and end: length, checksum of the length, content, checksum of the content.

The lengths are read here, without TensorFlow. TensorFlow compares the checksums of the contents when it reads them.
"""

import mmap
from pathlib import Path
from typing import NamedTuple

_HEAD, _TAIL = 12, 4  # bytes before and after the content of a record
_POLYNOMIAL = 0x82F63B78  # of CRC-32C, with the lowest bit first
_MASK = 0xA282EAD8  # TFRecord stores checksums rotated and with this number added
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x78\x01": "zlib", b"\x78\x9c": "zlib", b"\x78\xda": "zlib"}


class Framing(NamedTuple):
    """The records of a file.

    Attributes:
        starts: the place of each record in the file, in bytes.
        lengths: the bytes of the content of each record.
        damage: why the rest of the file cannot be read; "" if there is none.
    """

    starts: list[int]
    lengths: list[int]
    damage: str


def find_records(path: Path, most: int | None = None) -> Framing:
    """Find the records of a file by their lengths.

    Args:
        path: the file.
        most: number of records after which the search ends; None: all.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    framing = Framing([], [], "")
    if not size:
        return framing
    place = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while place < size and (most is None or len(framing.starts) < most):
            head = content[place : place + _HEAD]
            length = int.from_bytes(head[:8], "little")
            if len(head) == _HEAD and masked_checksum(head[:8]) != int.from_bytes(head[8:], "little"):
                return framing._replace(damage=_describe(place, content[:2]))
            if len(head) < _HEAD or place + _HEAD + length + _TAIL > size:
                return framing._replace(damage=f"the file ends in the record at byte {place:,}: it is truncated")
            framing.starts.append(place)
            framing.lengths.append(length)
            place += _HEAD + length + _TAIL
    return framing


def read_first(path: Path) -> bytes | None:
    """Return the content of the first record of a file; None if it has none that can be read."""
    framing = find_records(path, most=1)
    if not framing.starts:
        return None
    with path.open("rb") as file:
        file.seek(_HEAD)
        return file.read(framing.lengths[0])


def _describe(place: int, first: bytes) -> str:
    if place:
        return f"the length of the record at byte {place:,} is damaged: the rest of the file cannot be read"
    compressed = _COMPRESSED.get(first)
    return f"it is compressed with {compressed}" if compressed else "it is no TFRecord file"


def _make_table() -> tuple[int, ...]:
    def entry(number: int) -> int:
        for _ in range(8):
            number = number >> 1 ^ (_POLYNOMIAL if number & 1 else 0)
        return number

    return tuple(entry(number) for number in range(256))


_TABLE = _make_table()


def masked_checksum(content: bytes) -> int:
    """Return the masked CRC-32C of a few bytes."""
    state = 0xFFFFFFFF
    for byte in content:
        state = _TABLE[(state ^ byte) & 0xFF] ^ state >> 8
    state ^= 0xFFFFFFFF
    return ((state >> 15 | state << 17 & 0xFFFFFFFF) + _MASK) & 0xFFFFFFFF
