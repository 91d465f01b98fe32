"""`data.window`: the values of a file between two bounds become the range of the network, in every format."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfl
from tfl.data import load_source
from tfl.errors import BadImageError, InputError
from tfl.inputs import get_input
from tfl.inputs.image.decode import decode_image
from tfl.inputs.image.image_input import ImageInput
from tfl.inputs.image.scan import scan_image_file
from tfl.inputs.untrusted import RefusedError

RNG = np.random.default_rng(0)
WINDOW = (1000.0, 3000.0)


def windowed(values, low=WINDOW[0], high=WINDOW[1]):
    return np.clip(np.round((values - low) * 255 / (high - low)), 0, 255)


def write(values, path):
    Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("window", [WINDOW, (0.0, 65535.0), (-500.0, 1500.5)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_values_of_16_bits(channels, window):
    values = RNG.integers(0, 5000, (7, 5, channels)).astype(np.uint16)
    values[..., channels - 1 :] = values[..., channels - 1 :] if channels in (1, 3) else 65535  # opaque
    colour = values[..., : channels - 1] if channels in (2, 4) else values
    found = decode_image(tf.io.encode_png(values), ("PNG",), window=window)
    np.testing.assert_array_equal(found, np.broadcast_to(windowed(colour, *window), (7, 5, 3)))


@pytest.mark.parametrize("format", ["PNG", "BMP", "JPEG", "GIF", "WebP"])
def test_values_of_8_bits(format):
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (16, 24, 3), np.uint8)).save(file, format, **{"lossless": True})
    encoded = tf.constant(file.getvalue())
    np.testing.assert_array_equal(
        decode_image(encoded, window=(50, 200)), windowed(decode_image(encoded).numpy().astype(float), 50, 200)
    )


def test_transparency_stays_white():
    values = np.full((4, 4, 4), 60_000, np.uint16)
    values[:2, :, 3] = 0
    found = decode_image(tf.io.encode_png(values), window=(60_000, 61_000)).numpy()
    assert (found[:2] == 255).all() and (found[2:] < 30).all()


def test_a_grey_tiff_of_16_bits_and_the_service(tmp_path):
    values = RNG.integers(0, 5000, (6, 6)).astype(np.uint16)
    path = write(values, tmp_path / "scan.tif")
    kind = ImageInput(6, window=WINDOW)
    scanned = kind.scan_file(str(path), "")
    expected = np.repeat(windowed(values)[..., None], 3, axis=-1)
    np.testing.assert_array_equal(kind.prepare(tf.io.read_file(scanned.replacement)), expected)
    np.testing.assert_array_equal(kind.prepare(tf.constant(kind.graph_bytes(path.read_bytes()))), expected)
    decoder = kind.decoder(1000)
    np.testing.assert_array_equal(decoder.decode(decoder.check(path.read_bytes())), expected)


def test_a_photo_that_pillow_decodes_to_8_bits_gets_the_window_in_the_service(tmp_path):
    values = RNG.integers(0, 256, (6, 6, 3), np.uint8)
    path = write(values, tmp_path / "scan.tif")
    decoder = ImageInput(6, window=(50.0, 200.0)).decoder(1000)
    np.testing.assert_array_equal(
        decoder.decode(decoder.check(path.read_bytes())), windowed(values.astype(float), 50, 200)
    )


def deep_colours(path):
    """Write a TIFF of 16-bit colours, which Pillow reads but does not write: a grey one with other tags."""
    pixels = RNG.integers(0, 65536, (4, 4, 3)).astype("<u2").tobytes()
    tags = [(256, 3, 4), (257, 3, 4), (258, 3, 16), (259, 3, 1), (262, 3, 2), (273, 4, 134), (277, 3, 3)]
    tags += [(278, 3, 4), (279, 4, len(pixels)), (284, 3, 1)]
    tags[2] = (258, 3, 134 + len(pixels))
    directory = len(tags).to_bytes(2, "little")
    for tag, type_, value in tags:
        count = 3 if tag == 258 else 1
        directory += tag.to_bytes(2, "little") + type_.to_bytes(2, "little") + count.to_bytes(4, "little")
        directory += value.to_bytes(4, "little")
    content = b"II*\0" + (8).to_bytes(4, "little") + directory + b"\0" * 4
    content += b"\0" * (134 - len(content)) + pixels + (16).to_bytes(2, "little") * 3
    path.write_bytes(content)
    return path


def test_colours_of_which_only_the_upper_bits_are_read_are_refused(tmp_path):
    path = deep_colours(tmp_path / "deep.tif")
    scan_image_file(str(path), "")  # without a window it is read
    kind = ImageInput(4, window=WINDOW)
    with pytest.raises(BadImageError, match="more than 8 bits for each colour; save it as PNG"):
        kind.scan_file(str(path), "")
    decoder = kind.decoder(1000)
    with pytest.raises(RefusedError, match="more than 8 bits"):
        decoder.decode(decoder.check(path.read_bytes()))


def test_pixels_in_memory_have_no_window():
    images, labels = np.zeros((4, 4, 4, 3), np.uint8), np.arange(4) % 2
    for data in ((images, labels), tf.data.Dataset.from_tensor_slices((images, labels))):
        with pytest.raises(
            InputError, match=r"`data.window` must be empty for images in memory.*Did you mean np\.clip"
        ):
            load_source(data, kind=ImageInput(window=WINDOW))


@pytest.mark.parametrize(("peak", "warns"), [(1400, True), (2900, False)])
def test_a_window_beyond_all_values_is_said(peak, warns, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(np.array([[0, peak]], np.uint16), tmp_path / name / "0.png")
    load_source(f"folder:{tmp_path}", kind=ImageInput(window=WINDOW))
    assert ("nearly black in the window from 1000 to 3000" in capsys.readouterr().err) == warns


@pytest.mark.parametrize("window", [(1,), (2, 1), (1, 1), (0, float("inf")), (True, 5), ("a", "b"), 5])
def test_a_window_that_is_none(window):
    with pytest.raises(InputError, match="`window` must be empty, or two increasing numbers"):
        tfl.Metadata("MobileNetV2", 1.0, 32, "multiclass", ("a", "b"), window=window)


def test_a_window_and_a_bit_depth_are_refused_together():
    config = tfl.TransferConfig(data=tfl.DataConfig(window=(0, 4000), bit_depth=12))
    with pytest.raises(InputError, match=r"`data.bit_depth` must be left out if `data.window` is set"):
        config.validate()


def test_older_model_files_are_read_and_older_versions_refuse_what_they_do_not_know():
    plain = tfl.Metadata("MobileNetV2", 1.0, 32, "multiclass", ("a", "b"))
    assert not {"window", "scaled_decoding"} & plain.to_dict().keys()
    other = tfl.Metadata("MobileNetV2", 1.0, 32, "multiclass", ("a", "b"), window=(0, 9), scaled_decoding=True)
    assert tfl.Metadata.from_dict(other.to_dict() | {"window": [0, 9]}) == other
    assert other.input.window == (0.0, 9.0) and other.input.scaled_decoding
    assert get_input("image").rules() != other.input.rules()
