"""One attached session: the client's stdin, stdout and stderr joined to a container's, until its output ends.

    main thread    stream ──► fd 1, fd 2          (and all signals: window size, forwarded ones)
    input thread   fd 0 ──► stream, then half-close

The main thread reads, so that the end of the output is the end of the session. stdin has a thread of its own:
to wait for it together with the stream, it would have to be made non-blocking, and a terminal shares that mode
with the shell that it came from. It is a daemon thread: a read that never returns keeps nobody.

It knows streams and descriptors, not what runs behind them.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext

from rundlet.cli import detach_keys
from rundlet.errors import ConnectionLost, RundletError
from rundlet.terminal import RawMode, WindowSize, watch_window_size, window_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rundlet.sdk import Stream

STDIN, STDOUT, STDERR = 0, 1, 2
_CHUNK_BYTES = 64 * 1024


class Session:
    """``stdin``: whether the client's input is joined. ``keys``: what leaves a session with a terminal.

    Raises ValueError for bad ``keys``.
    """

    def __init__(self, *, stdin: bool, tty: bool, keys: str = "") -> None:
        self._joins_stdin = stdin
        self._tty = tty
        self._scanner = detach_keys.DetachScanner(detach_keys.parse(keys)) if tty and stdin else None
        self._detached = False

    def run(self, stream: Stream, resize: Callable[[WindowSize], object]) -> bool:
        """Join ``stream`` until its output ends; False when the person detached before that.

        With a terminal, the client's is made raw meanwhile and ``resize`` is told its size and every change.
        Raises ConnectionLost when the engine goes, BrokenPipeError when the reader of our output does.
        """
        if not self._tty:
            self._join(stream)
            return not self._detached
        with RawMode(STDIN) if self._joins_stdin else nullcontext(), watch_window_size(STDOUT, _quietly(resize)):
            if size := window_size(STDOUT):
                _quietly(resize)(size)
            self._join(stream)
        return not self._detached

    def _join(self, stream: Stream) -> None:
        sys.stdout.flush()
        if self._joins_stdin:
            import threading

            threading.Thread(target=self._pump_input, args=(stream,), name="stdin", daemon=True).start()
        else:
            _end_input(stream)
        try:
            while frame := stream.read_frame():
                kind, data = frame
                write_all(STDERR if kind == STDERR else STDOUT, data)
        except ConnectionLost:
            if not self._detached:
                raise
        finally:
            stream.close()

    def _pump_input(self, stream: Stream) -> None:
        """Ends quietly when the stream does: the main thread sees that end, too, and says what it means."""
        try:
            while data := os.read(STDIN, _CHUNK_BYTES):
                if self._scanner is not None:
                    data = self._scanner.feed(data)
                stream.write(data)
                if self._scanner is not None and self._scanner.is_detached:
                    self._detached = True
                    stream.close()  # wakes the main thread
                    return
        except ConnectionLost:
            return
        except OSError:
            pass  # a terminal that has hung up is an input that has ended
        _end_input(stream)


def _end_input(stream: Stream) -> None:
    try:
        stream.close_write()
    except ConnectionLost:
        return


def _quietly(resize: Callable[[WindowSize], object]) -> Callable[[WindowSize], None]:
    """The program may have ended when its window's size changes."""

    def changed(size: WindowSize) -> None:
        try:
            resize(size)
        except RundletError:
            return

    return changed


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
