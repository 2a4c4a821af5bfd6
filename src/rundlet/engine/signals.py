"""Signals by name or number, as Docker's clients write them."""

from __future__ import annotations

import signal

from rundlet.errors import InvalidArgument

__all__ = ["parse_signal"]

_NAMES = (
    {name.removeprefix("SIG"): int(number) for name, number in signal.Signals.__members__.items()}
    | {
        # glibc keeps the first two real-time signals for itself; Docker names them all the same.
        f"RTMIN+{n}": 34 + n
        for n in range(1, 16)
    }
    | {f"RTMAX-{n}": 64 - n for n in range(1, 15)}
)


def parse_signal(text: str) -> int:
    """``KILL``, ``sigkill`` or ``9``. InvalidArgument in Docker's words."""
    if text.isdecimal():
        number = int(text)
        if 0 < number <= 64:
            return number
    elif (found := _NAMES.get(text.upper().removeprefix("SIG"))) is not None:
        return found
    raise InvalidArgument(f"Invalid signal: {text}")
