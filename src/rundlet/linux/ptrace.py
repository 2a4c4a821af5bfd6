"""Letting go of a process that made its parent trace it: ptrace(2)."""

from __future__ import annotations

import ctypes

_PTRACE_DETACH = 17

_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.restype = ctypes.c_long
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def detach(pid: int, signal: int) -> bool:
    """End the tracing of ``pid``, which is stopped, and let it have ``signal``. False if it is gone meanwhile."""
    return bool(_ptrace(_PTRACE_DETACH, pid, None, signal) == 0)
