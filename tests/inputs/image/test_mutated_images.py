"""Mutated image files through the scan and the decoder of training: each is refused in one line, or gives its pixels.

`PYTHONPATH=. python tests/inputs/image/test_mutated_images.py 2000` runs as many and says how much memory it took.
"""

import collections
import io
import re
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tfl.data import make_prediction_dataset
from tfl.errors import BadExampleError
from tfl.export.runner import peak_memory
from tfl.inputs import get_input
from tfl.inputs.scan import scan_files

COUNT = 250
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WebP")
SIZE = 16


def draw(format, rng):
    """Return a small image with smooth and rough parts."""
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((64, 48), Image.Resampling.BICUBIC).save(file, format)
    return np.frombuffer(file.getvalue(), np.uint8)


def change_bytes(content, rng):
    places = rng.integers(0, min(len(content), rng.choice([40, 400, 10_000])), rng.integers(1, 6))
    content[places] = rng.integers(0, 256, len(places))
    return content


def cut(content, rng):
    return content[: rng.integers(0, len(content))]


def repeat(content, rng):
    start, end = np.sort(rng.integers(0, len(content), 2))
    return np.concatenate([content[:end], content[start:]])


def claim_much(content, rng):
    """Set bytes of the header to their largest value: sizes, lengths and counts become huge."""
    start = int(rng.integers(2, min(200, len(content))))
    content[start : start + int(rng.integers(1, 5))] = 255
    return content


def lose(content, rng):
    start, end = np.sort(rng.integers(0, len(content), 2))
    return np.concatenate([content[:start], content[end:]])


MUTATIONS = (change_bytes, cut, repeat, claim_much, lose)


def with_checksums(content):
    """Give each chunk of a PNG its right checksum: otherwise no mutation gets past the first check."""
    content, at = bytearray(content), 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if end + 4 > len(content):
            break
        content[end : end + 4] = zlib.crc32(content[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(content)


def write_mutated(folder, count):
    """Write so many mutated files, all formats with all mutations."""
    rng, paths = np.random.default_rng(14), []
    for number in range(count):
        format, mutation = FORMATS[number % len(FORMATS)], MUTATIONS[number // len(FORMATS) % len(MUTATIONS)]
        path = folder / f"{number}_{mutation.__name__}.{format.lower()}"
        mutated = mutation(draw(format, rng).copy(), rng).tobytes()
        path.write_bytes(with_checksums(mutated) if format == "PNG" and rng.random() < 0.7 else mutated)
        paths.append(str(path))
    return paths


def judge(paths):
    """Scan files and decode those that are usable; return the counts of the formats by what came of them."""
    kind = get_input("image").sized(SIZE)
    verdicts = collections.defaultdict(collections.Counter)
    for path, result in zip(paths, scan_files(kind, paths), strict=True):
        refused = isinstance(result, BadExampleError)
        assert not refused or ("\n" not in str(result) and len(str(result)) < 400), (path, result)
        verdicts[Path(path).suffix]["refused" if refused else "usable"] += 1
    dataset, good, bad = make_prediction_dataset(paths, kind, 32)
    batches = list(dataset.as_numpy_iterator())
    read = np.concatenate([batch["id"] for batch in batches])
    lost = [good[row] for row in set(range(len(good))) - set(read.tolist())]
    assert not lost, f"the scan accepted what the graph refuses: {lost}"
    assert all(batch["input"].shape[1:] == (SIZE, SIZE, 3) for batch in batches)
    assert len(good) + len(bad) == len(paths)
    return verdicts


def test_a_mutated_image_is_refused_in_one_line_or_gives_its_pixels(tmp_path, monkeypatch, capfd):
    (tmp_path / "files").mkdir()
    monkeypatch.setenv("TFL_CACHE", str(tmp_path / "cache"))
    verdicts = judge(write_mutated(tmp_path / "files", COUNT))
    assert set(verdicts) == {f".{format.lower()}" for format in FORMATS}
    assert all(counts["refused"] for counts in verdicts.values())
    assert sum(counts["usable"] for counts in verdicts.values()) > COUNT / 10
    bare = re.findall(
        r"^(?:Bogus|Corrupt|Improper|Invalid|Input file|Unsupported|JPEG).*", capfd.readouterr().err, re.M
    )
    assert not bare, "a decoder's message does not name the file"


def main(count):
    with tempfile.TemporaryDirectory() as folder:
        paths = write_mutated(Path(folder), count)
        judge(paths[:50])
        before = peak_memory()
        verdicts = judge(paths)
        grown = (peak_memory() - before) / 2**20
    for format, counts in verdicts.items():
        sys.stdout.write(f"{format}: {dict(counts)}\n")
    sys.stdout.write(f"{count} files; peak memory grew by {grown:.0f} MiB\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
