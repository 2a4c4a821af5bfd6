"""Attach and exec connections over a real socket: the switch, both directions, half-close, loss."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest

from rundlet.api.hijack import HijackedStream, serve_session, write_message
from rundlet.api.reply import MULTIPLEXED_STREAM, RAW_STREAM, AnyReply, Hijack, json_reply
from rundlet.api.request import Request
from rundlet.engine.session import Session
from rundlet.wire import stdcopy
from tests.unit.api.conftest import TIMEOUT_S, Serve, Server, SimpleApp

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


class EchoSession(Session):
    """The program is ``cat``: what is written comes back on stdout, and stdin's end ends it."""

    tty = False

    def __init__(self, first: bytes = b"", stream: int = stdcopy.STDOUT) -> None:
        self.received = b""
        self.stdin_closed = threading.Event()
        self.closed = threading.Event()
        self._stream = stream
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        if first:
            self._queue.put_nowait(first)

    @property
    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return self._output()

    async def _output(self) -> AsyncIterator[tuple[int, bytes]]:
        while data := await self._queue.get():
            yield self._stream, data

    async def write(self, data: bytes) -> None:
        self.received += data
        self._queue.put_nowait(data)

    async def close_stdin(self) -> None:
        self.stdin_closed.set()
        self._queue.put_nowait(b"bye")
        self._queue.put_nowait(b"")

    async def close(self) -> None:
        self.closed.set()


def app_for(session: Session, *, framed: bool = False) -> SimpleApp:
    async def handler(request: Request) -> AnyReply:
        await request.body.read_all(1000)

        async def run(stream: HijackedStream) -> None:
            await serve_session(stream, session, framed=framed)

        return Hijack(MULTIPLEXED_STREAM if framed else RAW_STREAM, run)

    return SimpleApp(handler)


@pytest.fixture(autouse=True)
def _quick_hangups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rundlet.api.hangup._INTERVAL_S", 0.02)


class TestSwitch:
    def test_client_that_asks_for_an_upgrade_gets_101(self, serve: Serve) -> None:
        with serve(app_for(EchoSession())).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            head = peer.read_head()
            assert (head.status, head.reason) == (101, "UPGRADED")
            assert head.headers == {
                "content-type": "application/vnd.docker.raw-stream",
                "connection": "Upgrade",
                "upgrade": "tcp",
            }

    def test_client_that_does_not_gets_200_without_a_length(self, serve: Serve) -> None:
        with serve(app_for(EchoSession())).connect() as peer:
            peer.request("POST", "/attach")
            head = peer.read_head()
            assert head.status == 200
            assert head.headers == {"content-type": "application/vnd.docker.raw-stream"}
            peer.half_close()
            assert peer.read_to_end() == b"bye"

    def test_error_before_the_switch_is_an_ordinary_reply(self, serve: Serve) -> None:
        async def handler(request: Request) -> AnyReply:
            return json_reply({"message": "No such container: x"}, 404)

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            response = peer.response()
            assert response.status == 404
            assert response.headers["content-type"] == "application/json"


