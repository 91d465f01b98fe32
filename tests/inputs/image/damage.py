"""What happens to JPEG files on their way: each function returns a damaged copy."""

import sys
from pathlib import Path

import numpy as np

END = b"\xff\xd9"
ROUNDS = 5  # copies of each photo that are damaged


def coded_data(content: bytes) -> int:
    """Return where the coded data of a photo begins."""
    at = 2
    while content[at + 1] != 0xDA:
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")


def _place(content: bytes, rng: np.random.Generator, size: int = 0) -> int:
    return int(rng.integers(coded_data(content), len(content) - len(END) - size))


def copied_as_text(content: bytes, rng: np.random.Generator) -> bytes:
    """Turn each line feed into CR LF."""
    return content.replace(b"\n", b"\r\n")


def cut_off(content: bytes, rng: np.random.Generator) -> bytes:
    """Lose the rest of the file, as a broken download does."""
    return content[: _place(content, rng, size=64)]


def cut_off_with_end(content: bytes, rng: np.random.Generator) -> bytes:
    """Lose the rest, and get a marker that says that it was all."""
    return cut_off(content, rng) + END


def changed_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Change one byte in a hundred of the coded data."""
    damaged = np.frombuffer(content, np.uint8).copy()
    start = coded_data(content)
    places = rng.integers(start, len(content) - len(END), (len(content) - start) // 100)
    damaged[places] ^= rng.integers(1, 256, len(places), dtype=np.uint8)
    return damaged.tobytes()


def zeroed_block(content: bytes, rng: np.random.Generator) -> bytes:
    """Lose a block of the disk, 4 KiB, or a quarter of a small file."""
    size = min(4096, (len(content) - coded_data(content)) // 4)
    at = _place(content, rng, size)
    return content[:at] + bytes(size) + content[at + size :]


def lost_block(content: bytes, rng: np.random.Generator) -> bytes:
    """Lose a packet of 512 bytes, or a quarter of a small file."""
    size = min(512, (len(content) - coded_data(content)) // 4)
    at = _place(content, rng, size)
    return content[:at] + content[at + size :]


def film(content: bytes, rng: np.random.Generator) -> bytes:
    """Put frame behind frame, as motion JPEG does."""
    return content * 3


KINDS = (copied_as_text, cut_off, cut_off_with_end, changed_bytes, zeroed_block, lost_block, film)


def main() -> None:
    """Write how much damage of each kind the check names: `PYTHONPATH=. python tests/inputs/image/damage.py FOLDER`."""
    from tfl.errors import BadImageError
    from tfl.inputs.image.jpeg import check_jpeg

    photos = [path.read_bytes() for path in sorted(Path(sys.argv[1]).rglob("*.jpg"))]
    sys.stdout.write("| damage | photos | named |\n|---|---|---|\n")
    for kind in (None, *KINDS):
        rng, named = np.random.default_rng(15), 0
        for photo in photos * ROUNDS:
            try:
                check_jpeg(kind(photo, rng) if kind else photo)
            except BadImageError:
                named += 1
        sys.stdout.write(f"| {kind.__name__ if kind else 'none'} | {len(photos) * ROUNDS} | {named} |\n")


if __name__ == "__main__":
    main()
