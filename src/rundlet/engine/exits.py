"""A container's end: recorded, told to whoever waits, and followed by removal or the next start.

    Exited ──► log drained ──► state ──► waiters ──► commit ──► supervisor lets go (cgroup, record)
                                 │                                     │
                                 │                                     └──► AutoRemove: removed
                                 └── restart policy: a timer, and then the launcher

The supervisor keeps an exit until it is told to let go, and that comes after the commit: a kill in between loses
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time

from rundlet.engine.container import Container, Status
from rundlet.engine.core import Core
from rundlet.engine.execs import Execs
from rundlet.engine.launcher import Launcher
from rundlet.engine.registry import Entry
from rundlet.engine.removal import Removal
from rundlet.engine.restart import next_delay_s, restarts_after_exit
from rundlet.errors import RundletError, StorageFull
from rundlet.runtime.messages import ExitStatus

__all__ = ["Exits"]

_log = logging.getLogger(__name__)

_STALL_S = 2.0
"""How long the end waits for a log that does not grow: a full disk or a stalled client must not hold it up."""
_STALL_BEFORE_REMOVAL_S = 12.0
"""With the container its output goes: a slow client gets the time after which it would be dropped."""

_FULL_DISK_RETRY_S = 5.0


class Exits:
    def __init__(self, core: Core, launcher: Launcher, removal: Removal, execs: Execs) -> None:
        self._core = core
        self._launcher = launcher
        self._removal = removal
        self._execs = execs

    async def handle(self, entry: Entry, exit_: ExitStatus, *, error: str = "") -> None:
        """``error``: why the engine, not the program, ended it."""
        async with entry.lock:
            if entry.container.state.has_process:
                await entry.output.wait_drained(_STALL_S)
                await self._record(entry, exit_, error)
            elif self._core.registry.get(entry.id) is entry:
                # Recorded before; or a start that was given up when the daemon went away, and yet came to life.
                entry.is_held = True
                await self.let_go(entry)

    async def _record(self, entry: Entry, exit_: ExitStatus, error: str) -> None:
        container = entry.container
        state, host = container.state, container.definition.host
        at_ns = exit_.at_ns or time.time_ns()
        run_s = max(0, at_ns - state.started_ns) / 1e9
        restarts = not error and restarts_after_exit(
            host.RestartPolicy,
            exit_code=exit_.code,
            restart_count=state.restart_count,
            stopped_by_user=state.stopped_by_user or entry.is_restarting_by_hand or entry.is_ending,
        )
        removes = host.AutoRemove and not restarts and not entry.is_restarting_by_hand
        if _shares_processes(container):
            await self._release(entry)  # its init is gone, what that has started may not be
        if restarts:
            container.exited_for_restart(exit_.code, at_ns, oom_killed=exit_.oom_killed)
        else:
            container.exited(exit_.code, at_ns, oom_killed=exit_.oom_killed, error=error)
        if exit_.oom_killed:
            self._core.events.emit_container("oom", container)
        self._core.events.emit_container("die", container, exitCode=str(exit_.code), execDuration=str(int(run_s)))
        self._execs.container_ended(entry)
        entry.waiters.exited()
        entry.output.end_run()
        if removes:
            await entry.output.wait_drained(_STALL_BEFORE_REMOVAL_S)
            await self._removal.remove(entry, volumes=True)
            return
        # On a full disk the supervisor goes on holding the exit; the next start or the removal lets go.
        if await self._core.store.try_put_state(entry.container):
            await self.let_go(entry)
        if restarts:
            entry.restart_delay_s = next_delay_s(entry.restart_delay_s, run_s)
            self.schedule_restart(entry, entry.restart_delay_s)

    async def let_go(self, entry: Entry) -> None:
        """Have the supervisor forget a container that has ended: at once, or as soon as it has all of its output
        in the spool. The caller holds the lock.
        """
        if not entry.is_held:
            return
        if entry.output.is_live:
            run = entry.container.state.run
            self._core.tasks.spawn(self._let_go_later(entry, run), f"output of container {entry.id}")
        else:
            await self._release(entry)

    async def _let_go_later(self, entry: Entry, run: int) -> None:
        await entry.output.wait_finished()
        async with entry.lock:
            state = entry.container.state
            if state.run == run and not state.has_process and entry.is_held:
                await self._release(entry)

    async def _release(self, entry: Entry) -> None:
        """The end is told whether or not the kernel lets go; what is left goes with the next start or removal."""
        try:
            await self._launcher.release(entry)
        except RundletError as error:
            _log.error("container %s: what is left of it cannot be cleared away: %s", entry.id, error)

    def schedule_restart(self, entry: Entry, delay_s: float) -> None:
        entry.restart_timer = self._core.tasks.spawn(
            self._restart_later(entry, delay_s), f"restart of container {entry.id}"
        )

    async def _restart_later(self, entry: Entry, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        async with entry.lock:
            if entry.container.state.status is not Status.RESTARTING:
                return
            try:
                await self._launcher.start(entry)
            except StorageFull as error:
                _log.warning("container %s is not restarted yet: %s", entry.id, error)
                if entry.container.state.status is Status.RESTARTING:
                    self.schedule_restart(entry, _FULL_DISK_RETRY_S)
            except RundletError as error:
                _log.warning("container %s could not be restarted: %s", entry.id, error)
                if entry.container.state.status is Status.RESTARTING:  # it did not get as far as to begin
                    entry.container.restart_given_up(str(error))
                    await self._core.store.try_put_state(entry.container)
                entry.waiters.exited()


def _shares_processes(container: Container) -> bool:
    """Without a PID namespace of its own the end of the first process does not end the others."""
    mode = container.definition.host.PidMode
    return mode == "host" or mode.startswith("container:")