class TestSession:
    @pytest.mark.parametrize("upgrade", [UPGRADE, {}])
    def test_half_close_is_the_end_of_stdin_and_output_goes_on(
        self, serve: Serve, upgrade: dict[str, str]
    ) -> None:
        session = EchoSession()
        with serve(app_for(session)).connect() as peer:
            peer.request("POST", "/attach", headers=upgrade)
            peer.read_head()
            peer.send(b"hello ")
            assert peer.read(6) == b"hello "
            peer.half_close()
            assert session.stdin_closed.wait(TIMEOUT_S)
            assert peer.read_to_end() == b"bye"
            assert session.closed.wait(TIMEOUT_S)

    @pytest.mark.parametrize("upgrade", [UPGRADE, {}])
    def test_stdin_and_its_end_may_come_glued_to_the_request(self, serve: Serve, upgrade: dict[str, str]) -> None:
        with serve(app_for(EchoSession())).connect() as peer:
            headers = "".join(f"{name}: {value}\r\n" for name, value in upgrade.items())
            body = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            peer.send(f"POST /exec/x/start HTTP/1.1\r\nHost: t\r\n{headers}{body}hello".encode())
            peer.half_close()
            peer.read_head()
            assert peer.read_to_end() == b"hellobye"

    def test_body_of_an_attach_is_no_stdin(self, serve: Serve) -> None:
        """dockerode sends its parameters in the query and once more in the body."""

        async def handler(request: Request) -> AnyReply:
            async def run(stream: HijackedStream) -> None:
                await serve_session(stream, EchoSession(), framed=False)

            return Hijack(RAW_STREAM, run)

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("POST", "/attach?stream=1", b'{"stream":true}', UPGRADE)
            peer.read_head()
            peer.send(b"stdin")
            peer.half_close()
            assert peer.read_to_end() == b"stdinbye"

    def test_output_is_framed_when_asked_for(self, serve: Serve) -> None:
        with serve(app_for(EchoSession(stream=stdcopy.STDERR), framed=True)).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.read_head()
            peer.send(b"abc")
            assert peer.read(11) == b"\x02\0\0\0\0\0\0\x03abc"

    def test_a_terminals_output_in_frames_is_stdout(self, serve: Serve) -> None:
        """docker-py creates an exec with a terminal and starts it without one."""
        with serve(app_for(EchoSession(stream=0), framed=True)).connect() as peer:
            peer.request("POST", "/exec/x/start", headers=UPGRADE)
            peer.read_head()
            peer.send(b"abc")
            assert peer.read(11) == b"\x01\0\0\0\0\0\0\x03abc"

    def test_many_megabytes_pass_both_ways_unchanged(self, serve: Serve) -> None:
        data = bytes(range(256)) * 4096 * 8
        session = EchoSession()
        with serve(app_for(session)).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.read_head()

            def send() -> None:
                peer.send(data)
                peer.half_close()

            sender = threading.Thread(target=send)
            sender.start()
            assert peer.read_to_end() == data + b"bye"
            sender.join(TIMEOUT_S)
        assert session.received == data

    def test_first_byte_waits_until_the_client_has_read_the_headers(self, serve: Serve) -> None:
        """docker-py loses what lies in the socket together with the headers (docker-py#1732)."""
        server = serve(app_for(EchoSession(first=b"output")))
        with server.connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            head = peer.sock.recv(65536, socket.MSG_PEEK)
            assert head.endswith(b"\r\n\r\n")
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), server.loop).result(TIMEOUT_S)
            assert peer.sock.recv(65536) == head
            assert peer.sock.recv(65536) == b"output"

    def test_client_that_never_reads_the_headers_gets_output_all_the_same(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("rundlet.api.hijack._HEADERS_TIMEOUT_S", 0.05)
        with serve(app_for(EchoSession(first=b"output"))).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.half_close()
            assert peer.read_to_end().endswith(b"outputbye")

    def test_message_of_the_engine_is_framed_on_stdout(self, serve: Serve) -> None:
        async def handler(request: Request) -> AnyReply:
            async def run(stream: HijackedStream) -> None:
                await write_message(stream, "has already run", framed=True)

            return Hijack(RAW_STREAM, run)

        with serve(SimpleApp(handler)).connect() as peer:
            peer.request("POST", "/exec/x/start", headers=UPGRADE)
            peer.read_head()
            assert stdcopy.Demuxer().feed(peer.read_to_end()) == [(1, b"has already run\r\n")]


class TestLoss:
    @pytest.mark.parametrize("half_close_first", [False, True])
    def test_client_that_goes_away_closes_the_session(self, serve: Serve, half_close_first: bool) -> None:
        class Silent(EchoSession):
            async def close_stdin(self) -> None:
                self.stdin_closed.set()

        session = Silent()
        with serve(app_for(session)).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.read_head()
            if half_close_first:
                peer.half_close()
                assert session.stdin_closed.wait(TIMEOUT_S)
        assert session.closed.wait(TIMEOUT_S)

    def test_client_that_goes_away_before_the_switch_closes_the_session(self, serve: Serve) -> None:
        session = EchoSession()
        entered, go = threading.Event(), asyncio.Event()

        async def handler(request: Request) -> AnyReply:
            entered.set()
            await go.wait()

            async def run(stream: HijackedStream) -> None:
                await serve_session(stream, session, framed=True)

            return Hijack(RAW_STREAM, run)

        server: Server = serve(SimpleApp(handler))
        with server.connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            assert entered.wait(TIMEOUT_S)
        server.loop.call_soon_threadsafe(go.set)
        assert session.closed.wait(TIMEOUT_S)

    @pytest.mark.parametrize("rest_of_body", [b"", b"{}"])
    def test_client_that_goes_away_before_output_that_waits_closes_the_session(
        self, serve: Serve, rest_of_body: bytes
    ) -> None:
        """Even if its request never came to its end. Left open, the streams of an exec would stay so for good."""
        session = EchoSession(b"first")
        begun, gone = threading.Event(), threading.Event()

        async def handler(request: Request) -> AnyReply:
            begun.set()
            await asyncio.to_thread(gone.wait, TIMEOUT_S)

            async def run(stream: HijackedStream) -> None:
                await serve_session(stream, session, framed=True)

            return Hijack(RAW_STREAM, run)

        peer = serve(SimpleApp(handler)).connect()
        peer.send(b"POST /exec/x/start HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n" + rest_of_body)
        assert begun.wait(TIMEOUT_S)
        peer.close()
        gone.set()
        assert session.closed.wait(TIMEOUT_S)

    def test_client_that_goes_away_while_output_pours_closes_the_session(self, serve: Serve) -> None:
        class Pouring(EchoSession):
            async def _output(self) -> AsyncIterator[tuple[int, bytes]]:
                while True:
                    yield 1, b"x" * 65536

        session = Pouring()
        with serve(app_for(session)).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.read_head()
            peer.read(1_000_000)
        assert session.closed.wait(TIMEOUT_S)

    def test_server_that_ends_closes_the_session(self, serve: Serve) -> None:
        session = EchoSession()
        server = serve(app_for(session))
        with server.connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.read_head()
            server.close()
            assert session.closed.wait(TIMEOUT_S)
            assert peer.read_to_end() == b""

    def test_program_that_takes_no_input_stops_the_client_not_the_daemon(self, serve: Serve) -> None:
        """Input that nobody reads is not piled up in memory."""

        class Deaf(EchoSession):
            async def write(self, data: bytes) -> None:
                await asyncio.Event().wait()

        with serve(app_for(Deaf())).connect() as peer:
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.read_head()
            assert peer.send_until_blocked(b"x" * 65536, limit=90_000_000) < 8 << 20


def test_two_streams_at_once_do_not_meet(serve: Serve) -> None:
    sessions: list[EchoSession] = []

    async def handler(request: Request) -> AnyReply:
        session = EchoSession()
        sessions.append(session)

        async def run(stream: HijackedStream) -> None:
            await serve_session(stream, session, framed=False)

        return Hijack(RAW_STREAM, run)

    server = serve(SimpleApp(handler))
    with server.connect() as one, server.connect() as two:
        for peer, text in ((one, b"one"), (two, b"two")):
            peer.request("POST", "/attach", headers=UPGRADE)
            peer.read_head()
            peer.send(text)
            peer.sock.shutdown(socket.SHUT_WR)
        assert two.read_to_end() == b"twobye"
        assert one.read_to_end() == b"onebye"
