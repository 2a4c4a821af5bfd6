"""A terminal is raw while it has to be, and afterwards as it was; its size is known, and every change of it."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterator

import pytest

from rundlet.terminal import RawMode, WindowSize, watch_window_size, window_size


@pytest.fixture
def terminal() -> Iterator[int]:
    master, slave = os.openpty()
    yield slave
    os.close(slave)
    os.close(master)


def resize(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def is_raw(fd: int) -> bool:
    return not termios.tcgetattr(fd)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)


def test_the_terminal_is_raw_within_and_as_it_was_after(terminal: int) -> None:
    before = termios.tcgetattr(terminal)

    with RawMode(terminal):
        assert is_raw(terminal)

    assert termios.tcgetattr(terminal) == before


def test_the_terminal_is_restored_when_something_fails(terminal: int) -> None:
    before = termios.tcgetattr(terminal)

    with pytest.raises(ZeroDivisionError), RawMode(terminal):
        raise ZeroDivisionError

    assert termios.tcgetattr(terminal) == before


def test_restoring_twice_is_restoring_once(terminal: int) -> None:
    with RawMode(terminal) as raw:
        raw.restore()
        assert not is_raw(terminal)
        before = termios.tcgetattr(terminal)
        before[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, before)

    assert not termios.tcgetattr(terminal)[3] & termios.ECHO


def test_what_is_no_terminal_is_left_alone() -> None:
    read, write = os.pipe()
    with RawMode(read):
        os.write(write, b"x")
    assert os.read(read, 1) == b"x"
    os.close(read)
    os.close(write)


def test_the_size_is_the_windows(terminal: int) -> None:
    assert window_size(terminal) is None  # a fresh one has none

    resize(terminal, 24, 80)

    assert window_size(terminal) == WindowSize(24, 80)


def test_a_change_of_size_is_told_once_for_each_signal(terminal: int) -> None:
    told: list[WindowSize] = []
    before = signal.getsignal(signal.SIGWINCH)

    with watch_window_size(terminal, told.append):
        resize(terminal, 30, 100)
        os.kill(os.getpid(), signal.SIGWINCH)

    assert told == [WindowSize(30, 100)]
    assert signal.getsignal(signal.SIGWINCH) == before
