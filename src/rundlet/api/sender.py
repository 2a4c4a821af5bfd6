"""Sends replies: h11 frames them, the transport carries them, a slow client is waited for."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11

from rundlet.api.reply import Headers, Reply, Stream

_REASONS = {int(status): status.phrase.encode() for status in HTTPStatus}


class Sender:
    """The outgoing half of a connection; ``headers`` go out with every reply.

    To a client that is gone nothing is sent, and that is no error: whoever serves it learns it otherwise.
    """

    def __init__(self, connection: h11.Connection, transport: asyncio.Transport, headers: Headers) -> None:
        self._h11 = connection
        self._transport = transport
        self._headers = headers
        self._writable = asyncio.Event()
        self._writable.set()

    def pause(self) -> None:
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()

    def go_ahead(self) -> None:
        """``100 Continue``, if the client waits for it before it sends its body."""
        if self._h11.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def reply(self, reply: Reply, *, head: bool) -> None:
        """Headers and body in one write; the headers alone for HEAD."""
        if reply.status in (204, 304):
            self._send(self._response(reply), h11.EndOfMessage())
            return
        response = self._response(reply, (b"Content-Length", b"%d" % len(reply.body)))
        if reply.body and not head:
            self._send(response, h11.Data(data=reply.body), h11.EndOfMessage())
        else:
            self._send(response, h11.EndOfMessage())

    async def stream(self, reply: Stream) -> None:
        """Headers at once, then every item as it comes. Without the last chunk when the items fail."""
        try:
            self._send(self._response(reply, (b"Transfer-Encoding", b"chunked")))
            async for item in reply.items:
                self._send(h11.Data(data=item))
                await self._writable.wait()
            self._send(h11.EndOfMessage())
        finally:
            await reply.items.aclose()

    async def drain(self) -> None:
        await self._writable.wait()

    def _response(self, reply: Reply | Stream, *more: tuple[bytes, bytes]) -> h11.Response:
        headers = [*self._headers, *reply.headers, *more]
        if reply.content_type:
            headers.append((b"Content-Type", reply.content_type))
        return h11.Response(status_code=reply.status, headers=headers, reason=_REASONS.get(reply.status, b""))

    def _send(self, *events: h11.Event) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._h11.send(event) or b"" for event in events))
