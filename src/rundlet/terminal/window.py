"""The size of a terminal's window, and word of its changes (ioctl_tty(2), TIOCGWINSZ; SIGWINCH)."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class WindowSize:
    """Rows and columns; equal when both are."""

    __slots__ = ("columns", "rows")

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WindowSize) and (self.rows, self.columns) == (other.rows, other.columns)

    def __hash__(self) -> int:
        return hash((self.rows, self.columns))

    def __repr__(self) -> str:
        return f"WindowSize(rows={self.rows}, columns={self.columns})"


def window_size(fd: int) -> WindowSize | None:
    """None when ``fd`` is no terminal, or one that does not know its size."""
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return None
    return WindowSize(size.lines, size.columns) if size.lines and size.columns else None


@contextmanager
def watch_window_size(fd: int, changed: Callable[[WindowSize], None]) -> Iterator[None]:
    """Call ``changed`` with the new size at each SIGWINCH. Main thread only, as all signal handling in Python."""

    def handle(number: int, frame: FrameType | None) -> None:
        if size := window_size(fd):
            changed(size)

    previous = signal.signal(signal.SIGWINCH, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, previous)
