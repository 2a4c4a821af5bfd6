"""What every operation works on, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from rundlet.linux.kernel import Kernel
from rundlet.runtime.handshake import ChildEnd
from rundlet.runtime.messages import FailureKind


class SetupError(Exception):
    """A step refused for a reason that is not an error of the kernel."""

    def __init__(self, message: str, kind: FailureKind = "invalid", errno: int = 0) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.errno = errno


@dataclass(slots=True)
class Context:
    """What operations hand to later ones. Descriptors are -1 until somebody opened them."""

    kernel: Kernel
    handshake: ChildEnd
    root: int = -1
    """The container's root directory (O_PATH)."""
    proc: int = -1
    """The container's own procfs, whatever is mounted over it."""
    terminal: int = -1
    """The program's end of its pseudo-terminal."""
    mask: int = -1
    """The empty directory that covers masked directories."""
    uid: int = 0
    gid: int = 0
    groups: list[int] = field(default_factory=list)


class Operation(Protocol):
    def execute(self, context: Context) -> None:
        """Do it: OSError for what the kernel refuses, SetupError for what we refuse."""

    def describe(self) -> str:
        """What is being done, on what: the "stage" of an error, in the infinitive."""
