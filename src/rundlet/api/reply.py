"""The three shapes of a reply, and the one place where errors become statuses.

A handler returns one of :class:`Reply` (headers and body at once), :class:`Stream` (chunked, flushed item by
item, headers at once) and :class:`Hijack` (the connection becomes a raw stream). This module holds values
only; :mod:`rundlet.api.connection` sends them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from rundlet.api.parse import encode_document
from rundlet.errors import RundletError, StartFailed

if TYPE_CHECKING:
    from rundlet.api.hijack import HijackedStream

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
"""Exactly this: the CLI and aiodocker compare it with ``==`` and take nothing with a charset for JSON."""
TEXT = b"text/plain; charset=utf-8"
RAW_STREAM = b"application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = b"application/vnd.docker.multiplexed-stream"


@dataclass(slots=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: bytes = b""
    """Left out when empty: a typed empty body makes aiodocker raise."""
    headers: Headers = ()


@dataclass(slots=True)
class Stream:
    """``items`` are sent as one chunk each, and closed at the end or when the client goes away."""

    items: AsyncGenerator[bytes]
    content_type: bytes = JSON
    headers: Headers = ()
    status: int = 200


@dataclass(slots=True)
class Hijack:
    """``run`` gets the connection after the switch; the connection is closed when it returns."""

    content_type: bytes
    run: Callable[[HijackedStream], Awaitable[None]]


AnyReply: TypeAlias = Reply | Stream | Hijack


def json_reply(document: Any, status: int = 200) -> Reply:
    return Reply(status, encode_document(document), JSON)


NO_CONTENT = Reply(204)
EMPTY = Reply(200)
CREATED = Reply(201)


def error_reply(error: RundletError) -> Reply:
    """``{"message": …}`` with the status of the error's kind; the exit code of a program that did not start
    is an extension (``exitCode``)."""
    if error.http_status == 304:
        return Reply(304)
    document: dict[str, Any] = {"message": str(error)}
    if isinstance(error, StartFailed):
        document["exitCode"] = error.exit_code
    return json_reply(document, error.http_status)


@asynccontextmanager
async def closing_iterator(items: AsyncIterator[Any]) -> AsyncGenerator[None]:
    """Close ``items`` at the end if it is a generator, instead of when the garbage collector comes by."""
    try:
        yield
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def progress(items: AsyncIterator[dict[str, Any]], *, raise_early: bool = True) -> Stream:
    """A stream of progress objects, one JSON line each, that ends in ``\\r\\n`` as Docker's do.

    An error before the first object is raised here and gets its real status, unless ``raise_early`` is off.
    A later one becomes the last object: ``errorDetail`` for the CLI, which ignores ``error`` alone, and
    ``error`` for docker-py.
    """
    first = await anext(items, None) if raise_early else None
    return Stream(_progress_lines(first, items))


async def _progress_lines(
    first: dict[str, Any] | None, items: AsyncIterator[dict[str, Any]]
) -> AsyncGenerator[bytes]:
    async with closing_iterator(items):
        try:
            if first is not None:
                yield _line(first)
            async for item in items:
                yield _line(item)
        except RundletError as error:
            yield _line({"errorDetail": {"message": str(error)}, "error": str(error)})


def _line(item: dict[str, Any]) -> bytes:
    return msgspec.json.encode(item) + b"\r\n"
