"""The engine as one object: what it is made of, and the order in which it starts and ends."""

from __future__ import annotations

from typing import Any

from rundlet.engine.config import EngineConfig
from rundlet.engine.containers import Containers
from rundlet.engine.events import Events
from rundlet.engine.execs import Execs
from rundlet.engine.images import Images

__all__ = ["Engine"]


class Engine:
    containers: Containers
    execs: Execs
    images: Images
    events: Events

    def __init__(self, config: EngineConfig) -> None:
        self.config = config

    async def start(self) -> None:
        """Take the data root, connect to (or start) the supervisor, reconcile. DataRootLocked, Unsupported."""
        raise NotImplementedError

    async def stop(self) -> None:
        """The daemon ends; containers live on."""
        raise NotImplementedError

    async def shutdown_all(self) -> None:
        """Stop every container and the supervisor, then :meth:`stop`."""
        raise NotImplementedError

    async def info(self) -> dict[str, Any]:
        """GET /info."""
        raise NotImplementedError

    def version(self) -> dict[str, Any]:
        """GET /version."""
        raise NotImplementedError
