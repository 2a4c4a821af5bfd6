"""The supervisor's event loop: descriptors that became ready, and timers. Nothing here or called from here blocks.

What it will not do: own a descriptor. Whoever closes one unwatches it first: epoll goes on reporting a descriptor
that was closed here while a copy of it is open elsewhere (epoll(7), questions and answers, 6).
"""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

from rundlet.runtime.supervisor.log import log_exception

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT

Callback = Callable[[], None]


class Timer:
    """A call that is due at a time; :meth:`cancel` may come too late and then does nothing."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callback) -> None:
        self._callback: Callback | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        if callback := self._callback:
            self._callback = None
            callback()


class Loop:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._timers_made = 0
        self._is_running = False

    def watch(self, fd: int, callback: Callback, events: int = READABLE) -> None:
        """Call ``callback`` whenever ``fd`` is ready, as long as it is. Be prepared for a call too many."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """No further call. No error if it is not watched."""
        if self._callbacks.pop(fd, None):
            self._epoll.unregister(fd)

    def call_later(self, delay_s: float, callback: Callback) -> Timer:
        timer = Timer(callback)
        self._timers_made += 1
        heapq.heappush(self._timers, (time.monotonic() + delay_s, self._timers_made, timer))
        return timer

    def stop(self) -> None:
        """Make :meth:`run` return when the current round is over."""
        self._is_running = False

    def run(self) -> None:
        """Serve until :meth:`stop`. A callback that raises is logged, and its descriptor is watched no more."""
        self._is_running = True
        while self._is_running:
            for fd, _ in self._epoll.poll(self._seconds_to_next_timer()):
                # Another callback of this round may have unwatched it.
                if callback := self._callbacks.get(fd):
                    try:
                        callback()
                    except Exception:  # noqa: BLE001  one container's trouble is not another's: the boundary
                        log_exception(f"descriptor {fd}")
                        self.unwatch(fd)
            self._fire_timers()

    def _seconds_to_next_timer(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _fire_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            try:
                timer.fire()
            except Exception:  # noqa: BLE001  as in run()
                log_exception("timer")
