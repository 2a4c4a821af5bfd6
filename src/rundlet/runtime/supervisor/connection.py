"""One connection from a daemon: messages in, messages out, never waiting for the peer.

A peer that breaks the protocol, or lets its answers pile up, loses the connection; whatever it needs to know is in
the Welcome of the next one.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence

from rundlet.errors import ProtocolError
from rundlet.runtime import messages
from rundlet.runtime.supervisor.log import log
from rundlet.runtime.supervisor.loop import READABLE, WRITABLE, Loop

QUEUE_LIMIT = 4096
"""Messages that a peer may leave unread beyond what the kernel holds (some hundreds)."""


class Connection:
    """``on_message(connection, message)`` for each message; ``on_close(connection)`` once, however it ends."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_message: Callable[[Connection, messages.Message], None],
        on_close: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._on_message = on_message
        self._on_close = on_close
        self._queue: deque[tuple[messages.Message, list[int]]] = deque()
        self.is_open = True
        loop.watch(sock.fileno(), self._on_ready)

    def send(self, message: messages.Message, fds: Sequence[int] = ()) -> None:
        """Send now or when the peer reads; ``fds`` stay the caller's. Once it is closed, nothing happens."""
        if not self.is_open:
            return
        if not self._queue and self._try_send(message, fds):
            return
        if self.is_open:
            self._enqueue(message, fds)

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()
        for _, fds in self._queue:
            _close_all(fds)
        self._queue.clear()
        self._on_close(self)

    def _enqueue(self, message: messages.Message, fds: Sequence[int]) -> None:
        if len(self._queue) >= QUEUE_LIMIT:
            log("the daemon does not read its messages; disconnected")
            self.close()
            return
        try:
            copies = _dup_all(fds)  # the caller may close its own before the peer reads
        except OSError as error:
            log(f"keeping a message to the daemon: {error}; disconnected")
            self.close()
            return
        self._queue.append((message, copies))
        if len(self._queue) == 1:
            self._loop.change(self._socket.fileno(), READABLE | WRITABLE)

    def _try_send(self, message: messages.Message, fds: Sequence[int]) -> bool:
        try:
            messages.send(self._socket, message, fds)
        except BlockingIOError:
            return False
        except (
            OSError
        ) as error:  # EPIPE, ECONNRESET: the peer is gone; ENOMEM, EMFILE, ETOOMANYREFS: it may return
            log(f"sending to the daemon: {error}")
            self.close()
        return True

    def _on_ready(self) -> None:
        while self._queue and self._try_send(*self._queue[0]):
            if not self.is_open:
                return
            _close_all(self._queue.popleft()[1])
            if not self._queue:
                self._loop.change(self._socket.fileno(), READABLE)
        self._receive()

    def _receive(self) -> None:
        try:
            received = messages.receive(self._socket)
        except BlockingIOError:
            return
        except (OSError, ProtocolError) as error:
            log(f"receiving from the daemon: {error}")
            self.close()
            return
        if received is None:
            self.close()
            return
        message, fds = received
        _close_all(fds)  # no request carries one
        self._on_message(self, message)


class Listener:
    """Accepts connections from processes of this user; ``on_connect(socket)`` for each."""

    def __init__(self, loop: Loop, path: str, on_connect: Callable[[socket.socket], None]) -> None:
        self._loop = loop
        self._on_connect = on_connect
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        bind_privately(self._socket, path)
        self._socket.listen(16)
        loop.watch(self._socket.fileno(), self._accept)

    def close(self) -> None:
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors or memory: the peer stays in the queue, and the loop must not spin on it.
            log(f"accepting a connection: {error}")
            self._loop.unwatch(self._socket.fileno())
            self._loop.call_later(1.0, lambda: self._loop.watch(self._socket.fileno(), self._accept))
            return
        sock.setblocking(False)
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            log(f"refused a connection from uid {uid}")
            sock.close()
            return
        self._on_connect(sock)


def bind_privately(sock: socket.socket, path: str) -> None:
    """Bind to ``path``, replacing a socket that nobody serves any more; open to this user alone from the start."""
    if os.path.lexists(path):
        os.unlink(path)
    old = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(old)


def _dup_all(fds: Sequence[int]) -> list[int]:
    copies: list[int] = []
    try:
        copies.extend(os.dup(fd) for fd in fds)
    except OSError:
        _close_all(copies)
        raise
    return copies


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
