"""Start-up, and the death of the supervisor: store, supervisor, kernel and disk are made to agree.

    record says        supervisor holds         then
    ─────────────      ───────────────────      ─────────────────────────────────────────────────────────────
    running, paused    it, running              taken over: descriptors, log; paused or thawed as the record says
    running, paused    it, exited               the exit is handled as if it came now: log, policy, --rm
    running, paused    nothing                  its cgroup is killed; exited, with a clear error
    starting           it                       as running
    starting           nothing                  its cgroup is killed; what it was before the start
    restarting         nothing                  restarted at once, if the policy still says so
    exited, with --rm  nothing                  removed
    removing, dead     whatever                 removed
    no record          it                       killed and deleted
    no record          a directory              removed

Afterwards the restart policies start what they start with the daemon.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from rundlet.engine.container import Status
from rundlet.engine.core import Core
from rundlet.engine.execs import Execs
from rundlet.engine.exits import Exits
from rundlet.engine.launcher import Launcher
from rundlet.engine.output import Output
from rundlet.engine.registry import Entry
from rundlet.engine.removal import Removal
from rundlet.engine.restart import starts_with_daemon
from rundlet.errors import NotFound, RundletError
from rundlet.runtime.messages import ExitStatus, TaskState

__all__ = ["Reconciler"]

_log = logging.getLogger(__name__)

_KILLED = 137
_LOST = "the supervisor that held the container ended unexpectedly: the container was killed"
_UNKNOWN_EXIT = 255
_UNKNOWN = "the container ended while no supervisor was there to see it: its exit code is not known"
_CGROUP_POLL_S = 0.01
_CGROUP_TIMEOUT_S = 5.0


class Reconciler:
    def __init__(self, core: Core, launcher: Launcher, exits: Exits, removal: Removal, execs: Execs) -> None:
        self._core = core
        self._launcher = launcher
        self._exits = exits
        self._removal = removal
        self._execs = execs

    # at start-up

    def load(self) -> None:
        """Blocking. The records, and what on disk no record names."""
        core = self._core
        core.volumes.load(core.store.load_volumes())
        for container in core.store.load_containers():
            core.registry.add(Entry(container, Output(container.name, core.tasks)))
            core.uses.take(container.definition.image_id, container.id)
        self._sweep()

    async def reconcile(self, held: Sequence[TaskState]) -> None:
        """``held``: what the supervisor says in its welcome."""
        inits = {task.container_id: task for task in held if task.exec_id is None}
        execs = {task.exec_id: task for task in held if task.exec_id is not None}
        for container_id in inits:
            if self._core.registry.get(container_id) is None:
                await self._delete_unknown(container_id)
        for entry in self._core.registry:
            try:
                async with entry.lock:
                    await self._settle(entry, inits.get(entry.id))
            except (RundletError, OSError) as error:
                _log.error("container %s cannot be taken over: %s", entry.id, error)
        await self._execs.load(execs)
        for entry in self._core.registry:
            task = inits.get(entry.id)
            if task is not None and task.exit is not None and entry.container.state.has_process:
                # Beside the rest: a long output that is not in the log yet must not hold up the whole engine.
                self._core.tasks.spawn(self._exits.handle(entry, task.exit), f"end of container {entry.id}")

    async def start_by_policy(self) -> None:
        """What ``always``, ``unless-stopped`` and ``on-failure`` start together with the daemon."""
        for entry in self._core.registry:
            state, host = entry.container.state, entry.container.definition.host
            if state.visible is not Status.EXITED or not state.started_ns:
                continue
            if starts_with_daemon(
                host.RestartPolicy,
                exit_code=state.exit_code,
                restart_count=state.restart_count,
                stopped_by_user=state.stopped_by_user,
            ):
                self._core.tasks.spawn(self._start(entry), f"start of container {entry.id}")

    # when the supervisor has died

    async def supervisor_died(self, revive: Callable[[], Awaitable[None]]) -> None:
        """Kill what it has left, have a new one, record the ends, and let the restart policies do their work."""
        orphans = [entry for entry in self._core.registry if entry.is_held]
        await asyncio.gather(*(self._kill_cgroup(entry.id) for entry in orphans))
        await revive()
        for entry in orphans:
            entry.is_held = False
            entry.output.close_spool()
            await self._exits.handle(entry, ExitStatus(_KILLED, 9, at_ns=time.time_ns()), error=_LOST)
        await self.start_by_policy()

    # one container

    async def _settle(self, entry: Entry, task: TaskState | None) -> None:
        container, state = entry.container, entry.container.state
        entry.is_held = task is not None  # whatever fails below: who removes it has to know
        if task is None and state.status not in (Status.CREATED, Status.EXITED):
            # The supervisor that held it was killed as well, perhaps just when the program had come to run.
            await self._kill_cgroup(entry.id)
        if state.status in (Status.REMOVING, Status.DEAD):
            if state.status is Status.REMOVING:
                container.move(Status.DEAD, "remove")
            await self._removal.remove(entry, volumes=state.removes_volumes)
        elif task is not None:
            await self._take_over(entry, task)
        elif state.status is Status.STARTING:
            container.start_failed("the daemon ended while the container was starting", 128)
            await self._core.store.try_put_state(container)
            await self._remove_if_wanted(entry)
        elif state.has_process:
            await self._launcher.drain_leftovers(entry)
            container.exited(_UNKNOWN_EXIT, time.time_ns(), error=_UNKNOWN)
            await self._core.store.try_put_state(container)
            await self._remove_if_wanted(entry)
        elif state.status is Status.RESTARTING:
            self._exits.schedule_restart(entry, 0)
        elif state.run:  # killed between a stop and the start of a restart, or before a removal was noted
            await self._remove_if_wanted(entry)

    async def _take_over(self, entry: Entry, task: TaskState) -> None:
        container, state = entry.container, entry.container.state
        if not state.has_process and state.status is not Status.STARTING:
            # Its exit was stored, and the supervisor was not told any more: perhaps since output was waiting.
            if container.definition.host.AutoRemove:
                await self._removal.remove(entry, volumes=True)
            else:
                await self._launcher.adopt(entry)
                entry.output.end_run()
                await self._exits.let_go(entry)
            return
        if state.status is Status.STARTING:
            container.started(task.pid, _unix_time_ns(task.start_time))
            await self._core.store.try_put_state(container)
        state.pid = task.pid
        await self._launcher.adopt(entry)
        if task.exit is None:
            cgroup = self._core.cgroup(entry.id)
            await self._core.tasks.in_thread(cgroup.freeze if state.status is Status.PAUSED else cgroup.thaw)

    async def _remove_if_wanted(self, entry: Entry) -> None:
        if entry.container.definition.host.AutoRemove:
            await self._removal.remove(entry, volumes=True)

    async def _start(self, entry: Entry) -> None:
        async with entry.lock:
            if entry.container.state.status is Status.EXITED:
                entry.container.state.stopped_by_user = False
                try:
                    await self._launcher.start(entry)
                except RundletError as error:
                    _log.warning("container %s could not be started: %s", entry.id, error)

    async def _delete_unknown(self, container_id: str) -> None:
        _log.warning("the supervisor holds %s, which no record names: killed", container_id)
        with suppress(NotFound):
            await self._core.supervisor.delete(container_id, force=True)

    async def _kill_cgroup(self, container_id: str) -> None:
        """Every process of it, and then the cgroup itself. Polled: a cgroup says nothing when it becomes empty."""
        cgroup = self._core.cgroup(container_id)
        await self._core.tasks.in_thread(cgroup.kill)
        deadline = time.monotonic() + _CGROUP_TIMEOUT_S
        while not await self._core.tasks.in_thread(cgroup.remove):
            if time.monotonic() > deadline:
                _log.error("container %s: its cgroup is still busy", container_id)
                return
            await asyncio.sleep(_CGROUP_POLL_S)

    # disk

    def _sweep(self) -> None:
        core = self._core
        core.volumes.sweep()
        for path in _directories(core.config.container_dir("x").parent):
            if core.registry.get(path.name) is None:
                core.snapshots.remove(path.name)
                shutil.rmtree(path, ignore_errors=True)
        for path in _directories(core.config.runtime_dir("x").parent):
            if core.registry.get(path.name) is None:
                shutil.rmtree(path, ignore_errors=True)


def _unix_time_ns(start_time: int) -> int:
    """Clock ticks after boot, as in /proc/PID/stat, on the clock of the wall."""
    after_boot_ns = start_time * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return time.time_ns() - (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - after_boot_ns)


def _directories(parent: Path) -> list[Path]:
    try:
        return [parent / name for name in os.listdir(parent)]
    except FileNotFoundError:
        return []
