"""HTTP/1.1 over a real socket: what clients may send, what they get, and when the handler is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator

import pytest

from rundlet.api import connection
from rundlet.api.reply import NO_CONTENT, AnyReply, Reply, Stream, json_reply
from rundlet.api.request import Request
from rundlet.errors import EngineError
from tests.unit.api.conftest import TIMEOUT_S, Serve, SimpleApp


async def echo(request: Request) -> AnyReply:
    body = await request.body.read_all(1 << 30)
    return Reply(200, b"%s %s %d" % (request.method.encode(), request.path.encode(), len(body)), b"text/plain")


class Handler:
    """A handler that waits until it is let go or cancelled, and says which."""

    def __init__(self, *, abandonable: bool) -> None:
        self.abandonable = abandonable
        self.entered = threading.Event()
        self.cancelled = threading.Event()
        self.finished = threading.Event()
        self._go = asyncio.Event()

    async def __call__(self, request: Request) -> AnyReply:
        request.abandonable = self.abandonable
        self.loop = asyncio.get_running_loop()
        self.entered.set()
        try:
            await self._go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.finished.set()
        return NO_CONTENT

    def let_go(self) -> None:
        self.loop.call_soon_threadsafe(self._go.set)


class TestRequests:
    def test_one_connection_serves_many_requests(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            for number in range(3):
                peer.request("POST", f"/{number}", b"x" * number)
                assert peer.response().body == f"POST /{number} {number}".encode()

    def test_pipelined_requests_are_answered_in_their_order(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n" % n for n in range(50)))
            assert [peer.response().body for _ in range(50)] == [f"GET /{n} 0".encode() for n in range(50)]

    def test_a_flood_of_pipelined_requests_does_not_grow_the_buffer(self, serve: Serve) -> None:
        """What is sent ahead of a slow handler stays in the socket, and is answered all the same."""
        handler = Handler(abandonable=False)
        request = b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"y" * 1000 + b"\r\n\r\n"
        with serve(SimpleApp(handler)).connect() as peer:
            sent = peer.send_until_blocked(request, limit=20_000 * len(request))
            assert sent < 5_000 * len(request)
            handler.let_go()
            assert {peer.response().status for _ in range(sent // len(request))} == {204}

    def test_path_is_percent_decoded_and_the_query_is_not_part_of_it(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.request("GET", "/images/a%2Fb%3Ac/json?x=%2F")
            assert peer.response().body == b"GET /images/a/b:c/json 0"

    def test_chunked_body_is_read(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(100):
                peer.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
            peer.send(b"0\r\n\r\n")
            assert peer.response().body == b"POST / 102400"

    def test_large_body_is_read(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.request("POST", "/", b"x" * (8 << 20))
            assert peer.response().body == b"POST / %d" % (8 << 20)

    def test_body_waits_in_the_socket_until_the_handler_reads(self, serve: Serve) -> None:
        handler = Handler(abandonable=False)
        with serve(SimpleApp(handler)).connect() as peer:
            peer.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n")
            assert peer.send_until_blocked(b"x" * 65536, limit=90_000_000) < 8 << 20

    def test_client_that_expects_100_continue_is_told_when_the_body_is_wanted(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.request("POST", "/", headers={"Expect": "100-continue", "Content-Length": "5"})
            assert peer.read_head().status == 100
            peer.send(b"hello")
            assert peer.response().body == b"POST / 5"

    def test_client_that_expects_100_continue_may_be_refused_at_once(self, serve: Serve) -> None:
        async def refuse(request: Request) -> AnyReply:
            return json_reply({"message": "no"}, 404)

        with serve(SimpleApp(refuse)).connect() as peer:
            peer.request("POST", "/", headers={"Expect": "100-continue", "Content-Length": "5"})
            assert peer.response().status == 404

    def test_body_that_the_handler_left_is_skipped(self, serve: Serve) -> None:
        async def refuse(request: Request) -> AnyReply:
            return json_reply({"message": "no"}, 404)

        with serve(SimpleApp(refuse)).connect() as peer:
            for _ in range(2):
                peer.request("POST", "/", b"x" * 500_000)
                assert peer.response().status == 404

    def test_http_1_0_client_gets_its_reply_and_the_end(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.send(b"GET /old HTTP/1.0\r\n\r\n")
            assert peer.read_to_end().endswith(b"GET /old 0")

    def test_client_that_half_closes_after_its_request_is_answered(self, serve: Serve) -> None:
        """``nc -N`` and socat do that."""
        with serve(SimpleApp(echo)).connect() as peer:
            peer.request("GET", "/x")
            peer.half_close()
            assert peer.response().body == b"GET /x 0"
            assert peer.read_to_end() == b""

    def test_half_closed_client_is_answered_by_an_abandonable_route_too(self, serve: Serve) -> None:
        handler = Handler(abandonable=True)
        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("GET", "/x")
            peer.half_close()
            assert handler.entered.wait(TIMEOUT_S)
            handler.let_go()
            assert peer.response().status == 204


class TestGarbage:
    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"this is no http\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
            (b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
            (b"GET / HTTP/1.1\r\nHost: t\r\nbad header\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # a TLS hello
            (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 70_000, 431),
        ],
    )
    def test_garbage_gets_an_error_and_the_end(self, serve: Serve, data: bytes, status: int) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.send(data)
            response = peer.response()
            assert response.status == status
            assert response.headers["content-type"] == "application/json"
            assert b'"message"' in response.body
            assert peer.read_to_end() == b""

    def test_garbage_of_one_client_does_not_disturb_another(self, serve: Serve) -> None:
        server = serve(SimpleApp(echo))
        with server.connect() as good, server.connect() as bad:
            bad.send(b"\0" * 10_000 + b"\r\n\r\n")
            assert bad.response().status == 400
            good.request("GET", "/")
            assert good.response().status == 200

    def test_garbage_behind_a_good_request_spoils_only_itself(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.send(b"GET /a HTTP/1.1\r\nHost: t\r\n\r\n\0\0garbage\r\n\r\n")
            assert peer.response().body == b"GET /a 0"
            assert peer.response().status == 400

    def test_broken_chunk_ends_the_connection(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            peer.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            assert peer.read_to_end() == b""

    def test_client_that_never_ends_its_headers_is_cut_off(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.05)
        with serve(SimpleApp(echo)).connect() as peer:
            peer.send(b"GET / HTTP/1.1\r\nHo")
            with pytest.raises((EOFError, ConnectionError)):
                peer.response()

    def test_idle_connection_is_not_cut_off(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.05)
        server = serve(SimpleApp(echo))
        with server.connect() as idle, server.connect() as slow:
            slow.send(b"GET")
            assert slow.sock.recv(1) == b""
            idle.request("GET", "/")
            assert idle.response().status == 200


class TestReplies:
    def test_no_content_has_neither_body_nor_length(self, serve: Serve) -> None:
        async def handler(request: Request) -> AnyReply:
            return NO_CONTENT

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("POST", "/")
            response = peer.response()
            assert (response.status, response.reason) == (204, "No Content")
            assert {"content-length", "content-type", "transfer-encoding"}.isdisjoint(response.headers)

    def test_empty_reply_says_length_0_and_no_type(self, serve: Serve) -> None:
        """A type on an empty body makes aiodocker raise."""

        async def handler(request: Request) -> AnyReply:
            return Reply(200)

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("POST", "/")
            response = peer.response()
            assert response.headers["content-length"] == "0"
            assert "content-type" not in response.headers

    def test_json_type_is_exact(self, serve: Serve) -> None:
        async def handler(request: Request) -> AnyReply:
            return json_reply({"a": 1})

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("GET", "/")
            response = peer.response()
            assert response.headers["content-type"] == "application/json"
            assert response.body == b'{"a":1}\n'
            assert response.headers["server"] == "test"

    def test_reply_to_head_has_no_body(self, serve: Serve) -> None:
        with serve(SimpleApp(echo)).connect() as peer:
            for _ in range(2):
                peer.request("HEAD", "/")
                assert peer.response(head=True).status == 200

    def test_stream_sends_headers_at_once_and_each_item_as_a_chunk(self, serve: Serve) -> None:
        release = asyncio.Event()

        async def items() -> AsyncGenerator[bytes]:
            await release.wait()
            yield b"one\n"
            yield b"two\n"

        async def handler(request: Request) -> AnyReply:
            return Stream(items())

        server = serve(SimpleApp(handler))
        with server.connect() as peer:
            peer.request("GET", "/")
            assert peer.read_head().headers["transfer-encoding"] == "chunked"
            server.loop.call_soon_threadsafe(release.set)
            assert [peer.read_chunk(), peer.read_chunk(), peer.read_chunk()] == [b"one\n", b"two\n", b""]

    def test_connection_goes_on_after_a_stream(self, serve: Serve) -> None:
        async def items() -> AsyncGenerator[bytes]:
            yield b"x"

        async def handler(request: Request) -> AnyReply:
            return Stream(items())

        with serve(SimpleApp(handler)).connect() as peer:
            for _ in range(3):
                peer.request("GET", "/")
                assert peer.response().chunks == (b"x",)

    def test_stream_waits_for_a_slow_client(self, serve: Serve) -> None:
        made = 0

        async def items() -> AsyncGenerator[bytes]:
            nonlocal made
            for _ in range(1000):
                made += 1
                yield b"x" * 65536

        async def handler(request: Request) -> AnyReply:
            return Stream(items()) if request.path == "/stream" else NO_CONTENT

        server = serve(SimpleApp(handler))
        with server.connect() as peer, server.connect() as other:
            peer.request("GET", "/stream")
            peer.read_head()
            for _ in range(1000):  # as many turns of the loop as items: time enough to make them all
                other.request("GET", "/")
                other.response()
            assert made < 100
            assert peer.read_chunk() == b"x" * 65536

    @pytest.mark.parametrize(
        ("error", "logged"),
        [(ConnectionResetError(), ""), (EngineError("fell behind"), "fell behind"), (KeyError("k"), "Traceback")],
    )
    def test_stream_that_fails_is_cut_off_without_its_end(
        self, serve: Serve, error: Exception, logged: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The client can tell that something is missing: the last chunk never comes."""

        async def items() -> AsyncGenerator[bytes]:
            yield b"x"
            raise error

        async def handler(request: Request) -> AnyReply:
            return Stream(items())

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("GET", "/")
            peer.read_head()
            assert peer.read_chunk() == b"x"
            assert peer.read_to_end() == b""
        assert logged in caplog.text


