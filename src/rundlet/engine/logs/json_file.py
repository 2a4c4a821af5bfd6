"""The ``json-file`` driver: Docker's lines, rotated, with a note of how much of the output they cover.

    DATA/containers/<id>/
        log.json        being written          {"log":"hi\\n","stream":"stdout","time":"…","at":[1,3,0]}
        log.1.json      rotated once           … newest of the older ones
        log.2.json      …                      the oldest

``log``, ``stream``, ``time`` and ``attrs`` are Docker's. Two more are ours: ``at`` is the position (run, bytes of
stdout, bytes of stderr) that the log has reached with this line, and ``raw`` holds base64 of a line that is not
UTF-8, whose ``log`` is only legible. The writer never rewrites a line. A line without its newline was torn and
counts for nothing; the next writer cuts it off.
"""

from __future__ import annotations

import base64
import calendar
import errno
import functools
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rundlet.engine.logs.entry import STDERR, STDOUT, LogEntry, Position, format_time
from rundlet.errors import InvalidArgument, StorageFull
from rundlet.wire.sizes import parse_decimal

__all__ = ["JsonFileDriver", "JsonFileOptions", "JsonFileReader", "read_options"]

_STREAM_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
_STREAMS = {name: stream for stream, name in _STREAM_NAMES.items()}
_KNOWN = frozenset(
    {"max-size", "max-file", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "compress"}
)
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class JsonFileOptions:
    max_bytes: int | None = None
    """A file that has reached this size is rotated; None: never."""
    max_files: int = 1


def read_options(options: Mapping[str, str]) -> JsonFileOptions:
    """``max-size`` and ``max-file``. ``compress`` is taken and does nothing."""
    for name in options:
        if name not in _KNOWN:
            raise InvalidArgument(f"unknown log opt '{name}' for json-file log driver")
    size, files = options.get("max-size", "-1"), options.get("max-file", "1")
    try:
        max_files = int(files)
    except ValueError:
        raise InvalidArgument(f"invalid value for max-file: {files}") from None
    if max_files < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    if size in ("", "-1"):
        return JsonFileOptions()  # with any max-file: as in Docker, what does not grow too large is not rotated
    max_bytes = parse_decimal(size)
    if max_bytes <= 0:
        raise InvalidArgument(f"invalid value for max-size: {size}")
    return JsonFileOptions(max_bytes, max_files)


