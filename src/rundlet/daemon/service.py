"""The life of a daemon: take the data root, start the engine, listen, wait for a signal, end in reverse.

Nobody can connect before the engine is ready, and a socket is taken over only by the daemon that holds the
data root: a second daemon fails at the first step and disturbs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
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

_logger = logging.getLogger("rundlet.daemon")

_GRACE_S = 15.0
"""For requests under way when the daemon is told to end: longer than the default patience of a stop."""


async def serve(config: DaemonConfig) -> None:
    """Run until SIGTERM or SIGINT. Raises the :class:`rundlet.errors.RundletError` that prevents a start."""
    told_to_end = _catch_signals()
    engine = Engine(config.engine)
    await engine.start()
    try:
        with bound(config.hosts, config.group) as sockets, _pid_file(config.pid_file):
            server, api = ApiServer(), EngineApi(engine)
            for sock in sockets:
                is_local = sock.family == socket.AF_UNIX
                await server.listen(sock, api if is_local else GuardedFromBrowsers(api))
            gc.freeze()  # what start-up made stays: the collector need not look at it again and again
            _logger.info("ready, pid %d, listening on %s", os.getpid(), ", ".join(config.hosts))
            await told_to_end.wait()
            _logger.info("ending")
            await server.close(_GRACE_S)
    finally:
        await (engine.shutdown_all() if config.stop_containers else engine.stop())
    _logger.info("ended")


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
def _pid_file(path: Path) -> Iterator[None]:
    """For people and scripts; the lock on the data root, not this file, keeps a second daemon out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
