"""Read image files that clients send as base64 text or in forms."""

import base64
from collections.abc import AsyncGenerator
from urllib.parse import unquote

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from tfl.serving.limits import RequestError

_ONE_FILE = "A form must have exactly one file, as in `curl -F file=@bee.jpg`."
_URL_SAFE = str.maketrans("-_", "+/")


def read_base64(text: str) -> bytes:
    """Decode base64 in any of its usual forms.

    Args:
        text: base64 with or without line breaks and padding, in the ordinary or the URL-safe alphabet, alone or as a
            `data:` address.

    Raises:
        ValueError: the text is not base64.
    """
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError("a data: address without ';base64,'")
        text = unquote(text)
    text = "".join(text.split()).rstrip("=").translate(_URL_SAFE)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


async def read_form(body: bytes, headers: Headers) -> bytes:
    """Return the one file in a form that a browser or `curl -F` sent.

    Args:
        body: the body of the request.
        headers: the headers of the request; the content type has the boundary.

    Raises:
        RequestError: 400; the body is not a form, or it does not have exactly one file.
    """

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, stream(), max_files=1, max_fields=0)
    parser.spool_max_size = len(body) + 1  # the body is already in memory, so use no temporary file
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:
        raise RequestError(400, f"{_ONE_FILE} Received: {' '.join(str(error).split())[:200]}") from error
    try:
        file = next(iter(form.values()), None)
        if isinstance(file, UploadFile):
            return await file.read()
    finally:
        await form.close()
    raise RequestError(400, f"{_ONE_FILE} Received: none.")
