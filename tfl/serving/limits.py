"""Refuse requests, and limit how much work is in progress at once."""

import contextlib
from collections.abc import Callable, Iterator


class RequestError(Exception):
    """A request that gets an error response instead of a prediction.

    Attributes:
        status: the HTTP status.
        message: one line that tells the client what to change.
        headers: the headers of the response: `Retry-After`, the seconds until the client should try again; `Allow`,
            the allowed methods.
    """

    def __init__(self, status: int, message: str, *, retry_after: int = 0, allow: str = "") -> None:
        super().__init__(message)
        self.status, self.message = status, message
        given = {"retry-after": str(retry_after or ""), "allow": allow}
        self.headers = {name: value for name, value in given.items() if value}


class Room:
    """A fixed number of places, for use in one thread. A request that needs more than are free is refused at once.

    Requests do not wait for places, because the queue could grow without limit.

    Attributes:
        places: the number of places.
        taken: the number of places in use.
        what: the content of the places, for messages.
    """

    def __init__(self, places: int, what: str) -> None:
        self.places, self.taken = places, 0
        self.what = what

    @contextlib.contextmanager
    def take(self, count: int) -> Iterator[Callable[[int], None]]:
        """Hold some places; the function that the context gives changes how many.

        Raises:
            RequestError: 413 for more places than exist, 503 for more than are free.
        """
        held = 0

        def hold(wanted: int) -> None:
            nonlocal held
            if wanted > self.places:
                raise RequestError(413, f"A request must have at most {self.places} {self.what}. Received: {wanted}.")
            if self.taken - held + wanted > self.places:
                raise RequestError(
                    503, f"The service is busy with {self.taken} {self.what}. Try again later.", retry_after=1
                )
            self.taken += wanted - held
            held = wanted

        hold(count)
        try:
            yield hold
        finally:
            self.taken -= held
