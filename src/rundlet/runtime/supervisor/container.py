"""What the supervisor keeps of a container: its init, its execs, its cgroup, and the way of its output."""

from __future__ import annotations

import os

from rundlet.cgroups import Cgroup
from rundlet.linux.process import CLONE_NEWPID
from rundlet.runtime.config import Config
from rundlet.runtime.spool import SpoolWriter
from rundlet.runtime.supervisor.loop import Loop
from rundlet.runtime.supervisor.pump import Pump
from rundlet.runtime.supervisor.task import Task


class Container:
    """A container whose program runs or has run. Owns all that it is given."""

    __slots__ = ("cgroup", "config", "execs", "init", "is_being_deleted", "notify", "pump", "seccomp")

    def __init__(
        self,
        loop: Loop,
        init: Task,
        config: Config,
        cgroup: Cgroup,
        *,
        seccomp: bytes | None,
        spool: str,
        notify: int,
    ) -> None:
        self.init = init
        self.config = config
        self.cgroup = cgroup
        self.seccomp = seccomp
        self.execs: dict[str, Task] = {}
        self.is_being_deleted = False
        self.notify = notify
        self.pump = Pump(loop, init.container_id, init.streams, SpoolWriter(spool, notify))

    @property
    def is_running(self) -> bool:
        return self.init.exit is None

    def tasks(self) -> list[Task]:
        return [self.init, *self.execs.values()]

    def settle(self) -> None:
        """Its init has ended: end the rest, secure the output, and find out about memory."""
        if not self.config.namespaces.new & CLONE_NEWPID:
            # No PID namespace of its own: the kernel has not ended the others with their init.
            self.cgroup.kill()
        self.pump.finish()
        self.init.streams.close_stdin()
        if self.cgroup.oom_kills():
            self.init.note_oom_kill()

    def close(self) -> None:
        """Release every descriptor; the cgroup stays."""
        self.pump.close()
        for task in self.tasks():
            task.close()
        os.close(self.notify)
        self.cgroup.close()
