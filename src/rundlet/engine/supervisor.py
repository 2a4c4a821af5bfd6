"""The daemon's end of the supervisor's socket: requests that are awaited, exits that are handed on.

    Supervisor.start(Start) ──► socket ──► …          answers come in any order and find their request by serial
              ▲                    │
              └──── Started ◄──────┤
    on_exit(TaskState) ◄─ Exited ◄─┤
    on_lost()  ◄───── end of file ─┘

It keeps no state about containers and never retries. Loop thread only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rundlet.errors import (
    Conflict,
    EngineError,
    InvalidArgument,
    NotFound,
    ProtocolError,
    StartFailed,
    Unsupported,
)
from rundlet.runtime import messages
from rundlet.runtime.messages import Answer, Done, Exited, Failed, Request, Started, TaskState, Welcome

__all__ = ["Running", "Supervisor", "SupervisorLost"]

_log = logging.getLogger(__name__)


class SupervisorLost(EngineError):
    """The supervisor is gone, and with it the answer: what was asked may or may not have been done."""

    def __init__(self, message: str = "the supervisor ended unexpectedly; its containers are lost") -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Running:
    """A started task and its descriptors, which are the receiver's to close."""

    task: TaskState
    fds: list[int]
    """pidfd first; then, of a container, its notify eventfd and its stdin or console, if it has one; of an
    exec its stdin (if asked for), stdout and stderr, or its console."""


class Supervisor:
    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._socket: socket.socket | None = None
        self._serial = 0
        self._pending: dict[int, asyncio.Future[tuple[Answer, list[int]]]] = {}
        self._unsent: deque[Request] = deque()
        self._on_exit: Callable[[TaskState], None] = lambda task: None
        self._on_lost: Callable[[], None] = lambda: None
        self.pid = 0

    def listen(self, on_exit: Callable[[TaskState], None], on_lost: Callable[[], None]) -> None:
        """Who is told of exits, and of the supervisor's end."""
        self._on_exit = on_exit
        self._on_lost = on_lost

    async def connect(self) -> Sequence[TaskState]:
        """Say hello. What the supervisor holds: running tasks, and exits that nobody has taken note of yet.

        SupervisorLost when it is ending: it accepts connections to its last moment.
        """
        self.pid = 0
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            sock.connect(os.fspath(self._path))  # local, and the listener exists: this does not block
            sock.setblocking(False)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            sock.close()
            raise SupervisorLost(f"cannot reach the supervisor at {self._path}: {error}") from error
        except OSError as error:
            sock.close()
            raise EngineError(f"cannot reach the supervisor at {self._path}: {error}") from error
        self._socket = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._receive)
        answer, fds = await self._ask(messages.Hello(0))
        _close(fds)
        if not isinstance(answer, Welcome) or answer.version != messages.PROTOCOL_VERSION:
            self.disconnect()
            raise EngineError(
                f"supervisor at {self._path} speaks another protocol: stop its containers and end it"
            )
        self.pid = answer.pid
        return answer.tasks

    def disconnect(self) -> None:
        """Leave; the supervisor and its containers go on. Does not count as lost."""
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None
        pending, self._pending = self._pending, {}
        self._unsent.clear()
        for future in pending.values():
            if not future.done():
                future.set_exception(SupervisorLost())

    # requests

    async def start(self, request: messages.Start) -> Running:
        """StartFailed, with an exit code, when the program was not exec'd: then nothing of it is left."""
        return _running(*await self._ask(request))

    async def exec(self, request: messages.Exec) -> Running:
        return _running(*await self._ask(request))

    async def reopen(self, container_id: str, exec_id: str | None = None) -> Running:
        return _running(*await self._ask(messages.Reopen(0, container_id, exec_id)))

    async def signal(self, container_id: str, signal: int, exec_id: str | None = None) -> None:
        _done(*await self._ask(messages.Signal(0, container_id, signal, exec_id)))

    async def close_stdin(self, container_id: str, exec_id: str | None = None) -> None:
        _done(*await self._ask(messages.CloseStdin(0, container_id, exec_id)))

    async def forget(self, container_id: str, exec_id: str) -> None:
        _done(*await self._ask(messages.Forget(0, container_id, exec_id)))

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Its cgroup is gone. NotFound when the supervisor does not hold it."""
        _done(*await self._ask(messages.Delete(0, container_id, force)))

    async def shutdown(self) -> None:
        """Conflict while it holds a container."""
        _done(*await self._ask(messages.Shutdown(0)))

    async def _ask(self, request: Request) -> tuple[Answer, list[int]]:
        if self._socket is None:
            raise SupervisorLost
        self._serial += 1
        request = replace(request, serial=self._serial)
        future: asyncio.Future[tuple[Answer, list[int]]] = asyncio.get_running_loop().create_future()
        self._pending[self._serial] = future
        self._unsent.append(request)
        self._send()
        try:
            return await future
        finally:
            self._pending.pop(request.serial, None)

    # the socket

    def _send(self) -> None:
        sock = self._socket
        while sock is not None and self._unsent:
            try:
                messages.send(sock, self._unsent[0])
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(sock.fileno(), self._send)
                return
            except OSError:
                self._lose()
                return
            self._unsent.popleft()
        if sock is not None:
            asyncio.get_running_loop().remove_writer(sock.fileno())

    def _receive(self) -> None:
        while self._socket is not None:
            try:
                received = messages.receive(self._socket)
            except BlockingIOError:
                return
            except (OSError, ProtocolError) as error:
                _log.error("supervisor: %s", error)
                received = None
            if received is None:
                self._lose()
                return
            self._dispatch(*received)

    def _dispatch(self, message: messages.Message, fds: list[int]) -> None:
        if isinstance(message, Exited):
            self._on_exit(message.task)
            return
        future = self._pending.get(message.serial)
        if future is None or future.done() or not isinstance(message, Answer):
            _close(fds)  # whoever asked has gone
            return
        future.set_result((message, fds))

    def _lose(self) -> None:
        self.disconnect()
        if self.pid:  # before its Welcome it is only connect() that has lost it
            self._on_lost()


def _running(answer: Answer, fds: list[int]) -> Running:
    if isinstance(answer, Started):
        return Running(answer.task, fds)
    _close(fds)
    raise _failure(answer)


def _done(answer: Answer, fds: list[int]) -> None:
    _close(fds)
    if not isinstance(answer, Done):
        raise _failure(answer)


def _failure(answer: Answer) -> Exception:
    """The kind of failure decides; its words are for people."""
    if not isinstance(answer, Failed):
        return ProtocolError(f"supervisor: unexpected answer {type(answer).__name__}")
    if answer.kind == "no-program":
        return StartFailed(answer.message, 127)
    if answer.kind == "not-executable":
        return StartFailed(answer.message, 126)
    if answer.kind == "not-found":
        return NotFound(answer.message)
    if answer.kind == "conflict":
        return Conflict(answer.message)
    text = answer.message if answer.message.startswith(answer.stage) else f"{answer.stage}: {answer.message}"
    if answer.kind == "unsupported":
        return Unsupported(text)
    if answer.kind == "invalid":
        return InvalidArgument(text)
    return EngineError(text)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
