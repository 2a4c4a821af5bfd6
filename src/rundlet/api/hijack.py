"""A connection that has stopped speaking HTTP: attach and exec sessions.

    client                                  daemon
    ──────                                  ──────
    POST …/attach, Upgrade: tcp   ───────▶
                                  ◀───────  101 UPGRADED (or 200 for a client that asked for no upgrade)
    stdin, raw                    ───────▶
                                  ◀───────  stdout and stderr: framed, or raw with a terminal
    shutdown(SHUT_WR)             ───────▶  end of stdin; output goes on
                                  ◀───────  EOF when the program has ended, not before its exit code is known

A half-close is no disconnect; a hangup is. This module moves bytes between a connection and a session of
the engine and does not interpret them: detach keys and the rules of stdin are the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING

from rundlet.api.hangup import HangupWatch
from rundlet.wire import stdcopy

if TYPE_CHECKING:
    from rundlet.engine.session import Session

_READ_HIGH = 256 * 1024
"""Bytes of stdin that may wait for the program before the client has to."""
_HEADERS_TIMEOUT_S = 1.0
_TCP_PAUSE_S = 0.02


class HijackedStream(asyncio.Protocol):
    """The raw byte stream of a hijacked connection. One reader, one writer.

    ``on_lost`` is called when the client is gone in both directions, at most once.
    """

    def __init__(
        self, transport: asyncio.Transport, received: bytes, eof: bool, on_lost: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._received = bytearray(received)
        self._eof = eof
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._headers_are_read = False
        self._on_lost: Callable[[], None] | None = on_lost
        self._hangup = HangupWatch(transport, self._lose)
        if eof or transport.is_closing():
            self._hangup.start()

    # ── asyncio.Protocol ────────────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._readable.set()
        if len(self._received) > _READ_HIGH:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        self._readable.set()
        self._hangup.start()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._eof = True
        self._readable.set()
        self._writable.set()
        self._lose()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _lose(self) -> None:
        self._hangup.stop()
        if self._on_lost is not None:
            on_lost, self._on_lost = self._on_lost, None
            on_lost()

    # ── for the session ─────────────────────────────────────────────────────────────────────────────────────

    async def read(self) -> bytes:
        """The next bytes of the client, ``b""`` at its end of input."""
        while not self._received:
            if self._eof:
                return b""
            self._readable.clear()
            await self._readable.wait()
        data = bytes(self._received)
        self._received.clear()
        if not self._eof:
            self._transport.resume_reading()
        return data

    async def write(self, *parts: bytes) -> None:
        """Send; waits while the client is slow. Raises :class:`ConnectionResetError` when it is gone."""
        if not self._headers_are_read:
            await self._wait_headers_read()
        if self._transport.is_closing():
            raise ConnectionResetError
        self._transport.writelines(parts)
        await self._writable.wait()

    async def _wait_headers_read(self) -> None:
        """Hold the first byte back until the client has taken the headers out of the socket.

        docker-py reads headers through a buffer and the payload from the socket below it: what arrives
        together with the headers is lost (docker-py#1732). A Unix socket tells what the peer has not read;
        TCP tells only what its kernel has not acknowledged, hence the pause on top.
        """
        sock = self._transport.get_extra_info("socket")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _HEADERS_TIMEOUT_S
        pause_s = 0.0
        with contextlib.suppress(OSError):  # closed meanwhile: the write finds out
            while self._transport.get_write_buffer_size() or _unread(sock.fileno()):
                if loop.time() > deadline:
                    break
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s + 0.0002, 0.005)
            if sock.family != socket.AF_UNIX:
                await asyncio.sleep(_TCP_PAUSE_S)
        self._headers_are_read = True

    def ignore_loss(self) -> None:
        """From here on the client may go as it likes: what is left is to clean up."""
        self._hangup.stop()
        self._on_lost = None

    def close(self) -> None:
        """Close when everything written has been sent."""
        self.ignore_loss()
        self._transport.close()


def _unread(fd: int) -> int:
    """Bytes of the send queue (SIOCOUTQ has the number of TIOCOUTQ; unix(7), tcp(7))."""
    (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, b"\0\0\0\0"))
    return int(count)


async def serve_session(stream: HijackedStream, session: Session, *, framed: bool) -> None:
    """Connect the two until the session's output ends. Cancelled when the client goes away."""
    feeder = asyncio.create_task(_feed(stream, session))
    try:
        async for number, data in session.output:
            if framed:  # a terminal's stream, too, when an exec was started with another Tty than created
                await stream.write(stdcopy.header(number or stdcopy.STDOUT, len(data)), data)
            else:
                await stream.write(data)
    except ConnectionResetError:
        pass  # nobody is there to read the rest; the program goes on
    finally:
        stream.ignore_loss()
        feeder.cancel()
        try:
            await asyncio.wait([feeder])  # where a client that was lost before the first wait cancels this
        finally:
            await session.close()


async def _feed(stream: HijackedStream, session: Session) -> None:
    while data := await stream.read():
        await session.write(data)
    await session.close_stdin()


async def write_message(stream: HijackedStream, text: str, *, framed: bool) -> None:
    """A message of the engine instead of output, as dockerd writes it: on stdout, ended by CR LF."""
    data = f"{text}\r\n".encode()
    with contextlib.suppress(ConnectionResetError):
        await stream.write(*((stdcopy.header(stdcopy.STDOUT, len(data)), data) if framed else (data,)))
