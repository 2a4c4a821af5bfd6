"""Long work runs beside everything else, and tells how far it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

import pytest

from rundlet.engine.progress import JsonObject, run_with_progress
from rundlet.errors import StorageFull
from rundlet.images import OnProgress, Progress


async def test_reports_come_first_and_the_results_last() -> None:
    def work(report: OnProgress) -> Iterable[JsonObject]:
        report(Progress("Loading", "ab", 1, 2))
        report(Progress("Importing", current=5))
        report(Progress("Looking"))
        return [{"aux": 1}]

    assert [item async for item in run_with_progress(work)] == [
        {"status": "Loading", "id": "ab", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Importing", "progressDetail": {"current": 5}},
        {"status": "Looking"},
        {"aux": 1},
    ]


async def test_what_the_work_raises_is_raised() -> None:
    def work(report: OnProgress) -> Iterable[JsonObject]:
        raise StorageFull("/x", "writing")

    with pytest.raises(StorageFull):
        await anext(run_with_progress(work))


async def test_work_that_waits_keeps_no_other_work_waiting() -> None:
    """A hundred clients that send nothing must not take the threads away from those who do."""
    go_on = threading.Event()

    def stalled(report: OnProgress) -> Iterable[JsonObject]:
        go_on.wait()
        return []

    waiting = [asyncio.ensure_future(anext(run_with_progress(stalled), None)) for _ in range(100)]
    try:
        assert [item async for item in run_with_progress(lambda report: [{"status": "done"}])] == [
            {"status": "done"}
        ]
        assert await asyncio.to_thread(str, 1) == "1"
        assert not any(task.done() for task in waiting)
    finally:
        go_on.set()
        await asyncio.gather(*waiting)


async def test_abandoned_work_ends_at_its_next_report() -> None:
    ended = threading.Event()

    def work(report: OnProgress) -> Iterable[JsonObject]:
        try:
            while True:
                report(Progress("Loading", current=1, total=1))
        finally:
            ended.set()

    items = run_with_progress(work)
    await anext(items)
    await items.aclose()  # type: ignore[attr-defined]
    assert await asyncio.to_thread(ended.wait, 5)
