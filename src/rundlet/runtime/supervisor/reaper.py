"""Takes care of children that no task stands for: orphans that fell to us as subreaper, and traced ones.

What it will not do: reap a child that somebody keeps. A dead one of those hides others behind it, so whoever reaps
calls :meth:`Reaper.scan` afterwards.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from rundlet.linux.ptrace import detach
from rundlet.runtime.supervisor.loop import Loop

_DETACH_LIMIT = 16
_DETACH_PAUSE_S = 0.02
"""After each round of at most so many: a program can ask for a tracer again and again, and would keep us busy."""


class Reaper:
    """``is_kept(pid)``: somebody else will reap this child."""

    def __init__(self, loop: Loop, is_kept: Callable[[int], bool]) -> None:
        self._loop = loop
        self._is_kept = is_kept
        self._is_pausing = False
        self._wakeup, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # Python notes a signal by a byte in this pipe, which the loop sees; the handler itself has nothing to do.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        loop.watch(self._wakeup, self._on_wakeup)

    def scan(self) -> None:
        """Reap every dead child up to the first one that is kept."""
        try:
            while result := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if self._is_kept(result.si_pid):
                    return
                os.waitid(os.P_PID, result.si_pid, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return

    def _on_wakeup(self) -> None:
        os.read(self._wakeup, 4096)
        self._detach_traced()
        self.scan()

    def _detach_traced(self) -> None:
        """A program that made us its tracer stops at its next signal; let it go on with that signal."""
        if self._is_pausing:
            return
        for _ in range(_DETACH_LIMIT):
            try:
                stopped = os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOHANG)
            except ChildProcessError:
                return
            if stopped is None:
                return
            if stopped.si_code == os.CLD_TRAPPED:
                detach(stopped.si_pid, stopped.si_status & 0x7F)
                self._pause()
        self._pause()

    def _pause(self) -> None:
        if not self._is_pausing:
            self._is_pausing = True
            self._loop.call_later(_DETACH_PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._is_pausing = False
        self._detach_traced()
