"""Containers: https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container

A container is named by its ID, a unique start of it, or its name. All methods raise what the engine's status
stands for (NotFound for an unknown one), EngineUnavailable, EngineTimeout, ConnectionLost and ProtocolError.
"""

from __future__ import annotations

from rundlet.errors import NotModified
from rundlet.sdk import reply as replies
from rundlet.sdk._async.streams import AsyncFrames, AsyncStream, AsyncWaiter
from rundlet.sdk.request import Request, container
from rundlet.wire import filters as wire_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rundlet.sdk._async.transport import AsyncTransport
    from rundlet.sdk.reply import Documents

__all__ = ["AsyncContainers"]


class AsyncContainers:
    """What can be done with containers, each call as Docker's API has it."""

    __slots__ = ("_transport",)

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self, body: Mapping[str, Any], name: str | None = None, platform: str | None = None
    ) -> dict[str, Any]:
        """Make a container of a ContainerCreateRequest: ``{"Id": …, "Warnings": […]}``.

        Raises NotFound when there is no such image here; NameInUse's status, Conflict, for a taken name.
        """
        request = Request("POST", "/containers/create", {"name": name, "platform": platform}, document=body)
        return replies.document(await self._transport.call(request))

    async def inspect(self, ref: str, *, size: bool = False) -> dict[str, Any]:
        """Everything about one container."""
        request = Request("GET", container(ref, "json"), {"size": size})
        return replies.document(await self._transport.call(request))

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the API's own word
        limit: int | None = None,
        size: bool = False,
        filters: Mapping[str, str | Iterable[str]] | None = None,
    ) -> Documents:
        """Summaries, newest first; of running ones alone unless ``all`` or a filter says otherwise."""
        query = {"all": all, "limit": limit, "size": size, "filters": wire_filters.build(filters or {})}
        return replies.documents(await self._transport.call(Request("GET", "/containers/json", query)))

    async def start(self, ref: str, *, detach_keys: str | None = None) -> bool:
        """Start it; False when it was running already.

        Raises StartFailed with the exit code when the program could not be started (other engines than Rundlet
        report this as InvalidArgument or EngineError, and only their text tells).
        """
        return await self._change(Request("POST", container(ref, "start"), {"detachKeys": detach_keys}))

    async def stop(self, ref: str, *, timeout_s: int | None = None, signal: str | None = None) -> bool:
        """Ask it to end and kill it ``timeout_s`` seconds later (-1: never); False when it was not running.

        Returns when it has ended, however long that takes.
        """
        query = {"t": timeout_s, "signal": signal}
        return await self._change(Request("POST", container(ref, "stop"), query), patient=True)

    async def restart(self, ref: str, *, timeout_s: int | None = None, signal: str | None = None) -> None:
        """Stop it as :meth:`stop` does and start it."""
        query = {"t": timeout_s, "signal": signal}
        await self._transport.call(Request("POST", container(ref, "restart"), query), patient=True)

    async def kill(self, ref: str, signal: str | int | None = None) -> None:
        """Send its main process a signal, by name or number; KILL if none is given. Conflict when not running."""
        name = None if signal is None else str(signal)
        await self._transport.call(Request("POST", container(ref, "kill"), {"signal": name}))

    async def pause(self, ref: str) -> None:
        """Freeze all its processes."""
        await self._transport.call(Request("POST", container(ref, "pause")))

    async def unpause(self, ref: str) -> None:
        """Let its processes go on."""
        await self._transport.call(Request("POST", container(ref, "unpause")))

    async def rename(self, ref: str, name: str) -> None:
        """Give it another name. Conflict when that is taken."""
        await self._transport.call(Request("POST", container(ref, "rename"), {"name": name}))

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it; with ``force`` also a running one, with ``volumes`` its anonymous volumes too.

        Returns when it is gone, however long that takes. Conflict when it runs.
        """
        query = {"force": force, "v": volumes}
        await self._transport.call(Request("DELETE", container(ref), query), patient=True)

    async def resize(self, ref: str, *, height: int, width: int) -> None:
        """Tell its terminal how many rows and columns there are."""
        await self._transport.call(Request("POST", container(ref, "resize"), {"h": height, "w": width}))

    async def wait(self, ref: str, condition: str | None = None) -> AsyncWaiter:
        """Have the engine watch for ``not-running`` (its default), ``next-exit`` or ``removed``.

        Returns as soon as it does; the exit comes with the waiter's ``result()``.
        """
        return AsyncWaiter(
            await self._transport.open(Request("POST", container(ref, "wait"), {"condition": condition}))
        )

    async def logs(
        self,
        ref: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
        timestamps: bool = False,
        details: bool = False,
        tty: bool = False,
    ) -> AsyncFrames:
        """What it has written, and with ``follow`` goes on to write until it exits.

        ``since`` and ``until`` are Unix seconds, ``tail`` a number of lines. ``tty``: whether the container has a
        terminal (``Config.Tty`` of inspect), since its output then comes without frames.
        """
        query = {
            "stdout": stdout,
            "stderr": stderr,
            "follow": follow,
            "tail": None if tail is None else str(tail),
            "since": since,
            "until": until,
            "timestamps": timestamps,
            "details": details,
        }
        return AsyncFrames(await self._transport.open(Request("GET", container(ref, "logs"), query)), tty=tty)

    async def attach(
        self,
        ref: str,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        logs: bool = False,
        stream: bool = True,
        detach_keys: str | None = None,
        tty: bool = False,
    ) -> AsyncStream:
        """Join its stdio; it may be created and not yet started. ``logs`` replays what was written before.

        ``tty`` as for :meth:`logs`.
        """
        query = {
            "stdin": stdin,
            "stdout": stdout,
            "stderr": stderr,
            "logs": logs,
            "stream": stream,
            "detachKeys": detach_keys,
        }
        request = Request("POST", container(ref, "attach"), query, upgrade=True)
        return AsyncStream(await self._transport.open(request), tty=tty)

    async def _change(self, request: Request, *, patient: bool = False) -> bool:
        try:
            await self._transport.call(request, patient=patient)
        except NotModified:
            return False
        return True
