"""What a daemon and its supervisor say to each other: a closed set of messages, and their codec.

The socket is ``AF_UNIX``/``SOCK_SEQPACKET``: one packet is one message, JSON plus file descriptors.

    daemon                                                   supervisor
    ──────                                                   ──────────
    Hello(version)                            ───────────▶   one daemon at a time: a new one replaces the old
                          ◀───────────  Welcome(version, pid, tasks)

    Start(container, config, rootfs, stdio)   ───────────▶   cgroup, clone3, set-up … exec
                          ◀───────────  Started(pid, …)   + [pidfd, notify, stdin | console]
                          ◀───────────  Failed(stage, …)    nothing of it is left

    Exec(container, exec, process, stdio)     ───────────▶   setns, fork, exec
                          ◀───────────  Started(pid, …)   + [pidfd, stdin?, stdout, stderr | console]

    Reopen(container, exec?)                  ───────────▶   the same descriptors, for a daemon that came back
                          ◀───────────  Started(pid, …)   + the descriptors of its Start or Exec;
                                                             /dev/null stands for one that is closed

    Signal(container, exec?, signal)          ───────────▶   pidfd_send_signal; SIGKILL thaws a frozen container
    CloseStdin(container, exec?)              ───────────▶   drops the supervisor's own write end
    Forget(container, exec)                   ───────────▶   the exit of an exec is recorded: drop it
    Delete(container, force)                  ───────────▶   cgroup gone, limits free, record dropped
    Shutdown()                                ───────────▶   ends, unless it holds a container
                          ◀───────────  Done()             for each of these five
                          ◀───────────  Failed(…)

                          ◀───────────  Exited(task)         unasked, once per exit and connection;
                                                             repeated in Welcome until Delete or Forget

Every request carries a ``serial`` that its answer repeats. Answers come in the order in which the work
ends, not in the order of the requests: a start that waits for a slow disk delays nobody else.

A message longer than :data:`INLINE_LIMIT` travels in a sealed memfd, which is then the packet's first
descriptor. The codec is pure but for that memfd; it never blocks and never closes a descriptor that it
did not make. What it will not do: wait, retry, or know what a container is.
"""

from __future__ import annotations

import array
import dataclasses
import fcntl
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rundlet.errors import ProtocolError

PROTOCOL_VERSION = 1
INLINE_LIMIT = 32 * 1024
"""Bytes. Well below the 208 KiB that ``net.core.wmem_default`` allows a packet."""
MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes. More than argv and environment can ever be (ARG_MAX is 2 MiB) plus any configuration."""
FD_LIMIT = 16

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Overlay:
    """A root file system to be mounted inside the container's mount namespace: host paths, topmost layer first."""

    lower: Sequence[str]
    upper: str
    work: str
    volatile: bool = False
    """Skip syncing the upper directory: for containers whose changes are thrown away."""


@dataclass(frozen=True, slots=True)
class Stdio:
    """Where a program's standard streams go.

    With ``terminal`` there is one pseudo-terminal and stderr is part of it. Otherwise stdin is a pipe if
    asked for (else ``/dev/null``) and stdout, stderr are pipes.
    """

    terminal: bool = False
    stdin: bool = False
    console_size: tuple[int, int] | None = None
    """Rows, columns."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """What the supervisor knows of a container's init (``exec_id`` is None) or of one exec."""

    container_id: str
    exec_id: str | None
    pid: int
    start_time: int
    """Clock ticks since boot, field 22 of /proc/PID/stat: pid and start time together name a process."""
    stdio: Stdio
    exit: ExitStatus | None = None


@dataclass(frozen=True, slots=True)
class ExitStatus:
    code: int
    """0–255; 128+n after signal n."""
    signal: int | None = None
    oom_killed: bool = False
    at_ns: int = 0
    """CLOCK_REALTIME."""


@dataclass(frozen=True, slots=True)
class Hello:
    serial: int
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class Start:
    serial: int
    container_id: str
    config: Json
    """OCI runtime-spec config."""
    stdio: Stdio
    spool: str
    """Directory (existing, empty) for the output of the container: see :mod:`rundlet.runtime.spool`."""
    overlay: Overlay | None = None
    """Mounted on ``config["root"]["path"]``; None when that directory already holds the root file system."""
    seccomp: str | None = None
    """The config's ``linux.seccomp`` object as JSON text, which ``config`` then lacks: the supervisor keeps
    compiled filters by this text and seldom parses it. None: not confined."""


@dataclass(frozen=True, slots=True)
class Exec:
    serial: int
    container_id: str
    exec_id: str
    process: Json
    """OCI runtime-spec ``process`` object."""
    stdio: Stdio


@dataclass(frozen=True, slots=True)
class Reopen:
    serial: int
    container_id: str
    exec_id: str | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    serial: int
    container_id: str
    signal: int
    exec_id: str | None = None


@dataclass(frozen=True, slots=True)
class CloseStdin:
    serial: int
    container_id: str
    exec_id: str | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    serial: int
    container_id: str
    exec_id: str


