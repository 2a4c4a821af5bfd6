"""The supervisor's process: from a fresh interpreter to serving, and to the end.

    python -I -S -X utf8 -c '…main()' --run-root=RUN --cgroup-parent=/NAME [--ready-fd=N]

It detaches from whoever started it, starts itself anew from a sealed copy of the interpreter (see
:mod:`rundlet.linux.executable`), takes RUN/supervisor.lock and serves RUN/supervisor.sock until it is told to end.

Imports are part of its price: each module is memory for as long as an engine runs, and page tables to copy at
every start of a container.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import sys

from rundlet.errors import Conflict, RundletError, Unsupported
from rundlet.linux.executable import is_sealed, reexec_sealed

PROCESS_NAME = "rundlet-super"
"""As ps and top show it; at most 15 bytes."""


def main() -> None:
    """Serve, with the options of the command line; SystemExit 1 when that is not possible."""
    options = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
    if not is_sealed():
        if os.fork():
            os._exit(0)
        _start_sealed()
    ready = int(options.get("ready-fd", "-1"))
    try:
        _serve(options["run-root"], options["cgroup-parent"], ready)
    except (RundletError, OSError) as error:
        if ready >= 0:
            with contextlib.suppress(BrokenPipeError):  # which may be the very error: nobody waits for us any more
                os.write(ready, str(error).encode(errors="backslashreplace"))
        sys.exit(f"supervisor: {error}")


def _start_sealed() -> None:
    from rundlet.runtime.supervisor.log import log

    try:
        reexec_sealed()
    except OSError as error:
        log(f"not running from a sealed executable: {error}")


def _serve(run_root: str, cgroup_parent: str, ready: int) -> None:
    # Imported here, so that the first, unsealed interpreter does without.
    from rundlet.cgroups import detect
    from rundlet.cgroups.grace import switch_put_back
    from rundlet.linux.chroot import is_in_chroot
    from rundlet.linux.process import set_child_subreaper
    from rundlet.runtime.supervisor.connection import Listener
    from rundlet.runtime.supervisor.loop import Loop
    from rundlet.runtime.supervisor.service import Service
    from rundlet.runtime.supervisor.spawn import LOCK_NAME, SOCKET_NAME

    lock = _lock(f"{run_root}/{LOCK_NAME}")
    os.chdir("/")
    os.umask(0o077)
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(PROCESS_NAME)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    set_child_subreaper()
    if is_in_chroot():
        raise Unsupported("containers in a chroot", "start the engine where / is the root of its mount namespace")

    hierarchies = detect()
    loop = Loop()
    service = Service(loop, hierarchies, cgroup_parent)
    listener = Listener(loop, f"{run_root}/{SOCKET_NAME}", service.accept)
    signal.signal(signal.SIGTERM, lambda *_: None if service.is_busy else loop.stop())
    if ready >= 0:
        os.write(ready, b"ready")
        os.close(ready)
    # What lives now lives for ever; keeping the collector off it keeps its pages shared with every child.
    gc.collect()
    gc.freeze()
    with switch_put_back(f"{run_root}/rcu_expedited"):
        loop.run()
    os.unlink(f"{run_root}/{SOCKET_NAME}")
    listener.close()
    hierarchies.cgroup(cgroup_parent).remove()
    os.close(lock)


def _lock(path: str) -> int:
    """Hold ``path`` as long as this process lives. Conflict when another supervisor does.

    A lock of fcntl(2), not flock(2): children have no part in it. They may outlive this process, if it is killed.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the kernel likes
        raise Conflict(f"{path} is held by another supervisor") from None
    return fd
