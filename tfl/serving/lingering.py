"""Close a connection in stages, so that a client that still sends can read the response."""

import asyncio
from typing import Any

LINGER_SECONDS = 2.0


class LingeringTransport:
    """A transport whose `close` ends the response, and then reads until the client closes, for a limited time.

    If a server closes a connection while the client still sends the body of a refused request, the system answers the
    next bytes with a reset. The client then reports a broken connection, and never reads why it was refused.

    Reference: RFC 9112 (2022), section 9.6.

    Args:
        transport: the transport of an open connection.
        seconds: how long the client may go on to send after the response.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float = LINGER_SECONDS) -> None:
        self._transport = transport
        self._seconds = seconds
        self.is_lingering = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        return self.is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """End the response now; close the connection when the client has closed it, or after the time limit."""
        if self.is_closing():
            return
        if not self._transport.can_write_eof():  # TLS
            self._transport.close()
            return
        self.is_lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(self._seconds, self._transport.close)
