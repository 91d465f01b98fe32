"""Read the body of a request within limits of size and time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from tfl.serving.limits import RequestError, Room


async def read_body(request: Request, max_bytes: int, timeout: float, room: Room) -> bytes:
    """Return the body of a request.

    Args:
        request: a request whose body was not read yet.
        max_bytes: the largest allowed body, in bytes.
        timeout: the longest allowed time, in seconds.
        room: the limit for the bytes of all bodies that are being read. Bytes count when they arrive, so a client
            that announces a large body and sends little of it does not block others.

    Raises:
        RequestError: 413 the body is too long, 408 it is too slow, 415 it is compressed, 499 the client is gone, 503
            too many bytes are being read.
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
            raise RequestError(499, "The client closed the connection.") from error
    return bytes(body)


def _too_long(max_bytes: int) -> RequestError:
    return RequestError(413, f"The body must have at most {max_bytes:,} bytes.")
