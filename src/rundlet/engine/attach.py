"""A client attached to a container: replay of the log if asked for, then what comes; and its keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from rundlet.engine.descriptors import Sink
from rundlet.engine.detach_keys import KeyScanner
from rundlet.engine.logs.driver import LogReader
from rundlet.engine.logs.entry import STDERR, STDOUT, Position
from rundlet.engine.output import Boundary
from rundlet.engine.registry import Entry
from rundlet.engine.session import TERMINAL, AttachOptions, Session
from rundlet.engine.supervisor import Supervisor
from rundlet.engine.tasks import Tasks

__all__ = ["AttachSession"]

_ALL = 2**63 - 1


class AttachSession(Session):
    def __init__(
        self,
        entry: Entry,
        options: AttachOptions,
        detach_keys: bytes,
        replay: LogReader | None,
        supervisor: Supervisor,
        tasks: Tasks,
        on_detach: Callable[[Entry], None],
    ) -> None:
        config = entry.container.definition.config
        self.tty = config.Tty
        self._entry = entry
        self._takes_stdin = options.stdin and options.stream and config.OpenStdin
        self._closes_stdin = config.StdinOnce and not config.Tty
        self._streams = frozenset(
            stream for stream, asked in ((STDOUT, options.stdout), (STDERR, options.stderr)) if asked
        )
        self._scanner = KeyScanner(detach_keys) if detach_keys else None
        self._replay = replay
        self._is_live = options.stream
        self._supervisor = supervisor
        self._tasks = tasks
        self._on_detach = on_detach
        self._subscriber, boundary = entry.output.subscribe(self._streams)
        # What does not run has all of its output in the log, and what it will print comes by subscription.
        self._boundary = boundary or Boundary(Position(entry.container.state.run, _ALL, _ALL), {})
        if not self._is_live:
            self._subscriber.end()
        self._closed = asyncio.Event()

    @property
    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return self._output()

    async def _output(self) -> AsyncIterator[tuple[int, bytes]]:
        if self._replay is not None:
            async for stream, data in self._replayed(self._replay):
                yield self._named(stream), data
        async for stream, data in self._subscriber.chunks():
            yield self._named(stream), data

    async def _replayed(self, reader: LogReader) -> AsyncIterator[tuple[int, bytes]]:
        """The log up to the boundary, then the line that is not in the log yet."""
        boundary = self._boundary
        while entries := await self._tasks.in_thread(reader.read):
            for entry in entries:
                if entry.stream in self._streams and _is_within(entry.position, boundary.logged):
                    yield entry.stream, entry.data
            if not _is_within(entries[-1].position, boundary.logged):
                break
        for stream, data in boundary.pending.items():
            if data and stream in self._streams:
                yield stream, data

    def _named(self, stream: int) -> int:
        return TERMINAL if self.tty else stream

    async def write(self, data: bytes) -> None:
        if not self._takes_stdin or self._closed.is_set():
            return
        is_detaching = False
        if self._scanner is not None:
            data, is_detaching = self._scanner.feed(data)
        if data and (stdin := await self._stdin()):
            await stdin.write(data)
        if is_detaching:
            self.detached = True
            self._on_detach(self._entry)
            await self.close()

    async def close_stdin(self) -> None:
        if not self._takes_stdin:
            return
        if self._closes_stdin and await self._stdin():
            self._entry.output.close_stdin()
            await self._supervisor.close_stdin(self._entry.id)
        self._takes_stdin = False

    async def close(self) -> None:
        if self._closed.is_set():
            return
        if self._entry.output.stdin is not None:  # hanging up ends stdin just as a half-close does
            await self.close_stdin()
        self._closed.set()
        self._entry.output.unsubscribe(self._subscriber)
        if self._replay is not None:
            self._replay.close()

    async def _stdin(self) -> Sink | None:
        """The program's stdin, once it runs; None when it takes none, or this session is closed first."""
        output = self._entry.output
        if output.stdin is None:
            waits = {asyncio.ensure_future(output.wait_begun()), asyncio.ensure_future(self._closed.wait())}
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        return None if self._closed.is_set() else output.stdin


def _is_within(position: Position, end: Position) -> bool:
    if position.run != end.run:
        return position.run < end.run
    return position.stdout <= end.stdout and position.stderr <= end.stderr
