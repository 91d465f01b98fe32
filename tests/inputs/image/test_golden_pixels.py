"""The pixels that stored features were computed from: who changes them raises `tfl.inputs.image.image_input.RULES`.

`python tests/inputs/image/test_golden_pixels.py` writes the expected pixels anew, after RULES was raised.
"""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfl
from tfl.config import AUGMENTATIONS
from tfl.inputs.image.decode import decode_image, resize
from tfl.inputs.image.image_input import RULES

GOLDEN = Path(__file__).with_name("golden_pixels.json")
ROUNDING = 0.02  # the part of the values that another processor may round to the other side
RAISE = "the pixels changed: raise RULES in tfl/data/pipeline.py, then run tests/inputs/image/test_golden_pixels.py"


def sample(number: int, channels: int = 3) -> np.ndarray:
    """Smooth pixels with an edge, 9 x 7, of another kind for every number."""
    y, x, c = np.meshgrid(np.arange(9), np.arange(7), np.arange(channels), indexing="ij")
    values = 128 + 90 * np.sin(0.5 * x + 0.3 * number + c) * np.cos(0.4 * y - 0.2 * number) + 30 * (x + y > 8)
    return np.clip(values, 0, 255).astype(np.uint8)


def encode() -> Iterator[tuple[str, bytes]]:
    """Files of every kind that a rule of decoding is about."""

    def save(image: Image.Image, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    color, alpha = Image.fromarray(sample(1)), Image.fromarray(sample(2, 4))
    turned = Image.Exif()
    turned[0x0112] = 6
    yield "jpeg", save(color, "JPEG", quality=90)
    yield "jpeg_grey", save(color.convert("L"), "JPEG", quality=90)
    yield "jpeg_cmyk", save(color.convert("CMYK"), "JPEG", quality=90)
    yield "jpeg_turned", save(color, "JPEG", quality=90, exif=turned)
    yield "png", save(color, "PNG")
    yield "png_turned", save(color, "PNG", exif=turned)
    yield "png_alpha", save(alpha, "PNG")
    yield "png_palette", save(color.quantize(16), "PNG", transparency=3)
    yield "png_16_bits", tf.io.encode_png(sample(3).astype(np.uint16) * 251 + 77).numpy()
    yield "gif", save(color.quantize(16), "GIF")
    yield "gif_transparent", save(color.quantize(16), "GIF", transparency=3)
    yield "bmp", save(color, "BMP")
    yield "bmp_palette", save(color.quantize(16), "BMP")
    yield "webp", save(color, "WEBP", quality=90)
    yield "webp_turned", save(color, "WEBP", lossless=True, exif=turned)
    yield "webp_alpha", save(alpha, "WEBP", lossless=True)
    yield "webp_film", save(color, "WEBP", save_all=True, append_images=[color.rotate(90)], lossless=True)


def augmented(augmentation: str) -> np.ndarray:
    splits = tfl.load_data({"train": (np.stack([sample(n) for n in range(24)]), np.arange(24) % 2)})
    options = {"image_size": 6, "batch_size": 24, "augmentation": augmentation, "shuffle": False}
    (batch,) = tfl.make_dataset(splits.source, splits.train, seed=3, epoch=2, **options)
    return batch["input"].numpy()


def resized(size: int) -> np.ndarray:
    return resize(tf.constant(sample(4)), size).numpy()


def same(actual: np.ndarray, expected: list) -> bool:
    expected = np.asarray(expected, np.uint8)
    return actual.shape == expected.shape and (actual != expected).mean() <= ROUNDING


@pytest.fixture(scope="module")
def golden() -> dict:
    values = json.loads(GOLDEN.read_text())
    assert values["RULES"] == RULES, "run tests/inputs/image/test_golden_pixels.py, for RULES was raised"
    return values


def test_files_are_decoded_to_the_pixels_that_features_were_stored_of(golden):
    assert len(golden["files"]) == 17
    for name, file in golden["files"].items():
        assert same(decode_image(tf.constant(base64.b64decode(file["content"]))).numpy(), file["pixels"]), (name, RAISE)


def test_images_are_resized_to_the_pixels_that_features_were_stored_of(golden):
    for size, pixels in golden["resized"].items():
        assert same(resized(int(size)), pixels), (size, RAISE)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_views_have_the_pixels_that_features_were_stored_of(golden, augmentation):
    assert same(augmented(augmentation), golden["augmented"][augmentation]), RAISE


def write() -> None:
    files = {
        name: {"content": base64.b64encode(content).decode(), "pixels": decode_image(tf.constant(content)).numpy()}
        for name, content in encode()
    }
    values = {
        "RULES": RULES,
        "files": files,
        "resized": {str(size): resized(size) for size in (4, 20)},
        "augmented": {name: augmented(name) for name in AUGMENTATIONS},
    }
    text = json.dumps(values, default=lambda pixels: pixels.tolist(), separators=(",", ":"))
    GOLDEN.write_text(text.replace('},"', '},\n"').replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    write()
