"""The engine's own tasks: kept alive, run to their end whoever stops waiting, and ended in order."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

__all__ = ["Tasks"]

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 16

_log = logging.getLogger(__name__)


class Tasks:
    """The loop itself holds tasks weakly (asyncio.create_task): this holds them until they are done."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._threads = ThreadPoolExecutor(_THREADS, "rundlet-engine")

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``work`` in a thread: for what blocks for moments. The image store's long work has its own threads."""
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def run_to_end(
        self, work: Coroutine[Any, Any, T], on_orphan: Callable[[T], Coroutine[Any, Any, None]] | None = None
    ) -> T:
        """Await ``work``; if the awaiting task is cancelled, ``work`` goes on without it.

        ``on_orphan`` then takes care of its result, which nobody else will have.
        """
        task = self._keep(asyncio.create_task(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if on_orphan is not None and not task.cancelled():
                self.spawn(_hand_over(task, on_orphan), "clean-up after a caller that has gone")
            raise

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Run ``work`` beside everything else. What it raises is logged: ``what`` failed."""
        task = self._keep(asyncio.create_task(_logged(work, what), name=what))
        task.add_done_callback(lambda _: work.close())  # cancelled before its first step, it was never begun
        return task

    async def drain(self, timeout_s: float) -> None:
        """Wait for what still runs, then cancel it."""
        current = asyncio.current_task()
        pending = {task for task in self._running if task is not current}
        if pending:
            _, pending = await asyncio.wait(pending, timeout=timeout_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def close(self) -> None:
        """Blocking. The threads have ended."""
        self._threads.shutdown()

    def _keep(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have gone: an exception nobody fetched is not a bug of its own


async def _hand_over(task: asyncio.Task[T], to: Callable[[T], Coroutine[Any, Any, None]]) -> None:
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        await to(task.result())


async def _logged(work: Coroutine[Any, Any, None], what: str) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 - the boundary of a task, and it logs
        _log.exception("%s failed", what)
