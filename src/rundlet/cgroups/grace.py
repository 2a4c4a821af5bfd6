"""Short waits for the kernel when processes change groups.

Writing to ``cgroup.procs`` locks the system's forks out, and the first such write after a quiet moment waits for
an RCU grace period: 5 to 20 ms, longer than everything else that starting a container takes. Expedited grace
periods (/sys/kernel/rcu_expedited; kernel documentation, RCU/checklist) make it 0.4 ms at the price of one
interrupt to each CPU. The other cure, remounting a hierarchy with ``favordynmods``, would change the machine for
good and for everyone, so we do not.

What it will not do: insist. Where the switch cannot be written, moving processes is slower, and that is all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SWITCH = "/sys/kernel/rcu_expedited"


@contextmanager
def expedited_grace_periods() -> Iterator[None]:
    """Within the block the kernel prefers the latency of a grace period to its cost.

    An administrator's own setting stays: only a switch that was off is put back to off.
    """
    try:
        fd = os.open(_SWITCH, os.O_RDWR)
    except OSError:
        yield
        return
    try:
        was_off = os.read(fd, 8).strip() == b"0"
        if was_off:
            with suppress(OSError):
                os.pwrite(fd, b"1", 0)
        try:
            yield
        finally:
            if was_off:
                with suppress(OSError):
                    os.pwrite(fd, b"0", 0)
    finally:
        os.close(fd)


@contextmanager
def switch_put_back(note: str) -> Iterator[None]:
    """For the life of a process that expedites: whatever it leaves on when it is killed, the next one puts back.

    The file ``note`` is there only meanwhile and says that the switch was off. Who turns it on for good between a
    kill and the next start finds it off again.
    """
    with suppress(OSError):
        fd = os.open(_SWITCH, os.O_RDWR)
        try:
            if os.path.exists(note):
                os.pwrite(fd, b"0", 0)
            elif os.read(fd, 8).strip() == b"0":
                os.close(os.open(note, os.O_WRONLY | os.O_CREAT, 0o600))
        finally:
            os.close(fd)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(note)
