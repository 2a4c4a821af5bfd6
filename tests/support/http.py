"""A plain Engine API client on :mod:`http.client`: independent of the SDK, so that tests of the API test the API.

It speaks to any engine (ours, dockerd) over a unix socket, one connection per request. It will not retry,
hijack for writing, or know what a reply means.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

TIMEOUT_S = 30


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    @property
    def message(self) -> str:
        """The ``message`` of an error reply."""
        message = self.json()["message"]
        assert isinstance(message, str)
        return message


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.settimeout(self.timeout)
        try:
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            raise
        self.sock = sock


class Client:
    """Requests to the engine that listens on ``socket_path``. Without ``version`` paths go as they are."""

    def __init__(self, socket_path: Path, version: str = "") -> None:
        self.socket_path = socket_path
        self.prefix = f"/v{version}" if version else ""

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Reply:
        """One request and its whole reply. ``body``: bytes or an open file as they are, anything else as JSON."""
        data: bytes | IO[bytes] | None
        send_headers = dict(headers or {})
        if body is None or isinstance(body, bytes) or hasattr(body, "read"):
            data = body
        else:
            data = json.dumps(body).encode()
            send_headers.setdefault("Content-Type", "application/json")
        target = self.prefix + path + (f"?{urlencode(query)}" if query else "")
        connection = _UnixConnection(self.socket_path, timeout_s)
        try:
            connection.request(method, target, body=data, headers=send_headers)
            response = connection.getresponse()
            content = response.read()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, received, content)
        finally:
            connection.close()

    def get(self, path: str, **query: str) -> Reply:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, **query: str) -> Reply:
        return self.request("POST", path, body, query=query)

    def delete(self, path: str, **query: str) -> Reply:
        return self.request("DELETE", path, query=query)


def demultiplex(body: bytes) -> dict[int, bytes]:
    """The streams of a finished ``application/vnd.docker.raw-stream`` body: 1 stdout, 2 stderr."""
    streams: dict[int, list[bytes]] = {1: [], 2: []}
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at + 4 : at + 8], "big")
        streams[body[at]].append(body[at + 8 : at + 8 + length])
        at += 8 + length
    return {stream: b"".join(parts) for stream, parts in streams.items()}
