"""One connection to an engine: bytes out, bytes in, a deadline, a half-close. No HTTP.

The socket is non-blocking in both colours; only waiting for it differs, and lives in ``_twins``.
"""

from __future__ import annotations

import errno
import os
import socket
import time

from rundlet.errors import ConnectionLost, EngineTimeout, EngineUnavailable
from rundlet.sdk._twins import async_ as twins
from rundlet.sdk.address import Address, unreachable

__all__ = ["AsyncConnection"]

RECEIVE_BYTES = 64 * 1024
MAX_INBOX_BYTES = 8 * 1024 * 1024
BACKLOG_RETRY_S = 0.01


class AsyncConnection:
    """A connected socket.

    Waiting ends with EngineTimeout when the deadline has passed. A wait that fails or is cancelled closes the
    connection, since nobody can tell any more where in the stream it stands. One reader and one writer at a time.
    """

    __slots__ = ("_expires", "_inbox", "_is_closed", "_socket", "_timeout_s", "_waits", "address")

    def __init__(self, sock: socket.socket, address: Address, timeout_s: float | None) -> None:
        self.address = address
        self._socket = sock
        self._timeout_s = timeout_s
        self._expires = None if timeout_s is None else time.monotonic() + timeout_s
        self._inbox = bytearray()  # what came while sending
        self._waits = 0
        self._is_closed = False

    @classmethod
    async def open(cls, address: Address, timeout_s: float | None) -> AsyncConnection:
        """Connect. The deadline, ``timeout_s`` from now, holds until :meth:`lift_deadline`.

        Raises EngineUnavailable, which says why and what to do; EngineTimeout.
        """
        if address.path:
            return await cls._open(socket.AF_UNIX, address.path, address, timeout_s)
        try:
            candidates = await twins.resolve(address.host, address.port)
        except OSError as error:
            raise EngineUnavailable(str(address), error.strerror or str(error)) from error
        failure: EngineUnavailable | None = None
        for family, _, _, _, target in candidates:
            try:
                return await cls._open(family, target, address, timeout_s)
            except EngineUnavailable as error:
                failure = error
        raise failure or EngineUnavailable(str(address), "the name has no address")

    @classmethod
    async def _open(
        cls, family: int, target: str | tuple[str, int], address: Address, timeout_s: float | None
    ) -> AsyncConnection:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A wait may last for days; routers forget a silent connection much earlier.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = cls(sock, address, timeout_s)
        try:
            await connection._connect(target)
        except OSError as error:
            connection.close()
            raise unreachable(address, error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connect(self, target: str | tuple[str, int]) -> None:
        code = self._socket.connect_ex(target)
        while code == errno.EAGAIN:
            # unix(7): the engine's backlog is full. Nothing tells when it no longer is.
            if self._remaining() == 0:
                raise self._late()
            await twins.sleep(BACKLOG_RETRY_S)
            code = self._socket.connect_ex(target)
        if code == errno.EINPROGRESS:
            await self._wait(read=False, write=True)
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def lift_deadline(self) -> None:
        """From now on waiting may take as long as it takes."""
        self._expires = None

    async def receive(self) -> bytes:
        """What has come, at least one byte; ``b""`` when the engine has ended the stream.

        Raises ConnectionLost, EngineTimeout.
        """
        if self._inbox:
            data = bytes(self._inbox)
            self._inbox.clear()
            return data
        while True:
            try:
                return self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                await self._wait(read=True, write=False)
            except OSError as error:
                self.close()
                raise self._lost(error) from error

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of ``data``, as fast as the engine takes it.

        Raises ConnectionLost when it takes no more, and leaves the connection open: there may be more to read.
        """
        rest = memoryview(data)
        while rest:
            if sent := self.send_some(rest):
                rest = rest[sent:]
            else:
                await self._wait(read=False, write=True)

    def send_some(self, data: bytes | memoryview) -> int:
        """Send what fits without waiting: 0 means wait until the connection is writable. Raises ConnectionLost."""
        try:
            return self._socket.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from error

    async def upload(self, data: bytes) -> bool:
        """Send all of ``data`` and take in what the engine says meanwhile; False when it takes no more.

        An engine that reports progress while it reads would else wait for us as we wait for it. One that refuses
        a request answers and stops reading: the answer counts, not the bytes it did not want.
        """
        rest = memoryview(data)
        while rest:
            listening = self._listen()
            try:
                rest = rest[self._socket.send(rest, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                await self._wait(read=listening, write=True)
            except OSError:
                return False
        return True

    def _listen(self) -> bool:
        """Take in what is there without waiting; False when there will be no more, or no room for it."""
        if len(self._inbox) >= MAX_INBOX_BYTES:
            return False
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False  # whoever receives next will hear of it
        self._inbox += data
        return bool(data)

    def close_write(self) -> None:
        """Tell the engine that nothing more will be sent; what it sends still arrives. Raises ConnectionLost."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._lost(error) from error

    def fileno(self) -> int:
        """The socket, for ``select``; -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the connection, at once and for both directions. Who waits for it hears ConnectionLost."""
        if self._is_closed:
            return
        self._is_closed = True
        try:  # noqa: SIM105 - importing contextlib for this would slow down every command
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes who waits
        except OSError:
            pass  # never connected, or the engine was faster
        if not self._waits:  # a descriptor must not be closed, and perhaps used anew, while it is waited for
            self._socket.close()

    async def _wait(self, *, read: bool, write: bool) -> None:
        self._waits += 1
        try:
            if self._is_closed:
                raise self._closed()
            ready = await twins.wait_ready(self._socket, read=read, write=write, timeout_s=self._remaining())
            if not ready:
                raise self._late()
            if self._is_closed:
                raise self._closed()
        except BaseException:
            self.close()
            raise
        finally:
            self._waits -= 1
            if self._is_closed and not self._waits:
                self._socket.close()

    def _remaining(self) -> float | None:
        return None if self._expires is None else max(0.0, self._expires - time.monotonic())

    def _late(self) -> EngineTimeout:
        return EngineTimeout(str(self.address), self._timeout_s or 0.0)

    def _lost(self, error: OSError) -> ConnectionLost:
        return self._closed() if self._is_closed else ConnectionLost(str(self.address), str(error.strerror))

    def _closed(self) -> ConnectionLost:
        return ConnectionLost(str(self.address), "it was closed here")
