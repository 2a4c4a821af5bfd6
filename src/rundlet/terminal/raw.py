"""Raw mode of a terminal, and the way back (termios(3), ``cfmakeraw``).

Every byte typed goes to the program at the other end: no echo, no lines, no signals. It decides nothing about
when that is wanted.
"""

from __future__ import annotations

import termios
import tty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self


class RawMode:
    """``with RawMode(fd):`` the terminal is raw; afterwards it is as it was, whatever happened.

    :meth:`restore` may be called early, and more than once. A ``fd`` that is no terminal is left alone.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[Any] | None = None

    def __enter__(self) -> Self:
        try:
            saved = termios.tcgetattr(self._fd)
        except termios.error:
            return self
        # TCSADRAIN: what has been typed ahead is for the program, and must not be flushed.
        tty.setraw(self._fd, termios.TCSADRAIN)
        self._saved = saved
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def restore(self) -> None:
        if self._saved is not None:
            saved, self._saved = self._saved, None
            termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)
