"""Streams of JSON objects: progress of pull and load, events, stats.

Docker ends progress objects with ``\\r\\n`` and events with ``\\n``; proxies and older engines glue objects
together on one line. All three are read here. The meaning of an object is the caller's business.
"""

from __future__ import annotations

import json

from rundlet.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MAX_LINE_BYTES", "Decoder", "encode"]

MAX_LINE_BYTES = 16 * 1024 * 1024

_raw_decode = json.JSONDecoder().raw_decode


def encode(document: Any, end: bytes = b"\n") -> bytes:
    """One object on one line, compact."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + end


class Decoder:
    """Gives out the objects in a byte stream as their lines become complete."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The objects that ``data`` completes. Raises ProtocolError for what is no JSON or has no end."""
        *whole, rest = data.split(b"\n")
        objects: list[Any] = []
        for line in whole:
            self._extend(line)
            objects += self._take()
        self._extend(rest)
        return objects

    def feed_eof(self) -> list[Any]:
        """No more bytes will come: the objects of a last line that has no newline."""
        return self._take()

    def _extend(self, data: bytes) -> None:
        if len(self._line) + len(data) > MAX_LINE_BYTES:
            raise ProtocolError(f"a line of JSON is longer than {MAX_LINE_BYTES} bytes")
        self._line += data

    def _take(self) -> list[Any]:
        objects: list[Any] = []
        try:
            text = self._line.decode().strip(" \t\r\n")
            while text:
                document, end = _raw_decode(text)
                objects.append(document)
                text = text[end:].lstrip(" \t\r\n")
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"not JSON: {bytes(self._line[:80])!r} ({error})") from error
        finally:
            self._line.clear()
        return objects
