"""What a service is started with: every option with its default and its rule."""

import dataclasses
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from etils import epath

from tfl.errors import InputError

_IN_FOLDER, _SUFFIXES = ("model.keras", "saved_model.pb"), (".keras", ".tflite", ".onnx")
_RANGES = {  # lowest, highest
    "port": (0, 65535),
    "max_batch_size": (1, 1024),
    "batch_timeout_ms": (0, 1000),
    "max_request_bytes": (1024, 1 << 30),
    "max_image_pixels": (1, 1 << 30),
    "queue_size": (1, 100_000),
    "timeout_seconds": (0.01, 3600),
    "drain_seconds": (0, 3600),
}


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """What a service is started with.

    Attributes:
        model: a finished workdir, or an artefact of any format.
        host: address to listen on; the default can be reached from this machine alone.
        port: 0 takes a free one.
        name: of the model, as it stands in `/v1/models/NAME`.
        max_batch_size: most images that run through the network together; which number up to it serves the model
            best is measured at the start. 1 turns micro-batching off.
        batch_timeout_ms: how long a batch that is not full waits for requests which are known to be on their way.
        max_request_bytes: longest body of a request.
        max_image_pixels: most pixels that an image may have once it is decoded. A file of some kilobytes can hold
            gigabytes; an image that takes the longest way (PNG with alpha) needs about 30 bytes a pixel.
        queue_size: images that may be in the service at once; whoever comes then is told to try again.
        timeout_seconds: after which a request is given up.
        drain_seconds: how long `/readyz` says 503 before the service stops listening, so that whoever sends it
            requests notices in time.
        allow_origin: pages of which other addresses a browser lets read the answers, as in "https://shop.example";
            "*": of all.
    """

    model: str
    host: str = "127.0.0.1"
    port: int = 8501
    name: str = "model"
    max_batch_size: int = 32
    batch_timeout_ms: float = 2.0
    max_request_bytes: int = 16 << 20
    max_image_pixels: int = 50_000_000
    queue_size: int = 256
    timeout_seconds: float = 30.0
    drain_seconds: float = 0.0
    allow_origin: Sequence[str] = ()

    def check(self) -> None:
        """Check what can be checked at once.

        Raises:
            InputError: a number out of its range, a name that does not fit into an address, or no model there.
        """
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise InputError(f"`{name}` must be between {lowest} and {highest}. Received: {name}={value}.")
        if not re.fullmatch(r"[\w.-]+", self.name, flags=re.ASCII):
            raise InputError(f"`name` must consist of letters, digits, '.', '_' and '-'. Received: {self.name!r}.")
        for origin in self.allow_origin:
            _check_origin(origin)
        problem = _problem_of(epath.Path(self.model).expanduser()) if self.model else "none"
        if problem:
            raise InputError(f"`model` must be a finished workdir or an exported model. Received: {problem}.")


def _check_origin(origin: str) -> None:
    """Check that a browser can send this origin: it is compared letter by letter."""
    if origin == "*":
        return
    parts = urlsplit(origin if "//" in origin else f"http://{origin}")
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    sent = f"{parts.scheme}://{parts.netloc.lower().removesuffix(usual)}"
    if origin != sent or not usual or not parts.netloc or "@" in origin:
        hint = f" Did you mean {sent!r}?" if usual and parts.netloc and "@" not in origin else ""
        raise InputError(
            f"`allow_origin` must have addresses as browsers send them, or '*'. Received: {origin!r}.{hint}"
        )


def _problem_of(path: epath.Path) -> str:
    """Say what is wrong with a path at the first look; loading, which takes longer, says the rest."""
    if not path.exists():
        return f"{str(path)!r}: does not exist"
    if path.is_dir():
        known = [name for name in _IN_FOLDER if (path / name).exists()]
        return "" if known else f"{str(path)!r}: no {' or '.join(_IN_FOLDER)} in it"
    return "" if path.suffix in _SUFFIXES else f"{str(path)!r}: ends with none of {', '.join(_SUFFIXES)}"
