"""Log drivers: where the lines of a container go. One interface, one contract suite (tests/contracts).

A driver is blocking and has one writer, the pump. Readers are independent of it and of each other: they work
on what is on disk, while it is written or long after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rundlet.engine.logs.entry import LogEntry, Position
from rundlet.engine.logs.json_file import JsonFileDriver, JsonFileReader, read_options
from rundlet.errors import InvalidArgument, NotImplementedHere

__all__ = ["LogDriver", "LogReader", "NoneDriver", "check_driver", "log_path", "open_driver", "open_reader"]


class LogDriver(Protocol):
    """The writing side."""

    def position(self) -> Position:
        """What of the output is in the log. After a kill at any instant it is true: what was torn is gone."""

    def append(self, entries: Sequence[LogEntry]) -> int:
        """Keep the first so many of them, at least one, and say how many. StorageFull: none."""

    def close(self) -> None: ...


class LogReader(Protocol):
    """The reading side: from the ``tail``-th last entry on, across rotations."""

    def read(self, max_bytes: int = ...) -> list[LogEntry]:
        """The next entries in order; an empty list when there is nothing just now, or it is closed."""

    def close(self) -> None:
        """At any time, even while another thread reads: its client has gone, and it is not waited for."""


class NoneDriver:
    """Keeps nothing."""

    def position(self) -> Position:
        return Position()

    def append(self, entries: Sequence[LogEntry]) -> int:
        return len(entries)

    def close(self) -> None:
        pass


def check_driver(name: str, options: Mapping[str, str]) -> None:
    """InvalidArgument, in Docker's words, for an unknown driver or option."""
    if name == "json-file":
        read_options(options)
    elif name != "none":
        raise InvalidArgument(f"logger: no log driver named '{name}' is registered")


def open_driver(
    name: str, options: Mapping[str, str], directory: Path, attributes: Mapping[str, str]
) -> LogDriver:
    """The driver of a container whose files are in ``directory``. Recovers what an earlier writer left torn."""
    if name == "none":
        return NoneDriver()
    return JsonFileDriver(directory, read_options(options), attributes)


def open_reader(name: str, directory: Path, tail: int | None) -> LogReader:
    """NotImplementedHere when the driver keeps nothing that could be read."""
    if name == "none":
        raise NotImplementedHere("configured logging driver does not support reading")
    return JsonFileReader(directory, tail)


def log_path(name: str, directory: Path) -> str:
    """What inspect calls ``LogPath``."""
    return str(directory / "log.json") if name == "json-file" else ""
