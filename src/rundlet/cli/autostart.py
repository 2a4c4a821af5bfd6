"""Start the default engine of this machine in the background when it does not run, and wait until it answers.

Only for the default local socket: an engine that was named is never started. Several commands that start at
once take turns at a lock, so that one of them starts the engine and the others find it running.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from rundlet.errors import EngineUnavailable

RUN_ROOT = "/run/rundlet"
SOCKET = f"{RUN_ROOT}/rundlet.sock"
LOG = f"{RUN_ROOT}/daemon.log"
START_TIMEOUT_S = 20.0
_POLL_S = 0.01


def ensure_running() -> None:
    """Return once the default engine accepts connections. Raises EngineUnavailable, naming the log."""
    if _is_listening():
        return
    if os.geteuid() != 0:
        raise EngineUnavailable(f"unix://{SOCKET}", "it does not run, and only root can start it (try sudo)")
    import fcntl

    os.makedirs(RUN_ROOT, mode=0o711, exist_ok=True)
    lock = os.open(f"{RUN_ROOT}/start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_listening():
            sys.stderr.write("rundlet: starting the engine in the background\n")
            sys.stderr.flush()
            _start()
    finally:
        os.close(lock)


def _is_listening() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(SOCKET)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError:
            raise EngineUnavailable(f"unix://{SOCKET}", "permission denied (try sudo)") from None
    return True


def _start() -> None:
    import subprocess

    from rundlet.cli.commands.daemon import daemon_argv

    with open(LOG, "ab", opener=_private) as log:  # what an engine before said as it ended is kept
        before = os.fstat(log.fileno()).st_size
        # A session of its own: a Ctrl-C at this terminal is not meant for the engine.
        process = subprocess.Popen(
            daemon_argv([]), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_listening():
        status = process.poll()
        if status is not None:
            raise EngineUnavailable(
                f"unix://{SOCKET}", f"it did not start (exit status {status}){_last_words(before)}"
            )
        if time.monotonic() > deadline:
            raise EngineUnavailable(
                f"unix://{SOCKET}", f"it does not answer after {START_TIMEOUT_S:.0f} s{_last_words(before)}"
            )
        time.sleep(_POLL_S)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _last_words(offset: int) -> str:
    with open(LOG, "rb") as log:
        log.seek(offset)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return (f": {lines[-1]}" if lines else "") + f"; its log is {LOG}"
