"""Read and check predict requests in the REST API of TensorFlow Serving."""

import dataclasses
import json
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.export.graph import PIXELS
from tfl.export.saved_model import BYTES_SIGNATURE, IMAGES, PIXELS_SIGNATURE
from tfl.registry import did_you_mean
from tfl.serving.encoded import read_base64
from tfl.serving.limits import RequestError

_SIGNATURES = ("serving_default", BYTES_SIGNATURE, PIXELS_SIGNATURE)
_NAMES_OF_BYTES = (IMAGES, "image_bytes")  # the signature's own name, and a name that many other clients send


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """The images of a predict request.

    Attributes:
        instances: for each image the bytes of its file, or its pixels, uint8 `(S, S, 3)`.
        by_row: True: the response is a list of objects ("predictions"); False: an object of lists ("outputs").
    """

    instances: Sequence[bytes] | np.ndarray
    by_row: bool


def read_predict_request(body: bytes, image_size: int) -> PredictRequest:
    """Read the body of a `:predict` request.

    Args:
        body: JSON, as in `{"instances": [{"b64": "..."}]}`.
        image_size: pixels per side of images that are sent as pixels.

    Raises:
        RequestError: 400; the message says what is wrong with the body.
    """
    request = _read_json(body)
    signature = request.get("signature_name", "serving_default")
    if signature not in _SIGNATURES:
        raise _bad(f"`signature_name` must be one of {', '.join(_SIGNATURES)}", signature)
    keys = [key for key in ("instances", "inputs") if key in request]
    if len(keys) != 1:
        hint = "" if keys else did_you_mean(next(iter(request), ""), ["instances", "inputs"])
        raise RequestError(400, f"The request must have either `instances` or `inputs`.{hint}")
    (key,) = keys
    values, by_row = request[key], key == "instances"
    is_pixels = signature == PIXELS_SIGNATURE
    names = (PIXELS,) if is_pixels else _NAMES_OF_BYTES
    if not by_row and isinstance(values, dict) and "b64" not in values:
        values = _only_value(values, names, key)
    if by_row and isinstance(values, list):
        values = [_only_value(value, names, key) if _is_named(value) else value for value in values]
    if not isinstance(values, list) or not values:
        raise _bad(f"`{key}` must be a list with at least one image", values)
    return PredictRequest(_read_pixels(values, image_size) if is_pixels else _read_files(values), by_row)


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except RecursionError as error:
        raise RequestError(400, "The request must be JSON. Received: JSON that is nested too deeply.") from error
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(400, f"The request must be JSON. Received: {reason}.") from error
    if not isinstance(request, dict):
        raise _bad("The request must be a JSON object", request)
    return request


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and "b64" not in value


def _only_value(named: dict[str, Any], names: Sequence[str], key: str) -> Any:
    """Return the value of an object whose one entry must be the input of the signature."""
    if len(named) != 1 or next(iter(named)) not in names:
        raise _bad(f"Each of `{key}` must have only the input `{names[0]}`", list(named))
    return next(iter(named.values()))


def _read_files(values: list[Any]) -> list[bytes]:
    files = []
    for number, value in enumerate(values):
        text = value.get("b64") if isinstance(value, dict) and len(value) == 1 else None
        if not isinstance(text, str):
            raise _bad(f'Image {number} must be an object {{"b64": "..."}}', value)
        try:
            files.append(read_base64(text))
        except ValueError as error:
            raise RequestError(400, f"Image {number} must be valid base64. Received: {error}.") from error
    return files


def _read_pixels(values: list[Any], image_size: int) -> np.ndarray:
    shape = (image_size, image_size, 3)
    rule = f"Pixels must be whole numbers from 0 to 255 in lists of shape (N, {', '.join(map(str, shape))})"
    try:
        pixels = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise RequestError(400, f"{rule}. Received: lists of different lengths.") from error
    if pixels.shape[1:] != shape or pixels.dtype.kind not in "iu":
        raise RequestError(400, f"{rule}. Received: {pixels.dtype} of shape {pixels.shape}.")
    if pixels.min() < 0 or pixels.max() > 255:
        raise RequestError(400, f"{rule}. Received: {pixels.min()} to {pixels.max()}.")
    return pixels.astype(np.uint8)


def _bad(rule: str, received: Any) -> RequestError:
    return RequestError(400, f"{rule}. Received: {reprlib.repr(received)}.")
