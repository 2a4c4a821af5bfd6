"""The containers of an engine, as its faces call them. Each method says one thing and hands it on.

A reference is a full id, a name (with or without its slash) or a unique prefix of an id. Whatever changes a
container runs to its end even if the caller goes away: a client that hangs up does not undo a stop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence

from rundlet.engine.creation import Creation
from rundlet.engine.inspection import Inspection
from rundlet.engine.lifecycle import Lifecycle
from rundlet.engine.listing import Filters, Listing
from rundlet.engine.logs.entry import LogEntry, LogOptions
from rundlet.engine.outputs import Outputs
from rundlet.engine.registry import Registry
from rundlet.engine.session import AttachOptions, Session
from rundlet.engine.tasks import Tasks
from rundlet.wire.documents import ContainerCreateRequest, ContainerInspect, ContainerSummary, WaitResponse

__all__ = ["Containers", "Filters"]


class Containers:
    def __init__(
        self,
        registry: Registry,
        tasks: Tasks,
        *,
        creation: Creation,
        lifecycle: Lifecycle,
        outputs: Outputs,
        inspection: Inspection,
        listing: Listing,
    ) -> None:
        self._registry = registry
        self._tasks = tasks
        self._creation = creation
        self._lifecycle = lifecycle
        self._outputs = outputs
        self._inspection = inspection
        self._listing = listing

    async def create(
        self, request: ContainerCreateRequest, name: str | None = None, *, platform: str = ""
    ) -> tuple[str, list[str]]:
        """Id and warnings. ``platform``, if given, must be the image's.

        ImageNotFound, NotFound, NameInUse, InvalidArgument, StorageFull; then nothing is left of it.
        """
        return await self._tasks.run_to_end(self._creation.create(request, name, platform))

    async def start(self, ref: str) -> None:
        """Returns when the program has been exec'd. NotModified when it runs; StartFailed with an exit code."""
        await self._tasks.run_to_end(self._lifecycle.start(self._registry.resolve(ref)))

    async def stop(self, ref: str, timeout_s: int | None = None, signal: str | None = None) -> None:
        """Returns when nothing of it runs. ``timeout_s``: None is the container's own, -1 waits for ever.

        NotModified when it does not run.
        """
        await self._tasks.run_to_end(self._lifecycle.stop(self._registry.resolve(ref), timeout_s, signal))

    async def restart(self, ref: str, timeout_s: int | None = None, signal: str | None = None) -> None:
        """Stop if it runs, then start."""
        await self._tasks.run_to_end(self._lifecycle.restart(self._registry.resolve(ref), timeout_s, signal))

    async def kill(self, ref: str, signal: str | None = None) -> None:
        """Send ``signal`` (name or number). KILL, the default, also waits for the end."""
        await self._tasks.run_to_end(self._lifecycle.kill(self._registry.resolve(ref), signal))

    async def pause(self, ref: str) -> None:
        await self._tasks.run_to_end(self._lifecycle.pause(self._registry.resolve(ref)))

    async def unpause(self, ref: str) -> None:
        await self._tasks.run_to_end(self._lifecycle.unpause(self._registry.resolve(ref)))

    async def rename(self, ref: str, new_name: str) -> None:
        await self._tasks.run_to_end(self._lifecycle.rename(self._registry.resolve(ref), new_name))

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Returns when its name and its limits are free. ``volumes``: its anonymous volumes as well."""
        await self._tasks.run_to_end(
            self._lifecycle.remove(self._registry.resolve(ref), force=force, volumes=volumes)
        )

    async def prune(self, filters: Filters) -> tuple[list[str], int]:
        """Remove what does not run: the ids, and the bytes that became free."""
        return await self._tasks.run_to_end(self._lifecycle.prune(self._listing.prunable(filters)))

    def waiter(self, ref: str, condition: str = "") -> Awaitable[WaitResponse]:
        """Wait for ``not-running`` (or empty), ``next-exit`` or ``removed``; registered before this returns."""
        return self._registry.resolve(ref).waiters.add(condition)

    async def inspect(self, ref: str, *, size: bool = False) -> ContainerInspect:
        return await self._inspection.inspect(self._registry.resolve(ref), size=size)

    def has_terminal(self, ref: str) -> bool:
        """Its output is one stream, and not framed."""
        return self._registry.resolve(ref).container.is_tty

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - the API's word
        limit: int = 0,
        filters: Filters | None = None,
        size: bool = False,
    ) -> Sequence[ContainerSummary]:
        """Newest first. A ``limit`` or a ``status`` filter implies those that do not run."""
        return await self._listing.list(show_all=all, limit=limit, filters=filters or {}, size=size)

    def logs(self, ref: str, options: LogOptions) -> AsyncIterator[LogEntry]:
        """Entries, one frame each (see ``render``). Errors of the request are raised at once, not later.

        ``follow`` goes on while the container runs. NotImplementedHere when the driver keeps nothing.
        """
        return self._outputs.read_log(self._registry.resolve(ref), options)

    async def attach(self, ref: str, options: AttachOptions) -> Session:
        """Subscribed before this returns: on a created container not even the first byte is missed."""
        return await self._outputs.attach(self._registry.resolve(ref), options)

    async def resize(self, ref: str, height: int, width: int) -> None:
        self._outputs.resize(self._registry.resolve(ref), height, width)
