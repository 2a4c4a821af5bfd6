"""The streams of one exec, and a client's session over them.

Nobody but the session's reader reads the pipes: a slow client slows the program and nothing else. The output
ends when the program has ended, its exit code is recorded, and the pipes hold nothing more, even if something
that it left in the background keeps them open.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Self

from rundlet.engine.descriptors import Sink, Source
from rundlet.engine.detach_keys import KeyScanner
from rundlet.engine.exec_record import ExecRecord
from rundlet.engine.logs.entry import STDERR, STDOUT
from rundlet.engine.session import TERMINAL, Session
from rundlet.engine.supervisor import Supervisor
from rundlet.engine.tasks import Tasks
from rundlet.errors import RundletError

__all__ = ["ExecSession", "FailedSession", "Streams"]


class Streams:
    """The daemon's ends of an exec's pipes, or its terminal. Owns the descriptors."""

    def __init__(
        self, record: ExecRecord, sources: dict[int, Source], stdin: Sink | None, supervisor: Supervisor
    ) -> None:
        self._record = record
        self._sources = sources
        self._stdin = stdin
        self._supervisor = supervisor
        self._has_ended = False
        self._is_left = False
        self._is_drained = asyncio.Event()
        self._readable: asyncio.Future[None] | None = None

    @classmethod
    def of(cls, record: ExecRecord, fds: Sequence[int], supervisor: Supervisor) -> Self:
        """``fds`` as the supervisor sends them: the console, or stdin (if asked for), stdout, stderr."""
        if record.tty:
            (console,) = fds
            return cls(record, {TERMINAL: Source(console)}, Sink(os.dup(console)), supervisor)
        *stdin, stdout, stderr = fds
        sink = Sink(stdin[0]) if stdin else None
        return cls(record, {STDOUT: Source(stdout), STDERR: Source(stderr)}, sink, supervisor)

    @property
    def console(self) -> int | None:
        """The terminal's descriptor, for ioctl."""
        source = self._sources.get(TERMINAL)
        return source.fileno() if source else None

    async def write(self, data: bytes) -> None:
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """End of input. A terminal has none: there it is a character that the client types."""
        if self._stdin is not None and not self._record.tty:
            self._stdin.close()
            self._stdin = None
            with suppress(RundletError):  # it has ended meanwhile
                await self._supervisor.close_stdin(self._record.container_id, self._record.id)

    def program_ended(self) -> None:
        """The exit code is recorded."""
        self._has_ended = True
        if self._stdin is not None:
            self._stdin.close()
            self._stdin = None
        self._wake()

    async def chunks(self) -> AsyncIterator[tuple[int, bytes]]:
        """What comes, until the program has ended and nothing is left just now."""
        while True:
            if self._is_left:
                return
            had_ended = self._has_ended
            is_empty = True
            for stream, source in tuple(self._sources.items()):
                data = source.read_nowait()
                if data:
                    is_empty = False
                    yield stream, data
                elif data is not None:
                    self._close_source(stream)
            if not is_empty:
                await asyncio.sleep(0)  # a fast writer and a fast client must not keep everyone else waiting
                continue
            if had_ended:
                return
            await self._wait_readable()

    def stop_reading(self) -> None:
        """The client has gone: :meth:`chunks` ends, and :meth:`discard` may follow."""
        self._is_left = True
        self._wake()

    async def discard(self) -> None:
        """Read and drop, until every program that holds the pipes has let go."""
        while self._sources:
            for stream, source in tuple(self._sources.items()):
                if source.read_nowait() == b"":
                    self._close_source(stream)
            if self._sources:
                await self._wait_readable()

    async def wait_drained(self) -> None:
        """Until the pipes have ended."""
        await self._is_drained.wait()

    def close(self) -> None:
        for stream in tuple(self._sources):
            self._close_source(stream)
        self._is_drained.set()
        self.program_ended()

    def _close_source(self, stream: int) -> None:
        self._sources.pop(stream).close()
        if not self._sources:
            self._is_drained.set()

    async def _wait_readable(self) -> None:
        """Until something comes, or the end is told, or the reader is to stop."""
        loop = asyncio.get_running_loop()
        self._readable = loop.create_future()
        watched = [source.fileno() for source in self._sources.values()]
        for fd in watched:
            loop.add_reader(fd, self._wake)
        try:
            await self._readable
        finally:
            for source in self._sources.values():
                loop.remove_reader(source.fileno())

    def _wake(self) -> None:
        if self._readable is not None and not self._readable.done():
            self._readable.set_result(None)


class ExecSession(Session):
    def __init__(
        self, record: ExecRecord, streams: Streams, detach_keys: bytes, tasks: Tasks, on_detach: Callable[[], None]
    ) -> None:
        self.tty = record.tty
        self._record = record
        self._streams = streams
        self._scanner = KeyScanner(detach_keys) if detach_keys else None
        self._tasks = tasks
        self._on_detach = on_detach
        self._has_left = False

    @property
    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return self._output()

    async def _output(self) -> AsyncIterator[tuple[int, bytes]]:
        wanted = {
            stream for stream, asked in ((STDOUT, self._record.stdout), (STDERR, self._record.stderr)) if asked
        } | {TERMINAL}
        async for stream, data in self._streams.chunks():
            if stream in wanted:
                yield stream, data

    async def write(self, data: bytes) -> None:
        is_detaching = False
        if self._scanner is not None:
            data, is_detaching = self._scanner.feed(data)
        if data:
            await self._streams.write(data)
        if is_detaching:
            self.detached = True
            self._on_detach()
            self._leave()

    async def close_stdin(self) -> None:
        await self._streams.close_stdin()

    async def close(self) -> None:
        if not self._has_left:
            self._leave()
        await self._streams.close_stdin()
        self._tasks.spawn(self._streams.discard(), f"output of exec {self._record.id}")

    def _leave(self) -> None:
        self._has_left = True
        self._streams.stop_reading()


class FailedSession(Session):
    """What a client that wanted to run something reads instead: the reason, on stdout, as dockerd writes it."""

    def __init__(self, reason: str, *, tty: bool) -> None:
        self.tty = tty
        self._data = f"{reason}\r\n".encode()

    @property
    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return self._output()

    async def _output(self) -> AsyncIterator[tuple[int, bytes]]:
        yield (TERMINAL if self.tty else STDOUT), self._data

    async def write(self, data: bytes) -> None:
        pass

    async def close_stdin(self) -> None:
        pass

    async def close(self) -> None:
        pass
