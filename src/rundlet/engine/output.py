"""The streams of one container while the daemon lives: what it prints, who listens, and its stdin.

    spool ──► Pump (a thread) ──► log
                 │ chunks
                 ▼
              Output ──► Subscriber ──► attach session      bounded; waited for 10 s, then dropped
                 └─────► followers of the log wake up       never waited for

There is one for every container, running or not, so that a client can listen before the first byte. The loop
owns it; only the pump's steps run in a thread, one at a time.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rundlet.engine.descriptors import Notifier, Sink
from rundlet.engine.logs.entry import Position
from rundlet.engine.logs.pump import Batch, Pump
from rundlet.engine.tasks import Tasks
from rundlet.errors import StorageFull

__all__ = ["Boundary", "Output", "Subscriber"]

_log = logging.getLogger(__name__)

_SUBSCRIBER_BYTES = 1024 * 1024
_STALL_S = 10.0
_FULL_DISK_RETRY_S = 1.0


class Subscriber:
    """One listener's queue of chunks."""

    def __init__(self, streams: frozenset[int]) -> None:
        self._streams = streams
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._ended = False
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def put(self, stream: int, data: bytes) -> None:
        if stream not in self._streams or self._ended:
            return
        self._chunks.append((stream, data))
        self._bytes += len(data)
        if self._bytes >= _SUBSCRIBER_BYTES:
            self._room.clear()
        self._more.set()

    def end(self) -> None:
        """What is queued is still read; then it is over."""
        self._ended = True
        self._more.set()
        self._room.set()

    @property
    def has_room(self) -> bool:
        return self._room.is_set()

    async def wait_room(self) -> None:
        await self._room.wait()

    async def chunks(self) -> AsyncIterator[tuple[int, bytes]]:
        while True:
            while self._chunks:
                stream, data = self._chunks.popleft()
                self._bytes -= len(data)
                if self._bytes < _SUBSCRIBER_BYTES:
                    self._room.set()
                yield stream, data
            if self._ended:
                return
            self._more.clear()
            await self._more.wait()


@dataclass(frozen=True, slots=True)
class Boundary:
    """A point in a container's output: what is in the log, and the bytes after it, before a subscriber's first."""

    logged: Position
    pending: Mapping[int, bytes]


_NOTHING: Mapping[int, bytes] = MappingProxyType({})


