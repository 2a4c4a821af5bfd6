"""The spool: where a container's output waits, on disk, until the daemon has put it into the log.

    DATA/containers/<id>/spool/
        00000001                segments of about 4 MiB, numbered without gaps
        00000002                the newest is being written
            record  record  record …

    record:  0        1        2        4        8              16                24
             ┌────────┬────────┬────────┬────────┬───────────────┬────────────────┬──────────
             │ 0xB7   │ kind   │ crc16  │ length │ time_ns       │ stream_offset  │ data …
             └────────┴────────┴────────┴────────┴───────────────┴────────────────┴──────────
             kind: 1 stdout, 2 stderr, +0x80 at the end of the stream (no data)
             stream_offset: bytes of that stream before this record. Little-endian.

The supervisor is the only writer. It moves bytes from the pipe straight into the file, behind the room for
a header, and then writes the header: **the header is the commit**. Bytes therefore leave the pipe only into
something that outlives the daemon, and a record that was torn by a kill has no header.

The daemon is the only reader. It keeps the offsets that it has consumed in its log, beside the lines, and
after a restart goes on from there; it removes segments that are consumed as a whole. There is no lock: each
side only ever does what cannot hurt the other.

Backpressure: while :data:`BACKLOG_SEGMENTS` older segments wait for the reader, or the disk is full, the writer
raises :class:`SpoolBlocked` and the pipe stays full; that container waits, and nobody else.

What it will not do: sync to disk (a container does not survive the machine, its output up to the last sync
does), split lines, or wait.
"""

from __future__ import annotations

import binascii
import os
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

__all__ = ["STDERR", "STDOUT", "Record", "SpoolBlocked", "SpoolReader", "SpoolWriter"]

STDOUT = 1
STDERR = 2

SEGMENT_BYTES = 4 * 1024 * 1024
"""A segment that has reached this size gets no further record."""
BACKLOG_SEGMENTS = 16
RECORD_BYTES = 64 * 1024
"""The most data that one record takes: the default capacity of a pipe."""

_MAGIC = 0xB7
_END = 0x80
_HEADER = struct.Struct("<BBHIQQ")
_HEADER_BYTES = _HEADER.size


@dataclass(frozen=True, slots=True)
class Record:
    stream: int
    """:data:`STDOUT` or :data:`STDERR`."""
    time_ns: int
    """CLOCK_REALTIME when the bytes left the pipe."""
    data: bytes
    end_offset: int
    """Bytes of this stream up to the end of this record: the offset to go on from once it is consumed."""
    closed: bool = False
    """The stream has ended; ``data`` is empty."""


