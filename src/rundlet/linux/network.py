"""The loopback interface of a new network namespace: netdevice(7). It makes no other interface, no route."""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_IFF_RUNNING = 0x40


def raise_loopback() -> None:
    """Bring ``lo`` of the caller's network namespace up; it gets 127.0.0.1 and ::1 by that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP | _IFF_RUNNING))
