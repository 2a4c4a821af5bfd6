"""Times and names as Docker's lists write them for people. Durations and sizes are :mod:`rundlet.wire`'s."""

from __future__ import annotations

import time

from rundlet.wire import durations


def ago(unix_seconds: float, *, now: float | None = None) -> str:
    return durations.format_human((time.time() if now is None else now) - unix_seconds) + " ago"


def timestamp(unix_seconds: int) -> str:
    """Go's time.String, in local time: ``2026-02-03 04:05:06 +0000 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(unix_seconds))


def ellipsis(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def short_id(object_id: str) -> str:
    return object_id.removeprefix("sha256:")[:12]
