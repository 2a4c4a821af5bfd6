"""What a client may do with a container's streams: read its log, attach to it, resize its terminal."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
import time
from collections.abc import AsyncIterator
from pathlib import Path

from rundlet.engine.attach import AttachSession
from rundlet.engine.config import EngineConfig
from rundlet.engine.container import Status
from rundlet.engine.detach_keys import parse_keys
from rundlet.engine.events import Events
from rundlet.engine.logs.driver import LogReader, open_reader
from rundlet.engine.logs.entry import STDERR, STDOUT, LogEntry, LogOptions
from rundlet.engine.output import Output
from rundlet.engine.registry import Entry
from rundlet.engine.session import AttachOptions, Session
from rundlet.engine.supervisor import Supervisor
from rundlet.engine.tasks import Tasks
from rundlet.errors import ContainerNotRunning, ContainerStateConflict, InvalidArgument, RundletError

__all__ = ["Outputs", "set_window_size"]


class Outputs:
    def __init__(self, config: EngineConfig, supervisor: Supervisor, events: Events, tasks: Tasks) -> None:
        self._config = config
        self._supervisor = supervisor
        self._events = events
        self._tasks = tasks

    def read_log(self, entry: Entry, options: LogOptions) -> AsyncIterator[LogEntry]:
        """What can be wrong with the request is raised at once."""
        if not (options.stdout or options.stderr):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        follower = entry.output if options.follow else None
        reader = self._open_log(entry, options.tail)
        return self._follow(reader, options, follower)

    async def attach(self, entry: Entry, options: AttachOptions) -> Session:
        """A container that does not run is waited for. ContainerStateConflict when it is paused or restarting."""
        container = entry.container
        status = container.state.visible
        if status in (Status.PAUSED, Status.RESTARTING):
            raise ContainerStateConflict(
                container.name, status.value, "attach to", "unpause the container before attaching"
            )
        keys = parse_keys(options.detach_keys) if container.is_tty else b""
        replay = self._open_log(entry, None) if options.logs else None
        session = AttachSession(entry, options, keys, replay, self._supervisor, self._tasks, self._detached)
        self._events.emit_container("attach", container)
        return session

    def resize(self, entry: Entry, height: int, width: int) -> None:
        """InvalidArgument for a bad size, ContainerNotRunning. Without a terminal it does nothing."""
        container = entry.container
        if not container.state.has_process:
            raise ContainerNotRunning(container.id)
        if entry.output.console is None:
            return
        set_window_size(entry.output.console, height, width)
        self._events.emit_container("resize", container, height=str(height), width=str(width))

    def _open_log(self, entry: Entry, tail: int | None) -> LogReader:
        settings = entry.container.definition.log
        return open_reader(settings.driver, self._directory(entry), tail)

    def _directory(self, entry: Entry) -> Path:
        return self._config.container_dir(entry.id)

    async def _follow(
        self, reader: LogReader, options: LogOptions, output: Output | None
    ) -> AsyncIterator[LogEntry]:
        wanted = {stream for stream, asked in ((STDOUT, options.stdout), (STDERR, options.stderr)) if asked}
        try:
            while True:
                version, is_live = (output.log_version, output.is_live) if output else (0, False)
                entries = await self._tasks.in_thread(reader.read)
                for entry in entries:
                    if options.until_ns and entry.time_ns > options.until_ns:
                        return
                    if entry.stream in wanted and entry.time_ns >= options.since_ns:
                        yield entry
                if entries:
                    continue
                if output is None or not is_live or not await _grew(output, version, options.until_ns):
                    return
        finally:
            reader.close()

    def _detached(self, entry: Entry) -> None:
        self._events.emit_container("detach", entry.container)


async def _grew(output: Output, version: int, until_ns: int) -> bool:
    """Wait for more of the log. False once ``until_ns`` has come."""
    timeout = (until_ns - time.time_ns()) / 1e9 if until_ns else None
    if timeout is not None and timeout <= 0:
        return False
    try:
        async with asyncio.timeout(timeout):
            await output.wait_log_grew(version)
    except TimeoutError:
        return False
    return True


def set_window_size(console: int, height: int, width: int) -> None:
    """Rows and columns of a terminal (ioctl_tty(2)). InvalidArgument."""
    if not (0 <= height <= 0xFFFF and 0 <= width <= 0xFFFF):
        raise InvalidArgument(f"terminal size {height}x{width} is out of range")
    try:
        fcntl.ioctl(console, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    except OSError as error:
        raise RundletError(f"cannot resize the terminal: {error}") from error
