"""The engine as one object: what it is made of, and the order in which it starts and ends.

start   data root · store · images · supervisor · reconcile · restart policies
stop    the other way round; containers live on, and their output waits in the spool
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from rundlet.cgroups import detect
from rundlet.engine.config import EngineConfig
from rundlet.engine.containers import Containers
from rundlet.engine.core import Core
from rundlet.engine.creation import Creation
from rundlet.engine.data_root import DataRoot
from rundlet.engine.events import Events
from rundlet.engine.execs import Execs
from rundlet.engine.exits import Exits
from rundlet.engine.image_uses import ImageUses
from rundlet.engine.images import Images
from rundlet.engine.inspection import Inspection
from rundlet.engine.launcher import Launcher
from rundlet.engine.lifecycle import Lifecycle
from rundlet.engine.listing import Listing
from rundlet.engine.networks import Networks
from rundlet.engine.outputs import Outputs
from rundlet.engine.reconcile import Reconciler
from rundlet.engine.registry import Registry
from rundlet.engine.removal import Removal
from rundlet.engine.store import Store
from rundlet.engine.supervisor import Supervisor, SupervisorLost
from rundlet.engine.system import System
from rundlet.engine.tasks import Tasks
from rundlet.engine.volume_listing import VolumeListing
from rundlet.engine.volumes import Volumes
from rundlet.errors import EngineError, RundletError
from rundlet.images import ImageStore, Snapshots
from rundlet.runtime.messages import TaskState
from rundlet.runtime.supervisor.spawn import SOCKET_NAME, spawn_supervisor

__all__ = ["Engine"]

_log = logging.getLogger(__name__)

_DRAIN_S = 5.0
_REVIVE_S = 1.0
_CONNECT_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Between attempts to have a new supervisor."""


class Engine:
    """Its services (``containers``, ``images``, …) are there once :meth:`start` has returned."""

    containers: Containers
    execs: Execs
    images: Images
    networks: Networks
    volumes: VolumeListing
    events: Events

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._is_stopping = False

    async def start(self) -> None:
        """Take the data root, connect to (or start) the supervisor, reconcile.

        DataRootLocked, Unsupported, StorageFull, EngineError: then nothing of the engine is left running, but
        for a supervisor that was there before.
        """
        config = self.config
        self._data_root = await asyncio.to_thread(DataRoot.take, config.data_root)
        try:
            await asyncio.to_thread(config.run_root.mkdir, 0o755, True, True)
            self._core = core = await asyncio.to_thread(self._make_core)
        except BaseException:
            self._data_root.release()
            raise
        self._assemble(core)
        try:
            await asyncio.to_thread(self._reconciler.load)
            core.supervisor.listen(self._on_exit, self._on_supervisor_lost)
            held = await self._connect()
            await self._reconciler.reconcile(held)
            await self._reconciler.start_by_policy()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """The daemon ends; containers live on, and with them the supervisor."""
        self._is_stopping = True
        core = self._core
        with suppress(RundletError):  # it holds containers, or has died: either way there is nothing to end
            await core.supervisor.shutdown()
        for entry in core.registry:
            if entry.restart_timer is not None:
                entry.restart_timer.cancel()
            entry.output.abandon()
        self.execs.abandon()
        core.supervisor.disconnect()
        await core.tasks.drain(_DRAIN_S)
        await asyncio.to_thread(self._close)

    async def shutdown_all(self) -> None:
        """Stop every container and the supervisor, then :meth:`stop`."""
        await self._lifecycle.stop_all()
        for entry in self._core.registry:
            async with entry.lock:  # the supervisor lets go of a container after its exit is stored
                pass
        await self.stop()

    async def info(self) -> dict[str, Any]:
        """GET /info."""
        return await self._system.info()

    def version(self) -> dict[str, Any]:
        """GET /version."""
        return self._system.version()

    # making

    def _make_core(self) -> Core:
        """Blocking."""
        config = self.config
        store = Store(config.database)
        hierarchies = detect()
        images = ImageStore(config.data_root)
        try:
            images.sweep()
            store.open()
        except BaseException:
            images.close()
            raise
        return Core(
            config=config,
            registry=Registry(),
            store=store,
            supervisor=Supervisor(config.run_root / SOCKET_NAME),
            images=images,
            uses=ImageUses(),
            snapshots=Snapshots(config.data_root),
            volumes=Volumes(config.volumes_dir),
            events=Events(),
            tasks=Tasks(),
            hierarchies=hierarchies,
        )

    def _assemble(self, core: Core) -> None:
        launcher = Launcher(core)
        removal = Removal(core)
        inspection = Inspection(core.config, core.images, core.snapshots, core.tasks)
        self.events = core.events
        self.images = Images(core.images, core.uses, core.events, core.registry)
        self.networks = Networks(core.registry, core.config.data_root)
        self.volumes = VolumeListing(core.volumes, core.registry)
        self.execs = Execs(core)
        self._exits = Exits(core, launcher, removal, self.execs)
        self._lifecycle = Lifecycle(core, launcher, removal)
        self._reconciler = Reconciler(core, launcher, self._exits, removal, self.execs)
        self._system = System(core)
        self.containers = Containers(
            core.registry,
            core.tasks,
            creation=Creation(core),
            lifecycle=self._lifecycle,
            outputs=Outputs(core.config, core.supervisor, core.events, core.tasks),
            inspection=inspection,
            listing=Listing(core.registry, inspection, core.images, core.tasks),
        )

    def _close(self) -> None:
        """Blocking."""
        self._core.tasks.close()
        self._core.store.close()
        self._core.images.close()
        self._data_root.release()

    # the supervisor

    async def _connect(self) -> list[TaskState]:
        """Find a supervisor or start one. One that was just killed looks alive for a moment: then once more."""
        for pause_s in _CONNECT_PAUSES_S:
            await asyncio.to_thread(spawn_supervisor, self.config.run_root, self.config.instance)
            with suppress(SupervisorLost):
                return list(await self._core.supervisor.connect())
            await asyncio.sleep(pause_s)
        raise EngineError(f"the supervisor of {self.config.run_root} ends as soon as it is started")

    def _on_exit(self, task: TaskState) -> None:
        if task.exec_id is not None:
            self.execs.exited(task)
        elif task.exit is not None and (entry := self._core.registry.get(task.container_id)):
            work = self._exits.handle(entry, task.exit)
            self._core.tasks.spawn(work, f"end of container {entry.id}")

    def _on_supervisor_lost(self) -> None:
        if not self._is_stopping:
            _log.error("the supervisor (pid %d) ended unexpectedly", self._core.supervisor.pid)
            self._core.tasks.spawn(
                self._reconciler.supervisor_died(self._revive), "recovery from a lost supervisor"
            )

    async def _revive(self) -> None:
        while not self._is_stopping:
            with suppress(RundletError):
                await self._connect()
                return
            await asyncio.sleep(_REVIVE_S)
