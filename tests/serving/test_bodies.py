"""Bodies that are slow, that never end, and whose sender is gone."""

import asyncio

import pytest
from starlette.requests import Request
from warm import PATIENCE

from tfl.serving.bodies import read_body
from tfl.serving.limits import RequestError, Room


def read(messages, headers=None, places=1000, timeout=PATIENCE):
    """Read the body of a request whose messages come one by one, and then no more."""
    left, room = list(messages), Room(places, "bytes")

    async def receive():
        return left.pop(0) if left else await asyncio.Event().wait()

    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    request = Request({"type": "http", "method": "POST", "headers": pairs}, receive)
    try:
        return asyncio.run(read_body(request, 100, timeout, room))
    finally:
        assert room.taken == 0


def part(content, more=True):
    return {"type": "http.request", "body": content, "more_body": more}


def test_parts_are_put_together():
    assert read([part(b"ab"), part(b""), part(b"c", more=False)]) == b"abc"
    assert read([part(b"x" * 60), part(b"y" * 40, more=False)]) == b"x" * 60 + b"y" * 40


@pytest.mark.parametrize(
    ("messages", "options", "status"),
    [
        ([part(b"ab")], {"timeout": 0.05}, 408),
        ([part(b"ab"), {"type": "http.disconnect"}], {}, 499),
        ([part(b"x" * 60)] * 5, {}, 413),
        ([], {"headers": {"content-length": "101"}}, 413),
        ([part(b"x" * 50)] * 2, {"places": 99}, 413),
        ([], {"headers": {"content-encoding": "br"}}, 415),
    ],
)
def test_what_is_wrong_is_a_status(messages, options, status):
    with pytest.raises(RequestError) as caught:
        read(messages, **options)
    assert caught.value.status == status


def test_places_are_held_by_what_has_arrived_and_not_by_what_was_announced():
    room = Room(150, "bytes")

    def request(*parts):
        left = list(parts)

        async def receive():
            return left.pop(0) if left else await asyncio.Event().wait()

        headers = [(b"content-length", b"100")]
        return Request({"type": "http", "method": "POST", "headers": headers}, receive)

    async def main():
        idle = [asyncio.create_task(read_body(request(), 100, PATIENCE, room)) for _ in range(50)]
        slow = asyncio.create_task(read_body(request(part(b"x" * 80)), 100, PATIENCE, room))
        while not room.taken:
            await asyncio.sleep(0)
        assert room.taken == 80
        assert await read_body(request(part(b"y" * 70, more=False)), 100, PATIENCE, room) == b"y" * 70
        with pytest.raises(RequestError, match="busy with 80 bytes") as caught:
            await read_body(request(part(b"z" * 71, more=False)), 100, PATIENCE, room)
        assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + PATIENCE  # the time is up
        for task in (*idle, slow):
            with pytest.raises(RequestError, match="within"):
                await task
        assert room.taken == 0

    asyncio.run(main())
