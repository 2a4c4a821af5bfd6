"""Taking a container away: the intent is stored, then everything goes, the record last.

A kill at any instant leaves a record that says ``removing``; start-up does the rest. On a full disk the intent
cannot be stored, and the removal goes on all the same: it is what makes room.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress

from rundlet.engine.container import Container, Status
from rundlet.engine.core import Core
from rundlet.engine.registry import Entry
from rundlet.errors import NotFound, StorageFull

__all__ = ["Removal"]

_log = logging.getLogger(__name__)


class Removal:
    """The caller holds the container's lock; the container does not run."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def remove(self, entry: Entry, *, volumes: bool) -> None:
        """Its name, its limits and its disk space are free when this returns.

        If it fails the container is ``dead``: it can be removed again, and no more.
        """
        core, container = self._core, entry.container
        container.move(Status.REMOVING, "remove")
        container.state.removes_volumes = volumes
        try:
            await core.store.put_state(container)
        except StorageFull as error:
            _log.warning("container %s: removed without noting the intent: %s", entry.id, error)
        try:
            if entry.is_held:
                with suppress(NotFound):
                    await core.supervisor.delete(entry.id, force=True)
                entry.is_held = False
            doomed = self._doomed_volumes(entry) if volumes else []
            await core.tasks.in_thread(self._remove_files, container, doomed)
            for name in doomed:
                core.volumes.discard(name)
                await core.store.delete_volume(name)
            await core.store.delete_container(entry.id)
        except Exception as error:  # whatever it is: what stays "removing" can never be removed
            container.move(Status.DEAD, "remove")
            container.state.error = f"removing the container: {error}"
            core.store.put_state_soon(container)
            raise
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        core = self._core
        core.registry.remove(entry)
        core.uses.release(entry.container.definition.image_id, entry.id)
        core.events.emit_container("destroy", entry.container)
        entry.output.end_run()
        entry.waiters.removed()

    def _doomed_volumes(self, entry: Entry) -> list[str]:
        """The anonymous volumes that no other container has taken over (VolumesFrom)."""
        others = {
            spec.name
            for other in self._core.registry
            if other is not entry
            for spec in other.container.definition.mounts
        }
        return [
            spec.name for spec in entry.container.definition.mounts if spec.anonymous and spec.name not in others
        ]

    def _remove_files(self, container: Container, volumes: list[str]) -> None:
        config = self._core.config
        self._core.snapshots.remove(container.id)
        for directory in (config.container_dir(container.id), config.runtime_dir(container.id)):
            with suppress(FileNotFoundError):
                shutil.rmtree(directory)
        for name in volumes:
            self._core.volumes.remove_directory(name)
