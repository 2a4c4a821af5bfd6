"""What a process and the child it makes say to each other between clone and exec.

A pair of ``SOCK_SEQPACKET`` sockets, both close-on-exec; one packet is one message.

    parent                                        child
    ──────                                        ─────
    clone3                              ─────▶    root file system
    put it into its cgroups
    GO                                  ─────▶    the rest of the set-up …
                                        ◀─────    CONSOLE + descriptor    only with a terminal
                                        ◀─────    READY                   all but the credentials is done
                                        ◀─────    end of file             by execve: the program runs
                                          or
                                        ◀─────    FAILED {kind, stage, message, errno}, then exit

End of file without READY: the child died on the way (killed, out of memory). End of file in the child:
the parent is gone, and the child ends as well.

This module will not wait in the parent: its end never blocks.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from typing import TypeAlias

from rundlet.runtime.messages import FailureKind, receive_fds

_GO = b"G"
_CONSOLE = b"C"
_READY = b"R"
_FAILED = b"F"
_TEXT_LIMIT = 4096
"""Characters of each text of a failure: it must fit in one packet whatever an image puts into it."""


@dataclass(frozen=True, slots=True)
class Failure:
    kind: FailureKind
    stage: str
    message: str
    errno: int = 0


@dataclass(frozen=True, slots=True)
class Console:
    fd: int
    """The terminal's master, now the receiver's."""


class Ready:
    """The child is about to become the program."""


class End:
    """The child's socket is closed."""


News: TypeAlias = Failure | Console | Ready | End


def handshake() -> tuple[ParentEnd, ChildEnd]:
    parent, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    parent.setblocking(False)
    return ParentEnd(parent), ChildEnd(child.detach())


class ParentEnd:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def fileno(self) -> int:
        return self._socket.fileno()

    def go(self) -> None:
        """Let the child begin. Its death meanwhile is no error here: it shows as an end of file."""
        try:
            self._socket.send(_GO)
        except BrokenPipeError:
            return

    def receive(self) -> News | None:
        """The next news; None when there is none yet."""
        try:
            data, fds, _ = receive_fds(self._socket, 64 * 1024, 1)
        except BlockingIOError:
            return None
        except ConnectionResetError:  # the child died without reading GO
            return End()
        match data[:1]:
            case b"C":
                return Console(fds[0])
            case b"R":
                return Ready()
            case b"F":
                return Failure(**json.loads(data[1:]))
            case _:
                return End()

    def close(self) -> None:
        self._socket.close()


class ChildEnd:
    """A bare descriptor: reading and writing one is what even a strict seccomp filter allows."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def wait_go(self) -> bool:
        """False when the parent is gone."""
        return os.read(self.fd, 1) == _GO

    def send_console(self, master: int) -> None:
        with socket.socket(fileno=os.dup(self.fd)) as sock:
            socket.send_fds(sock, [_CONSOLE], [master])

    def send_ready(self) -> None:
        os.write(self.fd, _READY)

    def send_failure(self, failure: Failure) -> None:
        body = {
            "kind": failure.kind,
            "stage": failure.stage[:_TEXT_LIMIT],
            "message": failure.message[:_TEXT_LIMIT],
            "errno": failure.errno,
        }
        os.write(self.fd, _FAILED + json.dumps(body).encode())

    def move_to(self, fd: int) -> None:
        """Continue on descriptor ``fd``, still close-on-exec."""
        if fd != self.fd:
            self.fd = os.dup2(self.fd, fd, inheritable=False)
