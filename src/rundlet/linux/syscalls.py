"""Kernel calls by number: the tables of both architectures, and how a call becomes a Python function.

Numbers are from ``asm/unistd_64.h`` (x86_64) and ``asm-generic/unistd.h`` (aarch64). glibc wrappers are not
used where they differ from the kernel's own call (``getcwd``) or are missing from older libraries.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable

# Since Linux 5.1 new calls have one number on every architecture.
_EVERYWHERE = {
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
}
_BY_MACHINE = {
    "x86_64": {
        "rt_sigaction": 13,
        "getcwd": 79,
        "capset": 126,
        "fstatfs": 138,
        "pivot_root": 155,
        "prctl": 157,
        "mount": 165,
        "umount2": 166,
        "setdomainname": 171,
        "keyctl": 250,
        "unshare": 272,
        "setns": 308,
        "seccomp": 317,
    },
    "aarch64": {
        "getcwd": 17,
        "umount2": 39,
        "mount": 40,
        "pivot_root": 41,
        "fstatfs": 44,
        "capset": 91,
        "unshare": 97,
        "rt_sigaction": 134,
        "setdomainname": 162,
        "prctl": 167,
        "keyctl": 219,
        "setns": 268,
        "seccomp": 277,
    },
}


def numbers(machine: str) -> dict[str, int]:
    """Name -> number of every call that this package makes, on ``machine`` (as ``uname -m`` says it)."""
    try:
        return _EVERYWHERE | _BY_MACHINE[machine]
    except KeyError:
        raise ImportError(f"no kernel call numbers for the architecture {machine}") from None


_NUMBERS = numbers(os.uname().machine)
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC_KEEPING_THE_GIL = ctypes.PyDLL(None, use_errno=True)


def bind(name: str, *argument_types: type, keep_gil: bool = False) -> Callable[..., int]:
    """The kernel call ``name`` as a function of exactly these arguments; -1 is failure, see :func:`failure`.

    ``syscall(3)`` is variadic: without a declared type ctypes would pass a Python int as 32 bits.
    """
    function = (_LIBC_KEEPING_THE_GIL if keep_gil else _LIBC)["syscall"]
    function.restype = ctypes.c_long
    function.argtypes = (ctypes.c_long, *argument_types)
    return functools.partial(function, _NUMBERS[name])


def failure(what: object = None) -> OSError:
    """The error of the call that just returned -1; ``what`` names the object it was made on."""
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), None if what is None else str(what))
