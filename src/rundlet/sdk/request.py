"""Requests of the Engine API as values: built here, sent by the transport.

Paths carry no version, which every engine takes as the newest that it speaks: one round trip less than asking,
and nothing to remember. Replies are therefore read leniently, by the fields that are there.
"""

from __future__ import annotations

import json

from rundlet.errors import InvalidArgument
from rundlet.wire import http

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Mapping
    from typing import Any, Protocol, TypeAlias

    class Readable(Protocol):
        def read(self, size: int, /) -> bytes: ...

    Upload: TypeAlias = Readable | Iterable[bytes] | AsyncIterable[bytes]
    """What a body can be read from: a binary file, or an iterable of bytes."""
    Parameter: TypeAlias = str | int | float | bool | Iterable[str] | None

__all__ = ["Request", "container", "image", "path_of"]

_USER_AGENT = "rundlet-sdk"


class Request:
    """One request. ``document`` is sent as JSON, ``upload`` as a chunked stream; at most one of them is given."""

    __slots__ = ("document", "method", "target", "upgrade", "upload")

    def __init__(
        self,
        method: str,
        path: str,
        query: Mapping[str, Parameter] | None = None,
        *,
        document: Mapping[str, Any] | None = None,
        upload: Upload | None = None,
        upgrade: bool = False,
    ) -> None:
        self.method = method
        self.target = f"{path}{_query(query)}"
        self.document = document
        self.upload = upload
        self.upgrade = upgrade
        """Whether the connection shall become a stream (attach, exec)."""

    def encode(self, authority: str) -> bytes:
        """Everything but the upload."""
        body = b"" if self.document is None else json.dumps(self.document, separators=(",", ":")).encode()
        headers = [("Host", authority), ("User-Agent", _USER_AGENT)]
        headers += [("Connection", "Upgrade"), ("Upgrade", "tcp")] if self.upgrade else [("Connection", "close")]
        if self.document is not None:
            headers.append(("Content-Type", "application/json"))
        if self.upload is not None:
            headers += [("Content-Type", "application/x-tar"), ("Transfer-Encoding", "chunked")]
        elif body or self.method in ("POST", "PUT"):
            headers.append(("Content-Length", str(len(body))))
        return http.encode_request(self.method, self.target, headers) + body


def container(reference: str, verb: str = "") -> str:
    """The path of a container, named by ID, unique start of an ID, or name with or without slash."""
    return path_of("containers", reference.removeprefix("/"), verb)


def image(reference: str, verb: str = "") -> str:
    """The path of an image, named by ID, tag or digest: its slashes stay, as in Docker's own client."""
    return path_of("images", reference, verb, safe="/:@")


def path_of(noun: str, name: str, verb: str = "", *, safe: str = ":") -> str:
    """``/noun/name/verb``. Raises InvalidArgument for names that would lead to another path."""
    if not name.strip() or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidArgument(f'not a name in /{noun}: "{name}"')
    return f"/{noun}/{http.quote(name, safe)}" + (f"/{verb}" if verb else "")


def _query(parameters: Mapping[str, Parameter] | None) -> str:
    """None, False and "" are left out; True is 1; a list repeats its parameter."""
    pairs: list[str] = []
    for name, value in (parameters or {}).items():
        if value is None or value is False or value == "":
            continue
        pairs += [f"{name}={http.quote(text)}" for text in _texts(value)]
    return "?" + "&".join(pairs) if pairs else ""


def _texts(value: str | float | Iterable[str]) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, float):
        return (f"{value:.9f}",)  # never an exponent: the engine reads seconds and nanoseconds
    if isinstance(value, int):
        return (str(int(value)),)
    return value
