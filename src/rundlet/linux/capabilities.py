"""Capabilities: their names, and setting all five sets. capabilities(7), ``linux/capability.h``.

Names are as OCI configs write them, ``CAP_`` included.
"""

from __future__ import annotations

import ctypes

from rundlet.linux.syscalls import bind, failure

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT",
    "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE",
    "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
"""The capability of number n is ``NAMES[n]``."""

NUMBERS = {name: number for number, name in enumerate(NAMES)}

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


_prctl = bind("prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_capset = bind("capset", ctypes.c_void_p, ctypes.c_void_p)


def _last_capability() -> int:
    number = 0
    while _prctl(_PR_CAPBSET_READ, number + 1, 0, 0, 0) >= 0:
        number += 1
    return number


LAST = _last_capability()
"""The highest number that this kernel knows; it may know fewer than NAMES, or more."""


def available() -> tuple[str, ...]:
    """The names of what a container of this process can get at most: its own bounding set."""
    return tuple(name for number, name in enumerate(NAMES) if _prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1)


def drop_bounding(keep: int) -> None:
    """Drop whatever is not in the mask ``keep`` from the bounding set. Needs CAP_SETPCAP."""
    for number in range(LAST + 1):
        if not keep >> number & 1 and _prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            raise failure(f"capability {number}")


def set_capabilities(permitted: int, effective: int, inheritable: int) -> None:
    """capset(2), for the calling thread; each a mask with bit n for capability n."""
    header = _Header(_LINUX_CAPABILITY_VERSION_3, 0)
    low, high = (
        _Data(effective >> shift & 0xFFFFFFFF, permitted >> shift & 0xFFFFFFFF, inheritable >> shift & 0xFFFFFFFF)
        for shift in (0, 32)
    )
    if _capset(ctypes.byref(header), (_Data * 2)(low, high)) < 0:
        raise failure()


def set_ambient(capabilities: int) -> None:
    """Make the ambient set this mask. Each must be permitted and inheritable already."""
    if _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0:
        raise failure()
    for number in range(capabilities.bit_length()):
        if capabilities >> number & 1 and _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0:
            raise failure(f"capability {number}")
