"""What outlasts a call: output, hijacked streams, progress, and waiting for an exit.

Each owns its connection: use it in a ``with`` block, read it to its end, or close it. Reading backs up: what is
not asked for stays in the engine, which in turn makes the program wait.
"""

from __future__ import annotations

from rundlet.errors import ConnectionLost, EngineError, ProtocolError
from rundlet.sdk import reply as replies
from rundlet.wire import jsonlines, stdcopy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from rundlet.sdk._async.transport import AsyncReply

__all__ = ["AsyncFrames", "AsyncMessages", "AsyncStream", "AsyncWaiter"]


class _AsyncOwner:
    """Owns the connection of a reply."""

    __slots__ = ("_reply",)

    def __init__(self, reply: AsyncReply) -> None:
        self._reply = reply

    def fileno(self) -> int:
        """The connection's descriptor, for ``select``."""
        return self._reply.connection.fileno()

    def close(self) -> None:
        """End the connection. Harmless when it has ended."""
        self._reply.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncFrames(_AsyncOwner):
    """Output of a container: an iterator of ``(stream, bytes)``, where 1 is stdout and 2 stderr.

    Boundaries mean nothing: a line may come in pieces. A terminal's output is all of stream 1.
    """

    __slots__ = ("_complaint", "_demuxer", "_queue")

    def __init__(self, reply: AsyncReply, *, tty: bool) -> None:
        super().__init__(reply)
        self._demuxer = None if tty else stdcopy.Demuxer()
        self._queue: list[tuple[int, bytes]] = []
        self._complaint = b""  # what the engine says of itself in the stream

    async def read_frame(self) -> tuple[int, bytes] | None:
        """The next piece of output; None at the end.

        Raises ConnectionLost when the connection ends inside a frame, EngineError when the engine reports in
        the stream that it cannot go on, ProtocolError for what is no frame (perhaps ``tty`` was wrong).
        """
        while not self._queue:
            frames = await self.receive()
            if frames is None:
                return None
            self._queue = frames[::-1]
        return self._queue.pop()

    async def receive(self) -> list[tuple[int, bytes]] | None:
        """All pieces that are here after at most one receive, perhaps none; None at the end.

        For loops round ``select``: call it once before the first ``select``, since output may have come together
        with the headers, and then whenever the connection is readable. Raises as :meth:`read_frame` does.
        """
        if self._queue:
            frames, self._queue = self._queue[::-1], []
            return frames
        if self._complaint and self._at_boundary():
            self._fail()
        pieces = await self._reply.receive()
        if pieces is None:
            self._finish()
            return None
        try:
            return [frame for piece in pieces for frame in self._demux(piece)]
        except ProtocolError:
            self.close()
            raise

    def _demux(self, piece: bytes) -> list[tuple[int, bytes]]:
        if self._demuxer is None:
            return [(stdcopy.STDOUT, piece)]
        frames = self._demuxer.feed(piece)
        if any(stream == stdcopy.SYSTEM_ERROR for stream, _ in frames):
            self._complaint += b"".join(data for stream, data in frames if stream == stdcopy.SYSTEM_ERROR)
            frames = [frame for frame in frames if frame[0] != stdcopy.SYSTEM_ERROR]
        return frames

    def _at_boundary(self) -> bool:
        return self._demuxer is None or self._demuxer.at_boundary

    def _finish(self) -> None:
        if self._complaint:
            self._fail()
        if not self._at_boundary():
            raise ConnectionLost(str(self._reply.connection.address), "the stream ended inside a frame")

    def _fail(self) -> None:
        self.close()
        raise EngineError(self._complaint.decode(errors="replace").strip())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, bytes]:
        frame = await self.read_frame()
        if frame is None:
            raise StopAsyncIteration
        return frame


class AsyncStream(AsyncFrames):
    """A hijacked connection: output as :class:`AsyncFrames` gives it, and the program's stdin to write to.

    Reading and writing at the same time is allowed, one of each. A program that waits for its output to be read
    takes no input: whoever writes much must go on reading, or write with :meth:`write_some`.
    """

    __slots__ = ()

    async def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``, as fast as it is taken.

        Raises ConnectionLost when nobody takes it any more; output may still be there to read.
        """
        await self._reply.connection.send(data)

    def write_some(self, data: bytes | memoryview) -> int:
        """Write what fits without waiting, and say how much: 0 means select for writing. Raises ConnectionLost."""
        return self._reply.connection.send_some(data)

    def close_write(self) -> None:
        """End the program's stdin; its output goes on. Raises ConnectionLost."""
        self._reply.connection.close_write()


class AsyncMessages(_AsyncOwner):
    """Progress of an engine at work: an iterator of JSON objects. Its end is success.

    Raises EngineError for an object that reports failure, ConnectionLost, ProtocolError.
    """

    __slots__ = ("_at_end", "_decoder", "_queue")

    def __init__(self, reply: AsyncReply) -> None:
        super().__init__(reply)
        self._decoder = jsonlines.Decoder()
        self._queue: list[Any] = []  # in reverse
        self._at_end = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            while not self._queue:
                if self._at_end:
                    raise StopAsyncIteration
                self._queue = await self._receive()
            return replies.progress(self._queue.pop())
        except (EngineError, ProtocolError):
            self.close()
            raise

    async def _receive(self) -> list[Any]:
        pieces = await self._reply.receive()
        if pieces is None:
            self._at_end = True
            return self._decoder.feed_eof()[::-1]
        return [item for piece in pieces for item in self._decoder.feed(piece)][::-1]


class AsyncWaiter(_AsyncOwner):
    """A wait that the engine has taken note of: an exit from now on is not missed."""

    __slots__ = ()

    async def result(self) -> tuple[int, str | None]:
        """Wait for it, without limit. The exit code and, when the wait itself failed, why.

        Raises ConnectionLost (ask again: the container may be there still), ProtocolError.
        """
        try:
            return replies.wait_result(await self._reply.read_all())
        finally:
            self.close()
