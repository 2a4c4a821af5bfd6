"""The frames in which Docker carries stdout and stderr over one connection.

      0        1   2   3        4   5   6   7
    ┌────────┬───────────┬───────────────────┬─────────────
    │ stream │  0  0  0  │ length, 32 bit BE │ payload …
    └────────┴───────────┴───────────────────┴─────────────
    stream: 0 stdin (never sent to a client), 1 stdout, 2 stderr, 3 the engine's own error text

https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerAttach ("Stream
format"). Containers with a terminal are not framed at all; who reads decides, since the bytes cannot tell.
"""

from __future__ import annotations

import struct

from rundlet.errors import ProtocolError

__all__ = ["STDERR", "STDIN", "STDOUT", "SYSTEM_ERROR", "Demuxer", "encode", "header"]

STDIN = 0
STDOUT = 1
STDERR = 2
SYSTEM_ERROR = 3

HEADER_BYTES = 8
MAX_LENGTH = 2**32 - 1

_HEADER = struct.Struct(">II")
# The first word of a header is the stream number with three zero bytes behind it: whatever is not one of these
# four words is not a frame, which finds raw terminal output that was taken for frames at its first byte.
_STREAMS = {stream << 24: stream for stream in (STDIN, STDOUT, STDERR, SYSTEM_ERROR)}


def header(stream: int, length: int) -> bytes:
    """The eight bytes before a payload of ``length`` bytes, for writers that gather (``writev``)."""
    return _HEADER.pack(stream << 24, length)


def encode(stream: int, payload: bytes | memoryview) -> bytes:
    """One whole frame."""
    return b"".join((header(stream, len(payload)), payload))


class Demuxer:
    """Takes frames apart as their bytes arrive. Holds back at most an incomplete header: seven bytes.

    Pieces come out as soon as they are there, so a long frame comes in several pieces; their boundaries mean
    nothing. Empty frames give no piece.
    """

    __slots__ = ("_left", "_partial", "_stream")

    def __init__(self) -> None:
        self._stream = STDOUT
        self._left = 0  # bytes of the present frame that are still to come
        self._partial = b""  # an incomplete header

    @property
    def at_boundary(self) -> bool:
        """Whether all frames so far are complete."""
        return not self._left and not self._partial

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The ``(stream, bytes)`` pieces in ``data``. Raises ProtocolError when it cannot be frames."""
        if self._partial:
            data = self._partial + data
            self._partial = b""
        pieces: list[tuple[int, bytes]] = []
        at, end = 0, len(data)
        while at < end:
            if not self._left:
                if end - at < HEADER_BYTES:
                    self._partial = data[at:]
                    break
                self._begin(data, at)
                at += HEADER_BYTES
                continue
            piece = data[at : at + self._left]
            pieces.append((self._stream, piece))
            at += len(piece)
            self._left -= len(piece)
        return pieces

    def feed_eof(self) -> None:
        """No more bytes will come. Raises ProtocolError inside a frame."""
        if not self.at_boundary:
            raise ProtocolError("the stream ended inside a frame")

    def _begin(self, data: bytes, at: int) -> None:
        word, self._left = _HEADER.unpack_from(data, at)
        try:
            self._stream = _STREAMS[word]
        except KeyError:
            start = data[at : at + HEADER_BYTES]
            raise ProtocolError(
                f"not a frame of container output: {start!r} (is it a terminal's output?)"
            ) from None
