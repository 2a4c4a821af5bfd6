"""Pseudo-terminals of one devpts instance: ioctl_tty(2)."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

PTMX_DEVICE = os.makedev(5, 2)

_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441


def open_peer(master: int) -> int:
    """Unlock the pair and open its other end; a path could be replaced meanwhile (CVE-2025-52565)."""
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    return fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def set_window_size(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def make_controlling(terminal: int) -> None:
    """Make ``terminal`` the controlling terminal of the calling session leader, which has none."""
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
