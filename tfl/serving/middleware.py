"""Count and time every request, and add headers that let a browser only display the response."""

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
_METHODS = ("GET", "HEAD", "POST")  # others share one label: clients could send any number of different methods


class RequestMetrics:
    """ASGI middleware that counts and times responses, and adds missing headers."""

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
            route: Any = scope.get("route")  # the label is the route's template, not the path that a client sends
            name = getattr(route, "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(name, method, code).inc()
            self._metrics.seconds.labels(name).observe(time.perf_counter() - begin)


class ErrorResponses:
    """ASGI middleware that responds with 500 if the application raises an exception, and logs the traceback."""

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
            if has_begun:  # too late for another response
                raise
            logging.exception("A request failed: %s %s", scope["method"], scope["path"][:200])
            error = "The service failed because of a bug or a problem of its machine. Its log has the details."
            await JSONResponse({"error": error}, 500)(scope, receive, send)
