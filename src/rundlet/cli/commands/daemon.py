"""``rundlet daemon``: an engine in the foreground, in a fresh interpreter.

The engine's own packages are not for the command line to import: this replaces the process by
``python -m rundlet.daemon``, which owns the flags. That process shows in ``ps`` as it was typed.
"""

from __future__ import annotations

import os
import sys

from rundlet.cli.command import Command
from rundlet.cli.flags import Arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rundlet.cli.context import Context


def daemon_argv(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "rundlet.daemon", *words]


def _daemon(context: Context, arguments: Arguments) -> int:
    words = list(arguments.positional)
    if context.named_host is not None:  # `rundlet --host X daemon` means what `rundlet daemon --host X` means
        words = ["--host", context.named_host, *words]
    argv = daemon_argv(words)
    os.execv(argv[0], argv)


class _PassThrough(Command):
    """Every word, ``--help`` too, is the daemon's to read."""

    def parse(self, argv: Sequence[str]) -> Arguments:
        return Arguments({}, set(), list(argv))


DAEMON = _PassThrough("daemon", "[OPTIONS]", "Run an engine in the foreground", _daemon, at_most=None)
