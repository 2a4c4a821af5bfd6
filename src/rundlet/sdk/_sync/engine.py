# Generated from src/rundlet/sdk/_async/engine.py by tools/unasync.py; do not edit.
"""The way in: an engine's address, and its resources as attributes."""

from __future__ import annotations

from rundlet.sdk import address
from rundlet.sdk._sync.containers import Containers
from rundlet.sdk._sync.execs import Execs
from rundlet.sdk._sync.images import Images
from rundlet.sdk._sync.system import System
from rundlet.sdk._sync.transport import Transport

__all__ = ["Engine"]


class Engine:
    """An engine at ``host``, else at ``RUNDLET_HOST``, else this machine's Rundlet.

    Making one connects to nothing; each call does, for itself. ``timeout_s`` bounds each call as a whole, but for
    those that last as long as their work does, which say so; of these it bounds connecting.

    Raises InvalidArgument for what is no address.
    """

    __slots__ = ("_transport", "containers", "execs", "images", "system")

    def __init__(self, host: str | None = None, *, timeout_s: float | None = 60.0) -> None:
        self._transport = Transport(address.find(host), timeout_s)
        self.containers = Containers(self._transport)
        self.execs = Execs(self._transport)
        self.images = Images(self._transport)
        self.system = System(self._transport)

    @property
    def host(self) -> str:
        """Its address, written as it is given to ``host``."""
        return str(self._transport.address)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host!r})"
