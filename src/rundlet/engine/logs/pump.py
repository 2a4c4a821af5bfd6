"""From the spool into the log: bytes become lines, and every line says how far the log has come.

    supervisor ──► spool ──► Pump.step() ──► log driver
                                   └───────► chunks for whoever is attached

The order is what makes a kill harmless: read from the spool, write to the log, and only then discard
from the spool. Blocking; one thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rundlet.engine.logs.driver import LogDriver
from rundlet.engine.logs.entry import STDERR, STDOUT, LogEntry, Position
from rundlet.runtime.spool import SEGMENT_BYTES, Record, SpoolReader

__all__ = ["LINE_BYTES", "Batch", "LineSplitter", "Pump"]

LINE_BYTES = 16 * 1024
"""A longer line is logged in parts of this size, as Docker does."""
_STEP_BYTES = 256 * 1024
"""Bytes of output that one step takes: a millisecond or two of work."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Output as it came, for those who are attached."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step moved."""

    chunks: list[Chunk]
    logged: Position
    """How far the log has come …"""
    pending: Mapping[int, bytes]
    """… and what follows it of each stream: the start of a line that has not ended yet."""
    is_full: bool
    """There may be more at once."""
    is_finished: bool
    """Both streams have ended and everything is in the log."""


class LineSplitter:
    """Records of two streams in, log entries out. Pure."""

    def __init__(self, start: Position) -> None:
        self._run = start.run
        self._consumed = {STDOUT: start.stdout, STDERR: start.stderr}
        self._pending = {STDOUT: b"", STDERR: b""}
        self._times = {STDOUT: 0, STDERR: 0}

    @property
    def position(self) -> Position:
        """Up to the last entry that was handed out."""
        return Position(self._run, self._consumed[STDOUT], self._consumed[STDERR])

    @property
    def pending(self) -> dict[int, bytes]:
        return dict(self._pending)

    def feed(self, record: Record) -> list[LogEntry]:
        stream = record.stream
        self._times[stream] = record.time_ns
        if record.closed:
            return self.flush(stream)
        entries: list[LogEntry] = []
        *lines, rest = (self._pending[stream] + record.data).split(b"\n")
        for line in lines:
            self._add(entries, stream, line + b"\n")
        # A part of exactly LINE_BYTES waits: its newline may be the very next byte.
        while len(rest) > LINE_BYTES:
            self._add(entries, stream, rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        self._pending[stream] = rest
        return entries

    def flush(self, stream: int) -> list[LogEntry]:
        """The unfinished line of a stream as an entry of its own."""
        rest, self._pending[stream] = self._pending[stream], b""
        entries: list[LogEntry] = []
        if rest:
            self._add(entries, stream, rest)
        return entries

    def _add(self, entries: list[LogEntry], stream: int, line: bytes) -> None:
        parts = [line]
        if len(line) > LINE_BYTES:
            parts = [line[start : start + LINE_BYTES] for start in range(0, len(line), LINE_BYTES)]
        for part in parts:
            self._consumed[stream] += len(part)
            entries.append(LogEntry(stream, self._times[stream], part, self.position))


class Pump:
    """One run of one container. ``start`` is the position from which its spool is read."""

    def __init__(self, spool: Path, driver: LogDriver, start: Position) -> None:
        self._reader = SpoolReader(spool, start.stdout, start.stderr)
        self._driver = driver
        self._splitter = LineSplitter(start)
        self._unlogged: list[LogEntry] = []
        self._undelivered: list[Chunk] = []
        self._since_discard = 0

    def step(self, *, is_last: bool = False) -> Batch:
        """Move what is in the spool just now. StorageFull: the log took nothing; call again to try again.

        ``is_last``: nobody writes to the spool any more. What is there is all there is, ended or not.
        """
        taken = 0 if self._unlogged else self._take()
        if is_last and taken < _STEP_BYTES:
            self._flush()
        while self._unlogged:
            del self._unlogged[: self._driver.append(self._unlogged)]
        if taken and not any(self._splitter.pending.values()):
            self._reader.discard_consumed()
            self._since_discard = 0
        chunks, self._undelivered = self._undelivered, []
        return Batch(
            chunks,
            self._splitter.position,
            self._splitter.pending,
            is_full=taken >= _STEP_BYTES,
            is_finished=self._reader.is_finished or (is_last and taken < _STEP_BYTES),
        )

    def close(self) -> None:
        self._reader.close()
        self._driver.close()

    def _take(self) -> int:
        taken = 0
        for record in self._reader.read(_STEP_BYTES):
            taken += len(record.data)
            if record.data:
                self._undelivered.append(Chunk(record.stream, record.data))
            self._unlogged += self._splitter.feed(record)
        self._since_discard += taken
        if self._since_discard >= SEGMENT_BYTES:
            # The start of a line that has not ended may lie in any segment, and so keeps them all. Once a
            # segment's worth of other output has passed it, it is logged as it stands: else it would hold up
            # the container.
            self._flush()
        return taken

    def _flush(self) -> None:
        for stream in (STDOUT, STDERR):
            self._unlogged += self._splitter.flush(stream)
