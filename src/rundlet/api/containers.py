"""/containers: everything but exec. Each handler reads the request, calls the engine, words the reply.

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TYPE_CHECKING

from rundlet.api.hijack import HijackedStream, serve_session
from rundlet.api.parse import encode_document
from rundlet.api.reply import (
    EMPTY,
    MULTIPLEXED_STREAM,
    NO_CONTENT,
    RAW_STREAM,
    AnyReply,
    Hijack,
    Stream,
    closing_iterator,
    json_reply,
)
from rundlet.api.request import Request
from rundlet.api.routing import Route
from rundlet.engine.logs.entry import LogOptions, render
from rundlet.engine.session import AttachOptions, Session
from rundlet.errors import InvalidArgument
from rundlet.wire import filters, stdcopy
from rundlet.wire.documents import ContainerCreateRequest, ContainerCreateResponse, WaitResponse

if TYPE_CHECKING:
    from rundlet.engine.engine import Engine
    from rundlet.engine.logs.entry import LogEntry

_START_BODY = 7
"""Bytes that moby tolerates: an empty object or ``null`` with some white space."""


def routes(engine: Engine) -> list[Route]:
    api = _Containers(engine)
    return [
        Route("GET", "/containers/json", api.list, abandonable=True),
        Route("POST", "/containers/create", api.create),
        Route("POST", "/containers/prune", api.prune),
        Route("GET", "/containers/{name}/json", api.inspect, abandonable=True),
        Route("POST", "/containers/{name}/start", api.start),
        Route("POST", "/containers/{name}/stop", api.stop),
        Route("POST", "/containers/{name}/restart", api.restart),
        Route("POST", "/containers/{name}/kill", api.kill),
        Route("POST", "/containers/{name}/pause", api.pause),
        Route("POST", "/containers/{name}/unpause", api.unpause),
        Route("POST", "/containers/{name}/rename", api.rename),
        Route("POST", "/containers/{name}/wait", api.wait, abandonable=True),
        Route("POST", "/containers/{name}/attach", api.attach, abandonable=True),
        Route("POST", "/containers/{name}/resize", api.resize),
        Route("GET", "/containers/{name}/logs", api.logs, abandonable=True),
        Route("DELETE", "/containers/{name}", api.remove),
    ]


class _Containers:
    def __init__(self, engine: Engine) -> None:
        self._containers = engine.containers

    async def list(self, request: Request) -> AnyReply:
        summaries = await self._containers.list(
            all=request.flag("all"),
            limit=max(0, request.integer("limit") or 0),  # docker-py says -1 for no limit
            filters=filters.parse(request.text("filters")),
            size=request.flag("size"),
        )
        return json_reply(summaries)

    async def create(self, request: Request) -> AnyReply:
        body = await request.document(ContainerCreateRequest)
        endpoints = body.NetworkingConfig.EndpointsConfig or {}
        if len(endpoints) > 1 and request.version < (1, 44):
            names = ", ".join(endpoints)
            raise InvalidArgument(f"Container cannot be created with multiple network endpoints: {names}")
        container_id, warnings = await self._containers.create(
            body, request.text("name") or None, platform=request.text("platform")
        )
        return json_reply(ContainerCreateResponse(container_id, warnings), 201)

    async def inspect(self, request: Request) -> AnyReply:
        return json_reply(await self._containers.inspect(request.name, size=request.flag("size")))

    async def start(self, request: Request) -> AnyReply:
        if int(request.header(b"content-length") or 0) > _START_BODY or request.header(b"transfer-encoding"):
            raise InvalidArgument("starting a container with a request body was removed in API version 1.24")
        await self._containers.start(request.name)
        return NO_CONTENT

    async def stop(self, request: Request) -> AnyReply:
        await self._containers.stop(request.name, request.integer("t"), _stop_signal(request))
        return NO_CONTENT

    async def restart(self, request: Request) -> AnyReply:
        await self._containers.restart(request.name, request.integer("t"), _stop_signal(request))
        return NO_CONTENT

    async def kill(self, request: Request) -> AnyReply:
        await self._containers.kill(request.name, request.text("signal") or None)
        return NO_CONTENT

    async def pause(self, request: Request) -> AnyReply:
        await self._containers.pause(request.name)
        return NO_CONTENT

    async def unpause(self, request: Request) -> AnyReply:
        await self._containers.unpause(request.name)
        return NO_CONTENT

    async def rename(self, request: Request) -> AnyReply:
        await self._containers.rename(request.name, request.text("name"))
        return NO_CONTENT

    async def remove(self, request: Request) -> AnyReply:
        await self._containers.remove(request.name, force=request.flag("force"), volumes=request.flag("v"))
        return NO_CONTENT

    async def prune(self, request: Request) -> AnyReply:
        deleted, freed_bytes = await self._containers.prune(filters.parse(request.text("filters")))
        return json_reply({"ContainersDeleted": deleted or None, "SpaceReclaimed": freed_bytes})

    async def resize(self, request: Request) -> AnyReply:
        await self._containers.resize(request.name, *read_size(request))
        return EMPTY

    async def wait(self, request: Request) -> AnyReply:
        """Headers at once: ``docker run`` does not go on to start before it has them."""
        return Stream(_wait_reply(self._containers.waiter(request.name, request.text("condition"))))

    async def logs(self, request: Request) -> AnyReply:
        options = LogOptions(
            stdout=request.flag("stdout"),
            stderr=request.flag("stderr"),
            since_ns=request.time_ns("since") or 0,
            until_ns=request.time_ns("until") or 0,
            timestamps=request.flag("timestamps"),
            details=request.flag("details"),
            tail=_read_tail(request.text("tail")),
            follow=request.flag("follow"),
        )
        if not (options.stdout or options.stderr):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        framed = not self._containers.has_terminal(request.name)
        entries = self._containers.logs(request.name, options)
        return Stream(_log_reply(entries, options, framed), content_type(request, framed=framed))

    async def attach(self, request: Request) -> AnyReply:
        options = AttachOptions(
            stdin=request.flag("stdin"),
            stdout=request.flag("stdout"),
            stderr=request.flag("stderr"),
            stream=request.flag("stream"),
            logs=request.flag("logs"),
            detach_keys=request.text("detachKeys"),
        )
        session = await self._containers.attach(request.name, options)
        return hijack_for(request, session, framed=not session.tty)


def hijack_for(request: Request, session: Session, *, framed: bool) -> Hijack:
    async def run(stream: HijackedStream) -> None:
        await serve_session(stream, session, framed=framed)

    return Hijack(content_type(request, framed=framed and request.wants_upgrade), run)


def content_type(request: Request, *, framed: bool) -> bytes:
    """1.42 tells framed output from raw; before, everything is called raw."""
    return MULTIPLEXED_STREAM if framed and request.version >= (1, 42) else RAW_STREAM


def read_size(request: Request) -> tuple[int, int]:
    """Rows and columns of a terminal, both required."""
    rows, columns = request.integer("h"), request.integer("w")
    if rows is None or columns is None or not (0 <= rows < 2**16 and 0 <= columns < 2**16):
        raise InvalidArgument("invalid terminal size: h and w must both be given, from 0 to 65535")
    return rows, columns


def _stop_signal(request: Request) -> str | None:
    return (request.text("signal") or None) if request.version >= (1, 42) else None


def _read_tail(text: str) -> int | None:
    """A count; anything else, ``all`` and negative numbers included, is everything."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


async def _wait_reply(waiter: Awaitable[WaitResponse]) -> AsyncGenerator[bytes]:
    yield encode_document(await waiter)


async def _log_reply(entries: AsyncIterator[LogEntry], options: LogOptions, framed: bool) -> AsyncGenerator[bytes]:
    async with closing_iterator(entries):
        async for entry in entries:
            payload = render(entry, options)
            yield stdcopy.encode(entry.stream, payload) if framed else payload
