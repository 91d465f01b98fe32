"""JPEG files that no camera writes."""

import itertools
import struct


def segment(code: int, body: bytes) -> bytes:
    """Return one segment of a JPEG file: its marker, its length and what is in it."""
    return struct.pack(">BBH", 0xFF, code, len(body) + 2) + body


def with_passes(passes: int, side: int) -> bytes:
    """Return a progressive JPEG, all grey, of many passes with few bytes each.

    Args:
        passes: how many. Up to 127 are as the standard wants them; more refine what is already exact, which decoders
            do with a warning, in about a nanosecond a pixel and pass.
        side: pixels of width and height.
    """
    blocks = (-(-side // 8)) ** 2
    average = _pack("0" * blocks)  # the difference to the block before has no bits
    runs = _pack(("0" + "1" * 14) * -(-blocks // 0x7FFF))  # the longest run of empty blocks: 16,384 + 14 bits
    scans = [segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + average]
    orderly = ((k, k, bits) for k in range(1, 64) for bits in (0x01, 0x10))  # all bits but the last, and the last
    parts = orderly if passes <= 127 else itertools.repeat((1, 63, 0x10))
    scans += [segment(0xDA, bytes([1, 1, 0, *part])) + runs for part in itertools.islice(parts, passes - 1)]
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xDB, bytes([0] + [1] * 64)),  # quantization: by 1
            segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0])),  # progressive, grey
            segment(0xC4, bytes([0x00, 1] + [0] * 15 + [0x00])),  # one code of one bit for averages, and one for runs
            segment(0xC4, bytes([0x10, 1] + [0] * 15 + [0xE0])),
            *scans,
            b"\xff\xd9",
        ]
    )


def _pack(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
