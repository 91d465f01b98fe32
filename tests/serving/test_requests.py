"""The REST shape of TensorFlow Serving, and everything that is not quite it."""

import base64
import json

import numpy as np
import pytest

from tfl.models.classifier import Metadata
from tfl.serving.limits import RequestError
from tfl.serving.requests import read_predict_request

B64 = {"b64": base64.b64encode(b"one").decode()}
METADATA = Metadata("MobileNetV2", 1.0, 2, "multiclass", ("ant", "bee"))
PIXELS = np.arange(2 * 2 * 2 * 3).reshape(2, 2, 2, 3)


def read(content):
    return read_predict_request(json.dumps(content).encode() if not isinstance(content, bytes) else content, METADATA)


@pytest.mark.parametrize(
    ("content", "by_row"),
    [
        ({"instances": [B64, B64]}, True),
        ({"instances": [{"images": B64}, {"images": B64}]}, True),
        ({"instances": [{"image_bytes": B64}, B64], "signature_name": "serving_bytes"}, True),
        ({"inputs": [B64, B64], "signature_name": "serving_default"}, False),
        ({"inputs": {"images": [B64, B64]}}, False),
    ],
)
def test_every_way_to_send_files(content, by_row):
    request = read(content)
    assert request.instances == [b"one", b"one"]
    assert request.by_row is by_row


FILE = bytes(range(256)) + b"\xff\xfe\xfb"  # every letter of both alphabets, and padding by one
PLAIN = base64.b64encode(FILE + b"?").decode()
SAFE = base64.urlsafe_b64encode(FILE).decode()


@pytest.mark.parametrize(
    ("text", "file"),
    [
        (PLAIN, FILE + b"?"),
        (PLAIN.rstrip("="), FILE + b"?"),
        (base64.encodebytes(FILE).decode(), FILE),  # a line break after 76 letters, as in MIME
        (PLAIN.replace("A", "A\r\n\t "), FILE + b"?"),
        (SAFE, FILE),
        (SAFE.rstrip("="), FILE),
        ("data:image/jpeg;base64," + PLAIN, FILE + b"?"),
        ("data:;base64," + SAFE, FILE),
        ("DATA:image/png;charset=utf-8;BASE64," + PLAIN.replace("=", "%3D").replace("+", "%2B"), FILE + b"?"),
    ],
)
def test_base64_in_every_form_that_clients_send(text, file):
    assert {"+", "/"} <= set(PLAIN) and {"-", "_"} <= set(SAFE) and PLAIN.endswith("=") and SAFE.endswith("=")
    assert read({"instances": [{"b64": text}]}).instances == [file]


@pytest.mark.parametrize(
    ("content", "by_row"),
    [
        ({"instances": PIXELS.tolist()}, True),
        ({"instances": [{"pixels": image} for image in PIXELS.tolist()]}, True),
        ({"inputs": PIXELS.tolist()}, False),
        ({"inputs": {"pixels": PIXELS.tolist()}}, False),
    ],
)
def test_every_way_to_send_pixels(content, by_row):
    request = read({**content, "signature_name": "serving_pixels"})
    np.testing.assert_array_equal(request.instances, PIXELS)
    assert request.instances.dtype == np.uint8
    assert request.by_row is by_row


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b"\xff\xfe\x00", "must be JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"instances": ' + b"[" * 500 + b"]" * 500 + b"}", "Image 0"),
        (b'{"instances": [1' + b"0" * 5000 + b"]}", "must be JSON"),
        ([], "must be a JSON object"),
        ({}, "either `instances` or `inputs`"),
        ({"instance": [B64]}, "Did you mean 'instances'?"),
        ({"instances": [B64], "inputs": [B64]}, "either `instances` or `inputs`"),
        ({"instances": []}, "at least one image"),
        ({"instances": "x" * 10_000}, "must be a list"),
        ({"instances": [None]}, "Image 0 must be an object"),
        ({"instances": [B64, {"b64": 7}]}, "Image 1 must be an object"),
        ({"instances": [B64, {**B64, "more": 1}]}, "Image 1 must be an object"),
        ({"instances": [{"image": B64}]}, "only the input `images`"),
        ({"instances": [{"b64": "???"}]}, "valid base64"),
        ({"instances": [{"b64": "ä"}]}, "valid base64"),
        ({"instances": [{"b64": "abcde"}]}, "valid base64"),
        ({"instances": [{"b64": "ab=cd"}]}, "valid base64"),
        ({"instances": [{"b64": "data:image/png,abcd"}]}, "without ';base64,'"),
        ({"instances": [{"b64": "data:image/png;base64"}]}, "without ';base64,'"),
        ({"instances": [{"b64": "https://example.com/a.jpg"}]}, "valid base64"),
        ({"inputs": {"images": B64}}, "must be a list"),
        ({"inputs": {"pixels": [B64]}}, "only the input `images`"),
        ({"instances": [B64], "signature_name": "predict"}, "must be one of serving_default"),
        ({"instances": [B64], "signature_name": ["serving_default"]}, "must be one of"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(content, message):
    with pytest.raises(RequestError) as caught:
        read(content)
    assert caught.value.status == 400
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "values",
    [
        PIXELS[..., :2].tolist(),
        PIXELS[0].tolist(),
        (PIXELS + 240).tolist(),
        (PIXELS - 1).tolist(),
        (PIXELS / 2).tolist(),
        (PIXELS > 3).tolist(),
        PIXELS.astype(str).tolist(),
        [[[[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [1, 2]]]],
        [[[[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [1, 2, 10**30]]]],
        [[[[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [1, 2, None]]]],
        [[[[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [1, 2, float("nan")]]]],
        [B64],
        [{"images": PIXELS[0].tolist()}],
    ],
)
def test_pixels_of_another_shape_or_range_are_refused(values):
    with pytest.raises(RequestError) as caught:
        read({"instances": values, "signature_name": "serving_pixels"})
    assert caught.value.status == 400
    assert len(caught.value.message) < 400
