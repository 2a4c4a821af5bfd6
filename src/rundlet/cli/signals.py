"""Pass the client's signals on to the container that it runs (``--sig-proxy``), as docker/cli does.

Main thread only. A signal that cannot be passed on, because the container has just ended, is dropped.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from rundlet.errors import RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGCONT,
)
_ENDING = frozenset((signal.SIGINT, signal.SIGTERM))
_PATIENCE = 3
"""A program may ignore its signals: the third request to end is for the client itself."""


@contextmanager
def forwarded(kill: Callable[[str], object]) -> Iterator[None]:
    """Within, ``kill("INT")`` is called for SIGINT, and so on."""
    requests_to_end = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal requests_to_end
        if number in _ENDING:
            requests_to_end += 1
            if requests_to_end >= _PATIENCE:
                os.write(2, b"rundlet: got 3 SIGTERM/SIGINTs, forcefully exiting\n")
                raise SystemExit(1)
        try:
            kill(signal.Signals(number).name.removeprefix("SIG"))
        except RundletError:
            return

    previous = {number: signal.signal(number, handle) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
