"""Moves a container's output into its spool, as it comes, and all that is left when the container has ended.

While the spool is blocked (full disk, reader far behind) the streams are not read: they fill, and the container
waits. See :mod:`rundlet.runtime.spool`.

What it will not do: look at the bytes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from rundlet.runtime.spool import STDERR, STDOUT, SpoolBlocked, SpoolWriter
from rundlet.runtime.supervisor.log import log
from rundlet.runtime.supervisor.loop import Loop
from rundlet.runtime.supervisor.stdio import Streams

FIRST_RETRY_S = 0.05
LAST_RETRY_S = 1.0
_READ_BYTES = 64 * 1024
_DRAIN_BYTES = 1024 * 1024
"""The most that a pipe can hold (/proc/sys/fs/pipe-max-size); more than that was written after the end."""


class _Source:
    """One descriptor that output comes from."""

    __slots__ = ("close", "fd", "move", "stream")

    def __init__(self, stream: int, fd: int, move: Callable[[], int | None], close: Callable[[], None]) -> None:
        self.stream = stream
        self.fd = fd
        self.move = move
        """Moves some bytes: their number, 0 at the end of the stream, None if there are none now."""
        self.close = close


class Pump:
    def __init__(self, loop: Loop, name: str, streams: Streams, writer: SpoolWriter) -> None:
        self._loop = loop
        self._name = name
        self._streams = streams
        self._writer = writer
        self._sources: dict[int, _Source] = {}
        self._ended: list[int] = []
        """Streams whose end is still to be recorded."""
        self._is_finishing = False
        self._is_blocked = False
        self._is_closed = False
        """Everything is in the spool, or was dropped."""
        self._retry_s = FIRST_RETRY_S
        self._add_sources()
        for source in self._sources.values():
            self._watch(source)

    def finish(self) -> None:
        """The container has ended: take what is there, record the end of the streams, close them.

        With a blocked spool that goes on later, by itself.
        """
        self._is_finishing = True
        if not self._is_blocked and not self._is_closed:
            self._advance()

    def close(self) -> None:
        """Drop whatever is left. The streams stay open: they are the caller's."""
        for source in self._sources.values():
            self._loop.unwatch(source.fd)
        self._sources.clear()
        self._ended.clear()
        self._close_writer()

    def _add_sources(self) -> None:
        streams, writer = self._streams, self._writer
        if (console := streams.console) is not None:
            self._sources[STDOUT] = _Source(STDOUT, console, self._read_console, streams.close_console)
            self._ended.append(STDERR)
        if (stdout := streams.stdout) is not None:
            self._sources[STDOUT] = _Source(
                STDOUT, stdout, lambda: writer.splice(STDOUT, stdout), streams.close_stdout
            )
        if (stderr := streams.stderr) is not None:
            self._sources[STDERR] = _Source(
                STDERR, stderr, lambda: writer.splice(STDERR, stderr), streams.close_stderr
            )

    def _watch(self, source: _Source) -> None:
        self._loop.watch(source.fd, lambda: self._on_readable(source))

    def _on_readable(self, source: _Source) -> None:
        try:
            if source.move() == 0:
                self._end(source)
                self._record_ends()
        except SpoolBlocked as blocked:
            self._block(blocked)

    def _read_console(self) -> int | None:
        self._writer.make_room()  # before the bytes leave the terminal: then they have a place
        console = self._streams.console
        assert console is not None
        try:
            data = os.read(console, _READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # The terminal was hung up. While the program runs it may be opened again.
            return None if not self._is_finishing and self._streams.hold_peer() else 0
        if data:
            self._writer.write(STDOUT, data)
        return len(data)

    def _end(self, source: _Source) -> None:
        self._loop.unwatch(source.fd)
        source.close()
        del self._sources[source.stream]
        self._ended.append(source.stream)

    def _record_ends(self) -> None:
        while self._ended:
            self._writer.end(self._ended[0])
            del self._ended[0]
        if not self._sources:
            self._writer.make_room()  # the last header may have met a full disk
            self._close_writer()

    def _close_writer(self) -> None:
        self._writer.close()
        self._is_closed = True

    def _block(self, blocked: SpoolBlocked) -> None:
        if blocked.reason != "backlog" and not self._is_blocked:
            log(f"{self._name}: output waits: {blocked.reason}")
        self._is_blocked = True
        for source in self._sources.values():
            self._loop.unwatch(source.fd)
        self._loop.call_later(self._retry_s, self._retry)
        self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)

    def _retry(self) -> None:
        if not self._is_closed:
            self._advance()

    def _advance(self) -> None:
        """Move what there is, after a block or at the end of the container."""
        try:
            for source in list(self._sources.values()):
                self._drain(source)
            self._record_ends()
        except SpoolBlocked as blocked:
            self._block(blocked)
            return
        if self._is_blocked:
            self._is_blocked = False
            self._retry_s = FIRST_RETRY_S
            for source in self._sources.values():
                self._watch(source)

    def _drain(self, source: _Source) -> None:
        """Until nothing is there. Bounded, since somebody else may hold the other end and write on."""
        moved = 0
        while count := source.move():
            moved += count
            if moved >= _DRAIN_BYTES:
                break
        if count == 0 or self._is_finishing:
            self._end(source)
