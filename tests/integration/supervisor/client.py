"""What a daemon does with a supervisor, in the simplest way: one request at a time, blocking."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rundlet.runtime import messages
from rundlet.runtime.messages import (
    Answer,
    CloseStdin,
    Delete,
    Done,
    Exec,
    Exited,
    ExitStatus,
    Failed,
    Forget,
    Hello,
    Message,
    Reopen,
    Shutdown,
    Signal,
    Start,
    Started,
    Stdio,
    Welcome,
)
from rundlet.runtime.spool import STDOUT, SpoolReader

MOUNTS: list[dict[str, Any]] = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]},
]
HOST_PYTHON = [
    {"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]}
    for path in ("/usr", "/lib", "/lib64", sys.base_prefix)
    if os.path.exists(path)
]
"""What the interpreter of this machine needs inside a container."""
PYTHON = os.path.realpath(sys.executable)
PIPES = Stdio()


@dataclass
class Descriptors:
    """What came with Started, in the order of the protocol."""

    pidfd: int
    notify: int = -1
    stdin: int = -1
    stdout: int = -1
    stderr: int = -1
    console: int = -1

    def close(self) -> None:
        for name, fd in vars(self).items():
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)


@dataclass
class Client:
    run: Path
    root: Path
    sock: socket.socket = field(init=False)
    welcome: Welcome = field(init=False)
    exits: dict[tuple[str, str | None], ExitStatus] = field(default_factory=dict)
    opened: list[Descriptors] = field(default_factory=list)
    serial: int = 0

    def __post_init__(self) -> None:
        self.sock = self.connect()
        welcome, _ = self.request(Hello(0))
        assert isinstance(welcome, Welcome)
        self.welcome = welcome

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(str(self.run / "supervisor.sock"))
        sock.settimeout(30)
        return sock

    def close(self) -> None:
        self.sock.close()
        for descriptors in self.opened:
            descriptors.close()

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, name: str, script: str, *, stdio: Stdio = PIPES, **config: Any) -> Descriptors:
        answer, fds = self.try_start(name, ["sh", "-c", script], stdio=stdio, **config)
        assert isinstance(answer, Started), answer
        return self._descriptors(answer, fds)

    def try_start(
        self, name: str, args: list[str], *, stdio: Stdio = PIPES, **config: Any
    ) -> tuple[Answer, list[int]]:
        spool = self.spool(name)
        spool.mkdir(parents=True)
        document = self.config(args, terminal=stdio.terminal, **config)
        return self.request(Start(0, name, document, stdio, str(spool), seccomp=config.get("seccomp")))

    def exec(self, container: str, name: str, script: str, stdio: Stdio = PIPES) -> Descriptors:
        process = {**self.process(["sh", "-c", script]), "terminal": stdio.terminal}
        answer, fds = self.request(Exec(0, container, name, process, stdio))
        assert isinstance(answer, Started), answer
        return self._descriptors(answer, fds)

    def reopen(self, container: str, exec_id: str | None = None) -> Descriptors:
        answer, fds = self.request(Reopen(0, container, exec_id))
        assert isinstance(answer, Started), answer
        return self._descriptors(answer, fds)

    def signal(self, container: str, number: int, exec_id: str | None = None) -> None:
        self.done(Signal(0, container, number, exec_id))

    def close_stdin(self, container: str) -> None:
        self.done(CloseStdin(0, container))

    def forget(self, container: str, exec_id: str) -> None:
        self.done(Forget(0, container, exec_id))

    def delete(self, container: str, force: bool = False) -> None:
        self.done(Delete(0, container, force))

    def shutdown(self) -> None:
        self.done(Shutdown(0))

    def done(self, message: Message) -> None:
        answer, _ = self.request(message)
        assert isinstance(answer, Done), answer

    def fail(self, message: Message) -> Failed:
        answer, _ = self.request(message)
        assert isinstance(answer, Failed), answer
        return answer

    def request(self, message: Message) -> tuple[Answer, list[int]]:
        """Send it with a serial of its own; its answer and descriptors. Events meanwhile are kept."""
        self.serial += 1
        object.__setattr__(message, "serial", self.serial)
        messages.send(self.sock, message)
        while True:
            answer, fds = self._receive()
            if not isinstance(answer, Exited):
                assert answer.serial == self.serial
                return answer, fds  # type: ignore[return-value]  # as above

    def wait_exit(self, container: str, exec_id: str | None = None) -> ExitStatus:
        while (container, exec_id) not in self.exits:
            self._receive()
        return self.exits.pop((container, exec_id))

    def _receive(self) -> tuple[Message, list[int]]:
        received = messages.receive(self.sock)
        assert received is not None, "the supervisor closed the connection"
        message, fds = received
        if isinstance(message, Exited):
            task = message.task
            assert task.exit is not None
            self.exits[task.container_id, task.exec_id] = task.exit
        return message, fds

    def _descriptors(self, answer: Started, fds: Sequence[int]) -> Descriptors:
        stdio, is_init = answer.task.stdio, answer.task.exec_id is None
        names = ["pidfd"] + ["notify"] * is_init
        if stdio.terminal:
            names += ["console"]
        else:
            names += ["stdin"] * stdio.stdin + ["stdout", "stderr"] * (not is_init)
        assert len(fds) == len(names)
        descriptors = Descriptors(**dict(zip(names, fds, strict=True)))
        self.opened.append(descriptors)
        return descriptors

    # ── what they are about ─────────────────────────────────────────────────────────────────────────────────

    def spool(self, name: str) -> Path:
        return self.run / "spools" / name

    def output(self, name: str, stream: int = STDOUT) -> bytes:
        with SpoolReader(self.spool(name)) as reader:
            return b"".join(record.data for record in reader.read(1 << 30) if record.stream == stream)

    def process(self, args: list[str], **process: Any) -> dict[str, Any]:
        return {"args": args, "env": ["PATH=/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0}, **process}

    def config(
        self,
        args: list[str],
        *,
        terminal: bool = False,
        namespaces: Sequence[str] = ("pid", "mount", "ipc", "uts"),
        resources: dict[str, Any] | None = None,
        mounts: Sequence[dict[str, Any]] = (),
        process: dict[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        return {
            "ociVersion": "1.0.2",
            "root": {"path": str(self.root)},
            "process": self.process(args, terminal=terminal, **(process or {})),
            "mounts": [*MOUNTS, *mounts],
            "linux": {"namespaces": [{"type": kind} for kind in namespaces], "resources": resources or {}},
        }


def read_until(fd: int, words: bytes) -> bytes:
    """What comes out of a (non-blocking) terminal or pipe until ``words`` have come."""
    data = b""
    os.set_blocking(fd, True)
    while words not in data:
        chunk = os.read(fd, 4096)
        assert chunk, f"ended with {data!r}"
        data += chunk
    return data


def read_all(fd: int) -> bytes:
    os.set_blocking(fd, True)
    data = b""
    while chunk := os.read(fd, 65536):
        data += chunk
    return data
