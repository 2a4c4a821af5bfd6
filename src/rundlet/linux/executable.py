"""Running the interpreter from a sealed copy of its executable.

A process inside a container can reach the executable of whoever entered the container through
``/proc/PID/exe`` and, once nobody runs it any more, write to it: CVE-2019-5736. A supervisor that was
started from a sealed memfd has nothing there to be written to, and neither have the children it forks.
A shared ``libpython`` is not covered: it is reachable only through ``/proc/PID/map_files``, which takes
capabilities in the first user namespace.
"""

from __future__ import annotations

import fcntl
import os
import sys

_ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MFD_EXEC = 0x0010
_EXECUTABLE = "/proc/self/exe"


def is_sealed() -> bool:
    """Whether this process already runs from a sealed copy."""
    with open(_EXECUTABLE, "rb") as file:
        try:
            return fcntl.fcntl(file, fcntl.F_GET_SEALS) & _ALL_SEALS == _ALL_SEALS
        except OSError:  # EINVAL: a file of a file system without seals
            return False


def reexec_sealed() -> None:
    """Start this very program anew from a sealed copy of its executable, once; returns if it already is one.

    ``argv[0]`` stays the real path, from which the interpreter finds its library. The copy costs the
    size of the executable in memory, once for a supervisor and all its children. OSError when it cannot
    be made; the caller decides whether to go on without.
    """
    if is_sealed():
        return
    copy = _sealed_copy()
    os.execve(f"/proc/self/fd/{copy}", [sys.executable, *sys.orig_argv[1:]], os.environ)


def _sealed_copy() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        copy = os.memfd_create("rundlet", flags | _MFD_EXEC)
    except OSError:  # EINVAL before Linux 6.3, where every memfd is executable
        copy = os.memfd_create("rundlet", flags)
    try:
        with open(_EXECUTABLE, "rb") as source:
            while os.sendfile(copy, source.fileno(), None, 1 << 24):
                pass
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _ALL_SEALS)
    except BaseException:
        os.close(copy)
        raise
    return copy
