"""The supervisor proper: what each request does, and what a container's end does.

    Start ──▶ launching ──▶ running ──▶ exited ──▶ (Delete) ──▶ gone
                  │            └── Delete(force) ──▶ killed ──▶ exited …
                  └── fails, or its daemon goes away ──▶ gone

All state is here and in the kernel; a daemon that comes back gets it by Welcome and Reopen. A launch belongs to
the connection that asked for it, and dies with it: the daemon would not know what became of it.

What it will not do: restart anything, decide about limits, or keep a container's configuration beyond what an exec
needs.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from typing import Any

from rundlet.cgroups import Hierarchies
from rundlet.errors import Conflict, ContainerNotFound, ExecNotFound, InvalidArgument
from rundlet.runtime.messages import (
    PROTOCOL_VERSION,
    CloseStdin,
    Delete,
    Done,
    Exec,
    Exited,
    Failed,
    Forget,
    Hello,
    Message,
    Reopen,
    Shutdown,
    Signal,
    Start,
    Started,
    Welcome,
)
from rundlet.runtime.supervisor.connection import Connection
from rundlet.runtime.supervisor.container import Container
from rundlet.runtime.supervisor.failures import failed
from rundlet.runtime.supervisor.log import log, log_exception
from rundlet.runtime.supervisor.loop import Loop
from rundlet.runtime.supervisor.reaper import Reaper
from rundlet.runtime.supervisor.removal import remove_cgroup
from rundlet.runtime.supervisor.starter import Starter
from rundlet.runtime.supervisor.task import Task

STRANGERS_LIMIT = 8
"""Connections that have not said Hello."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""An id becomes the name of a cgroup."""


