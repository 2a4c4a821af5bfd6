"""The way in: an engine's address, and its resources as attributes."""

from __future__ import annotations

from rundlet.sdk import address
from rundlet.sdk._async.containers import AsyncContainers
from rundlet.sdk._async.execs import AsyncExecs
from rundlet.sdk._async.images import AsyncImages
from rundlet.sdk._async.system import AsyncSystem
from rundlet.sdk._async.transport import AsyncTransport

__all__ = ["AsyncEngine"]


class AsyncEngine:
    """An engine at ``host``, else at ``RUNDLET_HOST``, else this machine's Rundlet.

    Making one connects to nothing; each call does, for itself. ``timeout_s`` bounds each call as a whole, but for
    those that last as long as their work does, which say so; of these it bounds connecting.

    Raises InvalidArgument for what is no address.
    """

    __slots__ = ("_transport", "containers", "execs", "images", "system")

    def __init__(self, host: str | None = None, *, timeout_s: float | None = 60.0) -> None:
        self._transport = AsyncTransport(address.find(host), timeout_s)
        self.containers = AsyncContainers(self._transport)
        self.execs = AsyncExecs(self._transport)
        self.images = AsyncImages(self._transport)
        self.system = AsyncSystem(self._transport)

    @property
    def host(self) -> str:
        """Its address, written as it is given to ``host``."""
        return str(self._transport.address)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host!r})"
