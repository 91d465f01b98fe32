"""The options of a service, with their defaults and rules."""

import dataclasses
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from tfl.errors import InputError
from tfl.export.model_files import find_format

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
    """The options of a service.

    Attributes:
        model: a finished workdir, or an artefact of any format.
        host: the address to listen on; the default can be reached only from this machine.
        port: the port to listen on; 0: any free port.
        name: the name of the model, as in `/v1/models/NAME`, and on the page. If it is the default, the page shows the
            name of the run or of the file instead.
        max_batch_size: the most examples that run through the network together. At the start the service measures which
            batch size up to this limit is best. 1: no micro-batching.
        batch_timeout_ms: how long a batch that is not full waits for requests that are known to be coming, in
            milliseconds.
        max_request_bytes: the largest body of a request, in bytes.
        max_image_pixels: the most pixels of a decoded image. A file of some kilobytes can decode to gigabytes; the
            most expensive kind of image (PNG with alpha) needs about 30 bytes per pixel. For other examples the most
            bytes of a file.
        queue_size: the most examples in the service at once; further requests are told to try again.
        timeout_seconds: the time limit of a request, in seconds.
        drain_seconds: how long `/readyz` returns 503 before the service stops listening, in seconds, so that load
            balancers can notice it in time.
        allow_origin: other origins whose pages may read the responses in a browser, as in "https://shop.example";
            "*": all origins.
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
        """Check the options before anything slow starts.

        Raises:
            InputError: a number is out of its range, the name cannot be part of an address, or there is no model.
        """
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise InputError(f"`{name}` must be between {lowest} and {highest}. Received: {name}={value}.")
        if not re.fullmatch(r"[\w.-]+", self.name, flags=re.ASCII):
            raise InputError(f"`name` must consist of letters, digits, '.', '_' and '-'. Received: {self.name!r}.")
        for origin in self.allow_origin:
            _check_origin(origin)
        if not self.model:
            raise InputError("`model` must be a finished workdir or an exported model. Received: none.")
        find_format(self.model)


def _check_origin(origin: str) -> None:
    """Check that an origin has the exact form that browsers send, because origins are compared letter by letter."""
    if origin == "*":
        return
    parts = urlsplit(origin if "//" in origin else f"http://{origin}")
    default_port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    sent = f"{parts.scheme}://{parts.netloc.lower().removesuffix(default_port)}"
    if origin != sent or not default_port or not parts.netloc or "@" in origin:
        hint = f" Did you mean {sent!r}?" if default_port and parts.netloc and "@" not in origin else ""
        raise InputError(
            f"`allow_origin` must have addresses as browsers send them, or '*'. Received: {origin!r}.{hint}"
        )
