"""What the engine's services share, made once by :mod:`rundlet.engine.engine` and handed to each."""

from __future__ import annotations

from dataclasses import dataclass

from rundlet.cgroups import Cgroup, Hierarchies
from rundlet.engine.config import EngineConfig
from rundlet.engine.events import Events
from rundlet.engine.image_uses import ImageUses
from rundlet.engine.registry import Registry
from rundlet.engine.store import Store
from rundlet.engine.supervisor import Supervisor
from rundlet.engine.tasks import Tasks
from rundlet.engine.volumes import Volumes
from rundlet.images import ImageStore, Snapshots

__all__ = ["Core"]


@dataclass(frozen=True, slots=True)
class Core:
    config: EngineConfig
    registry: Registry
    store: Store
    supervisor: Supervisor
    images: ImageStore
    uses: ImageUses
    snapshots: Snapshots
    volumes: Volumes
    events: Events
    tasks: Tasks
    hierarchies: Hierarchies

    def cgroup(self, container_id: str) -> Cgroup:
        return self.hierarchies.cgroup(self.config.cgroup_path(container_id))
