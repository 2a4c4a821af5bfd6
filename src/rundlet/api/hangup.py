"""Tells a client that has gone away from one that has merely ended its input.

Both look like end of file to the reader, and an event loop stops watching a socket at end of file.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable

_INTERVAL_S = 1.0


class HangupWatch:
    """After :meth:`start`, calls ``on_hangup`` once the peer of ``transport`` is gone in both directions.

    A Unix socket knows: poll(2) says POLLHUP as soon as the peer has closed, and says it not after a
    shutdown(SHUT_WR). TCP does not know before it writes: with ``eof_is_hangup`` (for plain requests, where
    Go's server, too, takes an end of file for a disconnect) the end of file decides.
    """

    def __init__(
        self, transport: asyncio.BaseTransport, on_hangup: Callable[[], None], *, eof_is_hangup: bool = False
    ) -> None:
        self._transport = transport
        self._on_hangup = on_hangup
        self._eof_is_hangup = eof_is_hangup
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self) -> None:
        if self._stopped or self._timer is not None:
            return
        self._check()

    def _check(self) -> None:
        if self._is_gone():
            self._stopped = True
            self._on_hangup()
        else:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._check)

    def _is_gone(self) -> bool:
        if self._transport.is_closing():
            return True
        sock = self._transport.get_extra_info("socket")
        if self._eof_is_hangup and sock.family != socket.AF_UNIX:
            return True
        poll = select.poll()
        poll.register(sock.fileno(), 0)  # POLLHUP and POLLERR are always reported
        return bool(poll.poll(0))

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
