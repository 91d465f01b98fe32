"""Run the application in this process: open its socket, handle signals, and stop it."""

import contextlib
import functools
import importlib
import os
import signal
import socket
import threading
from typing import Any

from tfl.errors import InputError
from tfl.progress import say
from tfl.serving.options import ServeOptions
from tfl.version import install_command

_NEEDED = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")
_KEEP_ALIVE_SECONDS, _BACKLOG = 75, 1024


def open_server(options: ServeOptions) -> "Server":
    """Check the options and open the port, before anything slow starts.

    Raises:
        InputError: an option is out of its range, there is no model, the port is in use, or the extra "serve" is not
            installed.

    Example:
        >>> server = tfl.serving.open_server(ServeOptions("runs/photos", port=0))  # 0: any free port
        >>> run = server.run  # run() answers requests until a signal ends it
    """
    options.check()
    for name in _NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"The packages for serving must be installed: {install_command('serve')}. Received: no {name}."
            ) from error
    return Server(options, _listen(options.host, options.port))


def _listen(host: str, port: int) -> socket.socket:
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"`host` must be an address or a name of this machine. Received: {host!r}: {error}."
        ) from error
    # If the protocol is given, asyncio sends every part of a response at once (TCP_NODELAY), which saves 40 ms each.
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # otherwise a restart must wait a minute; on Windows it would share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise InputError(
            f"`host` and `port` must be an address that no other program uses. Received: {host}:{port}: "
            f"{error.strerror}."
        ) from error
    return listening


class Server:
    """A service that has its port but does not answer yet.

    Attributes:
        url: the address at which it will answer.
    """

    def __init__(self, options: ServeOptions, listening: socket.socket) -> None:
        self._options, self._socket = options, listening
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.url = f"http://{host}:{listening.getsockname()[1]}"
        self._model: Any = None

    def run(self) -> None:
        """Load the model, answer requests until SIGTERM or SIGINT, then finish the requests that have begun.

        Raises:
            InputError: the model is not an artefact of tfl.
        """
        from tfl.serving.app import create_app
        from tfl.serving.connections import HEAD_BYTES, HEAD_SECONDS, Connection, max_connections

        uvicorn = importlib.import_module("uvicorn")
        app = create_app(self._options, lambda: _stop(server), self._tell)
        seconds = int(self._options.timeout_seconds) + 1
        config = uvicorn.Config(
            app,
            http=functools.partial(Connection, limit=max_connections(), head_seconds=HEAD_SECONDS),
            h11_max_incomplete_event_size=HEAD_BYTES,
            ws="none",
            log_config=None,
            log_level="error",  # at a lower level any client could fill the log
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=seconds,
            backlog=_BACKLOG,
        )
        server = uvicorn.Server(config)
        self._model = app.state.model
        server.handle_exit = _Drain(server, self._model, self._options.drain_seconds)
        with contextlib.closing(self._socket):
            server.run([self._socket])
        if self._model.failure is not None:
            raise self._model.failure
        say("stopped")

    @property
    def is_working(self) -> bool:
        """Whether threads still work after `run`: nobody needs their results, but Python waits for them at exit."""
        return self._model is not None and self._model.is_working

    def _tell(self) -> None:
        options = self._options
        say(f"serving {options.model} at {self.url}, for programs at {self.url}/v1/models/{options.name}:predict")
        if options.host not in ("127.0.0.1", "::1", "localhost"):
            say(
                "Warning: everyone who can reach this address can use the model, because the service has no passwords "
                "and no encryption."
            )


class _Drain:
    """Signal handler: the service first reports that it is not ready, then it stops; a second signal stops it at once.

    uvicorn's own handler raises the signal again at the end, so the exit code of the process would not be 0.
    """

    def __init__(self, server: Any, model: Any, seconds: float) -> None:
        self._server, self._model, self._seconds = server, model, seconds

    def __call__(self, number: int, frame: Any) -> None:
        if self._model.is_draining or not self._seconds:
            self._server.force_exit = self._server.should_exit and number == signal.SIGINT
            _stop(self._server)
        else:
            timer = threading.Timer(self._seconds, _stop, [self._server])
            timer.daemon = True
            timer.start()
        self._model.is_draining = True


def _stop(server: Any) -> None:
    server.should_exit = True
