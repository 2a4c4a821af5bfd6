"""File descriptors on the event loop: a pipe or terminal to write to or to read from, an eventfd to wait for.

Each object owns its descriptor and closes it once. Nothing here blocks and nothing knows what flows.
"""

from __future__ import annotations

import asyncio
import errno
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Self

__all__ = ["Notifier", "Sink", "Source"]


class _Descriptor(ABC):
    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] | None = None

    @property
    def is_closed(self) -> bool:
        return self._fd < 0

    def fileno(self) -> int:
        return self._fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Whoever waits for the descriptor wakes up and finds it closed."""
        if self._fd < 0:
            return
        self._unwatch(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._wake()

    def _wake(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    @abstractmethod
    def _unwatch(self, fd: int) -> None: ...


class Source(_Descriptor):
    """Something to read from. Its reader waits for several at once, and so does that itself."""

    def read_nowait(self, max_bytes: int = 64 * 1024) -> bytes | None:
        """What is there; b"" at the end; None when there is nothing just now."""
        try:
            return os.read(self._fd, max_bytes) if self._fd >= 0 else b""
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""

    def _unwatch(self, fd: int) -> None:
        self._loop.remove_reader(fd)


class Sink(_Descriptor):
    """Something to write to: the write end of a pipe, or the master of a terminal."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._lock = asyncio.Lock()

    async def write(self, data: bytes) -> bool:
        """Write all of it, waiting for the reader. False when there is no reader, or it was closed meanwhile."""
        async with self._lock:
            view = memoryview(data)
            while view and self._fd >= 0:
                try:
                    view = view[os.write(self._fd, view) :]
                except BlockingIOError:
                    await self._wait_writable()
                except OSError as error:
                    if error.errno not in (errno.EPIPE, errno.EIO):
                        raise
                    return False
            return not view

    async def _wait_writable(self) -> None:
        self._ready = self._loop.create_future()
        self._loop.add_writer(self._fd, self._wake)
        try:
            await self._ready
        finally:
            if self._fd >= 0:
                self._loop.remove_writer(self._fd)

    def _unwatch(self, fd: int) -> None:
        self._loop.remove_writer(fd)


class Notifier(_Descriptor):
    """An eventfd that somebody else writes to. One that waits at a time."""

    async def wait(self) -> None:
        """Until it is written to (or has been since the last wait), or closed."""
        while self._fd >= 0:
            with suppress(BlockingIOError):
                os.eventfd_read(self._fd)
                return
            self._ready = self._loop.create_future()
            self._loop.add_reader(self._fd, self._wake)
            try:
                await self._ready
            finally:
                if self._fd >= 0:
                    self._loop.remove_reader(self._fd)

    def _unwatch(self, fd: int) -> None:
        self._loop.remove_reader(fd)