class SpoolBlocked(Exception):
    """The spool takes nothing now; try again later. ``reason``: ``"backlog"`` or what the kernel said."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class SpoolWriter:
    """Appends to the spool in ``directory``, which exists and is empty.

    ``notify``: an eventfd (non-blocking, the caller's) that is signalled after each commit.

    A method that raises :class:`SpoolBlocked` has taken nothing and may be called again.
    """

    def __init__(self, directory: str, notify: int | None = None) -> None:
        self._directory = directory
        self._notify = notify
        self._segment = 0
        self._fd = -1
        self._position = 0
        self._offsets = {STDOUT: 0, STDERR: 0}
        self._unwritten: list[tuple[int, bytes]] = []
        """Position and bytes of writes that belong to a record already taken: they go first, and in this order."""

    def splice(self, stream: int, pipe: int) -> int | None:
        """Move what ``pipe`` (non-blocking) holds, at most :data:`RECORD_BYTES`, into one record.

        Returns the number of bytes, 0 at the end of the pipe, None when it is empty just now. No byte passes
        through this process.
        """
        self.make_room()
        try:
            count = os.splice(
                pipe,
                self._fd,
                RECORD_BYTES,
                offset_dst=self._position + _HEADER_BYTES,
                flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE,
            )
        except BlockingIOError:
            return None
        except OSError as error:
            raise SpoolBlocked(str(error)) from error
        if count:
            self._commit(stream, count)
        return count

    def write(self, stream: int, data: bytes) -> None:
        """Append ``data``, which the caller read from a terminal (a terminal cannot be spliced).

        Keeps what a full disk refuses and raises nothing: call :meth:`make_room` before reading the terminal.
        """
        self._unwritten.append((self._position + _HEADER_BYTES, data))
        self._commit(stream, len(data))

    def end(self, stream: int) -> None:
        """Record that the stream has ended."""
        self.make_room()
        self._commit(stream | _END, 0)

    def make_room(self) -> None:
        """Have an open segment with room for a record, and nothing unwritten before it."""
        if self._unwritten:
            try:
                self._flush()
            except OSError as error:
                raise SpoolBlocked(str(error)) from error
        if self._fd < 0 or self._position >= SEGMENT_BYTES:
            self._open_next_segment()

    def close(self) -> None:
        """Release the segment. A record that a full disk kept from being committed is dropped."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_next_segment(self) -> None:
        try:
            if self._segment >= BACKLOG_SEGMENTS and len(os.listdir(self._directory)) > BACKLOG_SEGMENTS:
                raise SpoolBlocked("backlog")
            # O_EXCL: a segment that is already there belongs to an earlier run, and its offsets are not ours.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            fd = os.open(_segment_path(self._directory, self._segment + 1), flags, 0o600)
        except OSError as error:
            raise SpoolBlocked(str(error)) from error
        self.close()
        self._fd = fd
        self._segment += 1
        self._position = 0

    def _commit(self, kind: int, length: int) -> None:
        stream = kind & ~_END
        header = _pack_header(kind, length, time.time_ns(), self._offsets[stream])
        self._unwritten.append((self._position, header))
        self._position += _HEADER_BYTES + length
        self._offsets[stream] += length
        try:
            self._flush()
        except OSError:
            return  # the data is ours already; the next call of make_room() tries again and reports

    def _flush(self) -> None:
        while self._unwritten:
            position, data = self._unwritten[0]
            count = os.pwrite(self._fd, data, position)
            if count == len(data):
                del self._unwritten[0]
            else:
                self._unwritten[0] = (position + count, data[count:])
        if self._notify is not None:
            with suppress(BlockingIOError):  # the counter is at its maximum: the reader has been told often enough
                os.eventfd_write(self._notify, 1)


class SpoolReader:
    """Reads the spool in ``directory`` on from where the given offsets say that it was consumed.

    Works while the writer writes, and after either side was killed at any point. Not thread-safe.
    """

    def __init__(self, directory: str | os.PathLike[str], stdout_offset: int = 0, stderr_offset: int = 0) -> None:
        self._directory = os.fspath(directory)
        self._consumed = {STDOUT: stdout_offset, STDERR: stderr_offset}
        self._segment = 0
        self._fd = -1
        self._position = 0
        self._open_streams = {STDOUT, STDERR}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_finished(self) -> bool:
        """Both streams have ended and everything was read. (A terminal's stderr ends when it does.)"""
        return not self._open_streams

    def read(self, max_bytes: int = 1024 * 1024) -> list[Record]:
        """Records that are committed and not yet consumed, in the order in which they were written.

        Stops at the first record that reaches ``max_bytes``; an empty list means that nothing is there now.
        """
        records: list[Record] = []
        total = 0
        while total < max_bytes and (header := self._next_header()):
            kind, length, time_ns, offset = header
            stream = kind & ~_END
            end = offset + length
            skip = max(0, self._consumed[stream] - offset)
            if kind & _END:
                self._open_streams.discard(stream)
                records.append(Record(stream, time_ns, b"", end, closed=True))
            elif skip < length:
                data = _read_exactly(self._fd, length - skip, self._position + _HEADER_BYTES + skip)
                if data is None:
                    break
                records.append(Record(stream, time_ns, data, end))
                total += len(data)
                self._consumed[stream] = end
            self._position += _HEADER_BYTES + length
        return records

    def discard_consumed(self) -> None:
        """Remove the segments before the one being read. What :meth:`read` has returned must be safe elsewhere.

        The segment being read stays: it is where the numbering goes on.
        """
        for number in _segments(self._directory):
            if number < self._segment:
                os.unlink(_segment_path(self._directory, number))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _next_header(self) -> tuple[int, int, int, int] | None:
        if self._fd < 0 and not self._open_first():
            return None
        while True:
            if header := self._header_here():
                return header
            if not os.path.exists(_segment_path(self._directory, self._segment + 1)):
                return None
            # Nothing is added to a segment once the next one exists. Only what is read *after* seeing that
            # proves this one to be at its end: a record may have come between the two looks.
            if header := self._header_here():
                return header
            self._open(self._segment + 1)

    def _header_here(self) -> tuple[int, int, int, int] | None:
        return _unpack_header(os.pread(self._fd, _HEADER_BYTES, self._position))

    def _open_first(self) -> bool:
        segments = _segments(self._directory)
        if segments:
            self._open(segments[0])
        return bool(segments)

    def _open(self, number: int) -> None:
        fd = os.open(_segment_path(self._directory, number), os.O_RDONLY | os.O_NOFOLLOW)
        self.close()
        self._fd = fd
        self._segment = number
        self._position = 0


def _segment_path(directory: str, number: int) -> str:
    return f"{directory}/{number:08d}"


def _segments(directory: str) -> list[int]:
    return sorted(int(name) for name in os.listdir(directory) if name.isdecimal())


def _pack_header(kind: int, length: int, time_ns: int, offset: int) -> bytes:
    header = _HEADER.pack(_MAGIC, kind, 0, length, time_ns, offset)
    return _HEADER.pack(_MAGIC, kind, binascii.crc_hqx(header, 0), length, time_ns, offset)


def _unpack_header(data: bytes) -> tuple[int, int, int, int] | None:
    """Kind, length, time and offset; None where no header is committed.

    The checksum tells a header from one that is half visible (the kernel does not promise that a write of 24 bytes
    appears at once to a reader of the same file) and from what a crash of the machine leaves.
    """
    if len(data) < _HEADER_BYTES or data[0] != _MAGIC:
        return None
    _, kind, check, length, time_ns, offset = _HEADER.unpack(data)
    if check != binascii.crc_hqx(_HEADER.pack(_MAGIC, kind, 0, length, time_ns, offset), 0):
        return None
    return kind, length, time_ns, offset


def _read_exactly(fd: int, count: int, position: int) -> bytes | None:
    """The data of a committed record; None if the machine crashed before the disk had all of it."""
    data = os.pread(fd, count, position)
    while len(data) < count:
        more = os.pread(fd, count - len(data), position + len(data))
        if not more:
            return None
        data += more
    return data
