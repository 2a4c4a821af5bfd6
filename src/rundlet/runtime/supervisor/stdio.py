"""The supervisor's ends of a program's standard streams.

With a terminal that is the master of the pair, and a descriptor of its other end: as long as that is open, the
master does not report a hang-up when the programs inside happen to have closed theirs for a moment.

What it will not do: read or write any of them.
"""

from __future__ import annotations

import contextlib
import os

from rundlet.linux.pty import open_peer
from rundlet.runtime.launch import ChildStdio
from rundlet.runtime.messages import Stdio


class Streams:
    """Our ends; None for one that the program does not have, or that was closed."""

    __slots__ = ("_peer", "console", "stderr", "stdin", "stdio", "stdout")

    def __init__(self, stdio: Stdio) -> None:
        self.stdio = stdio
        self.stdin: int | None = None
        """Write end of a pipe."""
        self.stdout: int | None = None
        self.stderr: int | None = None
        self.console: int | None = None
        self._peer: int | None = None

    def open_pipes(self) -> ChildStdio:
        """Make the pipes. Returns the program's ends, for :func:`close_child_ends` once it has them.

        None stands for a stdin that nobody wants: the container's own null device then. With a descriptor of
        the host's it could change that one's owner and mode. Our ends do not block: the flag is the end's, not
        the descriptor's, and so holds for the daemon, too.
        """
        stdio = self.stdio
        if stdio.terminal:
            return ChildStdio(None, None, None, terminal=True, console_size=stdio.console_size)
        child: list[int | None] = [None, None, None]
        try:
            if stdio.stdin:
                child[0], self.stdin = os.pipe()
            self.stdout, child[1] = os.pipe()
            self.stderr, child[2] = os.pipe()
        except OSError:
            self.close()
            _close_all(child)
            raise
        for fd in (self.stdin, self.stdout, self.stderr):
            if fd is not None:
                os.set_blocking(fd, False)
        return ChildStdio(child[0], child[1], child[2])

    def adopt_console(self, master: int) -> None:
        """Own the master that a launch has made."""
        os.set_blocking(master, False)
        self.console = master
        self.hold_peer()

    def hold_peer(self) -> bool:
        """Open the other end again after a hang-up (vhangup(2)). False if that is not possible any more."""
        assert self.console is not None
        if self._peer is not None:
            os.close(self._peer)
            self._peer = None
        with contextlib.suppress(OSError):
            self._peer = open_peer(self.console)
        return self._peer is not None

    def close_stdin(self) -> None:
        self._close("stdin")

    def close_stdout(self) -> None:
        self._close("stdout")

    def close_stderr(self) -> None:
        self._close("stderr")

    def close_console(self) -> None:
        self._close("_peer")
        self._close("console")

    def close(self) -> None:
        self.close_stdin()
        self.close_stdout()
        self.close_stderr()
        self.close_console()

    def _close(self, name: str) -> None:
        fd = getattr(self, name)
        if fd is not None:
            setattr(self, name, None)
            os.close(fd)


def close_child_ends(child: ChildStdio) -> None:
    _close_all([child.stdin, child.stdout, child.stderr])


def _close_all(fds: list[int | None]) -> None:
    for fd in fds:
        if fd is not None:
            os.close(fd)