class TestDisconnect:
    @pytest.mark.parametrize("half_closed_first", [False, True])
    def test_client_that_goes_away_cancels_what_only_it_waits_for(
        self, serve: Serve, half_closed_first: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("rundlet.api.hangup._INTERVAL_S", 0.02)
        handler = Handler(abandonable=True)
        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("POST", "/wait")
            assert handler.entered.wait(TIMEOUT_S)
            if half_closed_first:
                peer.half_close()
        assert handler.cancelled.wait(TIMEOUT_S)

    def test_client_that_goes_away_does_not_cancel_work(self, serve: Serve) -> None:
        handler = Handler(abandonable=False)
        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("POST", "/stop")
            assert handler.entered.wait(TIMEOUT_S)
        handler.let_go()
        assert handler.finished.wait(TIMEOUT_S)
        assert not handler.cancelled.is_set()

    def test_client_that_goes_away_closes_its_stream(self, serve: Serve) -> None:
        closed = threading.Event()

        async def items() -> AsyncGenerator[bytes]:
            try:
                yield b"x"
                await asyncio.Event().wait()
            finally:
                closed.set()

        async def handler(request: Request) -> AnyReply:
            return Stream(items())

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("GET", "/events")
            peer.read_head()
            peer.read_chunk()
        assert closed.wait(TIMEOUT_S)

    def test_client_that_goes_away_in_its_body_ends_the_read(self, serve: Serve) -> None:
        failed = threading.Event()

        async def handler(request: Request) -> AnyReply:
            try:
                await request.body.read_all(1000)
            finally:
                failed.set()
            return NO_CONTENT

        with serve(SimpleApp(handler)).connect() as peer:
            peer.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc")
        assert failed.wait(TIMEOUT_S)


class TestEnd:
    def test_server_that_ends_cancels_waits_and_lets_work_finish(self, serve: Serve) -> None:
        wait, stop = Handler(abandonable=True), Handler(abandonable=False)

        async def handler(request: Request) -> AnyReply:
            return await (wait if request.path == "/wait" else stop)(request)

        server = serve(SimpleApp(handler))
        with server.connect() as waiting, server.connect() as stopping, server.connect() as idle:
            waiting.request("POST", "/wait")
            stopping.request("POST", "/stop")
            assert wait.entered.wait(TIMEOUT_S)
            assert stop.entered.wait(TIMEOUT_S)
            closing = asyncio.run_coroutine_threadsafe(server.api_server.close(TIMEOUT_S), server.loop)
            assert wait.cancelled.wait(TIMEOUT_S)
            assert idle.read_to_end() == b""
            assert not stop.cancelled.is_set()
            stop.let_go()
            closing.result(TIMEOUT_S)
            assert stopping.response().status == 204
