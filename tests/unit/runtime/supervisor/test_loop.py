"""The loop serves everyone in turn, and one that fails does not end it."""

from __future__ import annotations

import functools
import os
import time

import pytest

from rundlet.runtime.supervisor.loop import Loop


def test_timers_fire_in_the_order_of_their_times_and_not_when_cancelled() -> None:
    loop = Loop()
    fired: list[str] = []
    loop.call_later(0.02, lambda: fired.append("last"))
    loop.call_later(0.03, loop.stop)
    loop.call_later(0.01, lambda: fired.append("second"))
    loop.call_later(0.0, lambda: fired.append("first"))
    loop.call_later(0.005, lambda: fired.append("never")).cancel()
    loop.run()
    assert fired == ["first", "second", "last"]


def test_a_callback_that_raises_is_logged_and_not_called_again(capfd: pytest.CaptureFixture[str]) -> None:
    loop = Loop()
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ValueError("broken")

    loop.watch(read_end, fail)
    loop.call_later(0.0, fail)
    loop.call_later(0.02, loop.stop)
    loop.run()
    assert len(calls) == 2
    assert capfd.readouterr().err.count("ValueError: broken (") == 2
    os.close(read_end)
    os.close(write_end)


def test_what_another_callback_unwatched_in_the_same_round_is_not_called() -> None:
    loop = Loop()
    ends = [os.pipe() for _ in range(2)]
    called: list[int] = []

    def first_come(mine: int, others: int) -> None:
        called.append(mine)
        loop.unwatch(others)
        loop.stop()

    for (mine, write_end), (others, _) in zip(ends, reversed(ends), strict=True):
        os.write(write_end, b"x")
        loop.watch(mine, functools.partial(first_come, mine, others))
    loop.run()
    assert len(called) == 1
    for pair in ends:
        for fd in pair:
            os.close(fd)


def test_an_idle_loop_sleeps() -> None:
    loop = Loop()
    loop.call_later(0.1, loop.stop)
    before = time.process_time()
    loop.run()
    assert time.process_time() - before < 0.05
