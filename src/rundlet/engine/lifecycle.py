"""What clients ask of a container's life: start, stop, kill, restart, pause, rename, remove.

docker-api.md's table says which state allows what, and with which answer. The container's lock is held while
something changes and never while waiting for a program to end: a kill is not held up by a stop that waits.
"""

from __future__ import annotations

import asyncio
import signal as signals
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from rundlet.engine.container import Status
from rundlet.engine.core import Core
from rundlet.engine.launcher import Launcher
from rundlet.engine.names import check_name
from rundlet.engine.registry import Entry
from rundlet.engine.removal import Removal
from rundlet.engine.signals import parse_signal
from rundlet.errors import (
    Conflict,
    ContainerNotFound,
    ContainerNotRunning,
    ContainerStateConflict,
    EngineError,
    InvalidArgument,
    NotFound,
    NotModified,
    RundletError,
)

__all__ = ["Lifecycle"]


class Lifecycle:
    def __init__(self, core: Core, launcher: Launcher, removal: Removal) -> None:
        self._core = core
        self._launcher = launcher
        self._removal = removal

    async def start(self, entry: Entry) -> None:
        async with self._locked(entry):
            state = entry.container.state
            if state.visible is Status.PAUSED:
                raise self._conflict(entry, "start", "try unpause instead")
            if state.is_up:
                raise NotModified(f"container {entry.container.name} is already running")
            if state.status in (Status.REMOVING, Status.DEAD):
                raise self._conflict(entry, "start", "it is marked for removal")
            state.restart_count = 0
            state.stopped_by_user = False
            entry.restart_delay_s = 0.0
            try:
                await self._launcher.start(entry)
            except RundletError:
                if entry.container.definition.host.AutoRemove:
                    await self._removal.remove(entry, volumes=True)
                raise

    async def stop(self, entry: Entry, timeout_s: int | None, signal: str | None) -> None:
        if not entry.container.state.is_up:
            raise NotModified(f"container {entry.container.name} is already stopped")
        await self._stop(entry, timeout_s, signal)

    async def restart(self, entry: Entry, timeout_s: int | None, signal: str | None) -> None:
        entry.is_restarting_by_hand = True
        try:
            if entry.container.state.is_up:
                await self._stop(entry, timeout_s, signal)
        finally:
            entry.is_restarting_by_hand = False
        with suppress(NotModified):  # somebody else was quicker: it runs, and anew
            await self.start(entry)
        self._core.events.emit_container("restart", entry.container)

    async def kill(self, entry: Entry, signal: str | None) -> None:
        number = parse_signal(signal) if signal else signals.SIGKILL
        if number == signals.SIGKILL:
            await self._kill(entry)
            return
        async with self._locked(entry):
            if not entry.container.state.is_up:
                raise ContainerNotRunning(entry.id)
            await self._signal(entry, number)

    async def pause(self, entry: Entry) -> None:
        async with self._locked(entry):
            container = entry.container
            if not container.state.is_up:
                raise ContainerNotRunning(entry.id)
            if container.state.status is not Status.RUNNING:
                raise self._conflict(entry, "pause", "it cannot be paused twice, nor before it is restarted")
            container.move(Status.PAUSED, "pause")
            try:
                await self._core.store.put_state(container)  # what start-up finds, it does again
                await self._core.tasks.in_thread(self._core.cgroup(entry.id).freeze)
            except (RundletError, OSError) as error:
                container.move(Status.RUNNING, "pause")
                self._core.store.put_state_soon(container)
                raise EngineError(f"cannot pause container {container.name}: {error}") from error
            self._core.events.emit_container("pause", container)

    async def unpause(self, entry: Entry) -> None:
        async with self._locked(entry):
            if entry.container.state.status is not Status.PAUSED:
                raise EngineError(f"Container {entry.id} is not paused")
            await self._thaw(entry)
            self._core.events.emit_container("unpause", entry.container)

    async def rename(self, entry: Entry, new_name: str) -> None:
        async with self._locked(entry):
            definition, registry = entry.container.definition, self._core.registry
            old_name = definition.name
            if not new_name:
                raise InvalidArgument("Neither old nor new names may be empty")
            if check_name(new_name) == old_name:
                raise InvalidArgument("Renaming a container with the same name as its current name")
            definition.name = registry.reserve_name(new_name, entry.id)
            try:
                await self._core.store.put_definition(entry.container)
            except RundletError:
                registry.release_name(definition.name)
                definition.name = old_name
                raise
            registry.release_name(old_name)
            self._core.events.emit_container("rename", entry.container, oldName=f"/{old_name}")

    async def remove(self, entry: Entry, *, force: bool, volumes: bool) -> None:
        state = entry.container.state
        if state.status is Status.REMOVING:
            raise self._conflict(entry, "remove", f"removal of container {entry.id} is already in progress")
        while True:
            if state.is_up:
                if not force:
                    raise self._conflict(entry, "remove", "stop the container before removing or force remove")
                with suppress(ContainerNotRunning):
                    await self._kill(entry)
            async with entry.lock:
                if self._core.registry.get(entry.id) is not entry:
                    return  # --rm was quicker
                if not state.is_up:
                    await self._removal.remove(entry, volumes=volumes)
                    return
            # It was being started: what holds for one that runs, holds for it, too.

    async def prune(self, entries: Sequence[Entry]) -> tuple[list[str], int]:
        removed: list[str] = []
        freed = 0
        for entry in entries:
            size = await self._core.tasks.in_thread(self._core.snapshots.size, entry.id)
            with suppress(ContainerStateConflict):  # it has been started meanwhile
                await self.remove(entry, force=False, volumes=False)
                removed.append(entry.id)
                freed += size
        return removed, freed

    async def stop_all(self) -> None:
        """At the end of the engine. Nobody has stopped them by hand: they start again with the next daemon."""

        async def end(entry: Entry) -> None:
            entry.is_ending = True
            with suppress(NotFound, ContainerNotRunning):
                await self._stop(entry, None, None)

        await asyncio.gather(*(end(entry) for entry in self._core.registry if entry.container.state.is_up))

    async def _stop(self, entry: Entry, timeout_s: int | None, signal: str | None) -> None:
        config = entry.container.definition.config
        number = parse_signal(signal or config.StopSignal or "TERM")
        if timeout_s is None:
            timeout_s = self._core.config.stop_timeout_s if config.StopTimeout is None else config.StopTimeout
        async with self._locked(entry):
            if not entry.container.state.is_up:
                return
            ended = entry.waiters.add("next-exit")
            await self._signal(entry, number, is_stop=True)
        try:
            async with asyncio.timeout(timeout_s if timeout_s >= 0 else None):
                await ended
        except TimeoutError:
            with suppress(ContainerNotRunning):
                await self._kill(entry)
        self._core.events.emit_container("stop", entry.container)

    async def _kill(self, entry: Entry) -> None:
        """SIGKILL, and wait for the end."""
        async with self._locked(entry):
            if not entry.container.state.is_up:
                raise ContainerNotRunning(entry.id)
            ended = entry.waiters.add("next-exit")
            await self._signal(entry, signals.SIGKILL, is_stop=True)
        await ended

    async def _signal(self, entry: Entry, number: int, *, is_stop: bool = False) -> None:
        """The lock is held. A signal that is meant to end the container also ends its restarts."""
        container = entry.container
        state, config = container.state, container.definition.config
        is_stop = is_stop or number == parse_signal(config.StopSignal or "TERM")
        if is_stop and not state.stopped_by_user and not entry.is_ending:
            state.stopped_by_user = True
            if container.definition.host.RestartPolicy.Name not in ("", "no"):
                await self._core.store.try_put_state(container)
        if state.status is Status.RESTARTING:
            if is_stop:
                await self._end_restarts(entry)
            return
        with suppress(NotFound, Conflict):  # it has just ended
            await self._core.supervisor.signal(entry.id, number)
        self._core.events.emit_container("kill", container, signal=str(number))
        if state.status is Status.PAUSED and is_stop:
            await self._thaw(entry)

    async def _end_restarts(self, entry: Entry) -> None:
        if entry.restart_timer is not None:
            entry.restart_timer.cancel()
            entry.restart_timer = None
        state = entry.container.state
        entry.container.exited(state.exit_code, state.finished_ns, oom_killed=state.oom_killed)
        await self._core.store.try_put_state(entry.container)
        entry.waiters.exited()

    async def _thaw(self, entry: Entry) -> None:
        await self._core.tasks.in_thread(self._core.cgroup(entry.id).thaw)
        entry.container.move(Status.RUNNING, "unpause")
        await self._core.store.try_put_state(entry.container)

    @asynccontextmanager
    async def _locked(self, entry: Entry) -> AsyncIterator[None]:
        async with entry.lock:
            if self._core.registry.get(entry.id) is not entry:
                raise ContainerNotFound(entry.id)
            yield

    def _conflict(self, entry: Entry, doing: str, hint: str) -> ContainerStateConflict:
        return ContainerStateConflict(entry.container.name, entry.container.state.visible.value, doing, hint)
