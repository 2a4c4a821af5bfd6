"""One request of the Engine API: its address, its parameters, its body as it comes in.

Reading is lenient where Docker is (booleans, numbers with nothing in them) and strict where Docker is.
A request knows nothing of sockets: :mod:`rundlet.api.connection` feeds its body.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qs

from rundlet.api.parse import parse_document
from rundlet.errors import InvalidArgument, RundletError

T = TypeVar("T")

DOCUMENT_LIMIT = 16 * 1024 * 1024
"""Bytes of a JSON body. More than the environment and arguments of any program can be."""

Version = tuple[int, ...]

_FALSE = frozenset({"", "0", "no", "false", "none"})


class ClientDisconnected(RundletError):
    """The client went away in the middle of its body: nobody will read a reply."""

    def __init__(self) -> None:
        super().__init__("the client closed the connection before the end of its request")


class Body:
    """What the client sends behind the headers, as far as it has come. One reader.

    ``on_wanted`` is called before the reader waits: the moment to let more bytes in (and to tell a client
    that asked with ``Expect: 100-continue`` to go ahead).
    """

    def __init__(self, on_wanted: Callable[[], None]) -> None:
        self.buffered = 0
        """Bytes that wait for the reader."""
        self.complete = False
        self._chunks: deque[bytes] = deque()
        self._on_wanted = on_wanted
        self._waiter: asyncio.Future[None] | None = None
        self._broken = False

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self.buffered += len(data)
        self._wake()

    def feed_end(self) -> None:
        self.complete = True
        self._wake()

    def feed_disconnect(self) -> None:
        self._broken = not self.complete
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end. Raises :class:`ClientDisconnected`."""
        while not self._chunks:
            if self.complete:
                return b""
            if self._broken:
                raise ClientDisconnected
            self._on_wanted()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._chunks.popleft()
        self.buffered -= len(data)
        return data

    async def read_all(self, limit: int) -> bytes:
        """The whole body. Raises :class:`InvalidArgument` when it is longer than ``limit`` bytes."""
        parts, size = [], 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise InvalidArgument(f"request body is larger than {limit} bytes")
        return b"".join(parts)

    async def discard(self, limit: int, timeout_s: float) -> bool:
        """Read over what nobody wants, within reason: a client that is cut off while it sends may never see
        the reply. False when there is too much of it."""
        if self.complete and not self._chunks:
            return True
        size = 0
        try:
            async with asyncio.timeout(timeout_s):
                while data := await self.read():
                    size += len(data)
                    if size > limit:
                        return False
        except TimeoutError:
            return False
        return True


class Request:
    """``version``, ``name`` and ``abandonable`` are filled in when the request is routed."""

    __slots__ = ("_headers", "_query", "abandonable", "body", "method", "name", "path", "query_string", "version")

    def __init__(self, method: str, path: str, query: str, headers: list[tuple[bytes, bytes]], body: Body) -> None:
        self.method = method
        self.path = path
        """Percent-decoded, without the version."""
        self.query_string = query
        self.body = body
        self.version: Version = ()
        self.name = ""
        """The part of the path that names an object; may hold slashes and colons."""
        self.abandonable = False
        """Nobody but this client cares for the end of the handler: it is cancelled when the client goes away."""
        self._headers = headers
        self._query: dict[str, list[str]] | None = None

    def header(self, name: bytes) -> str | None:
        """Value of the header of that (lower-case) name."""
        for key, value in self._headers:
            if key == name:
                return value.decode("latin-1")
        return None

    @property
    def wants_upgrade(self) -> bool:
        return self.header(b"upgrade") is not None

    # ── query ───────────────────────────────────────────────────────────────────────────────────────────────

    def texts(self, key: str) -> list[str]:
        """Every value of a parameter that may be repeated."""
        if self._query is None:
            self._query = parse_qs(self.query_string, keep_blank_values=True, errors="replace")
        return self._query.get(key, [])

    def text(self, key: str, default: str = "") -> str:
        values = self.texts(key)
        return values[0] if values else default

    def flag(self, key: str, default: bool = False) -> bool:
        """Docker's boolean: present, and none of its five words for no (moby ``httputils/form.go``)."""
        values = self.texts(key)
        return values[0].strip().lower() not in _FALSE if values else default

    def integer(self, key: str) -> int | None:
        """None when absent or empty. Raises :class:`InvalidArgument` for anything but a decimal int64."""
        text = self.text(key)
        if not text:
            return None
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            raise InvalidArgument(f'invalid value for parameter {key}: "{text}" is not an integer')
        return int(text)

    def time_ns(self, key: str) -> int | None:
        """Unix seconds with up to nine digits behind the point, in nanoseconds. None when absent or empty."""
        text = self.text(key)
        if not text:
            return None
        seconds, _, fraction = text.removeprefix("-").partition(".")
        if not (text.isascii() and seconds.isdigit() and len(seconds) < 12 and (fraction or "0").isdigit()):
            raise InvalidArgument(f'invalid value for parameter {key}: "{text}" is not a Unix time')
        time_ns = int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))
        return -time_ns if text[0] == "-" else time_ns

    # ── body ────────────────────────────────────────────────────────────────────────────────────────────────

    async def document(self, cls: type[T]) -> T:
        """The JSON body as a ``cls``; an absent one is an empty object."""
        raw = await self.body.read_all(DOCUMENT_LIMIT)
        if raw:
            content_type = self.header(b"content-type") or ""
            if content_type.partition(";")[0].strip().lower() != "application/json":
                raise InvalidArgument(
                    f"unsupported Content-Type header ({content_type}): must be 'application/json'"
                )
        return parse_document(raw, cls)
