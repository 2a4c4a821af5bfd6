"""Removing a container's cgroup, which the kernel holds for a moment after the last process has died."""

from __future__ import annotations

from collections.abc import Callable

from rundlet.cgroups import Cgroup
from rundlet.runtime.supervisor.log import log
from rundlet.runtime.supervisor.loop import Loop

FIRST_RETRY_S = 0.001
LAST_RETRY_S = 0.25
TIME_LIMIT_S = 10.0


def remove_cgroup(loop: Loop, cgroup: Cgroup, on_done: Callable[[bool], None]) -> None:
    """Kill what is left in the group and remove it; ``on_done(False)`` when it is still busy after ten seconds.

    ``on_done`` may be called before this returns. Never blocks.
    """
    _attempt(loop, cgroup, on_done, FIRST_RETRY_S, 0.0)


def _attempt(loop: Loop, cgroup: Cgroup, on_done: Callable[[bool], None], delay_s: float, waited_s: float) -> None:
    if _is_removed(cgroup):
        on_done(True)
    elif waited_s >= TIME_LIMIT_S:
        log(f"cgroup {cgroup.path} is still in use after {waited_s:.0f} s")
        on_done(False)
    else:
        next_delay_s = min(delay_s * 2, LAST_RETRY_S)
        loop.call_later(delay_s, lambda: _attempt(loop, cgroup, on_done, next_delay_s, waited_s + delay_s))


def _is_removed(cgroup: Cgroup) -> bool:
    """Whether it is gone now. What is left in it has been killed if it is not."""
    try:
        if cgroup.remove():
            return True
        cgroup.kill()
    except OSError as error:
        log(f"removing the cgroup {cgroup.path}: {error}")
    return False
