"""Execs: further programs in a running container.

    create ──► record, committed
    start  ──► Exec ──► Started + descriptors ──► session ──► bytes to the client, on demand
                  └───► Failed ──► the reason in the stream, exit code 126 or 127
    Exited ──► exit code committed ──► what is left in the pipes ──► the session's output ends

An exec's output goes nowhere else: there is no log, and a client that does not read is waited for by the
program alone. When the client has gone, and after the end, the rest is read and dropped, so that a program
that was left behind in the background is not killed by its own output.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

from rundlet.engine.container import Status
from rundlet.engine.core import Core
from rundlet.engine.detach_keys import parse_keys
from rundlet.engine.exec_record import ExecRecord
from rundlet.engine.exec_session import ExecSession, FailedSession, Streams
from rundlet.engine.outputs import set_window_size
from rundlet.engine.registry import Entry
from rundlet.engine.session import Session
from rundlet.engine.spec import build_exec_process
from rundlet.engine.supervisor import SupervisorLost
from rundlet.errors import (
    Conflict,
    ContainerNotRunning,
    ContainerStateConflict,
    ExecNotFound,
    InvalidArgument,
    NotFound,
    RundletError,
    StartFailed,
)
from rundlet.runtime import messages
from rundlet.runtime.messages import ExitStatus, Stdio, TaskState
from rundlet.wire.documents import ExecCreateRequest, ExecInspect, ExecProcessConfig, ExecStartRequest

__all__ = ["Execs"]

_log = logging.getLogger(__name__)

_KEPT_S = 5 * 60.0
"""How long a finished exec can still be inspected."""
_UNSTARTED_KEPT_S = 60 * 60.0
_CANNOT_INVOKE = 126
_KILLED = 137


class Execs:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._records: dict[str, ExecRecord] = {}
        self._streams: dict[str, Streams] = {}
        self._expiry: asyncio.Task[None] | None = None

    # what clients ask

    async def create(self, container_ref: str, request: ExecCreateRequest) -> str:
        """The id. ContainerNotRunning, ContainerStateConflict (paused), InvalidArgument (no command)."""
        entry = self._core.registry.resolve(container_ref)
        _check_running(entry)
        if not request.Cmd or not request.Cmd[0]:
            raise InvalidArgument("No exec command specified")
        parse_keys(request.DetachKeys)
        size = request.ConsoleSize
        record = ExecRecord(
            id=secrets.token_hex(32),
            container_id=entry.id,
            run=entry.container.state.run,
            created_ns=time.time_ns(),
            args=request.Cmd,
            env=request.Env or [],
            user=request.User,
            working_dir=request.WorkingDir,
            privileged=request.Privileged,
            tty=request.Tty,
            console_size=(size[0], size[1]) if size and len(size) == 2 else None,
            detach_keys=request.DetachKeys,
            stdin=request.AttachStdin,
            stdout=request.AttachStdout,
            stderr=request.AttachStderr,
        )
        await self._core.store.put_exec(record)
        self._records[record.id] = record
        self._emit(entry, record, "exec_create")
        return record.id

    async def start(self, exec_id: str, request: ExecStartRequest) -> Session | None:
        """None when detached. A program that cannot be started is not an error of an attached start: the
        session yields the reason on stdout, and the exit code is 126 or 127. Conflict when it has already run.
        """
        return await self._core.tasks.run_to_end(self._start(exec_id, request), _close)

    def inspect(self, exec_id: str) -> ExecInspect:
        record = self._find(exec_id)
        return ExecInspect(
            ID=record.id,
            ContainerID=record.container_id,
            Running=record.is_running,
            ExitCode=record.exit_code,
            ProcessConfig=ExecProcessConfig(
                record.tty, record.args[0], record.args[1:], record.privileged, record.user
            ),
            OpenStdin=record.stdin,
            OpenStdout=record.stdout,
            OpenStderr=record.stderr,
            CanRemove=record.exit_code is not None,
            DetachKeys=record.detach_keys,
            Pid=record.pid,
        )

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        record = self._find(exec_id)
        streams = self._streams.get(exec_id)
        if not record.is_running or streams is None:
            raise Conflict(f"exec {exec_id} is not running")
        if (console := streams.console) is not None:
            set_window_size(console, height, width)

    # what happens to them

    def exited(self, task: TaskState) -> None:
        """The supervisor's word."""
        record = self._records.get(task.exec_id or "")
        if record is None:
            self._core.tasks.spawn(self._forget(task.container_id, task.exec_id or ""), "forgetting an exec")
        elif record.exit_code is None and task.exit is not None:
            self._core.tasks.spawn(self._finish(record, task.exit), f"end of exec {record.id}")

    def container_ended(self, entry: Entry) -> None:
        """Its processes are gone; an exec whose exit was not told died with it."""
        for exec_id in tuple(entry.exec_ids):
            record = self._records.get(exec_id)  # None: forgotten, and what it started holds its pipes still
            if record is not None and record.is_running:
                exit_ = ExitStatus(_KILLED, 9, at_ns=time.time_ns())
                self._core.tasks.spawn(self._finish(record, exit_), f"end of exec {exec_id}")

    async def load(self, tasks: dict[str, TaskState]) -> None:
        """At start-up: the stored execs, against those that the supervisor holds."""
        for record in self._core.store.load_execs():
            self._records[record.id] = record
            task = tasks.get(record.id)
            entry = self._core.registry.get(record.container_id)
            if record.exit_code is None and record.started:
                if task is None or entry is None:
                    record.exit_code = _KILLED
                    self._core.store.put_exec_soon(record)
                    continue
                await self._adopt(entry, record, task)
        self._expiry = self._core.tasks.spawn(self._expire(), "expiry of finished execs")

    def abandon(self) -> None:
        """The daemon ends; the programs do not."""
        if self._expiry is not None:
            self._expiry.cancel()
        for streams in self._streams.values():
            streams.close()

    # how

    async def _start(self, exec_id: str, request: ExecStartRequest) -> Session | None:
        record = self._find(exec_id)
        if record.started:
            state = "is already running" if record.is_running else "has already run"
            raise Conflict(f"exec command {exec_id} {state}")
        entry = self._core.registry.resolve(record.container_id)
        _check_running(entry)
        if record.run != entry.container.state.run:
            raise ContainerNotRunning(entry.id)
        record.started = True
        size = request.ConsoleSize
        if size and len(size) == 2:
            record.console_size = (size[0], size[1])
        self._core.store.put_exec_soon(record)
        self._emit(entry, record, "exec_start")
        try:
            streams = await self._launch(entry, record)
        except (RundletError, OSError) as error:
            return await self._failed(record, error, is_detached=request.Detach)
        if request.Detach or not (record.stdin or record.stdout or record.stderr):
            self._core.tasks.spawn(streams.discard(), f"output of exec {exec_id}")
            return None
        keys = parse_keys(record.detach_keys) if record.tty else b""
        return ExecSession(
            record, streams, keys, self._core.tasks, on_detach=lambda: self._detached(entry, record)
        )

    async def _launch(self, entry: Entry, record: ExecRecord) -> Streams:
        stdio = Stdio(terminal=record.tty, stdin=record.stdin, console_size=record.console_size)
        request = messages.Exec(0, entry.id, record.id, build_exec_process(entry.container, record), stdio)
        entry.exec_ids.add(record.id)
        try:
            running = await self._core.supervisor.exec(request)
        except BaseException:
            entry.exec_ids.discard(record.id)
            raise
        record.pid = running.task.pid
        return self._keep_streams(record, running.fds)

    async def _adopt(self, entry: Entry, record: ExecRecord, task: TaskState) -> None:
        """Its client went with the earlier daemon: read on, so that it does not block, and await its end."""
        entry.exec_ids.add(record.id)
        running = await self._core.supervisor.reopen(entry.id, record.id)
        record.pid = task.pid
        streams = self._keep_streams(record, running.fds)
        self._core.tasks.spawn(streams.discard(), f"output of exec {record.id}")
        if task.exit is not None:
            self.exited(task)

    def _keep_streams(self, record: ExecRecord, fds: list[int]) -> Streams:
        pidfd, *rest = fds
        os.close(pidfd)
        streams = self._streams[record.id] = Streams.of(record, rest, self._core.supervisor)
        return streams

    async def _failed(self, record: ExecRecord, error: RundletError | OSError, *, is_detached: bool) -> Session:
        record.exit_code = error.exit_code if isinstance(error, StartFailed) else _CANNOT_INVOKE
        record.finished_ns = time.time_ns()
        await self._core.store.put_exec(record)
        if is_detached:
            raise error
        return FailedSession(f"OCI runtime exec failed: {error}", tty=record.tty)

    async def _finish(self, record: ExecRecord, exit_: ExitStatus) -> None:
        """Record, end the session; and let the supervisor forget it once nothing writes any more."""
        if record.exit_code is not None:
            return
        streams = self._streams.get(record.id)
        record.exit_code = exit_.code
        record.finished_ns = exit_.at_ns or time.time_ns()
        entry = self._core.registry.get(record.container_id)
        try:
            await self._core.store.put_exec(record)
        finally:
            if streams is not None:
                streams.program_ended()
        if entry is not None:
            self._core.events.emit_container(
                "exec_die", entry.container, execID=record.id, exitCode=str(exit_.code)
            )
        if streams is not None:
            await streams.wait_drained()  # what it left behind may still be writing
        self._streams.pop(record.id, None)
        if entry is not None:
            entry.exec_ids.discard(record.id)
        await self._forget(record.container_id, record.id)

    async def _forget(self, container_id: str, exec_id: str) -> None:
        with suppress(NotFound, SupervisorLost):
            await self._core.supervisor.forget(container_id, exec_id)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_KEPT_S / 5)
            old = [record.id for record in self._records.values() if self._is_over(record, time.time_ns())]
            if old:
                await self._expel(old)

    async def _expel(self, exec_ids: Sequence[str]) -> None:
        try:
            await self._core.store.delete_execs(exec_ids)
        except RundletError as error:
            _log.warning("%d finished execs are not forgotten yet: %s", len(exec_ids), error)
            return
        for exec_id in exec_ids:
            del self._records[exec_id]

    def _is_over(self, record: ExecRecord, now_ns: int) -> bool:
        if self._core.registry.get(record.container_id) is None:
            return True
        if not record.started:
            return record.created_ns < now_ns - int(_UNSTARTED_KEPT_S * 1e9)
        return 0 < record.finished_ns < now_ns - int(_KEPT_S * 1e9)

    def _detached(self, entry: Entry, record: ExecRecord) -> None:
        self._core.events.emit_container("exec_detach", entry.container, execID=record.id)

    def _emit(self, entry: Entry, record: ExecRecord, action: str) -> None:
        self._core.events.emit_container(f"{action}: {' '.join(record.args)}", entry.container, execID=record.id)

    def _find(self, exec_id: str) -> ExecRecord:
        record = self._records.get(exec_id)
        if record is None or self._core.registry.get(record.container_id) is None:
            raise ExecNotFound(exec_id)
        return record


async def _close(session: Session | None) -> None:
    if session is not None:
        await session.close()


def _check_running(entry: Entry) -> None:
    container = entry.container
    if not container.state.is_up:
        raise ContainerNotRunning(container.id)
    if container.state.status is not Status.RUNNING:
        raise ContainerStateConflict(
            container.name, container.state.visible.value, "exec in", "unpause the container before exec"
        )
