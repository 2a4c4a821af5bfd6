"""Times and states in the words of ``docker ps`` and ``docker inspect``. Pure."""

from __future__ import annotations

import time

from rundlet.engine.container import State, Status
from rundlet.wire.documents import ZERO_TIME
from rundlet.wire.durations import format_human

__all__ = ["command_line", "format_time", "status_text"]

_NS = 1_000_000_000


def format_time(time_ns: int) -> str:
    """RFC 3339 in UTC, as Go writes it: no trailing zeros in the fraction. Go's zero time for 0."""
    if time_ns == 0:
        return ZERO_TIME
    seconds, fraction = divmod(time_ns, _NS)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def status_text(state: State, now_ns: int) -> str:
    """``Up 2 minutes (Paused)``, ``Exited (0) 3 seconds ago``, … (moby ``daemon/container/state.go``)."""
    since_end = format_human(max(0, now_ns - state.finished_ns) / _NS)
    match state.visible:
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {since_end} ago"
        case Status.RUNNING | Status.PAUSED:
            text = f"Up {format_human(max(0, now_ns - state.started_ns) / _NS)}"
            return f"{text} (Paused)" if state.status is Status.PAUSED else text
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.DEAD:
            return "Dead"
        case Status.EXITED:
            return f"Exited ({state.exit_code}) {since_end} ago"
        case _:
            return "Created"


def command_line(args: list[str]) -> str:
    """One string; arguments after the first are quoted when they hold a space (moby ``daemon/list.go``)."""
    return " ".join([args[0], *(f"'{arg}'" if " " in arg else arg for arg in args[1:])])
