"""Durations as Go and Docker write them: ``1h30m``, ``1.5s``, ``-100ms``; and "About an hour" for people.

https://pkg.go.dev/time#ParseDuration. The Engine API counts nanoseconds; so do these functions.
"""

from __future__ import annotations

import re

from rundlet.errors import InvalidArgument

__all__ = ["format_human", "parse"]

SECOND_NS = 1_000_000_000
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek letter mu
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_TERM = re.compile(r"([0-9]{0,20})(?:\.([0-9]{0,20}))?(ns|us|µs|μs|ms|s|m|h)")
_MAX_NS = 2**63 - 1


def parse(text: str) -> int:
    """Nanoseconds in ``text``. A number without a unit is refused, except 0. Raises InvalidArgument."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total_ns = at = 0
    while match := _TERM.match(rest, at):
        whole, fraction, unit = match[1], match[2] or "", match[3]
        if not whole and not fraction:
            break
        # Whole numbers all the way: a float would lose nanoseconds of long durations.
        total_ns += int(whole or 0) * _UNITS_NS[unit] + int(fraction or 0) * _UNITS_NS[unit] // 10 ** len(fraction)
        at = match.end()
    if not rest or at != len(rest) or total_ns > _MAX_NS:
        raise InvalidArgument(f"invalid duration: '{text}' (write it like 1h30m, 90s or 500ms)")
    return sign * total_ns


def format_human(seconds: float) -> str:
    """Roughly how long, in Docker's words: ``3 minutes``, ``About an hour``, ``2 weeks``."""
    whole, minutes, hours = int(seconds), int(seconds / 60), int(seconds / 3600 + 0.5)
    for below, words in (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 14, f"{hours // 24} days"),
        (hours < 24 * 60, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    ):
        if below:
            return words
    return f"{int(seconds / 3600) // 24 // 365} years"
