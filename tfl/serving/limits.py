"""How a request is refused, and how much may be under way at once."""

import contextlib
from collections.abc import Callable, Iterator


class RequestError(Exception):
    """A request that is not answered with a prediction.

    Attributes:
        status: HTTP status.
        message: one line for the client: what to change.
        headers: of the answer: `Retry-After`, seconds after which it is worth another try; `Allow`, methods that are.
    """

    def __init__(self, status: int, message: str, *, retry_after: int = 0, allow: str = "") -> None:
        super().__init__(message)
        self.status, self.message = status, message
        given = {"retry-after": str(retry_after or ""), "allow": allow}
        self.headers = {name: value for name, value in given.items() if value}


class Room:
    """A number of places, for one thread. Whoever finds too few is sent away at once: a queue without end helps nobody.

    Attributes:
        places: how many there are.
        taken: how many are in use.
    """

    def __init__(self, places: int, what: str) -> None:
        self.places, self.taken = places, 0
        self._what = what

    @contextlib.contextmanager
    def take(self, count: int) -> Iterator[Callable[[int], None]]:
        """Hold some places; what the context gives changes how many, once that is known.

        Raises:
            RequestError: 413 for more than there are, 503 for more than are free.
        """
        held = 0

        def hold(wanted: int) -> None:
            nonlocal held
            if wanted > self.places:
                raise RequestError(413, f"A request must have at most {self.places} {self._what}. Received: {wanted}.")
            if self.taken - held + wanted > self.places:
                raise RequestError(503, f"The service is busy: {self.taken} {self._what} are under way.", retry_after=1)
            self.taken += wanted - held
            held = wanted

        hold(count)
        try:
            yield hold
        finally:
            self.taken -= held
