"""A real :class:`ApiServer` on a Unix socket in a thread of its own, and a client that sees every byte."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import uvloop

from rundlet.api.connection import Application
from rundlet.api.reply import AnyReply, Headers
from rundlet.api.request import Request
from rundlet.api.server import ApiServer

TIMEOUT_S = 10.0

Handler = Callable[[Request], Any]


class SimpleApp:
    """An application that is one coroutine function."""

    headers: Headers = ((b"Server", b"test"),)

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, request: Request) -> AnyReply:
        reply: AnyReply = await self._handler(request)
        return reply


@dataclass(frozen=True)
class Response:
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    chunks: tuple[bytes, ...] = ()


class Peer:
    """One client connection, byte by byte."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(path))
        self._file = self.sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: test"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def send_until_blocked(self, data: bytes, *, limit: int) -> int:
        """Send ``data`` again and again until the socket is full; the bytes sent."""
        self.sock.settimeout(0.3)
        sent = 0
        try:
            while sent < limit:
                sent += self.sock.send(data)
        except TimeoutError:
            pass
        self.sock.settimeout(TIMEOUT_S)
        return sent

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def read_head(self) -> Response:
        """Status line and headers only."""
        line = self._file.readline().decode().rstrip("\r\n")
        if not line:
            raise EOFError
        _, status, reason = line.split(" ", 2)
        headers = {}
        while header := self._file.readline().decode().rstrip("\r\n"):
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        return Response(int(status), reason, headers, b"")

    def response(self, *, head: bool = False) -> Response:
        """The next reply, whole; ``head`` for the reply to a HEAD request."""
        top = self.read_head()
        chunks: tuple[bytes, ...] = ()
        body = b""
        if top.headers.get("transfer-encoding") == "chunked":
            chunks = tuple(iter(self.read_chunk, b""))
            body = b"".join(chunks)
        elif "content-length" in top.headers and not head:
            body = self._file.read(int(top.headers["content-length"]))
        return Response(top.status, top.reason, top.headers, body, chunks)

    def read_chunk(self) -> bytes:
        size = int(self._file.readline(), 16)
        data = self._file.read(size)
        assert self._file.readline() == b"\r\n"
        return data

    def read_line(self) -> bytes:
        return self._file.readline()

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def read_to_end(self) -> bytes:
        return self._file.read()


class Server:
    """A server thread; :meth:`run` does something on its loop."""

    def __init__(self, application: Application, path: Path, loop_factory: Callable[[], Any]) -> None:
        self.path = path
        self._application = application
        self._loop_factory = loop_factory
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._main)
        self.loop_errors: list[dict[str, Any]] = []
        """What nobody handled; every test asserts in the end that there is none."""

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(TIMEOUT_S)

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _, context: self.loop_errors.append(context))
        self._end = asyncio.Event()
        self.api_server = ApiServer()
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(self.path))
        await self.api_server.listen(sock, self._application)
        self._started.set()
        await self._end.wait()
        await self.api_server.close(grace_s=0.5)

    def connect(self) -> Peer:
        return Peer(self.path)

    def close(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()


Serve = Callable[[Application], Server]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """``serve(application)`` starts a server; on both event loops. No task may fail unseen."""
    servers: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="rundlet-api-") as directory:

        def start(application: Application) -> Server:
            server = Server(application, Path(directory) / f"{len(servers)}.sock", request.param)
            servers.append(server)
            server.start()
            return server

        yield start
        for server in servers:
            server.close()
        assert [error for server in servers for error in server.loop_errors] == []
