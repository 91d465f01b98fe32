"""Read and check predict requests in the REST API of TensorFlow Serving."""

import dataclasses
import json
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfl.export.saved_model import BYTES_SIGNATURE, prepared_signature
from tfl.inputs import Input
from tfl.models.classifier import Metadata
from tfl.registry import did_you_mean
from tfl.serving.encoded import read_base64
from tfl.serving.limits import RequestError

_OTHER_NAME = "image_bytes"  # of encoded examples, which many other clients send


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """The examples of a predict request.

    Attributes:
        instances: for each example the bytes of its file, or the prepared example, such as pixels, uint8 `(S, S, 3)`.
        by_row: True: the response is a list of objects ("predictions"); False: an object of lists ("outputs").
    """

    instances: Sequence[bytes] | np.ndarray
    by_row: bool


def read_predict_request(body: bytes, metadata: Metadata) -> PredictRequest:
    """Read the body of a `:predict` request.

    Args:
        body: JSON, as in `{"instances": [{"b64": "..."}]}`.
        metadata: of the model; its input gives the shape of prepared examples.

    Raises:
        RequestError: 400; the message says what is wrong with the body.
    """
    request = _read_json(body)
    signature = request.get("signature_name", "serving_default")
    signatures = ("serving_default", BYTES_SIGNATURE, prepared_signature(metadata))
    if signature not in signatures:
        raise _bad(f"`signature_name` must be one of {', '.join(signatures)}", signature)
    keys = [key for key in ("instances", "inputs") if key in request]
    if len(keys) != 1:
        hint = "" if keys else did_you_mean(next(iter(request), ""), ["instances", "inputs"])
        raise RequestError(400, f"The request must have either `instances` or `inputs`.{hint}")
    (key,) = keys
    values, by_row = request[key], key == "instances"
    is_prepared, kind = signature == signatures[-1], metadata.input
    names = (kind.tensors[1],) if is_prepared else (kind.tensors[0], _OTHER_NAME)
    if not by_row and isinstance(values, dict) and "b64" not in values:
        values = _only_value(values, names, key)
    if by_row and isinstance(values, list):
        values = [_only_value(value, names, key) if _is_named(value) else value for value in values]
    if not isinstance(values, list) or not values:
        raise _bad(f"`{key}` must be a list with at least one {kind.noun[0]}", values)
    return PredictRequest(_read_prepared(values, kind) if is_prepared else _read_files(values, kind), by_row)


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


def _read_files(values: list[Any], kind: Input) -> list[bytes]:
    files, noun = [], kind.noun[0].capitalize()
    for number, value in enumerate(values):
        text = value.get("b64") if isinstance(value, dict) and len(value) == 1 else None
        if not isinstance(text, str):
            raise _bad(f'{noun} {number} must be an object {{"b64": "..."}}', value)
        try:
            files.append(read_base64(text))
        except ValueError as error:
            raise RequestError(400, f"{noun} {number} must be valid base64. Received: {error}.") from error
    return files


def _read_prepared(values: list[Any], kind: Input) -> np.ndarray:
    shape, dtype = tuple(kind.spec.shape), np.dtype(kind.spec.dtype.as_numpy_dtype)
    is_whole = dtype.kind in "iu"
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if is_whole else (-np.inf, np.inf)
    what = f"whole numbers from {low} to {high}" if is_whole else "finite numbers"
    rule = f"{kind.tensors[1].capitalize()} must be {what} in lists of shape (N, {', '.join(map(str, shape))})"
    try:
        examples = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise RequestError(400, f"{rule}. Received: lists of different lengths.") from error
    if examples.shape[1:] != shape or examples.dtype.kind not in ("iu" if is_whole else "iuf"):
        raise RequestError(400, f"{rule}. Received: {examples.dtype} of shape {examples.shape}.")
    if examples.min() < low or examples.max() > high or not np.isfinite(examples).all():
        raise RequestError(400, f"{rule}. Received: {examples.min()} to {examples.max()}.")
    return examples.astype(dtype)


def _bad(rule: str, received: Any) -> RequestError:
    return RequestError(400, f"{rule}. Received: {reprlib.repr(received)}.")
