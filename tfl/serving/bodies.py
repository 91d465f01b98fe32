"""The body of a request: read whole, but never more of it than is allowed, nor for longer."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from tfl.serving.limits import RequestError, Room


async def read_body(request: Request, max_bytes: int, timeout: float, room: Room) -> bytes:
    """Return the body of a request.

    Args:
        request: whose body was not read yet.
        max_bytes: most that it may have.
        timeout: seconds.
        room: places for the bytes of all bodies that are being read; taken as they arrive, so that clients which
            announce much and send little shut nobody out.

    Raises:
        RequestError: 413 too long, 408 too slow, 415 compressed, 499 the client is gone, 503 no room.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RequestError(415, "The body must not be compressed (Content-Encoding).")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > max_bytes:
        raise _too_long(max_bytes)
    body = bytearray()
    with room.take(0) as hold:
        try:
            async with asyncio.timeout(timeout):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > max_bytes:
                        raise _too_long(max_bytes)
                    hold(len(body))
        except TimeoutError as error:
            raise RequestError(408, f"The body must arrive within {timeout:g} seconds.") from error
        except ClientDisconnect as error:
            raise RequestError(499, "The client has gone away.") from error
    return bytes(body)


def _too_long(max_bytes: int) -> RequestError:
    return RequestError(413, f"The body must have at most {max_bytes:,} bytes.")
