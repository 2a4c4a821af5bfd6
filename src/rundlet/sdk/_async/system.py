"""The engine itself: https://docs.docker.com/reference/api/engine/version/v1.47/#tag/System

All methods raise EngineUnavailable, EngineTimeout, ConnectionLost, ProtocolError, and what the status stands for.
"""

from __future__ import annotations

from rundlet.sdk import reply as replies
from rundlet.sdk.request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rundlet.sdk._async.transport import AsyncTransport

__all__ = ["AsyncSystem"]


class AsyncSystem:
    """Is it there, what is it, and how is it."""

    __slots__ = ("_transport",)

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def ping(self) -> None:
        """Return if the engine answers."""
        await self._transport.call(Request("GET", "/_ping"))

    async def version(self) -> dict[str, Any]:
        """Versions of the engine and of the API (``ApiVersion``, ``MinAPIVersion``)."""
        return replies.document(await self._transport.call(Request("GET", "/version")))

    async def info(self) -> dict[str, Any]:
        """What it runs on, how it is set up, and how much it holds."""
        return replies.document(await self._transport.call(Request("GET", "/info")))
