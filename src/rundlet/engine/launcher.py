"""Bringing a container's program up: files, config, supervisor, streams. The caller holds the container's lock.

    intent stored ─┐
    files, config ─┴─► Start ──► Started ──► streams begin, running
                           └───► Failed  ──► back to what it was, with the reason and an exit code

The intent is stored before the supervisor hears of it: a daemon that comes back knows what may be under way.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rundlet.engine.container import Container
from rundlet.engine.core import Core
from rundlet.engine.creation import layer_paths
from rundlet.engine.logs.driver import LogDriver, open_driver
from rundlet.engine.logs.entry import Position
from rundlet.engine.logs.pump import Pump
from rundlet.engine.network_files import write_network_files
from rundlet.engine.registry import Entry
from rundlet.engine.spec import build_config, seccomp_of
from rundlet.engine.supervisor import Running, SupervisorLost
from rundlet.errors import ContainerNotRunning, EngineError, NotFound, RundletError, StartFailed, StorageFull
from rundlet.images.space import is_full
from rundlet.runtime import messages
from rundlet.runtime.messages import Overlay, Stdio

__all__ = ["Launcher"]

_NETWORKS = frozenset({"", "default", "bridge", "none", "host"})
_STALL_S = 12.0
"""A client that reads nothing is dropped before that."""
_EXIT_NOT_STARTED = 128
"""What Docker records when the failure says nothing better."""


class Launcher:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def start(self, entry: Entry) -> None:
        """Returns when the program is exec'd. On any failure nothing of it runs, and the state says why."""
        container = entry.container
        await self._end_last_run(entry)
        paths = self._namespace_paths(container)
        container.begin_start()
        try:
            request, pump = await self._prepared(container, paths)
            try:
                entry.is_held = True
                running = await self._core.supervisor.start(request)
            except BaseException as error:
                entry.is_held = isinstance(error, SupervisorLost)
                await self._core.tasks.in_thread(pump.close)
                raise
        except Exception as error:  # whatever it is: what stays "starting" can be neither started nor removed
            failure = _as_start_failure(error)
            self._failed(container, failure)
            raise failure from error
        container.started(running.task.pid, time.time_ns())
        self._begin_output(entry, running, pump, Position(container.state.run))
        # The supervisor holds the truth about what runs: nobody has to wait for this.
        self._core.store.put_state_soon(container)
        self._core.events.emit_container("start", container)

    async def _prepared(
        self, container: Container, paths: Mapping[tuple[str, str], str]
    ) -> tuple[messages.Start, Pump]:
        """The intent stored, and everything made that the supervisor needs. Neither has to wait for the other."""
        stored = asyncio.ensure_future(self._core.store.put_state(container))
        try:
            request, pump = await self._core.tasks.in_thread(self._prepare, container, paths)
        except BaseException:
            await asyncio.gather(stored, return_exceptions=True)
            raise
        try:
            await stored
        except BaseException:
            await self._core.tasks.in_thread(pump.close)
            raise
        return request, pump

    async def _end_last_run(self, entry: Entry) -> None:
        """The output of the last run must be in the log before its spool is emptied. StorageFull if it is not."""
        await entry.output.wait_drained(_STALL_S)
        if entry.output.is_live:
            directory = self._core.config.container_dir(entry.id)
            raise StorageFull(str(directory), "logging the output of the last run")
        if entry.is_held:
            await self.release(entry)

    async def adopt(self, entry: Entry) -> None:
        """Take over a container that runs already, its log going on where it ended."""
        container = entry.container
        running = await self._core.supervisor.reopen(container.id)
        entry.is_held = True
        pump, position = await self._core.tasks.in_thread(self._resume_pump, container)
        self._begin_output(entry, running, pump, position)
        entry.output.look()

    async def drain_leftovers(self, entry: Entry) -> None:
        """The container ended while no daemon was there: what it printed is in the spool still."""
        await self._core.tasks.in_thread(self._drain_spool, entry.container)

    async def release(self, entry: Entry) -> None:
        """Whatever is left of it in the kernel goes: processes, limits. The supervisor forgets it."""
        with suppress(NotFound):
            await self._core.supervisor.delete(entry.id, force=True)
        entry.is_held = False

    # in a thread

    def _prepare(self, container: Container, paths: Mapping[tuple[str, str], str]) -> tuple[messages.Start, Pump]:
        definition, config = container.definition, self._core.config
        runtime_dir = config.runtime_dir(container.id)
        (runtime_dir / "rootfs").mkdir(mode=0o700, parents=True, exist_ok=True)
        etc_dir = config.etc_dir(container.id)
        etc_dir.mkdir(mode=0o700, exist_ok=True)
        write_network_files(definition, etc_dir)
        spool = config.spool_dir(container.id)
        _make_empty(spool)
        document = build_config(
            container,
            runtime_dir=runtime_dir,
            etc_dir=etc_dir,
            cgroup_path=config.cgroup_path(container.id),
            namespace_path=lambda ref, kind: paths[ref, kind],
        )
        upper = self._core.snapshots.get(container.id)
        is_volatile = definition.host.AutoRemove
        if is_volatile:
            # overlayfs refuses a second volatile mount lest a crash has come between (kernel, overlayfs.rst); the
            # engine removes such a container after a crash, so here none has.
            shutil.rmtree(upper.work / "work" / "incompat", ignore_errors=True)
        size = definition.host.ConsoleSize
        request = messages.Start(
            serial=0,
            container_id=container.id,
            config=document,
            stdio=Stdio(
                terminal=definition.config.Tty,
                stdin=definition.config.OpenStdin,
                console_size=(size[0], size[1]) if definition.config.Tty and size and all(size) else None,
            ),
            spool=str(spool),
            overlay=Overlay(
                lower=layer_paths(definition, config),
                upper=str(upper.upper),
                work=str(upper.work),
                volatile=is_volatile,
            ),
            seccomp=seccomp_of(definition),
        )
        driver = open_driver(
            definition.log.driver,
            definition.log.options,
            config.container_dir(container.id),
            _attributes(container),
        )
        return request, Pump(spool, driver, Position(container.state.run))

    def _resume_pump(self, container: Container) -> tuple[Pump, Position]:
        definition, config = container.definition, self._core.config
        driver = open_driver(
            definition.log.driver,
            definition.log.options,
            config.container_dir(container.id),
            _attributes(container),
        )
        position = driver.position()
        if position.run != container.state.run:
            position = Position(container.state.run)  # this run has not got a line into the log yet
        return Pump(config.spool_dir(container.id), driver, position), position

    def _drain_spool(self, container: Container) -> None:
        if not self._core.config.spool_dir(container.id).is_dir():
            return
        pump, _ = self._resume_pump(container)
        try:
            while not pump.step(is_last=True).is_finished:
                pass
        finally:
            pump.close()

    def _open_log(self, container: Container) -> LogDriver:
        settings = container.definition.log
        directory = self._core.config.container_dir(container.id)
        return open_driver(settings.driver, settings.options, directory, _attributes(container))

    # on the loop

    def _namespace_paths(self, container: Container) -> dict[tuple[str, str], str]:
        """Where the namespaces are that the container shares with others. ContainerNotRunning, NotFound."""
        host = container.definition.host
        if host.NetworkMode not in _NETWORKS and not host.NetworkMode.startswith("container:"):
            # Like Docker at start, not at create: a 404 of create makes clients pull the image.
            raise NotFound(f"network {host.NetworkMode} not found")
        paths = {}
        for kind, mode in (("net", host.NetworkMode), ("ipc", host.IpcMode), ("pid", host.PidMode)):
            if mode.startswith("container:"):
                ref = mode.removeprefix("container:")
                other = self._core.registry.resolve(ref).container
                if not other.state.has_process:
                    raise ContainerNotRunning(other.id)
                paths[ref, kind] = f"/proc/{other.state.pid}/ns/{kind}"
        return paths

    def _begin_output(self, entry: Entry, running: Running, pump: Pump, position: Position) -> None:
        pidfd, notify, *stdin = running.fds
        os.close(pidfd)  # the supervisor's own is what signals go through
        entry.output.begin_run(
            pump,
            notify,
            stdin[0] if stdin else None,
            is_terminal=entry.container.is_tty,
            position=position,
        )

    def _failed(self, container: Container, failure: StartFailed | StorageFull) -> None:
        code = failure.exit_code if isinstance(failure, StartFailed) else _EXIT_NOT_STARTED
        container.start_failed(str(failure), code)
        self._core.store.put_state_soon(container)


def _as_start_failure(error: Exception) -> StartFailed | StorageFull:
    if isinstance(error, (StartFailed, StorageFull)):
        return error
    if isinstance(error, RundletError):
        return StartFailed(str(error), _EXIT_NOT_STARTED, error.kind)
    if isinstance(error, OSError) and is_full(error):
        return StorageFull(str(error.filename), "preparing the container")
    return StartFailed(f"preparing the container: {error}", _EXIT_NOT_STARTED, EngineError.kind)


def _attributes(container: Container) -> dict[str, str]:
    """What the log options ask to keep with each line: ``labels=a,b`` and ``env=A,B``."""
    definition = container.definition
    options = definition.log.options
    labels = definition.config.Labels or {}
    variables = dict(item.split("=", 1) for item in definition.config.Env or () if "=" in item)
    wanted = [(labels, options.get("labels", "")), (variables, options.get("env", ""))]
    return {name: source[name] for source, names in wanted for name in names.split(",") if name in source}


def _make_empty(directory: Path) -> None:
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        shutil.rmtree(directory)
        os.mkdir(directory, 0o700)
