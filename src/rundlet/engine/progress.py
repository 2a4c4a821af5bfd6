"""Long work in a thread, told as the Engine API's progress objects on the loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeAlias

from rundlet.images import OnProgress, Progress

__all__ = ["JsonObject", "run_with_progress"]

JsonObject: TypeAlias = dict[str, Any]

_INTERVAL_S = 0.1
"""Between two reports on the same thing: a person reads them, or nobody."""


class _AbandonedError(Exception):
    """Raised in the working thread, out of its progress report, when nobody listens any more."""


async def run_with_progress(work: Callable[[OnProgress], Iterable[JsonObject]]) -> AsyncIterator[JsonObject]:
    """What ``work`` reports, then what it returns. It runs in a thread of its own from the first step on.

    What it raises is raised here. When the iterator is closed early, the work ends at its next report.
    """
    loop = asyncio.get_running_loop()
    reports: asyncio.Queue[JsonObject | None] = asyncio.Queue()
    last: dict[str, float] = {}
    is_abandoned = False

    def report(progress: Progress) -> None:
        if is_abandoned:
            raise _AbandonedError
        now = time.monotonic()
        key = progress.id or progress.status
        if progress.current == progress.total or now - last.get(key, 0.0) >= _INTERVAL_S:
            last[key] = now
            loop.call_soon_threadsafe(reports.put_nowait, _document(progress))

    job = _in_own_thread(lambda: list(work(report)))
    job.add_done_callback(lambda _: reports.put_nowait(None))
    try:
        while (item := await reports.get()) is not None:
            yield item
        for item in job.result():
            yield item
    finally:
        is_abandoned = True
        if not job.done():
            job.add_done_callback(_swallow)


def _in_own_thread(work: Callable[[], list[JsonObject]]) -> asyncio.Future[list[JsonObject]]:
    """Not in a pool's: work may wait for a slow client for hours, and must not keep others' from beginning."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def settle(result: list[JsonObject], error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result: list[JsonObject] = []
        error: Exception | None = None
        try:
            result = work()
        except Exception as caught:  # noqa: BLE001 - the boundary of a thread; it is raised where it is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed: the daemon has ended
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="rundlet-image").start()
    return done


def _swallow(job: asyncio.Future[Any]) -> None:
    """Nobody wants to know any more how it ended."""
    if not job.cancelled():
        job.exception()


def _document(progress: Progress) -> JsonObject:
    document: JsonObject = {"status": progress.status}
    if progress.id:
        document["id"] = progress.id
    if progress.total:
        document["progressDetail"] = {"current": progress.current, "total": progress.total}
    elif progress.current:  # with it, docker's CLI shows the line on a terminal only: scripts read its output
        document["progressDetail"] = {"current": progress.current}
    return document