@dataclass(frozen=True, slots=True)
class Delete:
    serial: int
    container_id: str
    force: bool = False
    """Kill what still runs; without it a running container is an error."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    serial: int


@dataclass(frozen=True, slots=True)
class Welcome:
    serial: int
    version: int
    pid: int
    tasks: Sequence[TaskState]


@dataclass(frozen=True, slots=True)
class Started:
    serial: int
    task: TaskState


@dataclass(frozen=True, slots=True)
class Done:
    serial: int


FailureKind: TypeAlias = Literal[
    "invalid", "not-found", "conflict", "no-program", "not-executable", "unsupported", "system"
]


@dataclass(frozen=True, slots=True)
class Failed:
    """A request not carried out. ``stage`` and ``message`` say on what; ``errno`` is 0 if no call failed."""

    serial: int
    kind: FailureKind
    stage: str
    message: str
    errno: int = 0


@dataclass(frozen=True, slots=True)
class Exited:
    """An event: no serial."""

    task: TaskState


Request: TypeAlias = Hello | Start | Exec | Reopen | Signal | CloseStdin | Forget | Delete | Shutdown
Answer: TypeAlias = Welcome | Started | Done | Failed
Message: TypeAlias = Request | Answer | Exited


_TYPES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        Hello, Start, Exec, Reopen, Signal, CloseStdin, Forget, Delete, Shutdown,
        Welcome, Started, Done, Failed, Exited,
    )
}  # fmt: skip
_NESTED: dict[str, type[Any]] = {"stdio": Stdio, "overlay": Overlay, "task": TaskState, "exit": ExitStatus}


def encode(message: Message) -> bytes:
    """The message as JSON text: an object of its fields and its ``type``."""
    body = {"type": type(message).__name__, **_fields_of(message)}
    return json.dumps(body, default=_fields_of, separators=(",", ":")).encode()


def decode(data: bytes) -> Message:
    """The message that :func:`encode` made. Whatever is not exactly one is a :class:`ProtocolError`."""
    try:
        body = json.loads(data)
        cls = _TYPES[body.pop("type")]
        return cls(**{name: _build(name, value) for name, value in body.items()})  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"supervisor protocol: not a message: {data[:80]!r}") from error


def _fields_of(value: object) -> dict[str, Any]:
    assert dataclasses.is_dataclass(value)
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


_KINDS: dict[str, type[Any]] = {
    **dict.fromkeys(("serial", "version", "pid", "start_time", "code", "signal", "at_ns", "errno"), int),
    **dict.fromkeys(("container_id", "exec_id", "spool", "seccomp", "kind", "stage", "message"), str),
    **dict.fromkeys(("upper", "work"), str),
    **dict.fromkeys(("terminal", "stdin", "volatile", "oom_killed", "force"), bool),
    **dict.fromkeys(("config", "process", "stdio", "overlay", "task", "exit"), dict),
    **dict.fromkeys(("lower", "tasks", "console_size"), list),
}
"""What the value of a field is in JSON: a name means the same in every message."""
_OPTIONAL = frozenset({"exec_id", "overlay", "seccomp", "console_size", "exit", "signal"})


def _build(name: str, value: Any) -> Any:
    if value is None and name in _OPTIONAL:
        return None
    if type(value) is not _KINDS[name]:
        raise TypeError(f"{name}: {value!r}")
    if name == "tasks":
        return [_build("task", item) for item in value]
    if name == "console_size":
        rows, columns = value
        return int(rows), int(columns)
    if cls := _NESTED.get(name):
        return cls(**{key: _build(key, item) for key, item in value.items()})
    return value


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one packet. ``fds`` stay the caller's. BlockingIOError when the peer's queue is full."""
    data = encode(message)
    if len(data) <= INLINE_LIMIT:
        socket.send_fds(sock, [b"J", data], list(fds))
        return
    memfd = os.memfd_create("rundlet-message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(memfd, "wb", closefd=False, buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _ALL_SEALS)
        socket.send_fds(sock, [b"M"], [memfd, *fds])
    finally:
        os.close(memfd)


_ALL_SEALS = 0x0001 | 0x0002 | 0x0004 | 0x0008
"""F_SEAL_SEAL, SHRINK, GROW, WRITE (fcntl(2)); the fcntl module has them from Python 3.12 on only by chance."""


def receive(sock: socket.socket) -> tuple[Message, list[int]] | None:
    """Receive one packet and the descriptors that came with it, now the caller's (close-on-exec); None at the end.

    BlockingIOError when nothing is there. On a :class:`ProtocolError` no descriptor is left open.
    """
    data, fds, flags = receive_fds(sock, INLINE_LIMIT + 1, FD_LIMIT)
    if not data:
        _close_all(fds)
        return None
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise ProtocolError("supervisor protocol: packet too long")
        if data[:1] == b"M":
            data = _read_memfd(fds)
            message = decode(data)
            os.close(fds.pop(0))
        elif data[:1] == b"J":
            message = decode(data[1:])
        else:
            raise ProtocolError(f"supervisor protocol: unknown packet {data[:1]!r}")
    except BaseException:
        _close_all(fds)
        raise
    return message, fds


def receive_fds(sock: socket.socket, size: int, limit: int) -> tuple[bytes, list[int], int]:
    """One packet, up to ``limit`` descriptors (close-on-exec) and the ``MSG_*`` flags of recvmsg(2).

    socket.recv_fds takes flags and does not pass them on (Python 3.11): its descriptors survive an exec.
    """
    fds = array.array("i")
    data, control, flags, _ = sock.recvmsg(size, socket.CMSG_SPACE(limit * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return data, fds.tolist(), flags


def _read_memfd(fds: list[int]) -> bytes:
    """The first descriptor's contents. It must be a sealed memfd: a pipe could block, a file could change."""
    if not fds:
        raise ProtocolError("supervisor protocol: a long message without its memfd")
    try:
        sealed = fcntl.fcntl(fds[0], fcntl.F_GET_SEALS) & _ALL_SEALS == _ALL_SEALS
    except OSError:
        sealed = False
    size = os.fstat(fds[0]).st_size
    if not sealed or size > MESSAGE_LIMIT:
        raise ProtocolError("supervisor protocol: a long message must be a sealed memfd of at most 16 MiB")
    return os.pread(fds[0], size, 0)


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
    fds.clear()