class Service:
    def __init__(self, loop: Loop, hierarchies: Hierarchies, cgroup_parent: str) -> None:
        self._loop = loop
        self._strangers: list[Connection] = []
        self._daemon: Connection | None = None
        self._containers: dict[str, Container] = {}
        self._on_deletable: dict[str, Callable[[], None]] = {}
        self._starter = Starter(loop, hierarchies, cgroup_parent)
        self._reaper = Reaper(loop, self._is_kept)
        self._null = os.open(os.devnull, os.O_RDWR)
        self._handlers: dict[type[Any], Callable[[Connection, Any], None]] = {
            Start: self._start,
            Exec: self._exec,
            Reopen: self._reopen,
            Signal: self._signal,
            CloseStdin: self._close_stdin,
            Forget: self._forget,
            Delete: self._delete,
            Shutdown: self._shutdown,
        }

    # ── connections ─────────────────────────────────────────────────────────────────────────────────────────

    def accept(self, sock: socket.socket) -> None:
        if len(self._strangers) >= STRANGERS_LIMIT:
            self._strangers[0].close()
        self._strangers.append(Connection(self._loop, sock, self._on_message, self._on_disconnect))

    def _on_disconnect(self, connection: Connection) -> None:
        if connection in self._strangers:
            self._strangers.remove(connection)
        if connection is self._daemon:
            self._daemon = None
        self._starter.abandon(connection)

    def _on_message(self, connection: Connection, message: Message) -> None:
        if isinstance(message, Hello):
            self._hello(connection, message)
            return
        handler = self._handlers.get(type(message))
        if handler is None or isinstance(message, Exited) or connection is not self._daemon:
            log(f"the daemon sent {type(message).__name__} out of turn; disconnected")
            connection.close()
            return
        try:
            handler(connection, message)
        except Exception as error:  # noqa: BLE001  the boundary of a request; failed() logs what nobody expected
            connection.send(failed(message.serial, type(message).__name__.lower(), error))

    def _hello(self, connection: Connection, message: Hello) -> None:
        if message.version != PROTOCOL_VERSION:
            words = f"this supervisor speaks version {PROTOCOL_VERSION} of the protocol, not {message.version}"
            connection.send(Failed(message.serial, "unsupported", "hello", words))
            connection.close()
            return
        if self._daemon and self._daemon is not connection:
            log("a new daemon takes over")
            self._daemon.close()
        if connection in self._strangers:
            self._strangers.remove(connection)
        self._daemon = connection
        states = [task.state() for container in self._containers.values() for task in container.tasks()]
        connection.send(Welcome(message.serial, PROTOCOL_VERSION, os.getpid(), states))

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, connection: Connection, request: Start) -> None:
        _check_name(request.container_id)
        if request.container_id in self._containers:
            raise Conflict(f"container {request.container_id} exists already")

        def started(container: Container) -> None:
            self._containers[request.container_id] = container
            self._answer(connection, request.serial, container, container.init)

        self._starter.start(connection, request, started, self._on_init_exit, self._on_launch_failed)

    def _exec(self, connection: Connection, request: Exec) -> None:
        _check_name(request.exec_id)
        container = self._container(request.container_id)
        if not container.is_running or container.is_being_deleted:
            raise Conflict(f"container {request.container_id} is not running")
        if request.exec_id in container.execs:
            raise Conflict(f"exec {request.exec_id} exists already")
        if container.cgroup.is_frozen():
            raise Conflict(f"container {request.container_id} is paused")

        def started(task: Task) -> None:
            if self._containers.get(request.container_id) is container:
                container.execs[request.exec_id] = task
                self._answer(connection, request.serial, container, task)
            else:
                task.close()
                error = Conflict(f"container {request.container_id} is not running")
                connection.send(failed(request.serial, "exec", error))

        self._starter.exec(connection, request, container, started, self._on_exec_exit, self._on_launch_failed)

    def _reopen(self, connection: Connection, request: Reopen) -> None:
        container = self._container(request.container_id)
        task = self._task(request.container_id, request.exec_id)
        self._answer(connection, request.serial, container, task)

    def _signal(self, connection: Connection, request: Signal) -> None:
        task = self._task(request.container_id, request.exec_id)
        if not 0 < request.signal <= signal.SIGRTMAX:
            raise InvalidArgument(f"no such signal: {request.signal}")
        if task.exit is not None:
            raise Conflict(f"{_words(task)} has exited")
        try:
            task.signal(request.signal)
        except ProcessLookupError:
            raise Conflict(f"{_words(task)} has exited") from None
        if request.signal == signal.SIGKILL and task.exec_id is None:
            self._container(request.container_id).cgroup.thaw()
        connection.send(Done(request.serial))

    def _close_stdin(self, connection: Connection, request: CloseStdin) -> None:
        self._task(request.container_id, request.exec_id).streams.close_stdin()
        connection.send(Done(request.serial))

    def _forget(self, connection: Connection, request: Forget) -> None:
        task = self._task(request.container_id, request.exec_id)
        if task.exit is None or task.exec_id is None:
            raise Conflict(f"{_words(task)} is still running")
        del self._container(request.container_id).execs[task.exec_id]
        task.close()
        connection.send(Done(request.serial))

    def _delete(self, connection: Connection, request: Delete) -> None:
        name = request.container_id
        container = self._container(name)
        if container.is_being_deleted:
            raise Conflict(f"container {name} is being deleted")
        if container.is_running and not request.force:
            raise Conflict(f"container {name} is running")
        container.is_being_deleted = True

        def removed(is_removed: bool) -> None:
            if is_removed:
                del self._containers[name]
                container.close()
                self._reaper.scan()
                connection.send(Done(request.serial))
            else:
                container.is_being_deleted = False
                words = f"cgroup {container.cgroup.path} is still in use"
                connection.send(Failed(request.serial, "system", "delete", words))

        def remove() -> None:
            remove_cgroup(self._loop, container.cgroup, removed)

        if container.is_running:
            self._on_deletable[name] = remove
            container.init.signal(signal.SIGKILL)
            container.cgroup.kill()
        else:
            remove()

    def _shutdown(self, connection: Connection, request: Shutdown) -> None:
        if self.is_busy:
            raise Conflict(f"{len(self._containers)} containers are left")
        connection.send(Done(request.serial))
        self._loop.stop()

    @property
    def is_busy(self) -> bool:
        """Whether there is a container, or one in the making."""
        return bool(self._containers) or self._starter.is_busy

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────

    def _on_init_exit(self, init: Task) -> None:
        container = self._containers[init.container_id]
        try:
            container.settle()
        except Exception:  # noqa: BLE001  the boundary of an event: whatever went wrong, it has ended
            log_exception(f"end of container {init.container_id}")
        self._publish(init)
        if remove := self._on_deletable.pop(init.container_id, None):
            remove()

    def _on_exec_exit(self, task: Task) -> None:
        self._publish(task)

    def _publish(self, task: Task) -> None:
        self._reaper.scan()
        if self._daemon:
            self._daemon.send(Exited(task.state()))

    def _on_launch_failed(self, answer: Failed, connection: Connection) -> None:
        self._reaper.scan()
        connection.send(answer)

    def _is_kept(self, pid: int) -> bool:
        return self._starter.is_launching(pid) or any(
            task.pid == pid and task.exit is None
            for container in self._containers.values()
            for task in container.tasks()
        )

    # ── lookups ─────────────────────────────────────────────────────────────────────────────────────────────

    def _container(self, container_id: str) -> Container:
        try:
            return self._containers[container_id]
        except KeyError:
            raise ContainerNotFound(container_id) from None

    def _task(self, container_id: str, exec_id: str | None) -> Task:
        container = self._container(container_id)
        if exec_id is None:
            return container.init
        try:
            return container.execs[exec_id]
        except KeyError:
            raise ExecNotFound(exec_id) from None

    def _answer(self, connection: Connection, serial: int, container: Container, task: Task) -> None:
        """Started, with the descriptors that the protocol promises; /dev/null stands for one that is closed."""
        streams = task.streams
        fds = [task.pidfd]
        ends: list[int | None] = []
        if task.exec_id is None:
            fds.append(container.notify)
        if streams.stdio.terminal:
            ends.append(streams.console)
        else:
            if streams.stdio.stdin:
                ends.append(streams.stdin)
            if task.exec_id is not None:
                ends += [streams.stdout, streams.stderr]
        fds += [self._null if end is None else end for end in ends]
        connection.send(Started(serial, task.state()), fds)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"not an id: {name!r}")


def _words(task: Task) -> str:
    return f"container {task.container_id}" if task.exec_id is None else f"exec {task.exec_id}"
