"""One client's conversation with a program: what it reads, what it writes, how it leaves.

Attach and exec both hand one of these to the API, which moves the bytes and decides nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

__all__ = ["TERMINAL", "AttachOptions", "Session"]

TERMINAL = 0
"""The stream number of a pseudo-terminal's output, which is not framed; 1 is stdout, 2 stderr."""


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """The query of POST /containers/{id}/attach."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    stream: bool = False
    """Go on with what comes; without it the session ends after the replay of ``logs``."""
    logs: bool = False
    detach_keys: str = ""
    """Docker's notation, ``ctrl-p,ctrl-q`` if empty. Only a terminal has them."""


class Session(ABC):
    tty: bool
    """The program's output is a terminal's: all of it is stream :data:`TERMINAL`."""
    detached: bool = False
    """The client typed its detach keys. The output has ended; the connection is to be closed for good."""

    @property
    @abstractmethod
    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Stream number and bytes, until the program has ended and all of its bytes were yielded.

        The exit code is recorded before this ends. To be iterated once. A reader that does not keep up is
        waited for by exec; by attach for ten seconds, after which its output ends.
        """

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Bytes for the program's stdin; waits while it does not read. Dropped when it takes none (any more)."""

    @abstractmethod
    async def close_stdin(self) -> None:
        """The client half-closed. What that means to the program is the container's business (StdinOnce)."""

    @abstractmethod
    async def close(self) -> None:
        """The client has gone. The program goes on. May be called twice."""
