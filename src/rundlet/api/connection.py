"""One client connection: HTTP/1.1 by h11 on an asyncio transport.

    bytes ─▶ h11 ─▶ Request ─▶ application(request) ─▶ Reply | Stream | Hijack ─▶ h11 ─▶ bytes
                       └ Body, fed while the handler runs

Requests of a connection are served one after the other; what a client sends ahead waits (bounded) in h11.
A client that goes away cancels a handler only if its route says so: streams and waits end, a stop that is
under way goes on (moby ``daemon/stop.go``). A client that merely shuts down its sending side has not gone
away. Why h11 and not aiohttp: ``docs/adr/0002-h11-serves-the-engine-api.md``.

What it will not do: know any route, or choose the status of an engine's error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Protocol, cast
from urllib.parse import unquote

import h11

from rundlet.api.hangup import HangupWatch
from rundlet.api.hijack import HijackedStream
from rundlet.api.reply import AnyReply, Headers, Hijack, Reply, Stream, json_reply
from rundlet.api.request import Body, ClientDisconnected, Request
from rundlet.api.sender import Sender
from rundlet.errors import RundletError

_logger = logging.getLogger(__name__)

HEAD_LIMIT = 64 * 1024
"""Bytes of a request line with its headers, and of what may be sent ahead of the next request."""
HEAD_TIMEOUT_S = 60.0
"""From the first byte of a request to the end of its headers. An idle connection may stay for good."""
_BODY_HIGH = 256 * 1024
_DISCARD_LIMIT = 1024 * 1024
_DISCARD_TIMEOUT_S = 2.0


class Application(Protocol):
    headers: Headers
    """For every reply."""

    async def __call__(self, request: Request) -> AnyReply:
        """Raises :class:`ClientDisconnected` at most."""


class Connection(asyncio.Protocol):
    def __init__(self, application: Application, connections: set[Connection]) -> None:
        """``connections`` holds this one while it is open."""
        self._application = application
        self._connections = connections
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._transport: asyncio.Transport
        self._sender: Sender
        self._hangup: HangupWatch
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._eof = False
        self._ending = False

    def shut_down(self) -> asyncio.Task[None] | None:
        """End what this client waits for; the task that is left is work under way (a stop, a removal)."""
        self._ending = True
        if self._task is None:
            self._transport.close()
        elif self._request is not None and self._request.abandonable:
            self._task.cancel()
        return self._task

    # ── asyncio.Protocol ────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclasses
        self._sender = Sender(self._h11, self._transport, self._application.headers)
        self._hangup = HangupWatch(transport, self._on_gone, eof_is_hangup=True)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._h11.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        self._eof = True
        self._h11.receive_data(b"")
        self._advance()
        if self._task is None:
            return False
        self._hangup.start()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self._sender.resume()
        self._hangup.stop()
        self._time_head(started=False)
        self._on_gone()

    def pause_writing(self) -> None:
        self._sender.pause()

    def resume_writing(self) -> None:
        self._sender.resume()

    # ── coming in ───────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        """Bring what h11 holds to where it belongs."""
        try:
            while True:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    if self._task is None and self._h11.trailing_data[0]:
                        self._time_head(started=True)
                    return
                if event is h11.PAUSED:
                    # What follows is the next request, or the stream behind a switch of protocols.
                    self._limit_reading(len(self._h11.trailing_data[0]) > HEAD_LIMIT)
                    return
                if isinstance(event, h11.ConnectionClosed):
                    if self._task is None:
                        self._transport.close()
                    return
                if isinstance(event, h11.Event):
                    self._take(event)
        except h11.RemoteProtocolError as error:
            self._refuse(error)

    def _take(self, event: h11.Event) -> None:
        if isinstance(event, h11.Request):
            self._start(event)
        elif self._request is None:
            return  # the rest of a body that nobody wants
        elif isinstance(event, h11.Data):
            self._request.body.feed(bytes(event.data))
            self._limit_reading(self._request.body.buffered > _BODY_HIGH)
        elif isinstance(event, h11.EndOfMessage):
            self._request.body.feed_end()

    def _start(self, head: h11.Request) -> None:
        self._time_head(started=False)
        target, _, query = head.target.decode("latin-1").partition("?")
        self._request = Request(
            head.method.decode("latin-1"),
            unquote(target, errors="replace"),
            query,
            list(head.headers),
            Body(self._on_body_wanted),
        )
        self._task = asyncio.get_running_loop().create_task(self._serve(self._request))

    def _on_body_wanted(self) -> None:
        self._sender.go_ahead()
        self._limit_reading(False)

    def _limit_reading(self, too_much: bool) -> None:
        if self._eof or self._transport.is_closing():
            return
        if too_much:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _time_head(self, *, started: bool) -> None:
        """Give a client that has started a request a while to end its headers."""
        if not started and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        elif started and self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(HEAD_TIMEOUT_S, self._transport.abort)

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """What came is no HTTP, or breaks off. While a handler runs, that ends its body and not its reply."""
        if self._request is not None:
            self._request.body.feed_disconnect()
            return
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self._transport.is_closing():
            document = {"message": f"malformed HTTP request: {error}"}
            self._sender.reply(json_reply(document, error.error_status_hint), head=False)
        self._transport.close()

    def _on_gone(self) -> None:
        if self._request is not None:
            self._request.body.feed_disconnect()
            if self._request.abandonable and self._task is not None:
                self._task.cancel()

    # ── going out ───────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, request: Request) -> None:
        started = time.perf_counter()
        reusable = False
        try:
            reply = await self._application(request)
            if isinstance(reply, Hijack):
                await self._hijack(reply, request)
            else:
                await self._reply(reply, request)
                reusable = await request.body.discard(_DISCARD_LIMIT, _DISCARD_TIMEOUT_S)
        except (ClientDisconnected, ConnectionResetError):
            _logger.debug("%s %s: the client went away", request.method, request.path)
        except RundletError as error:
            _logger.warning("%s %s: cut off: %s", request.method, request.path, error)
        except Exception:  # the request boundary, for what fails behind the headers
            _logger.exception("%s %s: cut off", request.method, request.path)
        finally:
            _logger.debug("%s %s: %.1f ms", request.method, request.path, (time.perf_counter() - started) * 1e3)
            self._task = self._request = None
            if not reusable:
                self._transport.close()
        if reusable:
            self._next_request()

    async def _reply(self, reply: Reply | Stream, request: Request) -> None:
        if isinstance(reply, Stream):
            request.abandonable = True
            if not request.body.complete:
                self._on_body_wanted()  # "100 Continue" cannot follow the headers
            await self._sender.stream(reply)
        else:
            self._sender.reply(reply, head=request.method == "HEAD")
            await self._sender.drain()

    def _next_request(self) -> None:
        if {self._h11.our_state, self._h11.their_state} == {h11.DONE} and not self._ending:
            self._h11.start_next_cycle()
            self._limit_reading(False)
            self._advance()
        else:
            self._transport.close()

    async def _hijack(self, reply: Hijack, request: Request) -> None:
        """Leave HTTP behind: from here on the transport belongs to a :class:`HijackedStream`.

        ``reply.run`` is called whatever has become of the client: it is what closes the session.
        """
        task = self._task
        assert task is not None
        with contextlib.suppress(ClientDisconnected):
            await request.body.discard(_DISCARD_LIMIT, _DISCARD_TIMEOUT_S)  # some send their parameters twice
        received, _ = self._h11.trailing_data
        self._hangup.stop()
        request.abandonable = True

        def on_lost() -> None:
            task.cancel()

        stream = HijackedStream(self._transport, received, self._eof, on_lost)
        self._transport.set_protocol(stream)
        if not self._transport.is_closing():
            self._transport.write(_switch_head(reply, upgrade=request.wants_upgrade))
        try:
            await reply.run(stream)
        finally:
            stream.close()
            self._connections.discard(self)


def _switch_head(reply: Hijack, *, upgrade: bool) -> bytes:
    if upgrade:
        status, headers = b"101 UPGRADED", b"Connection: Upgrade\r\nUpgrade: tcp\r\n"
    else:
        status, headers = b"200 OK", b""
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\n%s\r\n" % (status, reply.content_type, headers)
