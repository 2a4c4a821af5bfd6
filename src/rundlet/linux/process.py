"""Making processes and joining namespaces: clone3(2), setns(2), unshare(2), prctl(2).

What this module will not do is run Python's fork hooks: :func:`clone3` makes a bare copy of the process.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence

from rundlet.linux.syscalls import bind, failure

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_CLONE_PIDFD = 0x1000
_CLONE_CLEAR_SIGHAND = 1 << 32
_CLONE_INTO_CGROUP = 1 << 33

_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


_PATH_MAX = 4096


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("pidfd", ctypes.c_uint64),
        ("child_tid", ctypes.c_uint64),
        ("parent_tid", ctypes.c_uint64),
        ("exit_signal", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("stack_size", ctypes.c_uint64),
        ("tls", ctypes.c_uint64),
        ("set_tid", ctypes.c_uint64),
        ("set_tid_size", ctypes.c_uint64),
        ("cgroup", ctypes.c_uint64),
    ]


# Without the GIL another thread could hold it at the moment of the copy, and nobody would in the child.
_clone3 = bind("clone3", ctypes.c_void_p, ctypes.c_size_t, keep_gil=True)
_unshare = bind("unshare", ctypes.c_int)
_setns = bind("setns", ctypes.c_int, ctypes.c_int)
_prctl = bind("prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_close_range = bind("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
_getcwd = bind("getcwd", ctypes.c_char_p, ctypes.c_size_t)
_rt_sigaction = bind("rt_sigaction", ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
_setdomainname = bind("setdomainname", ctypes.c_char_p, ctypes.c_size_t)


def clone3(namespaces: int, cgroup_fd: int | None) -> tuple[int, int]:
    """A child in these new namespaces (``CLONE_NEW*``) and in the unified cgroup of that directory.

    Returns (pid, pidfd) in the parent and (0, -1) in the child, where no signal has a handler any more (an
    ignored one stays ignored). The child is a copy of the calling thread
    alone, so the process must have no other that holds a lock; it must end in exec or ``os._exit``.
    """
    pidfd = ctypes.c_int(-1)
    arguments = _CloneArgs(
        flags=namespaces | _CLONE_PIDFD | _CLONE_CLEAR_SIGHAND,
        pidfd=ctypes.addressof(pidfd),
        exit_signal=signal.SIGCHLD,
    )
    if cgroup_fd is not None:
        arguments.flags |= _CLONE_INTO_CGROUP
        arguments.cgroup = cgroup_fd
    pid = _clone3(ctypes.byref(arguments), ctypes.sizeof(arguments))
    if pid < 0:
        raise failure()
    return pid, pidfd.value if pid else -1


def unshare(namespaces: int) -> None:
    if _unshare(namespaces) < 0:
        raise failure()


def setns(fd: int, kinds: int) -> None:
    """Join the namespace ``fd``, which must be of that one kind, or the namespaces of a pidfd of these kinds."""
    if _setns(fd, kinds) < 0:
        raise failure()


def set_dumpable(dumpable: bool) -> None:
    """Whether others of the same user may trace this process and read its memory; execve(2) sets it again."""
    _prctl_or_raise(_PR_SET_DUMPABLE, int(dumpable))


def set_keep_capabilities(keep: bool) -> None:
    """Whether permitted capabilities survive the change from uid 0 to another; execve(2) clears it."""
    _prctl_or_raise(_PR_SET_KEEPCAPS, int(keep))


def set_no_new_privileges() -> None:
    _prctl_or_raise(_PR_SET_NO_NEW_PRIVS, 1)


def set_child_subreaper() -> None:
    """Orphaned descendants become children of this process, not of init."""
    _prctl_or_raise(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl_or_raise(option: int, argument: int) -> None:
    if _prctl(option, argument, 0, 0, 0) < 0:
        raise failure()


def reset_private_signals() -> None:
    """The default action for the two signals that the C library keeps to itself and hides from Python.

    Whatever started us with posix_spawn(3) of an older glibc, as make does, left them ignored.
    """
    nothing = bytes(32)  # the kernel's struct sigaction: SIG_DFL, no flags, an empty mask of 8 bytes
    for number in (32, 33):
        if _rt_sigaction(number, nothing, None, 8):
            raise failure(f"signal {number}")


def close_range(first: int) -> None:
    """Close every descriptor from ``first`` on."""
    if _close_range(first, 0xFFFFFFFF, 0) < 0:
        raise failure()


def kernel_getcwd() -> bytes:
    """getcwd(2) as the kernel answers it: "(unreachable)…" outside the root, where glibc and Python say ENOENT."""
    buffer = ctypes.create_string_buffer(_PATH_MAX)
    if _getcwd(buffer, len(buffer)) < 0:
        raise failure()
    return buffer.value


def set_domain_name(name: str) -> None:
    data = name.encode()
    if _setdomainname(data, len(data)) < 0:
        raise failure(name)


def start_time(pid: int) -> int:
    """Clock ticks from boot to the start of ``pid``; both together name a process for good."""
    return int(_stat_field(pid, 22))


def is_exiting(pid: int) -> bool:
    """Whether ``pid`` is ending, has ended or is gone. Its pidfd becomes readable only when it has ended."""
    try:
        return bool(int(_stat_field(pid, 9)) & _PF_EXITING)
    except (FileNotFoundError, ProcessLookupError):
        return True


_PF_EXITING = 0x4


def _stat_field(pid: int, number: int) -> bytes:
    """A field of /proc/PID/stat after the second, numbered as in proc_pid_stat(5)."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The second field is the program's name in parentheses; it may hold anything, parentheses too.
        return file.read().rpartition(b")")[2].split()[number - 3]


class Program:
    """argv and environment as the C arrays that execve(2) reads, made before there is a child to spend time in.

    ``environment`` has room for one more variable, which is known only inside the container: see :meth:`add`.
    """

    def __init__(self, arguments: Sequence[str], environment: Sequence[str]) -> None:
        self._argv = (ctypes.c_char_p * (len(arguments) + 1))(*map(os.fsencode, arguments))
        self._envp = (ctypes.c_char_p * (len(environment) + 2))(*map(os.fsencode, environment))
        self._last = len(environment)

    def add(self, variable: str) -> None:
        """Set the one variable there is room for."""
        self._envp[self._last] = os.fsencode(variable)

    def execute(self, path: bytes) -> OSError:
        """execve(2). Returns only on failure, the error without raising it: a search goes on to the next path."""
        _EXECVE(path, self._argv, self._envp)
        return failure(os.fsdecode(path))


_EXECVE = ctypes.CDLL(None, use_errno=True).execve
_EXECVE.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)
