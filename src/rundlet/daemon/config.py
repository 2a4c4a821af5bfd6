"""What a daemon is told on its command line, as one frozen value."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rundlet.engine.config import EngineConfig

_LOG_LEVELS = ("debug", "info", "warning", "error")
_WRONG_FLAG = 125
"""As with every other command of ``rundlet``, and of Docker."""


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    engine: EngineConfig
    hosts: tuple[str, ...]
    """Addresses to listen on: ``unix:///path`` or ``tcp://127.0.0.1:port``."""
    group: str | None
    """Owner group of the Unix sockets; None leaves them to root's."""
    log_level: str
    stop_containers: bool
    """The end of the daemon is the end of its containers, as with dockerd without ``live-restore``."""

    @property
    def pid_file(self) -> Path:
        return self.engine.run_root / "rundlet.pid"


def parse_arguments(arguments: Sequence[str]) -> DaemonConfig:
    """Raises :class:`rundlet.errors.InvalidArgument`; exits with status 125 and one line for wrong flags."""
    given = _parser().parse_args(arguments)
    engine = EngineConfig(
        instance=given.instance,
        data_root=given.data_root.absolute(),
        run_root=given.run_root.absolute(),
        debug=given.log_level == "debug",
    )
    return DaemonConfig(
        engine=engine,
        hosts=tuple(given.host or [f"unix://{engine.run_root}/rundlet.sock"]),
        group=given.group,
        log_level=given.log_level,
        stop_containers=given.stop_containers,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_WRONG_FLAG, f"{self.prog}: {message}. See '{self.prog} --help'.\n")


def _parser() -> argparse.ArgumentParser:
    default = EngineConfig()
    parser = _Parser(
        prog="rundlet daemon",
        description="Run the container engine in the foreground. SIGTERM ends the daemon; its containers live on, "
        "and the next daemon takes them over.",
    )
    add = parser.add_argument
    add(
        *("-H", "--host"),
        action="append",
        metavar="URL",
        help="listen on unix:///PATH or tcp://127.0.0.1:PORT; may be given several times "
        "(default rundlet.sock in the run root)",
    )
    add(
        "--data-root",
        type=Path,
        default=default.data_root,
        metavar="DIR",
        help="images, containers, volumes (default %(default)s)",
    )
    add(
        "--run-root",
        type=Path,
        default=default.run_root,
        metavar="DIR",
        help="sockets and what a boot forgets (default %(default)s)",
    )
    add(
        "--instance",
        default=default.instance,
        metavar="NAME",
        help="prefix of names made on this machine: 1 to 8 of a-z and 0-9 (default %(default)s)",
    )
    add("-G", "--group", metavar="NAME", help="group that may use the Unix sockets (it is as good as root)")
    add("-l", "--log-level", choices=_LOG_LEVELS, default="info", help="(default %(default)s)")
    add("-D", "--debug", action="store_const", const="debug", dest="log_level", help="same as --log-level debug")
    add("--stop-containers", action="store_true", help="stop every container when the daemon ends")
    return parser