class Output:
    def __init__(self, container: str, tasks: Tasks) -> None:
        self._container = container
        self._tasks = tasks
        self._subscribers: set[Subscriber] = set()
        self._pumping: asyncio.Task[None] | None = None
        self._notifier: Notifier | None = None
        self._boundary: Boundary | None = None
        self._is_ending = False
        self._is_spool_ended = False
        self._log_grew: asyncio.Future[None] | None = None
        self.log_version = 0
        """Rises with every addition to the log."""
        self.stdin: Sink | None = None
        """Pipe or terminal; None when the container does not run, or takes no input."""
        self.console: int | None = None
        """The terminal's descriptor, which ``stdin`` owns."""
        self._begun = asyncio.Event()

    # one run

    def begin_run(
        self, pump: Pump, notify: int, stdin: int | None, *, is_terminal: bool, position: Position
    ) -> None:
        """The descriptors become this object's."""
        self.stdin = Sink(stdin) if stdin is not None else None
        self.console = stdin if is_terminal else None
        self._is_ending = False
        self._is_spool_ended = False
        self._boundary = Boundary(position, _NOTHING)
        self._notifier = Notifier(notify)
        self._pumping = self._tasks.spawn(self._run(pump, self._notifier), f"log pump of {self._container}")
        self._begun.set()

    async def wait_drained(self, stall_s: float) -> None:
        """Until all that the program printed is in the log and with the subscribers, or nothing moves any more."""
        while (pumping := self._pumping) is not None:
            version = self.log_version
            await asyncio.wait({pumping}, timeout=stall_s)
            if self.log_version == version:
                return

    async def wait_finished(self) -> None:
        """Until the pump of this run has ended, however long that takes."""
        if self._pumping is not None:
            await asyncio.wait({self._pumping})

    def close_spool(self) -> None:
        """The supervisor has died, so the ends of the streams will not be told: what is in the spool is all."""
        self._is_spool_ended = True
        self.look()

    def look(self) -> None:
        """Read what is in the spool without a notice: the daemon before this one may have taken it, and died."""
        if self._notifier is not None and not self._notifier.is_closed:
            os.eventfd_write(self._notifier.fileno(), 1)

    def end_run(self) -> None:
        """The exit is recorded: listeners are told once they have everything."""
        self.close_stdin()
        self._begun.clear()
        if self._pumping is None or self._pumping.done():
            self._finish()
        else:
            self._is_ending = True

    def abandon(self) -> None:
        """The daemon ends, the container does not: drop the descriptors and leave the rest in the spool.

        The pump's task is not cancelled, it ends by itself: a step may be at work in its thread.
        """
        self.close_stdin()
        self._finish()
        if self._notifier is not None:
            self._notifier.close()

    def close_stdin(self) -> None:
        if self.stdin is not None:
            self.stdin.close()
        self.stdin = None
        self.console = None

    async def wait_begun(self) -> None:
        """Until the container runs."""
        await self._begun.wait()

    # listeners

    @property
    def is_live(self) -> bool:
        """More may come."""
        return self._pumping is not None and not self._pumping.done()

    def subscribe(self, streams: frozenset[int]) -> tuple[Subscriber, Boundary | None]:
        """A queue of everything after the boundary; None when nothing runs: then the boundary is the log's end."""
        subscriber = Subscriber(streams)
        self._subscribers.add(subscriber)
        return subscriber, self._boundary if self.is_live else None

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        subscriber.end()

    async def wait_log_grew(self, version: int) -> None:
        """Until ``log_version`` is another, or nothing more will come."""
        if self.log_version == version and self.is_live:
            if self._log_grew is None or self._log_grew.done():
                self._log_grew = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._log_grew)

    # the pump's task

    async def _run(self, pump: Pump, notifier: Notifier) -> None:
        try:
            with notifier:
                is_finished = False
                while not is_finished and not notifier.is_closed:
                    await notifier.wait()
                    is_finished = await self._drain(pump, notifier)
        finally:
            await self._tasks.in_thread(pump.close)
            self._pumping = None
            self._grew()
            if self._is_ending:
                self._finish()

    async def _drain(self, pump: Pump, notifier: Notifier) -> bool:
        """Everything that is in the spool just now. True at the end of the streams."""
        while not notifier.is_closed:
            try:
                batch = await self._tasks.in_thread(pump.step, is_last=self._is_spool_ended)
            except StorageFull as error:
                _log.warning("container %s: %s; trying again", self._container, error)
                await asyncio.sleep(_FULL_DISK_RETRY_S)
                continue
            await self._deliver(batch)
            if batch.is_finished or not batch.is_full:
                return batch.is_finished
        return False

    async def _deliver(self, batch: Batch) -> None:
        self._boundary = Boundary(batch.logged, batch.pending)
        self._grew()
        for chunk in batch.chunks:
            for subscriber in self._subscribers:
                subscriber.put(chunk.stream, chunk.data)
        for subscriber in tuple(self._subscribers):
            if not subscriber.has_room:
                await self._wait_for(subscriber)

    async def _wait_for(self, subscriber: Subscriber) -> None:
        try:
            async with asyncio.timeout(_STALL_S):
                await subscriber.wait_room()
        except TimeoutError:
            _log.warning("container %s: dropped a client that read nothing for %d s", self._container, _STALL_S)
            self.unsubscribe(subscriber)

    def _grew(self) -> None:
        self.log_version += 1
        if self._log_grew is not None and not self._log_grew.done():
            self._log_grew.set_result(None)

    def _finish(self) -> None:
        self._is_ending = False
        for subscriber in tuple(self._subscribers):
            self.unsubscribe(subscriber)
