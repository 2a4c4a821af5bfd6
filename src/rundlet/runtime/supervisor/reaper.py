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


class Reaper:
    """``is_kept(pid)``: somebody else will reap this child."""

    def __init__(self, loop: Loop, is_kept: Callable[[int], bool]) -> None:
        self._is_kept = is_kept
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
        try:
            while result := os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOHANG):
                if result.si_code == os.CLD_TRAPPED:
                    detach(result.si_pid, result.si_status & 0x7F)
        except ChildProcessError:
            return
