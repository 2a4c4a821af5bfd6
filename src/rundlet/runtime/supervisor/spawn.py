"""Starting the supervisor of an engine, for the daemon.

What it will not do: talk to it. See :mod:`rundlet.runtime.messages`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

from rundlet.errors import EngineError

SOCKET_NAME = "supervisor.sock"
LOCK_NAME = "supervisor.lock"
LOG_NAME = "supervisor.log"

_BOOTSTRAP = "import sys; sys.path.append({path!r}); from rundlet.runtime.supervisor.main import main; main()"
"""The directory comes last: others live there, too, and one of them may be called like a standard module."""
_READY_FD = 3


def spawn_supervisor(run_root: str | os.PathLike[str], instance: str) -> None:
    """Have a supervisor serving ``run_root``: start one, unless one is there. Blocks for some 50 ms then.

    It is detached: in a session of its own, no child of the caller's, its output in ``supervisor.log``. Its
    cgroups are ``/<instance>/<container id>``. EngineError, with what it said, if it could not start.
    """
    run = os.fspath(run_root)
    if is_serving(run):
        return
    read_end, write_end = os.pipe()
    try:
        try:
            _spawn(run, instance, write_end)
        finally:
            os.close(write_end)
        with open(read_end, "rb", closefd=False) as file:
            words = file.read().decode(errors="replace").strip()
    finally:
        os.close(read_end)
    if words != "ready" and not is_serving(run):
        raise EngineError(f"the supervisor did not start: {words or f'see {run}/{LOG_NAME}'}")


def is_serving(run_root: str) -> bool:
    """Whether a supervisor lives and accepts connections.

    Only its lock can tell that it lives: if it was killed, a child in set-up may hold the socket a moment longer.
    """
    return _is_locked(f"{run_root}/{LOCK_NAME}") and _is_listening(f"{run_root}/{SOCKET_NAME}")


def _is_locked(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except FileNotFoundError:
        return False
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of fcntl(2), on 64-bit machines."""


def _is_listening(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def _spawn(run: str, instance: str, ready: int) -> None:
    source = os.path.abspath(f"{__file__}/../../../..")  # the directory that holds the package
    arguments = [
        *(sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOTSTRAP.format(path=source)),
        *(f"--run-root={run}", f"--cgroup-parent=/{instance}", f"--ready-fd={_READY_FD}"),
    ]
    log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        sys.executable,
        arguments,
        # Nothing of the caller's environment: it may hold secrets, and containers are forked from this process.
        {"PATH": os.defpath},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, f"{run}/{LOG_NAME}", log_flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, ready, _READY_FD),
        ],
        setsid=True,
    )
    os.waitpid(pid, 0)  # it forks and ends at once, so that the supervisor is nobody's child
