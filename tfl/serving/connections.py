"""Connections that a client opens and then leaves as they are, which must not keep others out."""

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # from the first byte of a request's head, or from the connection, to its last
HEAD_BYTES = 16 << 10
_MOST = 4096


def max_connections() -> int:
    """Return how many connections may be open: each is an open file, of which half are left to everything else."""
    return min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class Connection(H11Protocol):
    """uvicorn's connection, closed where the head of a request does not come, or where another needs its place.

    uvicorn's own limits do not help here: `timeout_keep_alive` counts from an answer to the first byte of the next
    request, and `limit_concurrency` refuses every request while idle connections fill it.

    Args:
        limit: connections that may be open. The one that has waited longest for its client makes room for a new one.
        head_seconds: how long the head of a request may take.
    """

    def __init__(self, *args: Any, limit: int, head_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit, self._head_seconds = limit, head_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether no request has begun: of its head at most a part has come."""
        return self.conn.their_state is h11.IDLE

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Give the client its time for a first request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch()
        if len(self.connections) > self._limit:
            every = (one for one in self.connections if isinstance(one, Connection))
            waiting = [one for one in every if one.is_idle]  # itself among them
            min(waiting, key=lambda one: one._since)._give_up()

    def data_received(self, data: bytes) -> None:
        """Begin to wait for the rest of a head, or stop waiting where it is whole."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._unwatch()

    def on_response_complete(self) -> None:
        """Note since when the client has had its answer."""
        super().on_response_complete()
        self._since = self.loop.time()

    def _watch(self) -> None:
        if not self.is_idle or self.transport.is_closing():
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._head_seconds, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self.connections.discard(self)  # at once: the transport says so only later
        self.transport.abort()
