"""Bringing a container or an exec to life: everything from the request to the running task, or to nothing.

What it will not do: keep a container. It hands over what it has made, or unmakes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from rundlet.cgroups import Cgroup, Hierarchies
from rundlet.errors import Conflict
from rundlet.runtime.config import parse
from rundlet.runtime.launch import (
    ChildStdio,
    InitProcess,
    LaunchError,
    LaunchResult,
    launch_container,
    launch_exec,
)
from rundlet.runtime.messages import Exec, Failed, Start
from rundlet.runtime.supervisor.connection import Connection
from rundlet.runtime.supervisor.container import Container
from rundlet.runtime.supervisor.failures import failed
from rundlet.runtime.supervisor.filters import Filters
from rundlet.runtime.supervisor.launching import Launching
from rundlet.runtime.supervisor.limits import OwnLimits
from rundlet.runtime.supervisor.loop import Loop
from rundlet.runtime.supervisor.removal import remove_cgroup
from rundlet.runtime.supervisor.stdio import Streams, close_child_ends
from rundlet.runtime.supervisor.task import Task

Name = tuple[str, str | None]
"""Container and exec id."""
OnFailed = Callable[[Failed, Connection], None]


class Starter:
    def __init__(self, loop: Loop, hierarchies: Hierarchies, cgroup_parent: str) -> None:
        self._loop = loop
        self._hierarchies = hierarchies
        self._cgroup_parent = cgroup_parent
        self._limits = OwnLimits()
        self._filters = Filters()
        self._launching: dict[Name, tuple[Launching, Connection]] = {}
        self._ending: set[Name] = set()
        """Failed, with a cgroup that is not gone yet."""

    @property
    def is_busy(self) -> bool:
        return bool(self._launching or self._ending)

    def is_launching(self, pid: int) -> bool:
        return any(launching.launch.pid == pid for launching, _ in self._launching.values())

    def abandon(self, connection: Connection) -> None:
        """End what was begun for a daemon that is gone."""
        for launching, owner in self._launching.values():
            if owner is connection:
                launching.kill()

    def start(
        self,
        connection: Connection,
        request: Start,
        on_started: Callable[[Container], None],
        on_exit: Callable[[Task], None],
        on_failed: OnFailed,
    ) -> None:
        """Raises what is wrong with the request; later failures go to ``on_failed``, once nothing is left."""
        name = (request.container_id, None)
        self._check_free(name)
        process = self._limits.for_child(request.config.get("process"))
        config = parse({**request.config, "process": process})
        seccomp = self._filters.compiled(request.seccomp)
        cgroup = self._hierarchies.cgroup(f"{self._cgroup_parent}/{request.container_id}")
        streams = Streams(request.stdio)
        notify = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

        def started(result: LaunchResult) -> None:
            task = self._task(name, streams, result, on_exit)
            on_started(
                Container(self._loop, task, config, cgroup, seccomp=seccomp, spool=request.spool, notify=notify)
            )

        def launch_failed(error: LaunchError) -> None:
            self._ending.add(name)
            del self._launching[name]
            streams.close()
            os.close(notify)

            def removed(_: bool) -> None:
                self._ending.discard(name)
                on_failed(failed(request.serial, "start", error), connection)

            remove_cgroup(self._loop, cgroup, removed)

        try:
            with _ChildEnds(streams) as child:
                cgroup.create()
                try:
                    devices = config.resources.get("devices") or []
                    cgroup.apply({**config.resources, "devices": devices})
                    launch = launch_container(
                        config, overlay=request.overlay, seccomp=seccomp, cgroup=cgroup, stdio=child
                    )
                except BaseException:
                    self._remove_later(name, cgroup)
                    raise
        except BaseException:
            streams.close()
            os.close(notify)
            raise
        self._launching[name] = Launching(self._loop, launch, started, launch_failed), connection

    def exec(
        self,
        connection: Connection,
        request: Exec,
        container: Container,
        on_started: Callable[[Task], None],
        on_exit: Callable[[Task], None],
        on_failed: OnFailed,
    ) -> None:
        """As :meth:`start`, in a container that runs."""
        name = (request.container_id, request.exec_id)
        self._check_free(name)
        streams = Streams(request.stdio)
        oom_kills = container.cgroup.oom_kills()

        def started(result: LaunchResult) -> None:
            on_started(self._task(name, streams, result, exited))

        def exited(task: Task) -> None:
            streams.close_stdin()
            if task.exit and task.exit.signal and container.cgroup.oom_kills() > oom_kills:
                task.note_oom_kill()
            on_exit(task)

        def launch_failed(error: LaunchError) -> None:
            del self._launching[name]
            streams.close()
            on_failed(failed(request.serial, "exec", error), connection)

        try:
            with _ChildEnds(streams) as child:
                launch = launch_exec(
                    InitProcess(container.init.pidfd, container.init.pid),
                    self._limits.for_child(request.process),
                    seccomp=container.seccomp,
                    cgroup=container.cgroup,
                    stdio=child,
                    container=container.config,
                )
        except BaseException:
            streams.close()
            raise
        self._launching[name] = Launching(self._loop, launch, started, launch_failed), connection

    def _check_free(self, name: Name) -> None:
        if name in self._launching or name in self._ending:
            raise Conflict(f"{name[1] or name[0]} is being started")

    def _task(self, name: Name, streams: Streams, result: LaunchResult, on_exit: Callable[[Task], None]) -> Task:
        launching, _ = self._launching.pop(name)
        if result.console is not None:
            streams.adopt_console(result.console)
        return Task(self._loop, name, launching.launch, streams, on_exit)

    def _remove_later(self, name: Name, cgroup: Cgroup) -> None:
        self._ending.add(name)
        remove_cgroup(self._loop, cgroup, lambda _: self._ending.discard(name))


class _ChildEnds:
    """The program's ends of new pipes, closed here once the child has its copies."""

    def __init__(self, streams: Streams) -> None:
        self._child = streams.open_pipes()

    def __enter__(self) -> ChildStdio:
        return self._child

    def __exit__(self, *_: object) -> None:
        close_child_ends(self._child)
