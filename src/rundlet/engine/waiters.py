"""Who waits for a container to end or to be gone, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from rundlet.engine.container import State
from rundlet.errors import InvalidArgument
from rundlet.wire.documents import WaitError, WaitResponse

__all__ = ["Waiters"]


class Waiters:
    """The waiters of one container. ``state`` is that container's, read when somebody asks and when it is told."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._exit: set[asyncio.Future[WaitResponse]] = set()
        self._removal: set[asyncio.Future[WaitResponse]] = set()
        self._is_removed = False

    def add(self, condition: str) -> Awaitable[WaitResponse]:
        """Registered when this returns: what happens afterwards is not missed.

        ``not-running`` is answered at once by a container that does not run; ``next-exit`` never; ``removed``
        with the exit code once the container is gone.
        """
        future: asyncio.Future[WaitResponse] = asyncio.get_running_loop().create_future()
        if condition == "removed":
            waiting, is_met = self._removal, self._is_removed
        elif condition in ("", "not-running"):
            waiting, is_met = self._exit, not self._state.is_up
        elif condition == "next-exit":
            waiting, is_met = self._exit, False
        else:
            raise InvalidArgument(f'invalid condition: "{condition}"')
        if is_met:
            future.set_result(self._response())
        else:
            waiting.add(future)
            future.add_done_callback(waiting.discard)
        return future

    def exited(self) -> None:
        self._answer(self._exit)

    def removed(self) -> None:
        """A container removed before it ever ran also ends the wait for its exit."""
        self._is_removed = True
        self._answer(self._removal)
        self._answer(self._exit)

    def _answer(self, waiting: set[asyncio.Future[WaitResponse]]) -> None:
        response = self._response()
        for future in tuple(waiting):
            if not future.done():
                future.set_result(response)

    def _response(self) -> WaitResponse:
        # Once it is gone, why it did not start is no error of the wait: clients would print it a second time.
        error = WaitError(self._state.error) if self._state.error and not self._is_removed else None
        return WaitResponse(self._state.exit_code, error)
