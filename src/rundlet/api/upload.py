"""A request body as a file, for code that reads it in a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
from typing import TYPE_CHECKING

from rundlet.api.request import Body, ClientDisconnected

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER = 256 * 1024


class _BodyFile(io.RawIOBase):
    def __init__(self, body: Body) -> None:
        self._body = body
        self._loop = asyncio.get_running_loop()
        self._rest = memoryview(b"")
        self._pending: concurrent.futures.Future[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._rest:
            self._rest = memoryview(self._next())
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next(self) -> bytes:
        if self.closed:
            raise ClientDisconnected
        self._pending = asyncio.run_coroutine_threadsafe(self._body.read(), self._loop)
        try:
            return self._pending.result()
        except concurrent.futures.CancelledError:
            raise ClientDisconnected from None

    def close(self) -> None:
        super().close()
        if self._pending is not None:
            self._pending.cancel()


class Upload(io.BufferedReader):
    """Readable, not seekable. Made on the loop's thread, read in another.

    A read raises :class:`rundlet.api.request.ClientDisconnected` when the body breaks off.
    """

    def __init__(self, body: Body) -> None:
        self._file = _BodyFile(body)
        super().__init__(self._file, _BUFFER)

    def abandon(self) -> None:
        """End a read that waits, from the loop's thread: else the thread of an abandoned upload never ends.

        (``close`` would wait for the very read that it is to end: a BufferedReader has a lock.)
        """
        self._file.close()
