"""Around every request: counted, timed, and answered with headers that let a browser do nothing but show it."""

import time
from typing import Any

from absl import logging
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfl.serving.metrics import Metrics

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
_METHODS = ("GET", "HEAD", "POST")  # a label must not take any value that a client thinks of


class Watch:
    """An ASGI application around another, which counts and times its answers and adds headers that they lack."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, code = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in _HEADERS.items() if pair[0] not in present),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            route: Any = scope.get("route")  # its template: what clients write into it must not become a label
            name = getattr(route, "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(name, method, code).inc()
            self._metrics.seconds.labels(name).observe(time.perf_counter() - begin)


class Apology:
    """An ASGI application around another, which answers 500 where that one fails and logs the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        has_begun = scope["type"] != "http"

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            if has_begun:  # too late for another answer
                raise
            logging.exception("A request failed: %s %s", scope["method"], scope["path"][:200])
            error = "The service has a bug, or its machine a trouble; its log says more."
            await JSONResponse({"error": error}, 500)(scope, receive, send)
