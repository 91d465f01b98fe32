"""Limit idle connections, so that clients that open connections and send nothing do not block others."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from tfl.serving.lingering import LingeringTransport

try:
    import resource
except ImportError:  # Windows
    resource = None

HEAD_SECONDS = 10.0  # time for the head of a request, from the connection or the head's first byte to its last byte
HEAD_BYTES = 16 << 10
_MOST = 4096
_FILES_ON_WINDOWS = 512  # sockets that its `select` takes


def max_connections() -> int:
    """Return how many connections may be open: at most half of the files that the process may open."""
    files = _FILES_ON_WINDOWS if resource is None else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return min(_MOST, files // 2)


class Connection(H11Protocol):
    """A connection of uvicorn that is closed if the head of a request is too slow, or if a new one needs its place.

    uvicorn's own limits do not help here: `timeout_keep_alive` counts from a response to the first byte of the next
    request, and `limit_concurrency` refuses every request if idle connections reach the limit.

    Args:
        limit: the number of connections that may be open. When a new connection exceeds the limit, the idle one that
            has waited longest for its client is closed.
        head_seconds: the time that the head of a request may take, in seconds.
    """

    def __init__(self, *args: Any, limit: int, head_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit, self._head_seconds = limit, head_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered: its head has not completely arrived, or the response has ended."""
        return self.conn.their_state is h11.IDLE or self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Start the time limit for the first request."""
        super().connection_made(LingeringTransport(transport))  # pyright: ignore[reportArgumentType]
        self._since = self.loop.time()
        self._watch()
        if len(self.connections) > self._limit:
            every = (one for one in self.connections if isinstance(one, Connection))
            waiting = [one for one in every if one.is_idle]  # this connection is in the list, too
            min(waiting, key=lambda one: one._since)._give_up()

    def data_received(self, data: bytes) -> None:
        """Start the time limit for the rest of a head, or stop it if the head is complete.

        What a client sends after the response that ends the connection is not read.
        """
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        super().connection_lost(exc)
        self._unwatch()

    def on_response_complete(self) -> None:
        """Record the time at which the client got its response."""
        super().on_response_complete()
        self._since = self.loop.time()

    def shutdown(self) -> None:
        """Close the connection when the service stops; do not wait for a client that has its response."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            super().shutdown()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._head_seconds, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self.connections.discard(self)  # now, because the transport reports the end only later
        self.transport.abort()
