"""HTTP/1.1 messages as a client of the Engine API needs them: requests written, responses taken apart.

Bytes in, bytes out: no socket, no clock, no policy (RFC 9112; section numbers stand beside the code). The
parser is strict where a lenient one would guess: a body that ends early, two lengths that disagree or a bare
line feed raise ProtocolError, and nothing that arrives can make it hold more than a line or the headers.

Not for servers, and no pipelining: one request, one response, and then the connection is done, or belongs to
the hijacked stream that the response opened.
"""

from __future__ import annotations

import re

from rundlet.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

__all__ = ["LAST_CHUNK", "Head", "ResponseParser", "chunk", "encode_request", "quote"]

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200
MAX_CHUNK_LINE_BYTES = 4 * 1024
MAX_INTERIM_RESPONSES = 16
MAX_LENGTH_DIGITS = 18

LAST_CHUNK = b"0\r\n\r\n"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")
_FIELD_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_STATUS_LINE = re.compile(r"HTTP/1\.[0-9] ([1-9][0-9][0-9])(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str, safe: str = "") -> str:
    """Percent-encode text for a path or query (RFC 3986). Importing ``urllib.parse`` for it costs 3 ms."""
    keep = _UNRESERVED.union(safe.encode())
    return "".join(chr(byte) if byte in keep else f"%{byte:02X}" for byte in text.encode())


def encode_request(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of a request. Raises ValueError for what would break out of its line."""
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError(f"not a request line: {method!r} {target!r}")
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"not a header: {name!r}: {value!r}")
        lines.append(f"{name}: {value}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; nothing for no data, since an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class Head:
    """Status line and headers of a response. Header names are lower case; repeated ones are joined by ``, ``."""

    __slots__ = ("headers", "reason", "status")

    status: Final[int]
    reason: Final[str]
    headers: Final[Mapping[str, str]]

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers

    def __repr__(self) -> str:
        return f"<Head {self.status} {self.reason}>"


class ResponseParser:
    """Takes one response apart as its bytes arrive.

        HEAD ──► SIZED / UNTIL_CLOSE ────────────────────────────► DONE
          └────► CHUNK_SIZE ─► CHUNK_DATA ─► CHUNK_END ─┐  TRAILERS ─► DONE
                    ▲  └──────── size 0 ────────────────┼─────┘
                    └───────────────────────────────────┘

    ``feed`` gives the pieces of the body that came, as they came. After ``101`` (and ``200`` of engines that do
    not upgrade) the "body" is the hijacked stream: it goes on until the connection ends, and its first bytes
    may well come together with the headers. Bytes behind a complete response are ignored.
    """

    __slots__ = ("_buffer", "_interim", "_left", "_method", "_searched", "_state", "head")

    def __init__(self, method: str) -> None:
        self.head: Head | None = None
        """None until all headers are there."""
        self._method = method
        self._state = "HEAD"
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer that hold no end of line: they are not searched again
        self._left = 0  # bytes of a SIZED body or of a chunk that are still to come
        self._interim = 0

    @property
    def is_complete(self) -> bool:
        """Whether the response has ended. One that lasts until the connection closes ends by :meth:`feed_eof`."""
        return self._state == "DONE"

    def feed(self, data: bytes) -> list[bytes]:
        """The body's pieces in ``data``. Raises ProtocolError; the connection is of no use after that."""
        if self._state == "UNTIL_CLOSE":
            return [data] if data else []
        pieces: list[bytes] = []
        self._buffer += data
        while self._buffer and self._step(pieces):
            pass
        return pieces

    def feed_eof(self) -> None:
        """The connection has ended. Raises ProtocolError when the response had not."""
        if self._state == "UNTIL_CLOSE":
            self._state = "DONE"
        if self._state == "DONE":
            return
        where = "before its headers were complete" if self._state == "HEAD" else "inside its body"
        raise ProtocolError(f"the response ended {where}")

    def _step(self, pieces: list[bytes]) -> bool:
        """Take one element off the buffer; False when it is not there yet."""
        match self._state:
            case "HEAD":
                return self._take_head()
            case "SIZED":
                return self._take_data(pieces, "DONE")
            case "UNTIL_CLOSE":
                self._left = len(self._buffer)
                return self._take_data(pieces, "UNTIL_CLOSE")
            case "CHUNK_SIZE":
                return self._take_chunk_size()
            case "CHUNK_DATA":
                return self._take_data(pieces, "CHUNK_END")
            case "CHUNK_END":
                return self._take_chunk_end()
            case "TRAILERS":
                return self._take_trailers()
            case _:
                self._buffer.clear()
                return False

    def _take_data(self, pieces: list[bytes], then: str) -> bool:
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        pieces.append(piece)
        if not self._left:
            self._state = then
        return True

    def _take_until(self, end: bytes, limit: int, what: str) -> bytes | None:
        """What stands before the next ``end``, which is dropped; None when it has not come."""
        at = self._buffer.find(end, max(0, self._searched - len(end) + 1))
        shortest = at if at >= 0 else len(self._buffer) - len(end) + 1  # the end may have come in part
        if shortest > limit:
            raise ProtocolError(f"{what} of the response is longer than {limit} bytes")
        if at < 0:
            self._searched = len(self._buffer)
            return None
        self._searched = 0
        taken = bytes(self._buffer[:at])
        del self._buffer[: at + len(end)]
        return taken

    def _take_head(self) -> bool:
        text = self._take_until(b"\r\n\r\n", MAX_HEAD_BYTES, "the head")
        if text is None:
            return False
        head = _parse_head(text)
        if head.status < 200 and head.status != 101:
            # 100 Continue and its like announce the response proper (RFC 9110, 15.2).
            self._interim += 1
            if self._interim > MAX_INTERIM_RESPONSES:
                raise ProtocolError(f"more than {MAX_INTERIM_RESPONSES} interim responses")
            return True
        self._state, self._left = _framing(self._method, head)
        self.head = head
        return True

    def _take_chunk_size(self) -> bool:
        line = self._take_until(b"\r\n", MAX_CHUNK_LINE_BYTES, "a chunk's first line")
        if line is None:
            return False
        match = _CHUNK_SIZE.fullmatch(line)  # extensions are allowed and ignored (7.1.1)
        if match is None:
            raise ProtocolError(f"not the size of a chunk: {line[:40]!r}")
        self._left = int(match[1], 16)
        self._state = "CHUNK_DATA" if self._left else "TRAILERS"
        return True

    def _take_chunk_end(self) -> bool:
        if not b"\r\n".startswith(self._buffer[:2]):
            raise ProtocolError("a chunk is longer than it says")
        if len(self._buffer) < 2:
            return False
        del self._buffer[:2]
        self._state = "CHUNK_SIZE"
        return True

    def _take_trailers(self) -> bool:
        """Drop the trailers (7.1.2): nobody here needs one. Each is a line; the empty line is the end."""
        line = self._take_until(b"\r\n", MAX_HEAD_BYTES - self._left, "the trailer section")
        if line is None:
            return False
        self._left += len(line) + 2  # counts up here, against the limit
        if not line:
            self._state = "DONE"
        return True


def _parse_head(text: bytes) -> Head:
    status_line, *lines = text.decode("latin-1").split("\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if match is None:
        raise ProtocolError(f"not an HTTP response: {status_line[:80]!r}")
    if len(lines) > MAX_HEADERS:
        raise ProtocolError(f"the response has more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise ProtocolError(f"not a header: {line[:80]!r}")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(int(match[1]), match[2] or "", headers)


def _framing(method: str, head: Head) -> tuple[str, int]:
    """The state and length with which the body begins (6.3, in its order)."""
    if head.status == 101:
        return "UNTIL_CLOSE", 0
    if method == "HEAD" or head.status in (204, 304):
        return "DONE", 0
    coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise ProtocolError(f"cannot tell the body's length: transfer-encoding {coding!r}, length {length!r}")
        return "CHUNK_SIZE", 0
    if length is None:
        return "UNTIL_CLOSE", 0
    lengths = set(length.replace(" ", "").split(","))  # a repeated header may repeat the same number
    only = lengths.pop()
    if lengths or not (only.isascii() and only.isdigit() and len(only) <= MAX_LENGTH_DIGITS):
        raise ProtocolError(f"not a content length: {length!r}")
    return ("SIZED", int(only)) if int(only) else ("DONE", 0)
