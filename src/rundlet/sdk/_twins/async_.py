"""Waiting, with asyncio: the event loop goes on. See ``sync`` for the twin.

Sockets stay plain and non-blocking, without asyncio's transports: these read ahead, which a hijacked stream must
not (nobody may own bytes that its reader has not asked for), and half-close only what they can write.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterable, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from rundlet.sdk.request import Upload

__all__ = ["read_chunks", "resolve", "sleep", "wait_ready"]

CHUNK_BYTES = 128 * 1024

sleep = asyncio.sleep


async def wait_ready(sock: socket.socket, *, read: bool, write: bool, timeout_s: float | None) -> bool:
    """Until the socket can be read or written (as asked), or has failed; False when the time is up."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    # One reader and one writer may wait on a socket at the same time; each takes back only its own.
    if read:
        loop.add_reader(sock, wake)
    if write:
        loop.add_writer(sock, wake)
    try:
        async with asyncio.timeout(timeout_s):
            await woken
    except TimeoutError:
        return False
    finally:
        if read:
            loop.remove_reader(sock)
        if write:
            loop.remove_writer(sock)
    return True


async def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    """``getaddrinfo`` for TCP, in a thread. The resolver keeps its own time: no deadline reaches it."""
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def read_chunks(source: Upload) -> AsyncIterator[bytes]:
    """The bytes of a file or the items of an iterable, read in threads; or those of an async iterable."""
    read = getattr(source, "read", None)  # a file is iterable as well, but by lines
    if read is not None:
        while data := await asyncio.to_thread(read, CHUNK_BYTES):
            yield data
    elif isinstance(source, AsyncIterable):
        async for piece in source:
            yield piece
    elif isinstance(source, Iterable):
        pieces = iter(source)
        while (item := await asyncio.to_thread(lambda: next(pieces, None))) is not None:
            yield item
    else:
        raise TypeError(f"a body is a binary file or an iterable of bytes, not {type(source).__name__}")
