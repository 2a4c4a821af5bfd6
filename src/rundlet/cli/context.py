"""What a running command has at hand: the engine it talks to, and where its output goes.

The engine is connected to when first asked for. With no ``--host`` and no ``RUNDLET_HOST`` it is the default
engine of this machine, which is started if it does not run (:mod:`rundlet.cli.autostart`).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rundlet.sdk import Engine

HOST_VARIABLE = "RUNDLET_HOST"


class Context:
    def __init__(self, host: str | None = None, *, is_debugging: bool = False) -> None:
        self.named_host = host
        """What ``--host`` said; None: nothing."""
        self.host = host or os.environ.get(HOST_VARIABLE) or None
        """The engine that was asked for; None: this machine's default."""
        self.is_debugging = is_debugging
        self._engine: Engine | None = None

    def engine(self, *, start: bool = True) -> Engine:
        """The engine, ready to be called. Unless ``start``, a default engine that does not run is left alone.

        Raises EngineUnavailable when the default engine cannot be started.
        """
        if self._engine is None:
            from rundlet.sdk import Engine

            if self.host is None and start:
                from rundlet.cli.autostart import ensure_running

                ensure_running()
            self._engine = Engine(self.host)
        return self._engine

    def out(self, text: str) -> None:
        sys.stdout.write(text)

    def err(self, line: str) -> None:
        """A line for the person, in order with what was printed before."""
        sys.stdout.flush()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def warn_all(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            self.err(f"WARNING: {warning}")
