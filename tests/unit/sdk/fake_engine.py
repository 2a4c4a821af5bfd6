"""An engine that says what a test tells it to say, over a real unix socket."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Script: TypeAlias = "bytes | Callable[[Peer], None]"

PATIENCE_S = 10


class Peer:
    """One connection of a client, with its request read."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.input = sock.makefile("rb", buffering=0)
        self.method, self.target, _ = self._line().split(" ")
        self.headers: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value

    def _line(self) -> str:
        return self.input.readline().decode().rstrip("\r\n")

    def read_body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            return b"".join(iter(self.read_chunk, b""))
        return self.read(int(self.headers.get("content-length", 0)))

    def read_chunk(self) -> bytes:
        """One chunk; nothing for the last one."""
        data = self.read(int(self._line(), 16))
        self._line()
        return data

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (piece := self.input.read(size - len(data))):
            data += piece
        return data

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)


class FakeEngine:
    """Serves each connection with the next script: bytes to send, or a function of the connection."""

    def __init__(self, path: Path) -> None:
        self.host = f"unix://{path}"
        self.requests: list[tuple[str, bytes]] = []
        self.peers: list[Peer] = []
        self._failures: list[BaseException] = []
        self._scripts: deque[Script] = deque()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def will(self, *scripts: Script) -> None:
        """What comes next, one script for each connection."""
        self._scripts.extend(scripts)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            sock.settimeout(PATIENCE_S)
            if not self._scripts:
                sock.close()
                return
            thread = threading.Thread(target=self._serve, args=(sock, self._scripts.popleft()))
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket, script: Script) -> None:
        with sock:
            try:
                peer = Peer(sock)
                with peer.input:
                    self.peers.append(peer)
                    if isinstance(script, bytes):
                        self.requests.append((f"{peer.method} {peer.target}", peer.read_body()))
                        peer.send(script)
                    else:
                        script(peer)
            except BaseException as failure:  # noqa: BLE001 - kept for the test's own thread
                self._failures.append(failure)

    def close(self) -> None:
        """Wait for all connections to end. Raises what a script raised."""
        self._scripts.clear()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.host.removeprefix("unix://"))
            self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a connection was left open"
        for failure in self._failures:
            raise failure


def reply(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole response."""
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")).encode() + body


def head(status: str, *headers: str) -> bytes:
    """The head of a response whose body follows."""
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode()


UPGRADED = head("101 UPGRADED", "Connection: Upgrade", "Upgrade: tcp")
CHUNKED = head("200 OK", "Transfer-Encoding: chunked")
