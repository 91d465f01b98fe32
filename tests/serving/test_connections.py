"""Connections on which a request never becomes whole."""

import contextlib
import functools
import socket
import threading

import pytest
import uvicorn
from warm import PATIENCE

from tfl.serving import connections
from tfl.serving.connections import HEAD_BYTES, Connection, max_connections
from tfl.serving.lingering import LingeringTransport

WHOLE, HALF = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHo"
UPLOAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"


async def answer(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def serve():
    """Serve `answer` on a free port; what it gives opens a connection to it."""
    with contextlib.ExitStack() as stack:

        def begin(limit, head_seconds):
            protocol = functools.partial(Connection, limit=limit, head_seconds=head_seconds)
            config = uvicorn.Config(
                answer, http=protocol, log_config=None, lifespan="off", h11_max_incomplete_event_size=HEAD_BYTES
            )
            server = uvicorn.Server(config)
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            address = listening.getsockname()
            thread = threading.Thread(target=server.run, args=[[listening]])
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)

            def connect(content=b""):
                one = stack.enter_context(socket.create_connection(address, PATIENCE))
                one.sendall(content)
                return one

            return connect

        yield begin


def read(connection):
    """Return what comes next; nothing where the service has closed the connection."""
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(65536)
    return b""


def begin_upload(connect):
    """Return a connection of which the service has said that it waits for the body, and two of its five bytes."""
    connection = connect(UPLOAD)
    assert read(connection).startswith(b"HTTP/1.1 100")
    connection.sendall(b"ab")
    return connection


@pytest.mark.parametrize("content", [b"", b"GE", HALF])
def test_a_head_that_does_not_come_costs_the_connection(serve, content):
    assert read(serve(100, 0.01)(content)) == b""


def test_a_head_that_does_not_come_after_an_answer_costs_it_too(serve):
    connection = serve(100, 2)(WHOLE)
    assert read(connection).startswith(b"HTTP/1.1 200")
    connection.sendall(HALF)
    while read(connection):
        pass


def test_a_request_that_has_begun_has_the_time_that_the_service_gives_it(serve):
    connect = serve(100, 1)
    connection = begin_upload(connect)
    assert read(connect()) == b""  # after as long as a head may take
    connection.sendall(b"cde")
    assert read(connection).startswith(b"HTTP/1.1 200")


def test_who_waits_longest_for_its_client_makes_room(serve):
    connect = serve(4, PATIENCE)
    upload = begin_upload(connect)
    halves = [connect(HALF) for _ in range(8)]
    connection = connect(WHOLE)
    assert read(connection).startswith(b"HTTP/1.1 200")
    assert [read(half) for half in halves[:5]] == [b""] * 5
    halves[7].sendall(WHOLE[len(HALF) :])
    assert read(halves[7]).startswith(b"HTTP/1.1 200")  # the latest is still there
    upload.sendall(b"cde")
    assert read(upload).startswith(b"HTTP/1.1 200")  # and so is the one whose request had begun


def test_where_all_are_at_work_a_new_connection_is_closed(serve):
    connect = serve(2, PATIENCE)
    uploads = [begin_upload(connect) for _ in range(2)]
    assert read(connect(WHOLE)) == b""
    for upload in uploads:
        upload.sendall(b"cde")
        assert read(upload).startswith(b"HTTP/1.1 200")


def test_a_head_has_at_most_so_many_bytes(serve):
    assert read(serve(9, PATIENCE)(HALF + b"x" * 2 * HEAD_BYTES)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("length", [b"-1", b"x", b"9" * 5000])
def test_a_client_that_still_sends_reads_why_it_was_refused(serve, length):
    connection = serve(9, PATIENCE)(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
    connection.recv(1, socket.MSG_PEEK)  # the service has refused the request
    for _ in range(2000):  # a closed connection would break the second that comes after its end
        connection.sendall(b"x" * 1000)
    assert read(connection).startswith(b"HTTP/1.1 400")


def test_who_sends_on_after_the_response_is_not_read_for_ever(serve, monkeypatch):
    monkeypatch.setattr(LingeringTransport.__init__, "__defaults__", (0.01,))
    connection = serve(9, PATIENCE)(b"BAD\r\n\r\n")
    with pytest.raises(ConnectionError):
        while True:
            connection.sendall(b"x")


def test_a_refused_client_makes_room(serve):
    connect = serve(1, PATIENCE)
    refused = connect(b"BAD\r\n\r\n")
    assert read(refused).startswith(b"HTTP/1.1 400")
    assert read(connect(WHOLE)).startswith(b"HTTP/1.1 200")
    while read(refused):  # the body of the refusal may come in a packet of its own
        pass


def test_files_are_left_for_other_things():
    assert 100 < max_connections() <= 4096


def test_without_a_known_limit_of_files_the_limit_is_that_of_windows(monkeypatch):
    monkeypatch.setattr(connections, "resource", None)
    assert max_connections() == 256
