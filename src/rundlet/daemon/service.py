"""The life of a daemon: take run root and data root, start the engine, listen, wait for a signal, end in reverse.

Nobody can connect before the engine is ready. A second daemon on either root fails at the first step and
disturbs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from rundlet.api import ApiServer, EngineApi, GuardedFromBrowsers
from rundlet.daemon.config import DaemonConfig
from rundlet.daemon.listeners import bound
from rundlet.engine.engine import Engine
from rundlet.errors import Conflict, Forbidden, RundletError

_logger = logging.getLogger("rundlet.daemon")

_GRACE_S = 15.0
"""For requests under way when the daemon is told to end: longer than the default patience of a stop."""


async def serve(config: DaemonConfig) -> None:
    """Run until SIGTERM or SIGINT. Raises the :class:`rundlet.errors.RundletError` that prevents a start."""
    if os.geteuid() != 0:
        raise Forbidden("an engine needs root (try sudo); rundlet doctor tells what else it needs")
    told_to_end = _catch_signals()
    with _run_root_taken(config.pid_file):
        engine = Engine(config.engine)
        await engine.start()
        try:
            with bound(config.hosts, config.group) as sockets:
                await _serve_until(told_to_end, engine, config.hosts, sockets)
        finally:
            await (engine.shutdown_all() if config.stop_containers else engine.stop())
    _logger.info("ended")


async def _serve_until(
    told_to_end: asyncio.Event, engine: Engine, hosts: tuple[str, ...], sockets: list[socket.socket]
) -> None:
    server, api = ApiServer(), EngineApi(engine)
    for sock in sockets:
        is_local = sock.family == socket.AF_UNIX
        await server.listen(sock, api if is_local else GuardedFromBrowsers(api))
    gc.freeze()  # what start-up made stays: the collector need not look at it again and again
    _logger.info("ready, pid %d, listening on %s", os.getpid(), ", ".join(hosts))
    await told_to_end.wait()
    _logger.info("ending")
    await server.close(_GRACE_S)


def _catch_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT. The second has its default effect: the engine survives that, too."""
    loop = asyncio.get_running_loop()
    told_to_end = asyncio.Event()

    def on_signal() -> None:
        told_to_end.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    loop.add_signal_handler(signal.SIGHUP, _logger.info, "SIGHUP: there is no configuration to reload")
    return told_to_end


@contextlib.contextmanager
def _run_root_taken(path: Path) -> Iterator[None]:
    """Hold the lock of the run root, which is the pid file at ``path``.

    The data root has a lock of its own. This one keeps a daemon with another data root from taking over the
    supervisor, and with it the containers, of the daemon that is here. The file stays, empty: whoever removes a
    lock file lets two in. Raises :class:`Conflict`, and :class:`RundletError` for a run root that cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+")
    except OSError as error:
        raise RundletError(f"run root {path.parent} cannot be used: {error.strerror}") from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Conflict(
                f"run root {path.parent} is in use by another daemon (pid {file.read().strip()})"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
