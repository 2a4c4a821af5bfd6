"""Loading a compiled seccomp filter: seccomp(2). Making one is :mod:`rundlet.runtime.seccomp`'s business."""

from __future__ import annotations

import ctypes

from rundlet.linux.syscalls import bind, failure

INSTRUCTION_SIZE = 8
"""Bytes of a struct sock_filter."""

_SECCOMP_SET_MODE_FILTER = 1


class _SockFprog(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


_seccomp = bind("seccomp", ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)


def load_filter(program: bytes) -> None:
    """Confine the calling thread for good. Needs CAP_SYS_ADMIN or no_new_privs."""
    fprog = _SockFprog(len(program) // INSTRUCTION_SIZE, program)
    if _seccomp(_SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(fprog)) < 0:
        raise failure()
