"""A running program: a container's init or an exec. Knows how it ended, once it has.

What it will not do: act on the end. That is the business of whoever keeps the task.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from rundlet.runtime.launch import Launch
from rundlet.runtime.messages import ExitStatus, TaskState
from rundlet.runtime.supervisor.loop import Loop
from rundlet.runtime.supervisor.stdio import Streams


class Task:
    """Takes over the pidfd of a launch that succeeded, and ``streams``.

    ``on_exit(task)`` is called once, when :attr:`exit` is known and the process is reaped.
    """

    __slots__ = ("_loop", "_on_exit", "container_id", "exec_id", "exit", "pid", "pidfd", "start_time", "streams")

    def __init__(
        self,
        loop: Loop,
        name: tuple[str, str | None],
        launch: Launch,
        streams: Streams,
        on_exit: Callable[[Task], None],
    ) -> None:
        self.container_id, self.exec_id = name
        self.pid = launch.pid
        self.pidfd = launch.pidfd
        self.start_time = launch.start_time
        self.streams = streams
        self.exit: ExitStatus | None = None
        self._loop = loop
        self._on_exit = on_exit
        # The pidfd and nothing else tells of the end. A process that asks to be traced (PTRACE_TRACEME) makes us
        # its tracer, and then SIGCHLD and a careless wait() report deaths that are none.
        loop.watch(self.pidfd, self._on_pidfd)

    def state(self) -> TaskState:
        return TaskState(self.container_id, self.exec_id, self.pid, self.start_time, self.streams.stdio, self.exit)

    def signal(self, number: int) -> None:
        """ProcessLookupError when it has ended."""
        signal.pidfd_send_signal(self.pidfd, number)

    def note_oom_kill(self) -> None:
        """The kernel has killed for want of memory where this program ran."""
        assert self.exit is not None
        self.exit = ExitStatus(self.exit.code, self.exit.signal, True, self.exit.at_ns)

    def close(self) -> None:
        """Release every descriptor. If it still runs, its end will go unnoticed (the reaper takes it)."""
        self._loop.unwatch(self.pidfd)
        os.close(self.pidfd)
        self.streams.close()

    def _on_pidfd(self) -> None:
        result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        if result is None:
            return
        self._loop.unwatch(self.pidfd)
        is_signalled = result.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
        self.exit = ExitStatus(
            code=128 + result.si_status if is_signalled else result.si_status,
            signal=result.si_status if is_signalled else None,
            at_ns=time.time_ns(),
        )
        self._on_exit(self)
