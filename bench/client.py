"""The smallest HTTP/1.1 client that both engines understand, so that the client costs the same for both.

One connection is kept as long as the engine keeps it. Only what the workloads need: no redirects, no timeouts
but the socket's, no hijacking.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TIMEOUT_S = 60


class Connection:
    def __init__(self, socket_path: Path) -> None:
        self._path = str(socket_path)
        self._sock: socket.socket | None = None
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        self._buffer = b""

    def call(self, method: str, target: str, body: Any = None) -> Any:
        """One request; the decoded JSON of the reply, or its bytes when it is none. RuntimeError unless 2xx."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        if self._sock is None:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._sock.settimeout(TIMEOUT_S)
            self._sock.connect(self._path)
        self._sock.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        status, is_json, content = self._read_reply()
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {target}: {status} {content.decode(errors='replace')}")
        return json.loads(content) if is_json and content else content

    def _read_reply(self) -> tuple[int, bool, bytes]:
        head = self._read_until(b"\r\n\r\n").lower()
        status = int(head[9:12])
        is_json = b"content-type: application/json" in head
        until_close = False
        if status == 204:
            content = b""
        elif b"transfer-encoding: chunked" in head:
            content = self._read_chunks()
        elif b"content-length: " in head:
            content = self._read_exactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        else:
            until_close = True
            content = self._read_rest()
        if until_close or b"connection: close" in head:
            self.close()
        return status, is_json, content

    def _read_chunks(self) -> bytes:
        content = b""
        while size := int(self._read_until(b"\r\n"), 16):
            content += self._read_exactly(size + 2)[:-2]
        self._read_exactly(2)
        return content

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._fill()
        found, self._buffer = self._buffer.split(mark, 1)
        return found

    def _read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _read_rest(self) -> bytes:
        assert self._sock is not None
        while data := self._sock.recv(65536):
            self._buffer += data
        found, self._buffer = self._buffer, b""
        return found

    def _fill(self) -> None:
        assert self._sock is not None
        data = self._sock.recv(65536)
        if not data:
            raise RuntimeError("the engine closed the connection in the middle of a reply")
        self._buffer += data
