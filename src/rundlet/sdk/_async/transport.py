"""Sends a request over a connection of its own and reads the reply. Knows statuses, but no resource."""

from __future__ import annotations

from rundlet.errors import ConnectionLost, ProtocolError
from rundlet.sdk import reply as replies
from rundlet.sdk._async.connection import AsyncConnection
from rundlet.sdk._twins import async_ as twins
from rundlet.wire import http

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet.sdk.address import Address
    from rundlet.sdk.request import Request

__all__ = ["AsyncReply", "AsyncTransport"]


class AsyncTransport:
    """Where the engine is and how long it may take. Holds no connection."""

    __slots__ = ("address", "timeout_s")

    def __init__(self, address: Address, timeout_s: float | None) -> None:
        self.address = address
        self.timeout_s = timeout_s

    async def call(self, request: Request, *, patient: bool = False) -> bytes:
        """The body of a successful reply.

        The deadline is for the whole call; with ``patient`` it is for connecting alone, since what the engine has
        to do takes its time. Raises what the reply's status stands for, EngineUnavailable, EngineTimeout,
        ConnectionLost, ProtocolError.
        """
        reply = await self._open(request, patient)
        try:
            return await reply.read_all()
        finally:
            reply.close()

    async def open(self, request: Request) -> AsyncReply:
        """A successful reply whose headers have come, and whose body may go on for ever. The caller closes it.

        Only connecting is under the deadline: engines are known to hold the headers back until there is output.
        Raises as :meth:`call` does.
        """
        return await self._open(request, patient=True)

    async def _open(self, request: Request, patient: bool) -> AsyncReply:
        connection = await AsyncConnection.open(self.address, self.timeout_s)
        try:
            if patient:
                connection.lift_deadline()
            wanted = await connection.upload(request.encode(self.address.authority))
            if wanted and request.upload is not None:
                async for data in twins.read_chunks(request.upload):
                    if not await connection.upload(http.chunk(data)):
                        break
                else:
                    await connection.upload(http.LAST_CHUNK)
            reply = AsyncReply(connection, request.method)
            await reply.read_head()
            if not 200 <= reply.head.status < 300 and reply.head.status != 101:
                raise replies.failure(reply.head, await reply.read_all())
        except BaseException:
            connection.close()
            raise
        return reply


class AsyncReply:
    """A reply whose body is still to be read: JSON, lines, frames, or a hijacked stream."""

    __slots__ = ("_parser", "_pieces", "connection", "head")

    head: http.Head

    def __init__(self, connection: AsyncConnection, method: str) -> None:
        self.connection = connection
        self._parser = http.ResponseParser(method)
        self._pieces: list[bytes] = []  # of the body, that came with the headers

    async def read_head(self) -> None:
        while self._parser.head is None:
            self._pieces = await self._receive()
        self.head = self._parser.head

    async def receive(self) -> list[bytes] | None:
        """The body's next pieces, after at most one receive: perhaps none yet. None when the body is complete.

        Raises ConnectionLost when the connection ends before the body does; ProtocolError; EngineTimeout.
        """
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            return pieces
        if self._parser.is_complete:
            self.close()
            return None
        return await self._receive()

    async def read_all(self) -> bytes:
        """The whole body. Raises as :meth:`receive` does, and ProtocolError when it is longer than 256 MiB."""
        body = bytearray()
        while (pieces := await self.receive()) is not None:
            for piece in pieces:
                body += piece
            if len(body) > replies.MAX_DOCUMENT_BYTES:
                self.close()
                raise ProtocolError(f"the engine's reply is longer than {replies.MAX_DOCUMENT_BYTES} bytes")
        return bytes(body)

    async def _receive(self) -> list[bytes]:
        data = await self.connection.receive()
        try:
            if data:
                return self._parser.feed(data)
            self._parser.feed_eof()
        except ProtocolError as error:
            self.close()
            if not data:
                raise ConnectionLost(str(self.connection.address), str(error)) from error
            raise
        return []

    def close(self) -> None:
        self.connection.close()
