"""Waiting, with threads: the caller's thread stands still. See ``async_`` for the twin."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rundlet.sdk.request import Upload

__all__ = ["read_chunks", "resolve", "sleep", "wait_ready"]

CHUNK_BYTES = 128 * 1024

sleep = time.sleep


def wait_ready(sock: socket.socket, *, read: bool, write: bool, timeout_s: float | None) -> bool:
    """Until the socket can be read or written (as asked), or has failed; False when the time is up."""
    poll = select.poll()
    poll.register(sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    """``getaddrinfo`` for TCP. The resolver keeps its own time: no deadline reaches it."""
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def read_chunks(source: Upload) -> Iterator[bytes]:
    """The bytes of a file, or the items of an iterable."""
    read = getattr(source, "read", None)  # a file is iterable as well, but by lines
    if read is not None:
        while data := read(CHUNK_BYTES):
            yield data
    elif isinstance(source, Iterable):
        yield from source
    else:
        raise TypeError(f"a body is a binary file or an iterable of bytes, not {type(source).__name__}")
