"""A launch on its way: tells how it ended, whenever it does.

What it will not do: wait, or set a time limit. A set-up that hangs on a slow disk holds up nobody else.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable

from rundlet.runtime.launch import Launch, LaunchError, LaunchResult
from rundlet.runtime.supervisor.loop import Loop


class Launching:
    """Calls ``on_started(result)`` or ``on_failed(error)``, once."""

    __slots__ = ("_loop", "_on_failed", "_on_started", "launch")

    def __init__(
        self,
        loop: Loop,
        launch: Launch,
        on_started: Callable[[LaunchResult], None],
        on_failed: Callable[[LaunchError], None],
    ) -> None:
        self.launch = launch
        self._loop = loop
        self._on_started = on_started
        self._on_failed = on_failed
        loop.watch(launch.fileno(), self._on_news)

    def kill(self) -> None:
        """Nobody wants it any more. It ends as a failure, a little later."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.launch.pidfd, signal.SIGKILL)

    def _on_news(self) -> None:
        # advance() closes the descriptor when the launch ends, so it must not be watched then.
        self._loop.unwatch(self.launch.fileno())
        try:
            result = self.launch.advance()
        except LaunchError as error:
            self._on_failed(error)
            return
        if result is None:
            self._loop.watch(self.launch.fileno(), self._on_news)
        else:
            self._on_started(result)