class _Line(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    log: str
    stream: str
    time: str
    attrs: dict[str, str] | None = None
    raw: str | None = None
    at: tuple[int, int, int] = (0, 0, 0)


_encode_into = msgspec.json.Encoder().encode_into
_decode = msgspec.json.Decoder(_Line).decode


class JsonFileDriver:
    def __init__(self, directory: Path, options: JsonFileOptions, attributes: Mapping[str, str]) -> None:
        self._directory = directory
        self._options = options
        self._attributes = dict(attributes) or None
        self._fd = -1
        self._size = 0
        with _room(directory):
            self._open_current()
        self._size = _cut_torn_line(self._fd)

    def position(self) -> Position:
        for path in _files(self._directory):
            with suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
                if (line := _last_line(file.fileno())) is not None:
                    return Position(*line.at)
        return Position()

    def append(self, entries: Sequence[LogEntry]) -> int:
        maximum = self._options.max_bytes
        rotates = maximum is not None and self._size >= maximum
        room = None if maximum is None else maximum if rotates else maximum - self._size
        text = bytearray()
        count = 0
        for entry in entries:
            _encode_into(_line_of(entry, self._attributes), text, -1)
            text += b"\n"
            count += 1
            if room is not None and len(text) >= room:
                break
        with _room(self._directory):
            if rotates:
                self._rotate(text)
            else:
                self._write(text)
        return count

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, text: bytearray) -> None:
        view = memoryview(text)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(text)

    def _rotate(self, text: bytearray) -> None:
        """Start the next file with ``text``: there is never a moment without a file that tells the position."""
        fresh = self._directory / "log.json.new"
        fd = os.open(fresh, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        old, old_size = self._fd, self._size
        self._fd, self._size = fd, 0
        try:
            self._write(text)
        except OSError:
            self._fd, self._size = old, old_size
            os.close(fd)
            os.unlink(fresh)
            raise
        for number in range(self._options.max_files - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.rename(_path(self._directory, number - 1), _path(self._directory, number))
        os.rename(fresh, _path(self._directory, 0))
        os.close(old)

    def _open_current(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(_path(self._directory, 0), flags, 0o640)


class JsonFileReader:
    """Holds the files it reads open: one that is rotated away meanwhile is read to its end.

    A reader that is slower than *all* the rotations goes on with the oldest file that is left.
    """

    def __init__(self, directory: Path, tail: int | None = None) -> None:
        self._directory = directory
        self._tail = tail
        self._fds: list[int] = []
        self._offset = 0
        self._reading = threading.Lock()
        self._is_closed = False

    def read(self, max_bytes: int = 4 * _BLOCK) -> list[LogEntry]:
        with self._reading:
            entries = [] if self._is_closed else self._read(max_bytes)
        if self._is_closed:
            self.close()
        return entries

    def close(self) -> None:
        """Does not wait for a read that is under way in another thread: that one then closes the files."""
        self._is_closed = True
        if self._reading.acquire(blocking=False):
            fds, self._fds = self._fds, []
            self._reading.release()
            for fd in fds:
                os.close(fd)

    def _read(self, max_bytes: int) -> list[LogEntry]:
        if not self._fds:
            self._fds = self._open_all()
            if self._tail is not None:
                self._seek_tail(self._tail)
                self._tail = None
        while self._fds:
            data = os.pread(self._fds[0], max_bytes, self._offset)
            if end := data.rfind(b"\n") + 1:
                self._offset += end
                if entries := list(_entries(data[:end])):
                    return entries
            elif len(data) == max_bytes:
                max_bytes *= 2
            elif not self._next_file():
                break
        return []

    def _open_all(self) -> list[int]:
        """Every file, oldest first. Newest opened first: a rotation in between shows one twice, and hides none."""
        fds: list[int] = []
        seen: set[int] = set()
        for path in _files(self._directory):
            with suppress(FileNotFoundError):
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                inode = os.fstat(fd).st_ino
                if inode in seen:
                    os.close(fd)
                else:
                    seen.add(inode)
                    fds.append(fd)
        return fds[::-1]

    def _next_file(self) -> bool:
        """Leave the file at whose end we are, if a newer one exists. Its writer was done with it before that."""
        if len(self._fds) == 1 and not self._look_for_newer():
            return False
        if os.fstat(self._fds[0]).st_size > self._offset and self._has_more_lines():
            return True
        os.close(self._fds.pop(0))
        self._offset = 0
        return True

    def _look_for_newer(self) -> bool:
        inode = os.fstat(self._fds[0]).st_ino
        found = self._open_all()
        inodes = [os.fstat(fd).st_ino for fd in found]
        newer = inodes.index(inode) + 1 if inode in inodes else 0
        for fd in found[:newer]:
            os.close(fd)
        self._fds += found[newer:]
        return len(self._fds) > 1

    def _has_more_lines(self) -> bool:
        """A line may have come between the look at the end and the look for a newer file."""
        return b"\n" in os.pread(self._fds[0], _BLOCK, self._offset)

    def _seek_tail(self, tail: int) -> None:
        """Drop files and set the offset so that ``tail`` lines are left."""
        left = tail
        for index in range(len(self._fds) - 1, -1, -1):
            offset, found = _offset_of_tail(self._fds[index], left)
            left -= found
            if left <= 0:
                for fd in self._fds[:index]:
                    os.close(fd)
                self._fds = self._fds[index:]
                self._offset = offset
                return


def _offset_of_tail(fd: int, count: int) -> tuple[int, int]:
    """Where the last ``count`` whole lines begin, and how many there are (0 and fewer when it has not so many)."""
    end = os.fstat(fd).st_size
    newlines = 0  # the last one ends the last line, so `count` lines begin after newline number count + 1
    position = end
    is_first = True
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            newlines += 1
            if is_first and count == 0:
                return start + at + 1, 0
            is_first = False
            if newlines == count + 1:
                return start + at + 1, count
        position = start
    return 0, newlines


def _line_of(entry: LogEntry, attributes: dict[str, str] | None) -> _Line:
    raw = None
    try:
        text = entry.data.decode()
    except UnicodeDecodeError:
        text = entry.data.decode(errors="replace")
        raw = base64.b64encode(entry.data).decode()
    at = entry.position
    return _Line(
        text,
        _STREAM_NAMES[entry.stream],
        format_time(entry.time_ns),
        attributes,
        raw,
        (at.run, at.stdout, at.stderr),
    )


def _entries(data: bytes) -> Iterator[LogEntry]:
    for text in data.splitlines():
        with suppress(msgspec.DecodeError, ValueError, KeyError):  # a line that something else has spoiled
            line = _decode(text)
            yield LogEntry(
                _STREAMS[line.stream],
                _parse_time(line.time),
                line.log.encode() if line.raw is None else base64.b64decode(line.raw),
                Position(*line.at),
                line.attrs or {},
            )


def _parse_time(text: str) -> int:
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return _unix_time(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])


@functools.lru_cache(maxsize=16)
def _unix_time(text: str) -> int:
    """Neighbouring lines share their second, and strptime is slow."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def _last_line(fd: int) -> _Line | None:
    """The last whole line that can be read; None when there is none."""
    size = os.fstat(fd).st_size
    block = _BLOCK
    while True:
        start = max(0, size - block)
        data = os.pread(fd, size - start, start)
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        for text in reversed(lines if start == 0 else lines[1:]):
            with suppress(msgspec.DecodeError):
                return _decode(text)
        if start == 0:
            return None
        block *= 4


def _cut_torn_line(fd: int) -> int:
    """Truncate what follows the last newline. Returns the size."""
    end = size = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        at = os.pread(fd, end - start, start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end < size:
        os.ftruncate(fd, end)
    return end


def _path(directory: Path, number: int) -> str:
    return f"{directory}/log.{number}.json" if number else f"{directory}/log.json"


def _files(directory: Path) -> list[str]:
    """Newest first. There may be more than ``max-file`` allows now; none when the container was removed."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    older = sorted(
        int(part)
        for name in names
        if name.startswith("log.") and name.endswith(".json") and (part := name[4:-5]).isdecimal()
    )
    return [_path(directory, number) for number in (0, *older)]


class _room:  # noqa: N801 - reads as a phrase
    """Turns "no space left" into StorageFull."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(str(self._directory), "writing the log") from error
